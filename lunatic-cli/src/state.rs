//! What a wasm process is made of.

use std::fmt;
use std::sync::Arc;

use lunatic_abi::{AbiHost, ErrorTable, Misuse, host_functions};
use lunatic_engine::{InstanceState, MemoryLimits};
use lunatic_groups::Groups;
use lunatic_groups::guest::GroupHost;
use lunatic_mailbox::guest::{GuestMailbox, MailboxHost};
use lunatic_net::NetConfig;
use lunatic_net::guest::{GuestNet, NetHost};
use lunatic_process::guest::{GuestProcess, ProcessHost};
use lunatic_process::{Failure, Process};
use lunatic_registry::Registry;
use lunatic_registry::guest::RegistryHost;
use lunatic_supervisor::guest::{GuestSupervisors, Inherit, SupervisorHost};
use lunatic_timer::Timers;
use lunatic_timer::guest::{GuestTimers, TimerHost};
use lunatic_wasi::{OpenError, ProcExit, Stdio, WasiConfig, WasiCtx, WasiHost};
use wasmtime::Memory;

use crate::config::Config;
use crate::name_scope::NameScope;

/// The state of a wasm process: one part for each feature crate.
pub struct State {
    process: GuestProcess<State>,
    mailbox: GuestMailbox<Process>,
    errors: ErrorTable,
    timers: GuestTimers,
    names: NameScope,
    supervisors: GuestSupervisors,
    wasi: WasiCtx,
    net: GuestNet,
}

/// What a process has from its parent, or, a root, from the runtime.
#[derive(Debug)]
pub struct Inheritance {
    pub(crate) names: NameScope,
    pub(crate) timers: Timers,
    pub(crate) wasi: WasiCtx,
    pub(crate) net: Arc<NetConfig>,
}

/// What is handed down; cloned for every child but the last.
#[derive(Debug, Clone)]
pub(crate) struct Legacy {
    pub(crate) names: NameScope,
    pub(crate) timers: Timers,
    pub(crate) wasi: Arc<WasiConfig>,
    pub(crate) stdio: Stdio,
    pub(crate) net: Arc<NetConfig>,
}

impl Legacy {
    /// What one child inherits.
    ///
    /// # Errors
    ///
    /// The first directory that cannot be opened.
    pub(crate) fn inherit(self) -> Result<Inheritance, OpenError> {
        Ok(Inheritance {
            names: self.names,
            timers: self.timers,
            wasi: WasiCtx::new(self.wasi, self.stdio.for_child())?,
            net: self.net,
        })
    }
}

host_functions! {
    /// Registers every host function there is.
    pub(crate) fn add_to_linker(Linker<State>);
    /// Every host function there is.
    pub const HOST_FUNCTIONS;

    use lunatic_abi, lunatic_mailbox::guest, lunatic_process::guest, lunatic_timer::guest,
        lunatic_registry::guest, lunatic_groups::guest, lunatic_supervisor::guest,
        lunatic_distributed::guest, lunatic_wasi, lunatic_net::guest;
}

impl AbiHost for State {
    fn memory(&self) -> Option<Memory> {
        self.process.memory()
    }

    fn errors(&mut self) -> &mut ErrorTable {
        &mut self.errors
    }
}

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimits {
        self.process.limits()
    }
}

impl MailboxHost for State {
    type Post = Process;

    fn mailbox(&mut self) -> &mut GuestMailbox<Process> {
        &mut self.mailbox
    }
}

impl ProcessHost for State {
    type Config = Config;
    type Inheritance = Inheritance;

    fn new(
        process: GuestProcess<State>,
        mailbox: GuestMailbox<Process>,
        inheritance: Inheritance,
    ) -> State {
        State {
            process,
            mailbox,
            errors: ErrorTable::new(),
            timers: GuestTimers::new(inheritance.timers),
            names: inheritance.names,
            supervisors: GuestSupervisors::new(),
            wasi: inheritance.wasi,
            net: GuestNet::new(inheritance.net),
        }
    }

    fn process(&self) -> &GuestProcess<State> {
        &self.process
    }

    fn process_mut(&mut self) -> &mut GuestProcess<State> {
        &mut self.process
    }

    fn inherit(&self, config: &Arc<Config>) -> Result<Inheritance, Misuse> {
        self.legacy(config)
            .inherit()
            .map_err(|error| Misuse::refused(error.to_string()))
    }

    fn exit_status(error: &wasmtime::Error) -> Option<u32> {
        error.downcast_ref::<ProcExit>().map(|exit| exit.0)
    }
}

impl SupervisorHost for State {
    fn supervisors(&mut self) -> &mut GuestSupervisors {
        &mut self.supervisors
    }

    fn inherit_later(&self, config: &Arc<Config>) -> Box<Inherit<State>> {
        let legacy = self.legacy(config);
        Box::new(move || legacy.clone().inherit().map_err(Failure::new))
    }
}

impl State {
    /// What children with this config have from this process.
    fn legacy(&self, config: &Config) -> Legacy {
        Legacy {
            names: self.names.clone(),
            timers: self.timers.timers().clone(),
            wasi: config.wasi.clone(),
            stdio: self.wasi.stdio().clone(),
            net: self.net_for(config),
        }
    }

    /// What a child with this config may do with the network: no more than its
    /// parent.
    fn net_for(&self, config: &Config) -> Arc<NetConfig> {
        let own = self.net.config();
        match Arc::ptr_eq(own, &config.net) {
            true => own.clone(),
            false => Arc::new(config.net.capped(own)),
        }
    }
}

impl TimerHost for State {
    fn timers(&mut self) -> &mut GuestTimers {
        &mut self.timers
    }
}

impl RegistryHost for State {
    fn registry(&self) -> &Registry {
        &self.names.registry
    }
}

impl GroupHost for State {
    fn groups(&self) -> &Groups {
        &self.names.groups
    }
}

impl WasiHost for State {
    fn wasi(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }

    fn wasi_config(&mut self, config_id: u64) -> Result<&mut WasiConfig, Misuse> {
        Ok(self.process.config_mut(config_id)?.wasi_mut())
    }
}

impl NetHost for State {
    fn net(&mut self) -> &mut GuestNet {
        &mut self.net
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
