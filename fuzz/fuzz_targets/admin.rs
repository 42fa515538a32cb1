//! See `lunatic_fuzz::admin`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lunatic_fuzz::admin::run(input));
