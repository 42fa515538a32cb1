//! Micro-benchmarks of the parts of Lunatic.
//!
//! # Layout
//!
//! - [`compute`]: kernels that compute, on plain wasmtime and on our engine.
//! - `benches/micro`: everything that is measured in parts, by divan.
//! - `src/bin/compute.rs`: what `cargo xtask bench` runs.
//!
//! # Invariants
//!
//! - Nothing depends on this crate.
//! - Nothing here asserts a time.

pub mod compute;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
