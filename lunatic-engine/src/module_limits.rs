//! Limits on the size and shape of modules, so that they are compiled in a bounded time.
//!
//! # Layout
//!
//! - `table`: [`ModuleLimits`], all limits.
//! - `exceeded`: [`ExceedsModuleLimit`], the error.
//! - `check`: checks a module, section by section and function by function.
//! - `sections`, `signatures`, `shape`: what is counted in sections, in types, and in one function.
//! - `weight`: what an operator takes of the compiler.

mod check;
mod exceeded;
mod sections;
mod shape;
mod signatures;
mod table;
mod weight;

pub(crate) use crate::module_limits::check::Sums;
pub use crate::module_limits::exceeded::ExceedsModuleLimit;
pub(crate) use crate::module_limits::exceeded::Refused;
pub use crate::module_limits::table::{ModuleLimit, ModuleLimits};
