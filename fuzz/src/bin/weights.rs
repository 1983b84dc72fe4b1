//! Grows inputs for [`aoi_fuzz::weights`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aoi_fuzz::weights(bytes));
