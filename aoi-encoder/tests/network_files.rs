//! One test for each way in which the file of a fine-tuned network can break its promise.

#[path = "networks/small.rs"]
mod small;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aoi_encoder::finetune::{Head, HeadLayers, Standard, Tuned};
use aoi_encoder::images::Normalisation;
use aoi_encoder::{Error, Params, Table};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use small::{HEADS, WIDTH, config};

/// Key of the metadata.
const KEY: &str = "aoi_encoder_config";

/// A small network of two classes in a folder of its own.
struct Bench {
    folder: tempfile::TempDir,
}

/// A network file taken apart.
#[derive(Clone)]
struct Parts {
    metadata: Value,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Bench {
    fn new(head: &str) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        small::write(&bench.path(), head);
        bench
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("network.safetensors")
    }

    fn parts(&self) -> Parts {
        let bytes = std::fs::read(self.path()).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter();
        Parts {
            metadata: serde_json::from_str(&metadata.metadata().as_ref().unwrap()[KEY]).unwrap(),
            tensors: tensors.map(|(n, v)| (n, (v.dtype(), v.shape().to_vec(), v.data().to_vec()))).collect(),
        }
    }

    /// The error of loading `parts`, which names the file.
    fn refusal(&self, parts: &Parts) -> String {
        let views = parts.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (name.clone(), TensorView::new(*dtype, shape.clone(), bytes).expect("a consistent tensor"))
        });
        let metadata = HashMap::from([(KEY.to_owned(), parts.metadata.to_string())]);
        std::fs::write(self.path(), safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
        let error = Tuned::load(&self.path()).expect_err("the file is broken");
        assert!(
            matches!(&error, Error::Format { path, .. } if *path == self.path()),
            "the file is named: {error}"
        );
        error.to_string()
    }
}

#[test]
fn an_unchanged_file_loads() {
    for head in HEADS {
        let bench = Bench::new(head);
        assert_eq!(Tuned::load(&bench.path()).unwrap().classes(), ["wire", "ball"], "{head}");
    }
}

#[test]
fn the_tensors_of_a_head_have_the_names_and_shapes_that_are_documented() {
    let head = |kind: &str| -> Vec<(String, Vec<usize>)> {
        let tensors = Bench::new(kind).parts().tensors.into_iter();
        tensors.filter(|(n, _)| n.starts_with("head.")).map(|(n, (_, shape, _))| (n, shape)).collect()
    };
    let (c, d, w, levels) = (2, 8, WIDTH, 2);
    let named = |tensors: &[(&str, Vec<usize>)]| -> Vec<(String, Vec<usize>)> {
        tensors.iter().map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect()
    };
    let linear = named(&[
        ("head.bias", vec![c]),
        ("head.mean", vec![d]),
        ("head.scale", vec![d]),
        ("head.weight", vec![c, d]),
    ]);
    assert_eq!(head("linear"), linear);
    let mut expected = named(&[
        ("head.weight", vec![c, w]),
        ("head.bias", vec![c]),
        ("head.statistics", vec![2 * levels + 4, 2, w]),
    ]);
    for (unit, side, inputs) in [
        ("lateral.0", 1, d),
        ("pooled.2", 1, d),
        ("pooled.4", 1, d),
        ("pooled.8", 1, d),
        ("pooled.16", 1, d),
        ("bottleneck", 3, d + 4 * w),
        ("smooth.0", 3, w),
        ("fusion", 3, levels * w),
    ] {
        expected.push((format!("head.{unit}.conv.weight"), vec![w, side, side, inputs]));
        expected.push((format!("head.{unit}.norm.weight"), vec![w]));
        expected.push((format!("head.{unit}.norm.bias"), vec![w]));
    }
    expected.sort();
    assert_eq!(head("upernet"), expected);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for head in HEADS {
        let bench = Bench::new(head);
        let whole = std::fs::read(bench.path()).unwrap();
        let cuts = (0..whole.len()).step_by(37);
        assert!(cuts.len() > 100);
        for cut in cuts {
            std::fs::write(bench.path(), &whole[..cut]).unwrap();
            assert!(matches!(Tuned::load(&bench.path()), Err(Error::Format { .. })), "{head}: cut at {cut}");
            assert!(Tuned::is_file(&bench.path()).is_err(), "{head}: cut at {cut}");
        }
    }
}

#[test]
fn a_hostile_width_is_refused_before_memory_is_taken() {
    for head in HEADS {
        let bench = Bench::new(head);
        let parts = bench.parts();
        for width in [0, 3, 4097, 60_000, 1_000_000, u64::MAX / 2] {
            let mut parts = parts.clone();
            parts.metadata["head"]["upernet"] = json!(width);
            let message = bench.refusal(&parts);
            let word = if width == 3 { "head.weight: expected shape [2, 3]" } else { "1 to 4096" };
            assert!(message.contains(word), "{head} {width}: {message}");
        }
        for width in [json!(-1), json!(1.5), json!("wide"), json!(1e300)] {
            let mut parts = parts.clone();
            parts.metadata["head"]["upernet"] = width;
            bench.refusal(&parts);
        }
    }
}

#[test]
fn other_classes_than_the_tensors_have_are_refused() {
    for head in HEADS {
        let bench = Bench::new(head);
        let parts = bench.parts();
        for classes in [vec![], vec!["wire"], vec!["a", "b", "c"]] {
            let mut parts = parts.clone();
            parts.metadata["head"]["classes"] = json!(classes);
            let message = bench.refusal(&parts);
            assert!(message.contains("classes") || message.contains("head.weight"), "{head}: {message}");
        }
    }
}

#[test]
fn every_missing_tensor_of_the_head_is_named() {
    let mut removed = 0;
    for head in HEADS {
        let bench = Bench::new(head);
        let parts = bench.parts();
        for name in parts.tensors.keys().filter(|n| n.starts_with("head.")) {
            let mut parts = parts.clone();
            parts.tensors.remove(name);
            let message = bench.refusal(&parts);
            assert!(message.contains(&format!("missing {name} ")), "{head}: {message}");
            removed += 1;
        }
    }
    assert!(removed > 4 + 3 * 8, "{removed}");
}

#[test]
fn a_tensor_of_the_right_size_in_another_shape_is_refused_with_both_shapes() {
    let mut turned = 0;
    for head in HEADS {
        let bench = Bench::new(head);
        let parts = bench.parts();
        for (name, (_, shape, _)) in parts.tensors.iter().filter(|(n, _)| n.starts_with("head.")) {
            let size = shape.iter().product::<usize>();
            let reversed: Vec<usize> = shape.iter().rev().copied().collect();
            for other in [reversed, vec![size], vec![size, 1], vec![1, size]] {
                if other == *shape {
                    continue;
                }
                let mut parts = parts.clone();
                parts.tensors.get_mut(name).unwrap().1.clone_from(&other);
                let message = bench.refusal(&parts);
                let expected = format!("{name}: expected shape {shape:?}, found {other:?}");
                assert!(message.contains(&expected), "{head}: {message}");
                turned += 1;
            }
        }
    }
    assert!(turned > 60, "{turned}");
}

#[test]
fn numbers_that_a_head_cannot_have_are_refused() {
    let bench = Bench::new("upernet");
    let mut parts = bench.parts();
    parts.tensors.insert("head.bias".into(), (Dtype::I32, vec![2], vec![0; 8]));
    let message = bench.refusal(&parts);
    assert!(message.contains("head.bias") && message.contains("I32"), "{message}");

    // The variances of the first unit follow its means.
    let bench = Bench::new("upernet");
    let mut parts = bench.parts();
    let statistics = &mut parts.tensors.get_mut("head.statistics").unwrap().2;
    statistics[4 * WIDTH..][..4].copy_from_slice(&(-1.0_f32).to_le_bytes());
    let message = bench.refusal(&parts);
    assert!(message.contains("head.statistics") && message.contains("-1"), "{message}");
}

#[test]
fn a_head_that_does_not_fit_is_not_written() {
    let config = config();
    let params = Params::zeros(Arc::new(Table::new(&config).unwrap()));
    let normalisation = Normalisation::new(config.channels, None, None).unwrap();
    let upernet =
        |values: usize, width| HeadLayers::Upernet { width, values: vec![0.0; values], statistics: vec![] };
    let linear = |weight: usize| HeadLayers::Linear {
        standard: Standard::none(8),
        weight: vec![0.0; weight],
        bias: vec![0.0],
    };
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("network.safetensors");
    for layers in [linear(7), linear(9), upernet(0, 4), upernet(0, 0), upernet(0, 5000)] {
        let head = Head { classes: vec!["wire".into()], layers };
        assert!(Tuned::write(path, (&config, &params), &normalisation, &head).is_err(), "{head:?}");
    }
    let head = Head { classes: vec![], layers: linear(0) };
    assert!(Tuned::write(path, (&config, &params), &normalisation, &head).is_err());
    assert!(!path.exists());
}
