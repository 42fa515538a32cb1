//! What a wasm process is made of.

use std::fmt;
use std::sync::Arc;

use lunatic_abi::{AbiHost, ErrorTable, Misuse, host_functions};
use lunatic_account::Account;
use lunatic_engine::{InstanceState, Loader, MemoryLimiter};
use lunatic_groups::Groups;
use lunatic_groups::guest::GroupHost;
use lunatic_mailbox::guest::{GuestMailbox, MailboxHost};
use lunatic_net::guest::{GuestNet, NetHost};
use lunatic_process::guest::{GuestProcess, ProcessHost, answer_requests};
use lunatic_process::{Detail, Process};
use lunatic_registry::Registry;
use lunatic_registry::guest::RegistryHost;
use lunatic_supervisor::guest::{ChildEnvironments, GuestSupervisors, SupervisorHost};
use lunatic_timer::Timers;
use lunatic_timer::guest::{StartedTimers, TimerHost};
use lunatic_wasi::{ProcExit, WasiConfig, WasiCtx, WasiHost};
use wasmtime::{Memory, StoreContextMut};

use crate::child_environment::{ChildEnvironment, Services};
use crate::config::Config;

/// The state of a wasm process: one part for each feature crate.
pub struct State {
    process: GuestProcess<State>,
    services: Arc<Services>,
    mailbox: GuestMailbox<Process>,
    errors: ErrorTable,
    timers: StartedTimers,
    supervisors: GuestSupervisors,
    wasi: WasiCtx,
    net: GuestNet,
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
        self.process.incarnation().memory()
    }

    fn account(&self) -> &Account {
        self.process.handle().account()
    }

    fn errors(&mut self) -> &mut ErrorTable {
        &mut self.errors
    }

    fn enter(&mut self, function: &'static str) {
        self.process.incarnation_mut().enter(function);
    }

    fn has_requests(&self) -> bool {
        self.process.handle().has_requests()
    }

    fn answer_requests(store: StoreContextMut<'_, State>) {
        let function = store.data().process.incarnation().entered();
        answer_requests(store, function);
    }
}

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        self.process.incarnation_mut().limits()
    }

    fn on_preemption(store: StoreContextMut<'_, State>) {
        if store.data().process.handle().has_requests() {
            answer_requests(store, None);
        }
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
    type ChildEnvironment = ChildEnvironment;

    fn new(
        process: GuestProcess<State>,
        mailbox: GuestMailbox<Process>,
        environment: ChildEnvironment,
    ) -> State {
        let timers = StartedTimers::new(process.handle().account());
        State {
            process,
            services: environment.services,
            mailbox,
            errors: ErrorTable::new(),
            timers,
            supervisors: GuestSupervisors::new(),
            wasi: WasiCtx::new(environment.wasi, environment.stdio),
            net: GuestNet::new(environment.net),
        }
    }

    fn process(&self) -> &GuestProcess<State> {
        &self.process
    }

    fn process_mut(&mut self) -> &mut GuestProcess<State> {
        &mut self.process
    }

    fn loader(&self) -> &Loader<State> {
        &self.services.loader
    }

    fn child_environment(
        &self,
        config: &Arc<Config>,
    ) -> impl Future<Output = Result<ChildEnvironment, Misuse>> + Send + 'static {
        let net = self.net.config();
        let is_own = self.is_own(config);
        let child =
            ChildEnvironment::for_child(&self.services, self.wasi.stdio(), net, config, is_own);
        async move {
            child
                .await
                .map_err(|error| Misuse::refused(error.to_string()))
        }
    }

    fn details(&self) -> Vec<Detail> {
        let mut details = self.names();
        details.extend(self.counts());
        details
    }

    fn exit_status(error: &wasmtime::Error) -> Option<u32> {
        error.downcast_ref::<ProcExit>().map(|exit| exit.0)
    }
}

impl SupervisorHost for State {
    fn supervisors(&mut self) -> &mut GuestSupervisors {
        &mut self.supervisors
    }

    fn child_environments(&self, config: &Arc<Config>) -> Box<ChildEnvironments<State>> {
        let is_own = self.is_own(config);
        Box::new(self.environment().for_children(config.clone(), is_own))
    }
}

impl State {
    /// Whether a config is that of this process.
    fn is_own(&self, config: &Arc<Config>) -> bool {
        Arc::ptr_eq(config, self.process.config())
    }

    /// Names by which others find this process, and the groups it is in.
    fn names(&self) -> Vec<Detail> {
        /// So many of each are told at most, as a worker waits for it.
        const MAX: usize = 64;
        let id = self.process.handle().id();
        let names = self.services.names.registry.names_of(id, MAX);
        let groups = self.services.names.groups.groups_of(id, MAX);
        let names = names.iter().map(|name| Detail::Name {
            kind: "name",
            name: name.to_string(),
        });
        let groups = groups.iter().map(|(scope, group)| Detail::Name {
            kind: "group",
            name: match scope.is_empty() {
                true => group.to_string(),
                false => format!("{scope}/{group}"),
            },
        });
        names.chain(groups).collect()
    }

    /// How much this process has of what is limited.
    fn counts(&self) -> [Detail; 3] {
        let count = |what, used: usize, limit: Option<usize>| Detail::Count {
            what,
            used: used as u64,
            limit: limit.map(|limit| limit as u64),
        };
        let (open, may_be_open) = self.wasi.open_descriptors();
        [
            count(
                "sockets",
                self.net.socket_count(),
                Some(self.net.config().max_sockets),
            ),
            count("file descriptors", open, Some(may_be_open)),
            count("timers", self.timers.count(), None),
        ]
    }

    /// What this process has itself.
    fn environment(&self) -> ChildEnvironment {
        ChildEnvironment {
            services: self.services.clone(),
            wasi: self.wasi.opened_config().clone(),
            stdio: self.wasi.stdio().clone(),
            net: self.net.config().clone(),
        }
    }
}

impl TimerHost for State {
    fn timers(&self) -> &Timers {
        &self.services.timers
    }

    fn started_timers(&mut self) -> &mut StartedTimers {
        &mut self.timers
    }
}

impl RegistryHost for State {
    fn registry(&self) -> &Registry {
        &self.services.names.registry
    }
}

impl GroupHost for State {
    fn groups(&self) -> &Groups {
        &self.services.names.groups
    }
}

impl WasiHost for State {
    fn wasi(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }

    fn wasi_config(&mut self, config_id: u64) -> Result<&mut WasiConfig, Misuse> {
        Ok(self.process.config_mut(config_id)?.wasi_mut())
    }

    fn charge_config(&mut self, config_id: u64) -> Result<(), Misuse> {
        self.process.charge_config(config_id)
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
