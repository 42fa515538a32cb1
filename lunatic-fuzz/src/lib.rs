//! Gives parts of Lunatic that take what strangers send inputs by chance.
//!
//! # Layout
//!
//! - `driver`: inputs by chance, and by mutations of those that are stored.
//! - [`modules`], [`manifest`], [`admin`], [`wire`], [`calls`]: the targets, a function each.
//! - `running`: a runtime for modules that nobody trusts.
//! - `panics`: whether a thread of the host has panicked.
//! - `chance`: numbers by chance, the same for each seed.

#![allow(
    clippy::unwrap_used,
    reason = "what does not hold is a finding, and fails"
)]

pub mod admin;
pub mod calls;
mod chance;
mod driver;
pub mod manifest;
pub mod modules;
mod panics;
mod running;
pub mod wire;

pub use driver::{Driver, Finding};

/// Something that is given inputs.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its folder in `corpus/`, too.
    pub name: &'static str,
    /// Tries an input, and panics if something does not hold.
    pub run: fn(&[u8]),
    /// How long an input is at most.
    pub max_bytes: usize,
    /// Inputs beside those that are stored.
    pub examples: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "modules",
        run: modules::run,
        max_bytes: 8 << 10,
        examples: Vec::new,
    },
    Target {
        name: "manifest",
        run: manifest::run,
        max_bytes: 4 << 10,
        examples: Vec::new,
    },
    Target {
        name: "admin",
        run: admin::run,
        max_bytes: 4 << 10,
        examples: Vec::new,
    },
    Target {
        name: "wire",
        run: wire::run,
        max_bytes: 4 << 10,
        examples: wire::examples,
    },
    Target {
        name: "calls",
        run: calls::run,
        max_bytes: 8,
        examples: Vec::new,
    },
];
