//! See `lunatic_fuzz::modules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lunatic_fuzz::modules::run(input));
