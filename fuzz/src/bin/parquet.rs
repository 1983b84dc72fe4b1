//! Grows inputs for [`aoi_fuzz::parquet`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aoi_fuzz::parquet(bytes));
