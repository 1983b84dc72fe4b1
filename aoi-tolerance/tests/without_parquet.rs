//! A program that was built without Parquet says so, and does not take a Parquet file for text.
#![cfg(all(feature = "io", not(feature = "parquet")))]

use std::path::Path;

use aoi_tolerance::io::{ReadOptions, read_records};

#[test]
fn a_parquet_file_is_named_with_the_way_to_read_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet/typed.parquet");
    let error = read_records(&[path], &ReadOptions::default(), &mut ()).unwrap_err().to_string();
    for part in ["typed.parquet", "Parquet", "--features parquet", "CSV"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
}
