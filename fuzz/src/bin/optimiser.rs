//! Grows inputs for [`aoi_fuzz::optimiser`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aoi_fuzz::optimiser(bytes));
