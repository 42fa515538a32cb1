//! A runtime that is a node of a cluster: what other nodes reach of it.

mod accounts;
mod modules;
mod refused_memberships;
mod remote;

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use lunatic_account::{Account, BranchError, Charge, Kind};
use lunatic_distributed::guest::{MAX_CONFIG_BYTES, NodeRequest, NodeResponse, SpawnRequest};
use lunatic_distributed::{
    Answer, Expelled, GroupChange, Incoming, LocalNode, Node, NodeEvent, NotDelivered, OnLoss,
};
use lunatic_engine::{Module, ModuleHash, ModuleLimits};
use lunatic_groups::GroupError;
use lunatic_mailbox::{DataMessage, EncodedResource, MessageResource, NodeNumber, Pid};
use lunatic_process::guest::{GuestModule, Spawn, spawn};
use lunatic_process::{AtBirth, Effect, Environment, ExitReason, LinkNotice, Signal, SpawnOptions};
use lunatic_wasi::Stdio;
use parking_lot::Mutex;

use crate::config::WireConfig;
use crate::name_scope::NameScope;
use crate::node::accounts::PeerAccounts;
use crate::node::modules::NodeModules;
use crate::node::refused_memberships::{Membership, RefusedMemberships};
use crate::runtime::Runtime;
use crate::state::State;

pub use crate::node::remote::{RemoteDir, RemoteRights, RemoteRule};

/// What a request of another node takes beside its bytes until it is seen to, about.
const REQUEST_BYTES: u64 = 1024;

/// How often memberships of other nodes are tried again for which there was no room.
const MEMBERSHIPS_PERIOD: Duration = Duration::from_secs(2);

/// So many of them are tried before other tasks may run.
const MEMBERSHIPS_AT_ONCE: usize = 64;

/// The node that a runtime is, and what belongs to it.
pub(crate) struct ClusterNode {
    pub(crate) node: Node,
    /// What all processes of the node find others by.
    pub(crate) names: NameScope,
    modules: NodeModules,
    accounts: PeerAccounts,
    rights: RemoteRights,
    /// Its processes, as soon as there are any.
    runtime: OnceLock<Runtime>,
    refused: Mutex<RefusedMemberships>,
    own: OnceLock<Weak<ClusterNode>>,
}

impl ClusterNode {
    pub(crate) fn new(node: Node, rights: RemoteRights, environment: &Environment) -> ClusterNode {
        ClusterNode {
            node,
            names: NameScope::new(environment),
            modules: NodeModules::default(),
            accounts: PeerAccounts::new(environment.account()),
            rights,
            runtime: OnceLock::new(),
            refused: Mutex::default(),
            own: OnceLock::new(),
        }
    }

    /// From here on, other nodes reach the processes of a runtime.
    pub(crate) fn attach(self: &Arc<Self>, runtime: &Runtime) {
        self.runtime.set(runtime.clone()).ok();
        self.own.set(Arc::downgrade(self)).ok();
        let node = self.node.clone();
        self.names
            .groups
            .observe(move |scope, group, process, joined, times| {
                let change = GroupChange {
                    scope: scope.into(),
                    group: group.into(),
                    process,
                    joined,
                };
                node.group_changed(change, times);
            });
        let (sessions, environment) = (self.node.sessions(), runtime.environment().downgrade());
        let watched = Arc::downgrade(sessions);
        sessions.on_monitor(move |watcher| {
            let process = environment.upgrade().and_then(|all| all.process(watcher));
            let watched = watched.clone();
            let end = move || {
                if let Some(sessions) = watched.upgrade() {
                    sessions.watcher_ended(watcher);
                }
            };
            match process {
                Some(process) => process.at_exit(move |_| end()),
                None => end(),
            }
        });
        self.node.attach(self.clone());
    }

    /// The number by which other nodes name a module as long as somebody has it.
    pub(crate) fn module_number(&self, module: &Module<State>) -> u64 {
        self.modules.remember(module)
    }

    /// The module of a number.
    pub(crate) fn module_of_number(&self, number: u64) -> Option<Module<State>> {
        self.modules.by_number(number)
    }

    fn environment(&self) -> Option<&Environment> {
        self.runtime.get().map(Runtime::environment)
    }

    /// The account of the node of a process, which is connected; that of the runtime, if the
    /// connection has ended meanwhile.
    fn account_of(&self, process: Pid) -> Result<Account, BranchError> {
        self.account_of_node(process.node())
    }

    /// The account of a node that is connected; that of the runtime, if the connection has ended
    /// meanwhile.
    fn account_of_node(&self, number: NodeNumber) -> Result<Account, BranchError> {
        if let Some(account) = self.accounts.get(number) {
            return Ok(account);
        }
        match self.node.sessions().get(number) {
            Some(session) => {
                let name = &session.node().name;
                let limits = self.rights.limits_for(name);
                self.accounts.begin(number, name, limits)
            }
            None => Ok(self.accounts.root().clone()),
        }
    }

    fn decode(
        &self,
        encoded: EncodedResource,
    ) -> Result<Box<dyn MessageResource>, Box<dyn std::error::Error>> {
        match &*encoded.kind {
            "module" => {
                let find = |hash| self.modules.by_hash(hash);
                Ok(Box::new(GuestModule::<State>::decode(&encoded, find)?))
            }
            "link notice" => {
                let notice: LinkNotice = postcard::from_bytes(&encoded.bytes)?;
                Ok(Box::new(notice))
            }
            other => {
                let kind = lunatic_error::on_one_line(other, 64);
                Err(format!("this node knows no resource of the kind {kind}").into())
            }
        }
    }

    /// Adds a membership of a process of another node.
    ///
    /// # Errors
    ///
    /// There is no room for it, or for its scope, which is charged to the account that is returned.
    fn join(&self, scope: &str, group: &str, process: Pid) -> Result<(), (GroupError, Account)> {
        let payer = self.account_of(process);
        let payer = payer.unwrap_or_else(|_| self.accounts.root().clone());
        let scope = self.names.groups.scope_paid_by(scope, &payer);
        let joined = scope.and_then(|scope| scope.join_remote(group, process));
        joined.map_err(|error| (error, payer))
    }

    /// Tries memberships again that were refused, until none are left.
    fn retry_memberships(&self) {
        let (Some(own), Some(runtime)) = (self.own.get().cloned(), self.runtime.get()) else {
            return;
        };
        runtime.scheduler.spawn(async move {
            loop {
                Timer::after(MEMBERSHIPS_PERIOD).await;
                let mut last = None;
                loop {
                    let Some(own) = own.upgrade() else {
                        return;
                    };
                    last = own.retry_some(last.as_ref());
                    if last.is_none() {
                        break;
                    }
                    drop(own);
                    future::yield_now().await;
                }
                let is_over = own
                    .upgrade()
                    .is_none_or(|own| own.refused.lock().end_if_empty());
                if is_over {
                    return;
                }
            }
        });
    }

    /// Tries some of them, behind the one that was tried last. Returns the last of these.
    fn retry_some(&self, last: Option<&Membership>) -> Option<Membership> {
        let join = |membership: &Membership| {
            let Membership {
                process,
                scope,
                group,
            } = membership;
            self.join(scope, group, *process).is_ok()
        };
        let mut refused = self.refused.lock();
        refused.try_some(last, MEMBERSHIPS_AT_ONCE, join)
    }

    /// Starts a process for another node, and answers when it is made.
    ///
    /// - `payer`: the account of that node. The process has it too, or one below it.
    fn spawn_for(&self, payer: Charge, from: Pid, request: &SpawnRequest<'_>, answer: Answer) {
        if self.node.is_draining() {
            return refuse(&answer, "the node is about to leave");
        }
        let Some(runtime) = self.runtime.get().cloned() else {
            return refuse(&answer, "the node is starting");
        };
        // Without a session there is nobody to answer.
        let Some(session) = self.node.sessions().get(from.node()) else {
            return;
        };
        let node = session.node().name.clone();
        if request.config.len() > MAX_CONFIG_BYTES {
            return refuse(&answer, "the config is too long");
        }
        let config = match postcard::from_bytes::<WireConfig>(request.config) {
            Ok(config) => self.rights.config_for(&node, config, request.inherits),
            Err(_) => return refuse(&answer, "the config cannot be read"),
        };
        let config = match config {
            Ok(config) => Arc::new(config),
            Err(error) => return refuse(&answer, &error.to_string()),
        };
        let hash = ModuleHash::from_bytes(request.module);
        // A version of a module that this node runs itself can be exchanged.
        let version = runtime.versions.by_hash(&request.module);
        let module = version.map(|version| version.module);
        let Some(module) = module.or_else(|| self.modules.by_hash(hash)) else {
            return answer.send(None, &NodeResponse::NeedsModule.to_bytes());
        };
        let params = match lunatic_abi::params::parse(request.params) {
            Ok(params) => params,
            Err(error) => return refuse(&answer, &error.to_string()),
        };
        let (export, link) = (request.export.to_owned(), request.link);
        let rights = &config.process;
        let names = match rights.account.is_some() && !rights.can_use_outside_names {
            true => self.names.separate(),
            false => self.names.clone(),
        };
        let scheduler = runtime.scheduler.clone();
        scheduler.spawn(async move {
            let environment = runtime.environment();
            let opened = runtime
                .environment_of(&config, Stdio::default(), names, Default::default())
                .await;
            let child_environment = match opened {
                Ok(opened) => opened,
                Err(error) => return refuse(&answer, &error.to_string()),
            };
            let answer = Arc::new(answer);
            let told = answer.clone();
            let at_birth = AtBirth::new(move |process| {
                // Who asks can undo the link as soon as it knows of the process.
                if let Some(tag) = link {
                    let peer = from;
                    process.signal(Signal::Link { peer, tag }).ok();
                    if let Err(lost) = told.link(process.id(), tag) {
                        tracing::debug!("a process for another node: {lost}");
                        process.kill();
                    }
                }
                let response = NodeResponse::Spawned(process.id()).to_bytes();
                told.send(Some(process.id()), &response);
            });
            let wanted = Spawn {
                module,
                config,
                is_own_config: false,
                export,
                params,
                child_environment,
                options: SpawnOptions {
                    parent: Some(from),
                    account: Some(payer.account().clone()),
                    at_birth: Some(at_birth),
                    ..SpawnOptions::default()
                },
                results: None,
            };
            if let Err(error) = spawn(environment, wanted) {
                refuse(&answer, &error.to_string());
            }
        });
    }

    /// Compiles a module that another node has sent, if that may start processes here at all, within
    /// the limits of modules that guests compile.
    ///
    /// - `payer`: the account of that node, which pays for the compiler too.
    fn load_for(&self, payer: Charge, from: Pid, bytes: &[u8], answer: Answer) {
        let Some(runtime) = self.runtime.get().cloned() else {
            return refuse(&answer, "the node is starting");
        };
        // Without a session there is nobody to answer.
        let Some(session) = self.node.sessions().get(from.node()) else {
            return;
        };
        if let Err(error) = self.rights.rule_for(&session.node().name) {
            return refuse(&answer, &error.to_string());
        }
        let bytes = bytes.to_vec();
        let scheduler = runtime.scheduler.clone();
        scheduler.spawn(async move {
            let account = payer.account().clone();
            let limits = ModuleLimits::of_guests();
            match runtime.loader.load_within(bytes, &limits, &account).await {
                Ok(module) => {
                    // The bytes are part of what the module takes.
                    drop(payer);
                    let kept = match &runtime.cluster {
                        Some(cluster) => cluster.modules.keep_for(&account, &module),
                        None => Ok(()),
                    };
                    match kept {
                        Ok(()) => answer.send(None, &NodeResponse::HasModule.to_bytes()),
                        Err(exceeded) => refuse(&answer, &format!("the module: {exceeded}")),
                    }
                }
                Err(error) => {
                    let reason = format!("the module: {}", lunatic_error::with_causes(&error));
                    refuse(&answer, &reason);
                }
            }
        });
    }
}

impl LocalNode for ClusterNode {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        match self.environment() {
            Some(environment) => {
                let payer = self.account_of(message.from);
                let payer = payer.map_err(|_| NotDelivered::Refused)?;
                lunatic_distributed::deliver(environment, Some(&payer), message, |encoded| {
                    self.decode(encoded)
                })
            }
            None => Ok(()),
        }
    }

    fn signal(&self, _: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        let environment = self.environment().ok_or(ExitReason::NoProcess)?;
        lunatic_distributed::signal(environment, to, signal)
    }

    fn account_of(&self, node: NodeNumber) -> Option<Account> {
        // Without one of its own, who keeps it pays.
        let account = self.account_of_node(node);
        Some(account.unwrap_or_else(|_| self.accounts.root().clone()))
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        // Until it is seen to, it is kept.
        let payer = match self.account_of(from) {
            Ok(account) => {
                Charge::new(&account, Kind::Memory, request.len() as u64 + REQUEST_BYTES)
            }
            Err(error) => return refuse(&answer, &error.to_string()),
        };
        let payer = match payer {
            Ok(payer) => payer,
            Err(exceeded) => return refuse(&answer, &exceeded.to_string()),
        };
        match postcard::from_bytes(request) {
            Ok(NodeRequest::Spawn(request)) => self.spawn_for(payer, from, &request, answer),
            Ok(NodeRequest::Module { bytes }) => self.load_for(payer, from, bytes, answer),
            Ok(NodeRequest::Exists(process)) => {
                let exists = self.environment().is_some_and(|all| all.exists(process));
                answer.send(None, &NodeResponse::Exists(exists).to_bytes());
            }
            Err(_) => refuse(&answer, "the request cannot be read"),
        }
    }

    fn group_changed(&self, change: GroupChange) {
        let groups = &self.names.groups;
        let mut refused = self.refused.lock();
        if !change.joined {
            if !refused.end(&change)
                && let Some(scope) = groups.existing_scope(&change.scope)
            {
                scope.leave_remote(&change.group, change.process);
            }
            return;
        }
        if let Err((error, payer)) = self.join(&change.scope, &change.group, change.process) {
            if groups.environment().admits_log_line(&payer) {
                tracing::warn!(
                    "a membership of another node is taken in when there is room: {error}"
                );
            }
            if refused.refuse(&change) {
                self.retry_memberships();
            }
        }
    }

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, name: &str, process: Pid, winner: Pid) {
        let shown = lunatic_error::on_one_line(name, 100);
        tracing::warn!(%process, %winner, "the name {shown} has gone to an older claim");
        let held = self.node.held_names();
        let (is_known, on_loss) = (held.is_known(process), held.lost(process, name));
        let Some(process) = self.environment().and_then(|all| all.process(process)) else {
            return;
        };
        match on_loss {
            Some(OnLoss::Tell(tag)) => {
                let mut message = DataMessage::new(tag, Vec::new());
                message.write(&winner.to_bits().to_le_bytes());
                message.write(name.as_bytes());
                process.deliver_or_end(message.into());
            }
            // As OTP's `global` does by default: one of the two ends.
            Some(OnLoss::Kill) => process.kill(),
            // It has given the name up meanwhile.
            None if is_known => {}
            None => process.kill(),
        }
    }

    fn node_event(&self, event: NodeEvent) {
        if let NodeEvent::Down { node, .. } = &event {
            self.accounts.end(node.id.number());
        }
        if Expelled::by(&event).is_some() {
            let node = self.node.clone();
            if let Some(runtime) = self.runtime.get() {
                runtime.scheduler.spawn(async move { node.stop().await });
            }
        }
    }
}

fn refuse(answer: &Answer, reason: &str) {
    let response = NodeResponse::Refused(reason.into());
    answer.send(None, &response.to_bytes());
}

impl fmt::Debug for ClusterNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterNode")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
