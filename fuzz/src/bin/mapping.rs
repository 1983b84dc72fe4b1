//! Grows inputs for [`aoi_fuzz::mapping`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aoi_fuzz::mapping(bytes));
