//! Children that are wasm instances, and the namespace `lunatic::supervisor`.

mod child;

pub use crate::guest::child::WasmChild;
