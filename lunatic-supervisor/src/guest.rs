//! Children that are wasm instances, and the namespace `lunatic::supervisor`
//! (ABI §23).

mod child;
mod lists;
mod reading;
mod running;
mod specs;
mod state;

use std::sync::Arc;

use lunatic_process::guest::ProcessHost;
use wasmtime::{Linker, Result};

pub use crate::guest::child::{Inherit, WasmChild};
pub use crate::guest::state::GuestSupervisors;

/// The namespace of functions on supervisors.
pub const NAMESPACE: &str = "lunatic::supervisor";

/// What the state of a process offers to `lunatic::supervisor`.
pub trait SupervisorHost: ProcessHost {
    /// The specifications and lists that the process holds.
    fn supervisors(&mut self) -> &mut GuestSupervisors;

    /// Makes what children with this config inherit from the process, as
    /// [`ProcessHost::inherit`] does, for as long as there is a supervisor.
    fn inherit_later(&self, config: &Arc<Self::Config>) -> Box<Inherit<Self>>;
}

/// Registers `lunatic::supervisor`.
///
/// # Errors
///
/// Fails if the linker already has a function of one of these names.
pub fn add_to_linker<T: SupervisorHost>(linker: &mut Linker<T>) -> Result<()> {
    specs::add_to_linker(linker)?;
    running::add_to_linker(linker)?;
    lists::add_to_linker(linker)
}
