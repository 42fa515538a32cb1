//! Children that are wasm instances, and the namespace `lunatic::supervisor`
//! (docs/abi-extensions.md §1).

mod child;
mod lists;
mod reading;
mod running;
mod specs;
mod state;

use std::sync::Arc;

use lunatic_abi::host_functions;
use lunatic_process::guest::ProcessHost;

pub use crate::guest::child::{Inherit, WasmChild};
pub use crate::guest::state::GuestSupervisors;

/// What the state of a process offers to `lunatic::supervisor`.
pub trait SupervisorHost: ProcessHost {
    /// The specifications and lists that the process holds.
    fn supervisors(&mut self) -> &mut GuestSupervisors;

    /// Makes what children with this config inherit from the process, as
    /// [`ProcessHost::inherit`] does, for as long as there is a supervisor.
    fn inherit_later(&self, config: &Arc<Self::Config>) -> Box<Inherit<Self>>;
}

host_functions! {
    /// Registers `lunatic::supervisor`.
    pub fn add_to_linker<T: SupervisorHost>(Linker<T>);
    /// The functions of `lunatic::supervisor`.
    pub const HOST_FUNCTIONS;

    use specs, running, lists;
}
