//! Host functions with any arguments.

use crate::panics;
use crate::running::{self, How};

/// The same modules as those of the test `any_calls` of `lunatic-cli`, which also checks a
/// neighbour.
#[path = "../../lunatic-cli/tests/any_calls/calls.rs"]
mod modules;

/// Tries an input, the first eight bytes of which are a seed.
pub fn run(input: &[u8]) {
    panics::watch();
    let mut seed = [0; 8];
    let length = input.len().min(8);
    seed[..length].copy_from_slice(&input[..length]);
    let seed = u64::from_le_bytes(seed);
    let module = modules::module(seed);
    let how = How {
        with_fuel: seed.is_multiple_of(4),
        with_rights: true,
    };
    running::run(module.as_bytes(), how);
    panics::assert_none();
}
