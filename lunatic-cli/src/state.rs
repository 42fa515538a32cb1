//! What a wasm process is made of.

#[cfg(feature = "net")]
mod net;
#[cfg(not(feature = "net"))]
mod no_net;
#[cfg(not(feature = "sqlite"))]
mod no_sqlite;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;
use std::sync::Arc;

use lunatic_abi::{AbiHost, CallEnd, ErrorTable, Misuse, host_functions};
use lunatic_account::Account;
use lunatic_distributed::Node;
use lunatic_distributed::guest::{DistributedHost, Lookups};
use lunatic_engine::{InstanceState, Loader, MemoryLimiter, Module, is_time_slice_over};
use lunatic_groups::Groups;
use lunatic_groups::guest::GroupHost;
use lunatic_mailbox::guest::{GuestMailbox, MailboxHost};
use lunatic_metrics::Metrics;
use lunatic_metrics::guest::MetricsHost;
use lunatic_process::guest::{
    CurrentVersions, GuestProcess, ProcessHost, ProcessPost, answer_requests,
};
use lunatic_process::{Detail, Failure};
use lunatic_registry::Registry;
use lunatic_registry::guest::RegistryHost;
use lunatic_reload::Versions;
use lunatic_reload::guest::{GuestReload, ReloadHost, check_permitted};
use lunatic_supervisor::guest::{ChildEnvironments, GuestSupervisors, SupervisorHost};
use lunatic_timer::Timers;
use lunatic_timer::guest::{StartedTimers, TimerHost};
use lunatic_wasi::{ProcExit, WasiConfig, WasiCtx, WasiHost};
use wasmtime::{Memory, StoreContextMut};

use crate::child_environment::{ChildEnvironment, Services};
use crate::config::Config;
use crate::state::net::GuestNet;
#[cfg(not(feature = "net"))]
use crate::state::no_net as net;
#[cfg(not(feature = "sqlite"))]
use crate::state::no_sqlite as sqlite;
use crate::state::sqlite::GuestSqlite;
use crate::timeline;

/// The state of a wasm process: one part for each feature crate.
pub struct State {
    process: GuestProcess<State>,
    services: Arc<Services>,
    mailbox: GuestMailbox<ProcessPost>,
    errors: ErrorTable,
    timers: StartedTimers,
    supervisors: GuestSupervisors,
    wasi: WasiCtx,
    net: GuestNet,
    reload: GuestReload<State>,
    sqlite: GuestSqlite,
    lookups: Lookups,
}

host_functions! {
    /// Registers every host function there is.
    pub(crate) fn add_to_linker(Linker<State>);
    /// Every host function there is.
    pub const HOST_FUNCTIONS;

    use lunatic_abi, lunatic_mailbox::guest, lunatic_process::guest, lunatic_timer::guest,
        lunatic_registry::guest, lunatic_groups::guest, lunatic_supervisor::guest,
        lunatic_reload::guest, lunatic_distributed::guest, lunatic_wasi, net, sqlite,
        lunatic_metrics::guest;
}

impl AbiHost for State {
    const PREEMPTION_BUDGET: Option<&'static str> = Some(lunatic_engine::PREEMPTION_BUDGET);

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

    #[inline]
    fn begin_call(&self, function: &'static str) -> Option<CallEnd> {
        match timeline::is_wanted() {
            true => Some(timeline::call(self.process.handle().id(), function)),
            false => None,
        }
    }

    fn has_requests(&self) -> bool {
        self.process.handle().has_requests()
    }

    fn answer_requests(store: StoreContextMut<'_, State>) {
        let function = store.data().process.incarnation().entered();
        answer_requests(store, function);
    }

    #[inline]
    fn admit(&self, function: &'static str) -> Result<(), Misuse> {
        match self.process.incarnation().is_attempt() {
            true => check_permitted(function),
            false => Ok(()),
        }
    }

    #[inline]
    fn is_time_slice_over(&self) -> bool {
        is_time_slice_over()
    }

    fn on_preemption(store: StoreContextMut<'_, State>) {
        InstanceState::on_preemption(store);
    }

    #[inline]
    fn owed_fuel(&mut self) -> Option<&mut u64> {
        self.process.incarnation_mut().owed_fuel()
    }

    #[inline]
    fn is_interrupted(&self) -> bool {
        self.reload.is_interrupted()
    }

    #[inline]
    fn end_interruptible(&mut self) {
        self.reload.end_interruptible();
    }
}

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        self.process.incarnation_mut().limits()
    }

    fn on_preemption(store: StoreContextMut<'_, State>) {
        let recording = &store.data().services.recording;
        if recording.is_profiling() {
            let recording = recording.clone();
            recording.sample(&store);
        }
        if store.data().process.handle().has_requests() {
            answer_requests(store, None);
        }
    }
}

impl MailboxHost for State {
    type Post = ProcessPost;

    fn mailbox(&mut self) -> &mut GuestMailbox<ProcessPost> {
        &mut self.mailbox
    }
}

impl ProcessHost for State {
    type Config = Config;
    type ChildEnvironment = ChildEnvironment;

    fn new(
        process: GuestProcess<State>,
        mailbox: GuestMailbox<ProcessPost>,
        environment: ChildEnvironment,
    ) -> State {
        let account = process.handle().account();
        let timers = StartedTimers::new(account);
        let mut wasi = WasiCtx::new(environment.wasi, environment.stdio);
        wasi.charge_to(account);
        State {
            process,
            services: environment.services,
            mailbox,
            errors: ErrorTable::new(),
            timers,
            supervisors: GuestSupervisors::new(),
            wasi,
            net: GuestNet::new(environment.net),
            reload: GuestReload::new(),
            sqlite: GuestSqlite::new(environment.sqlite),
            lookups: Lookups::default(),
        }
    }

    fn successor(
        &self,
        process: GuestProcess<State>,
        mailbox: GuestMailbox<ProcessPost>,
    ) -> Result<State, Failure> {
        let account = process.handle().account();
        let (config, stdio) = (self.wasi.opened_config(), self.wasi.stdio());
        let mut wasi = WasiCtx::new(config.clone(), stdio.clone());
        wasi.charge_to(account);
        Ok(State {
            services: self.services.clone(),
            mailbox,
            errors: self.errors.successor(account).map_err(Failure::new)?,
            timers: StartedTimers::new(account),
            supervisors: GuestSupervisors::new(),
            wasi,
            net: self.net.successor(account).map_err(Failure::new)?,
            sqlite: GuestSqlite::new(self.sqlite.limits().clone()),
            reload: self.reload.successor(),
            lookups: Lookups::default(),
            process,
        })
    }

    fn join(&mut self, older: State) {
        self.process.join(older.process);
        self.mailbox.join(older.mailbox);
        self.errors.join(older.errors);
        self.net.join(older.net);
        // What follows is still empty: an instance that has not taken over cannot have it.
        self.timers = older.timers;
        self.supervisors = older.supervisors;
        self.wasi = older.wasi;
        self.sqlite = older.sqlite;
        self.lookups = older.lookups;
        self.reload.join(older.reload);
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
        let is_own = self.is_own(config);
        let (net, sqlite) = (self.net.config(), self.sqlite.limits());
        let stdio = self.wasi.stdio();
        let account = self.process.handle().account();
        let services = &self.services;
        let child =
            ChildEnvironment::for_child(services, stdio, net, sqlite, account, config, is_own);
        async move {
            child
                .await
                .map_err(|error| Misuse::refused(error.to_string()))
        }
    }

    fn current_versions(&self) -> Arc<CurrentVersions<State>> {
        let versions = self.services.versions.clone();
        Arc::new(move |module| versions.current_of(module))
    }

    fn details(&self) -> Vec<Detail> {
        let mut details = self.names();
        details.extend(self.counts());
        details
    }

    fn trapped(store: StoreContextMut<'_, State>, error: &wasmtime::Error) {
        if State::exit_status(error).is_none() {
            let state = store.data();
            let recording = state.services.recording.clone();
            let id = state.process.handle().id();
            let memory = state.process.incarnation().memory();
            let bytes = memory.map_or(0, |memory| memory.data_size(&store) as u64);
            recording.trapped(id, bytes, error, store);
        }
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
        let account = self.process.handle().account().clone();
        let environment = self.environment();
        Box::new(environment.for_children(account, config.clone(), is_own))
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
            sqlite: self.sqlite.limits().clone(),
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

impl ReloadHost for State {
    fn versions(&self) -> &Versions<Module<State>> {
        &self.services.versions
    }

    fn reload(&mut self) -> &mut GuestReload<State> {
        &mut self.reload
    }
}

impl DistributedHost for State {
    fn node(&self) -> Option<&Node> {
        self.services.cluster.as_ref().map(|cluster| &cluster.node)
    }

    fn lookups(&mut self) -> &mut Lookups {
        &mut self.lookups
    }

    fn module_number(&self, module: &Module<State>) -> u64 {
        let cluster = self.services.cluster.as_ref();
        cluster.map_or(0, |cluster| cluster.module_number(module))
    }

    fn module_of_number(&self, number: u64) -> Option<Module<State>> {
        self.services.cluster.as_ref()?.module_of_number(number)
    }

    fn encode_config(&self, config: &Arc<Config>) -> Vec<u8> {
        let mut wire = config.to_wire();
        let account = self.process.handle().account().branch_root();
        if wire.process.account.is_none() && account.parent().is_some() {
            // There it is below no account of its parent: it has one with the same limits.
            wire.process.account = Some(*account.limits());
        }
        // Nothing in it can fail to be written to a vector.
        postcard::to_allocvec(&wire).unwrap_or_default()
    }
}

impl RegistryHost for State {
    fn registry(&self) -> &Registry {
        &self.services.names.registry
    }
}

impl MetricsHost for State {
    fn metrics(&self) -> &Metrics {
        &self.services.metrics
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

    fn change_wasi_config<R>(
        &mut self,
        config_id: u64,
        more: usize,
        change: impl FnOnce(&mut WasiConfig) -> R,
    ) -> Result<R, Misuse> {
        let change = |config: &mut Config| change(config.wasi_mut());
        self.process.resize_config(config_id, more, change)
    }

    fn shared_config_bytes(&self, config_id: u64) -> usize {
        let Ok(config) = self.process.config_of(config_id) else {
            return 0;
        };
        let is_shared = Arc::strong_count(config) > 1 || Arc::strong_count(&config.wasi) > 1;
        if is_shared { config.wasi.size() } else { 0 }
    }

    fn prints(&self, is_error: bool, bytes: &[u8]) {
        let process = self.process.handle();
        if process.is_output_traced() {
            process.has_printed(is_error, bytes);
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
