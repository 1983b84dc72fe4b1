//! One test for each way in which a weight file can break its promise, and what is said of a good one.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use aoi_encoder::images::Normalisation;
use aoi_encoder::ndarray::Array2;
use aoi_encoder::weights::{
    ChannelRule, Family, LoadOptions, NumberType, SaveOptions, inspect, load, save, save_with,
};
use aoi_encoder::{Config, Error, Grid, Params, Positions, Resampling, Table, Whitening};
use aoi_testing::{assert_all_close, for_each_case};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

type Raw = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn data(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(case).join("weights.safetensors")
}

fn raw(case: &str) -> Raw {
    let bytes = std::fs::read(data(case)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter();
    tensors.map(|(n, v)| (n, (v.dtype(), v.shape().to_vec(), v.data().to_vec()))).collect()
}

fn serialized(raw: &Raw, metadata: Option<HashMap<String, String>>) -> Vec<u8> {
    let views = raw.iter().map(|(n, (dtype, shape, bytes))| {
        (n.clone(), TensorView::new(*dtype, shape.clone(), bytes).expect("a consistent tensor"))
    });
    safetensors::serialize(views, metadata).unwrap()
}

/// Loads bytes as a file alone in a folder; what panics here panics in the test.
fn load_bytes(bytes: &[u8]) -> Result<aoi_encoder::weights::Weights, Error> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, bytes).unwrap();
    load(&path, &LoadOptions { heads: Some(2), ..LoadOptions::default() })
}

fn refusal(bytes: &[u8]) -> String {
    load_bytes(bytes).expect_err("the file is broken").to_string()
}

/// A safetensors file with the given header and data, lengths as claimed.
fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn an_unchanged_file_loads() {
    assert!(load_bytes(&serialized(&raw("timm_plain"), None)).is_ok());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = std::fs::read(data("timm_plain")).unwrap();
    let cuts = (0..whole.len()).step_by(97);
    assert!(cuts.len() > 100);
    for cut in cuts {
        assert!(matches!(load_bytes(&whole[..cut]), Err(Error::Format { .. })), "cut at {cut}");
    }
}

#[test]
fn a_header_longer_than_the_file_is_refused() {
    for length in [u64::MAX, u64::MAX / 2, 1 << 40, 99_000_000] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        assert!(matches!(load_bytes(&bytes), Err(Error::Format { .. })), "{length}");
    }
}

#[test]
fn overlapping_offsets_are_refused() {
    let header = r#"{"cls_token":{"dtype":"F32","shape":[1,1,2],"data_offsets":[0,8]},
        "pos_embed":{"dtype":"F32","shape":[1,1,2],"data_offsets":[4,12]}}"#;
    assert!(matches!(load_bytes(&with_header(header, &[0; 12])), Err(Error::Format { .. })));
}

#[test]
fn a_huge_shape_without_bytes_is_refused() {
    for shape in ["[1099511627776,1099511627776]", "[1099511627776,3,16,16]", "[18446744073709551615,2]"] {
        let header = format!(
            r#"{{"patch_embed.proj.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,8]}}}}"#
        );
        assert!(matches!(load_bytes(&with_header(&header, &[0; 8])), Err(Error::Format { .. })), "{shape}");
    }
}

#[test]
fn a_huge_side_beside_a_zero_side_is_refused() {
    let mut raw = raw("timm_plain");
    for shape in [vec![1 << 60, 0, 4, 4], vec![0, 3, 4, 4], vec![16, 0, 4, 4], vec![0, 0, 1 << 40, 1 << 40]] {
        raw.insert("patch_embed.proj.weight".to_owned(), (Dtype::F32, shape, Vec::new()));
        assert!(load_bytes(&serialized(&raw, None)).is_err());
    }
}

#[test]
fn an_enormous_block_number_is_refused() {
    for number in ["99999", "18446744073709551615", "99999999999999999999999"] {
        let mut raw = raw("timm_plain");
        raw.insert(format!("blocks.{number}.norm1.weight"), (Dtype::F32, vec![16], vec![0; 64]));
        let message = refusal(&serialized(&raw, None));
        assert!(message.contains("depth") || message.contains(number), "{message}");
    }
}

#[test]
fn an_enormous_architecture_in_our_metadata_is_refused_before_memory_is_taken() {
    let huge = r#"{"channels":3,"patch":16,"width":65536,"depth":1024,"heads":1,"hidden":500000,"feedforward":"gelu",
        "qkv_bias":true,"layer_scale":false,"registers":0,"positions":{"kind":"sin_cos"},"grid":[1,1],"norm_epsilon":1e-6}"#;
    let metadata = HashMap::from([("aoi_encoder_config".to_owned(), huge.to_owned())]);
    let message = refusal(&serialized(&Raw::new(), Some(metadata)));
    assert!(message.contains("missing patch.weight"), "{}", &message[..200]);
}

#[test]
fn our_metadata_that_is_no_configuration_is_refused() {
    for text in ["", "{}", "[]", "{\"channels\":-1}", "{\"channels\":1e300}"] {
        let metadata = HashMap::from([("aoi_encoder_config".to_owned(), text.to_owned())]);
        assert!(load_bytes(&serialized(&raw("timm_plain"), Some(metadata))).is_err(), "{text}");
    }
}

#[test]
fn nan_and_infinite_weights_are_refused_and_named() {
    for (bits, name) in [(f32::NAN, "blocks.1.attn.qkv.weight"), (f32::INFINITY, "norm.bias")] {
        let mut raw = raw("timm_plain");
        raw.get_mut(name).unwrap().2[8..12].copy_from_slice(&bits.to_le_bytes());
        let message = refusal(&serialized(&raw, None));
        assert!(message.contains(name) && message.contains("entry 2"), "{message}");
    }
}

#[test]
fn two_tensors_that_come_to_one_name_are_refused_and_both_named() {
    let name = "blocks.1.norm1.weight";
    for (own, other) in
        [(name, "blocks.0.1.norm1.weight"), ("blocks.3.1.norm1.weight", "blocks.0.1.norm1.weight")]
    {
        let mut raw = raw("timm_plain");
        let tensor = raw.remove(name).unwrap();
        raw.insert(own.to_owned(), tensor.clone());
        assert!(load_bytes(&serialized(&raw, None)).is_ok(), "{own} alone");
        raw.insert(other.to_owned(), (Dtype::F32, tensor.1, vec![0; tensor.2.len()]));
        let message = refusal(&serialized(&raw, None));
        assert!([own, other].iter().all(|n| message.contains(n)), "{message}");
        // Behind a wrapper's prefix too, and in a file that is only looked at.
        let wrapped: Raw = raw.into_iter().map(|(n, t)| (format!("module.{n}"), t)).collect();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("weights.safetensors");
        std::fs::write(&path, serialized(&wrapped, None)).unwrap();
        let message = inspect(&path, &LoadOptions::default()).unwrap_err().to_string();
        assert!([own, other].iter().all(|n| message.contains(&format!("module.{n}"))), "{message}");
    }
}

#[test]
fn of_a_tensor_with_and_one_without_the_prefix_the_one_with_it_is_taken_and_the_other_named() {
    let plain = raw("timm_plain");
    let mut wrapped: Raw = plain.iter().map(|(n, t)| (format!("module.{n}"), t.clone())).collect();
    wrapped.insert("norm.weight".to_owned(), (Dtype::F32, vec![16], vec![0; 64]));
    let weights = load_bytes(&serialized(&wrapped, None)).unwrap();
    assert_eq!(weights.params.values(), load_bytes(&serialized(&plain, None)).unwrap().params.values());
    assert!(weights.notes.iter().any(|n| n.contains("left aside: norm.weight")), "{:?}", weights.notes);
}

#[test]
fn of_two_networks_in_one_file_none_is_taken_unless_it_is_chosen() {
    let plain = raw("timm_plain");
    let halved = |bytes: &[u8]| -> Vec<u8> {
        let numbers = bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b) / 2.0);
        numbers.flat_map(f32::to_le_bytes).collect()
    };
    let mut both = Raw::new();
    for (name, (dtype, shape, bytes)) in &plain {
        both.insert(format!("student.{name}"), (*dtype, shape.clone(), halved(bytes)));
        both.insert(format!("teacher.{name}"), (*dtype, shape.clone(), bytes.clone()));
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, serialized(&both, None)).unwrap();
    let wanted = |prefix: Option<&str>| LoadOptions {
        heads: Some(2),
        prefix: prefix.map(str::to_owned),
        ..LoadOptions::default()
    };
    for refused in [load(&path, &wanted(None)).map(drop), inspect(&path, &wanted(None)).map(drop)] {
        let message = refused.unwrap_err().to_string();
        assert!(["student.", "teacher.", "--prefix"].iter().all(|word| message.contains(word)), "{message}");
    }
    let own = load_bytes(&serialized(&plain, None)).unwrap().params;
    let teacher = load(&path, &wanted(Some("teacher."))).unwrap();
    assert_eq!(teacher.params.values(), own.values());
    assert!(teacher.notes.iter().any(|n| n.contains("left aside: student.")), "{:?}", teacher.notes);
    let student = load(&path, &wanted(Some("student."))).unwrap().params;
    assert!(student.values().iter().zip(own.values()).all(|(s, o)| *s == o / 2.0));
}

#[test]
fn a_wrong_number_type_is_refused_and_named() {
    let mut raw = raw("timm_plain");
    raw.insert("norm.weight".to_owned(), (Dtype::I32, vec![16], vec![0; 64]));
    let message = refusal(&serialized(&raw, None));
    assert!(message.contains("norm.weight") && message.contains("I32"), "{message}");
}

#[test]
fn every_missing_tensor_is_named_in_every_family() {
    let cases = ["timm_plain", "timm_swiglu", "dinov2_registers", "hugging_face_vit", "hugging_face_giant"];
    let mut removed = 0;
    for case in cases {
        let whole = raw(case);
        // Of no use to the encoder, or (registers) not to be missed where no config.json counts them.
        let optional = ["mask_token", "pooler", "register_tokens"];
        for name in whole.keys().filter(|n| !optional.iter().any(|o| n.contains(o))) {
            let mut raw = whole.clone();
            raw.remove(name);
            let result = load_bytes(&serialized(&raw, None));
            let message = result.expect_err(name).to_string();
            assert!(message.contains(name), "{case} without {name}: {message}");
            removed += 1;
        }
    }
    assert!(removed > 100, "{removed}");
}

#[test]
fn all_problems_are_named_at_once() {
    let mut raw = raw("timm_plain");
    raw.remove("blocks.0.norm1.bias");
    raw.insert("blocks.1.mlp.fc2.bias".to_owned(), (Dtype::F32, vec![17], vec![0; 68]));
    raw.insert("blocks.1.attn.q_norm.weight".to_owned(), (Dtype::F32, vec![8], vec![0; 32]));
    let Err(Error::Weights { problems, .. }) = load_bytes(&serialized(&raw, None)) else { panic!("refused") };
    assert_eq!(problems.len(), 3, "{problems:?}");
    let all = problems.join("\n");
    assert!(all.contains("missing blocks.0.norm1.bias [16]"));
    assert!(all.contains("blocks.1.mlp.fc2.bias: expected shape [16], found [17]"));
    assert!(all.contains("unused blocks.1.attn.q_norm.weight [8]"));
}

#[test]
fn a_file_of_another_kind_of_model_is_refused_with_its_names() {
    let raw = Raw::from([("conv1.weight".to_owned(), (Dtype::F32, vec![1], vec![0; 4]))]);
    assert!(refusal(&serialized(&raw, None)).contains("conv1.weight"));
    assert!(refusal(&serialized(&Raw::new(), None)).contains("no tensor at all"));
}

#[test]
fn a_configuration_that_disagrees_with_the_tensors_is_refused() {
    for_each_case(
        [
            ("width", r#"{"dim": 32, "heads": 2}"#),
            ("depth", r#"{"hidden_size": 16, "num_hidden_layers": 12, "num_attention_heads": 2}"#),
            ("heads", r#"{"dim": 16, "heads": 18446744073709551615}"#),
            ("heads", r#"{"dim": 16, "heads": 3}"#),
            ("hidden_act", r#"{"hidden_size": 16, "hidden_act": "relu"}"#),
            ("JSON", "[1, 2]"),
            ("config.json", "{"),
        ]
        .map(|(what, text)| (what, (what, text))),
        |(what, text)| {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("weights.safetensors");
            std::fs::copy(data("timm_plain"), &path).unwrap();
            std::fs::write(folder.path().join("config.json"), text).unwrap();
            let message = load(&path, &LoadOptions::default()).unwrap_err().to_string();
            assert!(message.contains(what), "{message}");
        },
    );
}

#[test]
fn what_is_guessed_is_said() {
    let weights = load_bytes(&serialized(&raw("mae"), None)).unwrap();
    assert_eq!(weights.family, Family::Mae);
    assert!(weights.notes.iter().any(|n| n.contains("decoder_norm.bias")), "{:?}", weights.notes);
    let found = inspect(&data("mae"), &LoadOptions::default()).unwrap();
    assert!(found.notes.iter().any(|n| n.contains("guessed 1 heads")), "{:?}", found.notes);
    assert!(found.problems.is_empty());
    assert_eq!(found.number_types["f32"], raw("mae").len());
}

#[test]
fn families_and_their_resampling_are_recognised() {
    for (case, family, expected) in [
        ("timm_plain", Family::Timm, Resampling::Antialiased),
        ("dinov2", Family::DinoV2, Resampling::Offset),
        ("dinov2_registers", Family::DinoV2, Resampling::Antialiased),
        ("mae", Family::Mae, Resampling::Plain),
        ("hugging_face_vit", Family::HuggingFaceVit, Resampling::Plain),
        ("hugging_face_mae", Family::HuggingFaceMae, Resampling::Plain),
        ("hugging_face_dinov2", Family::HuggingFaceDinoV2, Resampling::Plain),
        ("hugging_face_registers", Family::HuggingFaceDinoV2, Resampling::Antialiased),
    ] {
        let found = inspect(&data(case), &LoadOptions::default()).unwrap();
        assert_eq!(found.family, family, "{case}");
        let Positions::Learned { resampling, .. } = found.config.positions else { panic!("{case}") };
        assert_eq!(resampling, expected, "{case}");
    }
}

#[test]
fn an_architecture_asked_for_gives_the_heads_and_is_compared() {
    let asked = Config { width: 16, depth: 2, heads: 4, hidden: 64, patch: 4, ..Config::paper() };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::copy(data("timm_plain"), &path).unwrap();
    let load_as =
        |config: Config| load(&path, &LoadOptions { config: Some(config), ..LoadOptions::default() });
    let weights = load_as(asked.clone()).unwrap();
    assert_eq!((weights.config.heads, weights.config.channels), (4, 3));
    assert!(!weights.notes.iter().any(|n| n.contains("guessed")), "{:?}", weights.notes);
    let message = load_as(Config { depth: 3, hidden: 32, ..asked }).unwrap_err().to_string();
    assert!(message.contains("depth 3 was asked for") && message.contains("hidden width 32"), "{message}");
}

#[test]
fn a_grid_that_is_not_square_needs_to_be_said() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    // 1 + 3 x 5 rows could as well be 4 x 4 without one for the class token: taken so, and said.
    std::fs::copy(data("timm_resampled_larger"), &path).unwrap();
    let guessed = load(&path, &LoadOptions { heads: Some(2), ..LoadOptions::default() }).unwrap();
    assert!(
        guessed.notes.iter().any(|n| n.contains("guessed 4 x 4 positions, None before")),
        "{:?}",
        guessed.notes
    );
    std::fs::copy(data("timm_two_lights"), &path).unwrap();
    let message = load(&path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("7 rows are no square grid"), "{message}");
    std::fs::copy(data("timm_resampled_larger"), &path).unwrap();
    let config = Config {
        grid: Grid { rows: 3, columns: 5 },
        width: 16,
        depth: 2,
        heads: 2,
        hidden: 64,
        patch: 4,
        ..Config::paper()
    };
    let options = LoadOptions { config: Some(config), ..LoadOptions::default() };
    assert_eq!(load(&path, &options).unwrap().config.grid, Grid { rows: 3, columns: 5 });
}

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
fn an_adapted_patch_projection_answers_alike_channels_alike() {
    let plain = load_bytes(&serialized(&raw("timm_plain"), None)).unwrap();
    let sums = |params: &Params<f32>, c: usize| -> Vec<f32> {
        let area = plain.config.patch.pow(2);
        let filters = params.get("patch.weight").chunks_exact(c * area);
        filters
            .flat_map(|f| (0..area).map(|i| (0..c).map(|k| f[k * area + i]).sum::<f32>()).collect::<Vec<_>>())
            .collect()
    };
    for (channels, rule) in [(1, ChannelRule::Average), (2, ChannelRule::Average), (6, ChannelRule::Repeat)] {
        let options =
            LoadOptions { heads: Some(2), channels: Some((channels, rule)), ..LoadOptions::default() };
        let adapted = load(&data("timm_plain"), &options).unwrap();
        assert_eq!(adapted.config.channels, channels);
        assert!(adapted.notes.iter().any(|n| n.contains("from 3 to")), "{:?}", adapted.notes);
        assert_all_close(&sums(&adapted.params, channels), &sums(&plain.params, 3), 1e-6, 0.0);
        assert_eq!(adapted.params.get("norm.bias"), plain.params.get("norm.bias"));
    }
    let options =
        LoadOptions { heads: Some(2), channels: Some((17, ChannelRule::Repeat)), ..LoadOptions::default() };
    assert!(load(&data("timm_plain"), &options).is_err());
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
