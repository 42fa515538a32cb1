//! Gives random inputs to the parts of Lunatic that read what strangers send.
//!
//! # Layout
//!
//! - `driver`: random inputs, and mutations of the stored ones.
//! - [`modules`], [`manifest`], [`admin`], [`wire`], [`calls`]: the targets, one function each.
//! - `running`: a runtime for untrusted modules.
//! - `panics`: detects panics of threads of the host.

#![allow(
    clippy::unwrap_used,
    reason = "what does not hold is a finding, and fails"
)]

pub mod admin;
pub mod calls;
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
    /// Further inputs beside the stored ones.
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
