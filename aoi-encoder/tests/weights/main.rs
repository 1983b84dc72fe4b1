//! One test for each way in which a weight file can break its promise, and what is said of a good one.

mod recognised;
mod refused;
mod saved;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use aoi_encoder::Error;
use aoi_encoder::weights::{LoadOptions, load};
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
