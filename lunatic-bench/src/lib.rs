//! Benchmarks of Lunatic and of its parts.
//!
//! # Layout
//!
//! - [`attack`]: attacks by hostile guests, and what they do to others.
//! - [`compute`]: kernels that compute, on plain wasmtime and on our engine.
//! - `benches/micro`: everything that is measured in parts, by divan.
//! - `src/bin/measure`: measures whole programs, for `cargo xtask bench`,
//!   `cargo xtask soak` and `cargo xtask attack`.
//! - `src/bin/compute.rs`: one of the programs that it runs.
//!
//! # Invariants
//!
//! - Nothing depends on this crate.
//! - Nothing here asserts a time.

pub mod attack;
pub mod compute;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
