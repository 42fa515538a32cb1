//! Processes that are wasm instances, and the host functions they call:
//! `lunatic::process` (ABI §3), `lunatic::trap` (ABI §11) and the modules in
//! messages (ABI §4).

mod accounts;
mod backtrace;
mod catch;
mod config_charge;
mod configs;
mod cpp_names;
mod endings;
pub mod exchange;
mod identity;
mod modules;
mod post;
mod requests;
mod run;
mod spawn;
mod start;
mod state;

use std::future::Future;
use std::sync::Arc;

use lunatic_abi::{Misuse, host_functions};
use lunatic_engine::{InstanceState, Loader, Module};
use lunatic_mailbox::guest::{GuestMailbox, MailboxHost};
use wasmtime::StoreContextMut;

pub use crate::guest::config_charge::ConfigCharge;
pub use crate::guest::identity::check_right_to_signal;
pub use crate::guest::modules::{DecodeModuleError, GuestModule};
pub use crate::guest::post::ProcessPost;
pub use crate::guest::requests::answer_requests;
pub use crate::guest::run::Spawn;
pub use crate::guest::spawn::{Resolved, SpawnArguments, check_right_to_spawn, prepare, resolve};
pub use crate::guest::start::{Spawned, spawn};
pub use crate::guest::state::{GuestConfig, GuestProcess, Incarnation, code_bits};

use crate::config::ProcessConfig;
use crate::failure::Failure;
use crate::info::Detail;

/// The function by which a process gives others a budget. A module that imports it is
/// compiled to count fuel; see [`lunatic_engine::Loader::with_budget_function`].
pub const SET_MAX_FUEL: (&str, &str) = ("lunatic::process", "config_set_max_fuel");

/// What the state of a process offers to `lunatic::process`, and how such a
/// state is made.
pub trait ProcessHost: MailboxHost<Post = ProcessPost> + InstanceState {
    /// The configuration of a process: [`ProcessConfig`], and what the other crates add
    /// to it.
    type Config: Config;

    /// What a child has from its parent beside its module and its config, for example
    /// the registry and open directories.
    type ChildEnvironment: Send + 'static;

    /// Returns the state for a new instance.
    fn new(
        process: GuestProcess<Self>,
        mailbox: GuestMailbox<ProcessPost>,
        environment: Self::ChildEnvironment,
    ) -> Self;

    /// Returns the part of the state that belongs to this crate.
    fn process(&self) -> &GuestProcess<Self>;

    /// Returns the part of the state that belongs to this crate, to change.
    fn process_mut(&mut self) -> &mut GuestProcess<Self>;

    /// Returns what compiles and links the modules that the process loads.
    fn loader(&self) -> &Loader<Self>;

    /// Returns what a child with this config has from this process. It waits only if
    /// something that the config names must be opened first.
    ///
    /// # Errors
    ///
    /// Fails if something that the config names cannot be opened, a directory for
    /// example. The spawn traps with this.
    fn child_environment(
        &self,
        config: &Arc<Self::Config>,
    ) -> impl Future<Output = Result<Self::ChildEnvironment, Misuse>> + Send + 'static;

    /// Returns the state for a new instance of this process, which may take over from the
    /// one that has this state. Whatever others could notice is left to
    /// [`join`](ProcessHost::join).
    ///
    /// - `process`, `mailbox`: those of the new instance.
    ///
    /// # Errors
    ///
    /// Fails if a limit of the process does not allow it.
    fn successor(
        &self,
        process: GuestProcess<Self>,
        mailbox: GuestMailbox<ProcessPost>,
    ) -> Result<Self, Failure>;

    /// Takes over all that the state of an older instance of this process has: its
    /// mailbox, sockets, files and so on. What the guest has an id of keeps the id.
    fn join(&mut self, older: Self);

    /// Returns what finds the current version of the module that a module is a version of,
    /// at any later time; the module itself, if it is none.
    fn current_versions(&self) -> Arc<CurrentVersions<Self>>;
    /// Returns what an inspection tells of the parts of the state that other crates own. It
    /// is called on a worker while the process is suspended, so it must not take long: of
    /// what there may be many, it tells some.
    fn details(&self) -> Vec<Detail> {
        Vec::new()
    }

    /// Called when the guest has trapped, or a host function has ended it, before its
    /// instance is dropped. It is called on a worker, so it must not take long.
    fn trapped(store: StoreContextMut<'_, Self>, error: &wasmtime::Error) {
        let _ = (store, error);
    }

    /// Returns the status with which the guest has exited, if the error is an exit; 0 is
    /// a normal end.
    fn exit_status(error: &wasmtime::Error) -> Option<u32>;
}

/// Finds the current version of the module that a module is a version of.
pub type CurrentVersions<T> = dyn Fn(&Module<T>) -> Module<T> + Send + Sync;

/// The configuration of processes of one kind.
pub trait Config: Clone + Default + Send + Sync + 'static {
    /// Returns the rights and limits.
    fn process(&self) -> &ProcessConfig;

    /// Returns the rights and limits, to change.
    fn process_mut(&mut self) -> &mut ProcessConfig;

    /// The bytes that it takes, for the account of who holds it.
    fn size(&self) -> usize;

    /// Returns what is charged for it while processes have it.
    fn charge(&self) -> &ConfigCharge;
}

host_functions! {
    /// Registers `lunatic::process` but `get_or_spawn`, `lunatic::trap`, and
    /// `lunatic::message::{push_module, take_module}`.
    pub fn add_to_linker<T: ProcessHost>(Linker<T>);
    /// The functions that [`add_to_linker`] registers.
    pub const HOST_FUNCTIONS;

    use modules, configs, accounts, spawn, identity, endings, catch;
}
