//! See `lunatic_fuzz::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| lunatic_fuzz::wire::run(input));
