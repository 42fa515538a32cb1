//! See `lunatic_fuzz::calls`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lunatic_fuzz::calls::run(input));
