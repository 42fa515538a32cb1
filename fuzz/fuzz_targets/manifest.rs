//! See `lunatic_fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lunatic_fuzz::manifest::run(input));
