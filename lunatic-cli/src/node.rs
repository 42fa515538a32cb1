//! A runtime that is a node of a cluster: what other nodes reach of it.

mod modules;
mod remote;

use std::fmt;
use std::sync::{Arc, OnceLock};

use lunatic_distributed::guest::{NodeRequest, NodeResponse, SpawnRequest};
use lunatic_distributed::{Answer, GroupChange, Incoming, LocalNode, MailboxFull, Node, NodeEvent};
use lunatic_engine::{Module, ModuleHash};
use lunatic_mailbox::{EncodedResource, MessageResource, Pid};
use lunatic_process::guest::{GuestModule, Spawn, spawn};
use lunatic_process::{AtBirth, Environment, ExitReason, LinkNotice, Signal, SpawnOptions};
use lunatic_wasi::Stdio;

use crate::config::WireConfig;
use crate::name_scope::NameScope;
use crate::node::modules::NodeModules;
use crate::runtime::Runtime;
use crate::state::State;

pub use crate::node::remote::{RemoteDir, RemoteRights, RemoteRule};

/// The node that a runtime is, and what belongs to it.
pub(crate) struct ClusterNode {
    pub(crate) node: Node,
    /// What all processes of the node find others by.
    pub(crate) names: NameScope,
    modules: NodeModules,
    rights: RemoteRights,
    /// Its processes, as soon as there are any.
    runtime: OnceLock<Runtime>,
}

impl ClusterNode {
    pub(crate) fn new(node: Node, rights: RemoteRights, environment: &Environment) -> ClusterNode {
        ClusterNode {
            node,
            names: NameScope::new(environment),
            modules: NodeModules::default(),
            rights,
            runtime: OnceLock::new(),
        }
    }

    /// From here on, other nodes reach the processes of a runtime.
    pub(crate) fn attach(self: &Arc<Self>, runtime: &Runtime) {
        self.runtime.set(runtime.clone()).ok();
        let node = self.node.clone();
        self.names
            .groups
            .observe(move |scope, group, process, joined| {
                node.group_changed(GroupChange {
                    scope: scope.into(),
                    group: group.into(),
                    process,
                    joined,
                });
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

    /// The number by which other nodes name a module; keeps it for them.
    pub(crate) fn module_number(&self, module: &Module<State>) -> u64 {
        self.modules.keep(module)
    }

    /// The module of a number.
    pub(crate) fn module_of_number(&self, number: u64) -> Option<Module<State>> {
        self.modules.by_number(number)
    }

    fn environment(&self) -> Option<&Environment> {
        self.runtime.get().map(Runtime::environment)
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

    /// Starts a process for another node, and answers when it is made.
    fn spawn_for(&self, from: Pid, request: &SpawnRequest<'_>, answer: Answer) {
        let Some(runtime) = self.runtime.get().cloned() else {
            return refuse(&answer, "the node is starting");
        };
        let hash = ModuleHash::from_bytes(request.module);
        let Some(module) = self.modules.by_hash(hash) else {
            return answer.send(None, &NodeResponse::NeedsModule.to_bytes());
        };
        // Without a session there is nobody to answer.
        let Some(session) = self.node.sessions().get(from.node()) else {
            return;
        };
        let node = session.node().name.clone();
        let config = match postcard::from_bytes::<WireConfig>(request.config) {
            Ok(config) => self.rights.config_for(&node, config, request.inherits),
            Err(_) => return refuse(&answer, "the config cannot be read"),
        };
        let config = match config {
            Ok(config) => Arc::new(config),
            Err(error) => return refuse(&answer, &error.to_string()),
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
                let response = NodeResponse::Spawned(process.id()).to_bytes();
                told.send(Some(process.id()), &response);
                if let Some(tag) = link {
                    let peer = from;
                    process.signal(Signal::Link { peer, tag }).ok();
                    if let Err(lost) = told.link(process.id(), tag) {
                        tracing::debug!("a process for another node: {lost}");
                        process.kill();
                    }
                }
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

    /// Compiles a module that another node has sent.
    fn load_for(&self, bytes: &[u8], answer: Answer) {
        let Some(runtime) = self.runtime.get().cloned() else {
            return refuse(&answer, "the node is starting");
        };
        let bytes = bytes.to_vec();
        let scheduler = runtime.scheduler.clone();
        scheduler.spawn(async move {
            match runtime.load(bytes).await {
                Ok(module) => {
                    if let Some(cluster) = &runtime.cluster {
                        cluster.modules.keep(&module);
                    }
                    answer.send(None, &NodeResponse::HasModule.to_bytes());
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
    fn deliver(&self, message: Incoming<'_>) -> Result<(), MailboxFull> {
        match self.environment() {
            Some(environment) => {
                lunatic_distributed::deliver(environment, message, |encoded| self.decode(encoded))
            }
            None => Ok(()),
        }
    }

    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        let environment = self.environment().ok_or(ExitReason::NoProcess)?;
        lunatic_distributed::signal(environment, from, to, signal)
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        match postcard::from_bytes(request) {
            Ok(NodeRequest::Spawn(request)) => self.spawn_for(from, &request, answer),
            Ok(NodeRequest::Module { bytes }) => self.load_for(bytes, answer),
            Err(_) => refuse(&answer, "the request cannot be read"),
        }
    }

    fn group_changed(&self, change: GroupChange) {
        let GroupChange {
            scope,
            group,
            process,
            joined,
        } = change;
        let Ok(scope) = self.names.groups.scope(&scope) else {
            return;
        };
        match joined {
            true => {
                if let Err(error) = scope.join_remote(&group, process) {
                    tracing::warn!("a group of another node: {error}");
                }
            }
            false => scope.leave_remote(&group, process),
        }
    }

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, name: &str, process: Pid, winner: Pid) {
        let shown = lunatic_error::on_one_line(name, 100);
        tracing::warn!(%process, %winner, "the name {shown} has gone to an older claim");
        if let Some(process) = self.environment().and_then(|all| all.process(process)) {
            // As OTP's `global` does by default: one of the two ends.
            process.kill();
        }
    }

    fn node_event(&self, event: NodeEvent) {
        if event == NodeEvent::NumberTaken {
            tracing::error!(
                "another node has the same number and has run for longer: this one leaves"
            );
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
