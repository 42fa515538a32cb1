//! Nodes and what passes between them.
//!
//! So far there is one node, which is alone. What a guest can ask of it is
//! answered truthfully: its number is 0, it knows no others, and what needs
//! another node traps (ABI §8, "not distributed").
//!
//! # Layout
//!
//! - `guest`: the namespace `lunatic::distributed` (feature `guest`, on by default).
//!
//! # Limits
//!
//! No second node can join yet. The three functions that sign certificates for a
//! control server inside a guest (`test_root_cert`,
//! `default_server_certificates`, `sign_node`) are not offered; no guest crate
//! that is in use imports them.

#[cfg(feature = "guest")]
pub mod guest;
