//! Grows inputs for [`aoi_fuzz::messages`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| aoi_fuzz::messages(bytes));
