//! Files of our own: every bit comes back, a whitening too, or numbers of two bytes.

use std::collections::BTreeMap;

use aoi_encoder::images::Normalisation;
use aoi_encoder::ndarray::Array2;
use aoi_encoder::weights::{Family, LoadOptions, NumberType, SaveOptions, load, save, save_with};
use aoi_encoder::{Config, Error, Params, Table, Whitening};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

use super::{load_bytes, raw, serialized};

#[test]
fn our_own_format_keeps_every_bit_and_the_configuration() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("own.safetensors");
    for case in ["timm_swiglu", "timm_registers_no_embed", "timm_two_lights", "dinov2"] {
        let weights = load_bytes(&serialized(&raw(case), None));
        let Ok(weights) = weights else { continue };
        save(&path, &weights.config, &weights.params).unwrap();
        let again = load(&path, &LoadOptions::default()).unwrap();
        assert_eq!((again.family, &again.config), (Family::Own, &weights.config), "{case}");
        let bits = |p: &Params<f32>| p.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&again.params), bits(&weights.params), "{case}");
    }
    assert!(path.exists(), "at least one case was saved");
    let other = Params::<f32>::zeros(std::sync::Arc::new(Table::new(&Config::paper()).unwrap()));
    let tiny = Config::preset("vit-ti/16").unwrap();
    assert!(matches!(save(&path, &tiny, &other), Err(Error::Shape { .. })));
}

/// Shape and bytes of f32 tensors by name.
type Shaped = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

#[test]
fn a_whitening_comes_back_and_one_that_is_broken_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("white.safetensors");
    let weights = load_bytes(&serialized(&raw("timm_plain"), None)).unwrap();
    assert_eq!(weights.whitening, None);
    let d = weights.config.width;
    let of = |d: usize| {
        let matrix =
            Array2::from_shape_fn((d, d), |(i, j)| if j <= i { 1.0 + (i * d + j) as f32 } else { 0.0 });
        Whitening::new((0..d).map(|i| i as f32).collect(), &matrix).unwrap()
    };
    let options = SaveOptions { whitening: Some(of(d)), ..SaveOptions::default() };
    save_with(&path, &weights.config, &weights.params, &options).unwrap();
    let again = load(&path, &LoadOptions::default()).unwrap();
    assert_eq!((again.whitening, &again.params), (Some(of(d)), &weights.params));
    let narrow = SaveOptions { whitening: Some(of(d - 1)), ..SaveOptions::default() };
    let refused = save_with(&path, &weights.config, &weights.params, &narrow).unwrap_err().to_string();
    assert!(refused.contains("whitening.mean") && refused.contains("the width"), "{refused}");

    // The tensors of that file, one of them changed; another family has no use for them.
    let bytes = std::fs::read(&path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let problems = |change: &dyn Fn(&mut Shaped)| {
        let tensors = file.tensors().into_iter();
        let mut tensors = tensors.map(|(n, v)| (n, (v.shape().to_vec(), v.data().to_vec()))).collect();
        change(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, (shape, bytes))| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
        std::fs::write(&path, safetensors::serialize(views, metadata.metadata().clone()).unwrap()).unwrap();
        match load(&path, &LoadOptions::default()) {
            Err(Error::Weights { problems, .. }) => problems,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(problems(&|t| drop(t.remove("whitening.mean"))), [format!("missing whitening.mean [{d}]")]);
    let turned = problems(&|t| t.get_mut("whitening.matrix").unwrap().0 = vec![d * d]);
    assert_eq!(turned, [format!("whitening.matrix: expected shape [{d}, {d}], found [{}]", d * d)]);
    let more = problems(&|t| drop(t.insert("whitening.more".to_owned(), (vec![1], vec![0; 4]))));
    assert_eq!(more, ["unused whitening.more [1]"]);
}

#[test]
fn half_precision_rounds_every_weight_once_and_halves_the_file() {
    let folder = TempDir::new().unwrap();
    let (full, half) = (folder.path().join("full.safetensors"), folder.path().join("half.safetensors"));
    let mut weights = load_bytes(&serialized(&raw("timm_plain"), None)).unwrap();
    let channels = weights.config.channels;
    let normalisation = Normalisation::new(channels, Some(&[0.3]), Some(&[1.0 / 3.0])).unwrap();
    let options = SaveOptions {
        normalisation: Some(normalisation.clone()),
        number_type: NumberType::F16,
        ..SaveOptions::default()
    };
    save(&full, &weights.config, &weights.params).unwrap();
    save_with(&half, &weights.config, &weights.params, &options).unwrap();
    let size = |path| std::fs::metadata(path).unwrap().len();
    assert!(size(&half) < size(&full) - weights.params.values().len() as u64, "two bytes a number");
    let again = load(&half, &LoadOptions::default()).unwrap();
    assert_eq!(again.normalisation, Some(normalisation));
    assert_eq!(load(&full, &LoadOptions::default()).unwrap().normalisation, None);
    let pairs = || again.params.values().iter().zip(weights.params.values());
    assert!(pairs().all(|(h, f)| (h - f).abs() <= f.abs() / 2048.0 + 2.0_f32.powi(-25)));
    assert!(pairs().any(|(h, f)| h != f), "rounding was needed");

    weights.params.get_mut("norm.bias")[1] = 70_000.0;
    let refused = save_with(&half, &weights.config, &weights.params, &options).unwrap_err().to_string();
    assert!(refused.contains("norm.bias") && refused.contains("70000"), "{refused}");
    let more = Normalisation::new(channels + 1, None, None).unwrap();
    let options = SaveOptions { normalisation: Some(more), ..SaveOptions::default() };
    assert!(save_with(&half, &weights.config, &weights.params, &options).is_err());
}
