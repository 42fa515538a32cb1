//! Children that are wasm instances, and the namespace `lunatic::supervisor`
//! (ABI §23).

mod child;
mod lists;
mod reading;
mod running;
mod specs;
mod state;

use std::sync::Arc;

use lunatic_abi::host_functions;
use lunatic_process::guest::ProcessHost;

pub use crate::guest::child::{ChildEnvironmentFuture, ChildEnvironments, WasmChild};
pub use crate::guest::state::GuestSupervisors;

/// The state of a process that can use `lunatic::supervisor`.
pub trait SupervisorHost: ProcessHost {
    /// Returns the specifications and lists that the process holds.
    fn supervisors(&mut self) -> &mut GuestSupervisors;

    /// Returns a function that makes what a child with this config has from this
    /// process, as [`ProcessHost::child_environment`] does. A supervisor calls it for
    /// each start of the child.
    fn child_environments(&self, config: &Arc<Self::Config>) -> Box<ChildEnvironments<Self>>;
}

host_functions! {
    /// Registers `lunatic::supervisor`.
    pub fn add_to_linker<T: SupervisorHost>(Linker<T>);
    /// The functions of `lunatic::supervisor`.
    pub const HOST_FUNCTIONS;

    use specs, running, lists;
}
