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

pub use crate::guest::child::{ChildEnvironmentFuture, ChildEnvironments, WasmChild};
pub use crate::guest::state::GuestSupervisors;

/// The namespace of functions on supervisors.
pub const NAMESPACE: &str = "lunatic::supervisor";

/// What the state of a process offers to `lunatic::supervisor`.
pub trait SupervisorHost: ProcessHost {
    /// The specifications and lists that the process holds.
    fn supervisors(&mut self) -> &mut GuestSupervisors;

    /// Makes what a child with this config has from this process, as
    /// [`ProcessHost::child_environment`] does, for each start anew, for as long
    /// as there is a supervisor.
    fn child_environments(&self, config: &Arc<Self::Config>) -> Box<ChildEnvironments<Self>>;
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
