//! Grows inputs for [`aoi_fuzz::records`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aoi_fuzz::records(bytes));
