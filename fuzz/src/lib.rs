//! What the fuzz targets do with an input: the same functions, laws and all, that `cargo test -p aoi-tolerance --test mutated` and
//! `cargo test -p aoi-encoder --test damaged_files` feed with blind mutations and with everything found here.

#[path = "../../aoi-tolerance/tests/mutated/chosen.rs"]
mod chosen;
#[path = "../../aoi-tolerance/tests/mutated/laws.rs"]
mod laws;
#[allow(dead_code, reason = "the mutations alone mix laws into readings of their own")]
#[path = "../../aoi-tolerance/tests/mutated/targets.rs"]
mod targets;
#[path = "../../aoi-encoder/tests/networks/laws.rs"]
mod weights_laws;

/// A table of records.
pub fn records(bytes: &[u8]) {
    targets::records(bytes);
}

/// A Parquet file.
pub fn parquet(bytes: &[u8]) {
    targets::parquet(bytes);
}

/// IPC-CFX messages.
pub fn messages(bytes: &[u8]) {
    targets::messages(bytes);
}

/// A mapping, and after a zero byte its table.
pub fn mapping(bytes: &[u8]) {
    targets::mapping(bytes);
}

/// Evidence on one limit, and options.
pub fn optimiser(bytes: &[u8]) {
    targets::optimiser(bytes);
}

/// Weights, or a fine-tuned network.
pub fn weights(bytes: &[u8]) {
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("room for it");
    weights_laws::hold(file.path());
}
