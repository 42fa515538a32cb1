//! Nodes and what passes between them.
//!
//! So far there is one node, which is alone. What a guest can ask of it is
//! answered truthfully: its number is 0, it knows no others, and what needs
//! another node traps (ABI §8, "not distributed").
//!
//! # Layout
//!
//! - `guest`: the namespace `lunatic::distributed` (feature `guest`, on by default).

#[cfg(feature = "guest")]
pub mod guest;
