//! Nodes of this program, and of others, on a wire of our own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_lite::future::{block_on, or};
use lunatic_distributed::{
    Answer, GroupChange, Incoming, LocalNode, Node, NodeConfig, NodeError, NodeEvent, NotDelivered,
};
use lunatic_mailbox::{DataMessage, Mailbox, Message, Pid, Wanted};
use lunatic_process::{
    Effect, Environment, EnvironmentConfig, ExitReason, LinkNotice, Process, Signal, SpawnOptions,
};
use lunatic_testkit::{Plug, Wire};
use lunatic_trust::{Authority, Credentials};
use tempfile::TempDir;

use crate::program::PROGRAM;
use crate::{LIMIT, until};

/// A cluster whose nodes are on a wire.
pub(crate) struct Net {
    _directory: TempDir,
    path: PathBuf,
    pub(crate) wire: Wire,
}

/// A node of this program.
pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) environment: Environment,
    pub(crate) plug: Plug,
    pub(crate) local: Arc<Local>,
}

pub(crate) struct Local {
    pub(crate) environment: Environment,
    own: Mutex<BTreeSet<(String, Pid)>>,
    others: Mutex<BTreeSet<(String, Pid)>>,
    pub(crate) ups: AtomicU64,
    pub(crate) downs: AtomicU64,
}

impl LocalNode for Local {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        lunatic_distributed::deliver(&self.environment, None, message, |_| Err("no resources"))
    }

    fn signal(&self, _: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        lunatic_distributed::signal(&self.environment, to, signal)
    }

    fn request(&self, _: Pid, request: &[u8], answer: Answer) {
        answer.send(None, request);
    }

    fn group_changed(&self, change: GroupChange) {
        let membership = (change.group, change.process);
        let mut others = self.others.lock().unwrap();
        match change.joined {
            true => assert!(others.insert(membership), "it joins twice"),
            false => assert!(others.remove(&membership), "it leaves, and is not there"),
        }
    }

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, _: &str, process: Pid, _: Pid) {
        self.environment.process(process).unwrap().kill();
    }

    fn node_event(&self, event: NodeEvent) {
        match event {
            NodeEvent::Up(_) => self.ups.fetch_add(1, Ordering::SeqCst),
            NodeEvent::Down { .. } => self.downs.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
    }
}

pub(crate) fn credentials(cluster: &Path, name: &str) -> Credentials {
    let authority = Authority::open(cluster).unwrap();
    let now = SystemTime::now();
    Credentials::from_authority(&authority, &name.parse().unwrap(), None, now).unwrap()
}

impl Net {
    pub(crate) fn new() -> Net {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("cluster");
        Authority::init(&path, &"test".parse().unwrap(), SystemTime::now()).unwrap();
        Net {
            _directory: directory,
            path,
            wire: Wire::new(),
        }
    }

    /// What proves that a node has this name.
    pub(crate) fn credentials(&self, name: &str) -> Credentials {
        credentials(&self.path, name)
    }

    pub(crate) fn start(&self, name: &str, seeds: &[&Host]) -> Host {
        self.start_at(name, self.wire.plug(), seeds)
    }

    pub(crate) fn start_at(&self, name: &str, plug: Plug, seeds: &[&Host]) -> Host {
        let seeds = seeds.iter().map(|host| host.plug.advertise);
        self.start_asking(name, plug, seeds)
    }

    /// A node that asks those at these addresses for others.
    pub(crate) fn start_with_seeds(&self, name: &str, seeds: &[SocketAddr]) -> Host {
        self.start_asking(name, self.wire.plug(), seeds.iter().copied())
    }

    fn start_asking(
        &self,
        name: &str,
        plug: Plug,
        seeds: impl Iterator<Item = SocketAddr>,
    ) -> Host {
        let mut config = NodeConfig::new(credentials(&self.path, name), plug.listen);
        config.advertise = Some(plug.advertise);
        config.seeds = seeds.map(|seed| seed.to_string()).collect();
        Host::start(config, plug).unwrap()
    }

    /// Hosts that all know each other.
    pub(crate) fn hosts<const N: usize>(&self, names: [&str; N]) -> [Host; N] {
        let mut hosts: Vec<Host> = Vec::new();
        for name in names {
            let first: Vec<&Host> = hosts.first().into_iter().collect();
            let host = self.start(name, &first);
            hosts.push(host);
        }
        until("all are connected", || {
            hosts.iter().all(|host| host.node.nodes().len() == N - 1)
        });
        hosts
            .try_into()
            .unwrap_or_else(|_| panic!("as many as names"))
    }

    /// Starts another program that is a node, with this one as seed.
    pub(crate) fn start_child(&self, name: &str, plug: Plug, seed: &Host) -> ChildNode {
        self.start_child_at(name, plug, seed.plug.advertise)
    }

    /// - `seed`: where there is a node.
    pub(crate) fn start_child_at(&self, name: &str, plug: Plug, seed: SocketAddr) -> ChildNode {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program
            .args(["--ignored", "--exact", "--nocapture", PROGRAM])
            .env("NODE_CLUSTER", &self.path)
            .env("NODE_NAME", name)
            .env("NODE_LISTEN", plug.listen.to_string())
            .env("NODE_ADVERTISE", plug.advertise.to_string())
            .env("NODE_SEED", seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The runner of tests prints a line before, and ours may be behind it.
        let mut said = lines.map_while(Result::ok).filter_map(|line| {
            let (_, said) = line.split_once("NODE ")?;
            Some(said.to_owned())
        });
        let first = said.next().expect("the program ended");
        // It goes on saying what happens, and must not find nobody there.
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || said.for_each(|said| drop(sender.send(said))));
        let number = first.strip_prefix("process ");
        let process = number.and_then(|number| number.parse().ok());
        let process = process.map(Pid::from_bits);
        ChildNode {
            commands: child.stdin.take().unwrap(),
            lines,
            child,
            said: first,
            process,
        }
    }
}

/// A node that is a program of its own.
pub(crate) struct ChildNode {
    pub(crate) child: Child,
    pub(crate) commands: ChildStdin,
    /// What it says after its start.
    pub(crate) lines: Receiver<String>,
    /// What it has said of its start.
    pub(crate) said: String,
    /// A process that lives there.
    pub(crate) process: Option<Pid>,
}

impl ChildNode {
    pub(crate) fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", signal, &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }
}

impl Drop for ChildNode {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn trapping() -> SpawnOptions {
    SpawnOptions {
        trap_exits: true,
        ..SpawnOptions::default()
    }
}

impl Host {
    pub(crate) fn start(config: NodeConfig, plug: Plug) -> Result<Host, NodeError> {
        let node = block_on(Node::start(config))?;
        let config = EnvironmentConfig {
            node: node.info().id,
            peers: node.sessions().clone(),
            ..EnvironmentConfig::default()
        };
        let environment = Environment::with_config(1, lunatic_testkit::scheduler(), config);
        let local = Arc::new(Local {
            environment: environment.clone(),
            own: Mutex::default(),
            others: Mutex::default(),
            ups: AtomicU64::new(node.nodes().len() as u64),
            downs: AtomicU64::new(0),
        });
        node.attach(local.clone());
        let (sessions, watched) = (node.sessions().clone(), environment.clone());
        node.sessions().on_monitor(move |watcher| {
            let sessions = sessions.clone();
            if let Some(process) = watched.process(watcher) {
                process.at_exit(move |_| sessions.watcher_ended(watcher));
            }
        });
        Ok(Host {
            node,
            environment,
            plug,
            local,
        })
    }

    /// A process that traps exits, and whose mailbox the test reads.
    pub(crate) fn open(&self) -> (Process, Mailbox) {
        let (sender, receiver) = async_channel::bounded(1);
        let process = self.environment.spawn(trapping(), |own| async move {
            sender.send(own.mailbox).await.ok();
            std::future::pending().await
        });
        (process.unwrap(), block_on(receiver.recv()).unwrap())
    }

    pub(crate) fn is_connected(&self, other: &Host) -> bool {
        let id = other.node.info().id;
        self.node.sessions().with_node(id).is_some()
    }

    pub(crate) fn join(&self, group: &str, process: Pid) {
        let change = GroupChange {
            scope: "test".into(),
            group: group.into(),
            process,
            joined: true,
        };
        self.local
            .own
            .lock()
            .unwrap()
            .insert((group.into(), process));
        self.node.group_changed(change, 1);
    }

    /// Who is in which group, as this node knows.
    pub(crate) fn groups(&self) -> BTreeSet<(String, Pid)> {
        let own = self.local.own.lock().unwrap().clone();
        &own | &self.local.others.lock().unwrap()
    }

    pub(crate) fn downs(&self) -> u64 {
        self.local.downs.load(Ordering::SeqCst)
    }

    pub(crate) fn stop(&self) {
        block_on(self.node.stop());
        block_on(self.environment.shut_down());
    }
}

/// A process that is linked to one of another node and monitors it.
pub(crate) struct Related {
    _process: Process,
    mailbox: Mailbox,
    to: Pid,
}

impl Related {
    pub(crate) fn new(host: &Host, to: Pid) -> Related {
        let (process, mailbox) = host.open();
        process.link(to, None);
        process.monitor(to);
        Related {
            _process: process,
            mailbox,
            to,
        }
    }

    pub(crate) fn next(&mut self, limit: Duration) -> Option<Message> {
        block_on(or(
            async { Some(self.mailbox.receive(Wanted::Any).await) },
            async {
                async_io::Timer::after(limit).await;
                None
            },
        ))
    }

    /// Expects that link and monitor are told once that there is no connection.
    pub(crate) fn is_told_once(&mut self) {
        let [mut links, mut monitors] = [0, 0];
        for _ in 0..2 {
            let mut message = self.next(LIMIT).expect("it is told");
            match LinkNotice::take(&mut message) {
                Some(LinkNotice::Exit { from, reason }) => {
                    assert_eq!((from, reason), (self.to, ExitReason::NoConnection));
                    links += 1;
                }
                _ => {
                    let Message::ProcessDied { process } = message else {
                        panic!("{message:?}");
                    };
                    assert_eq!(process, self.to);
                    monitors += 1;
                }
            }
        }
        assert_eq!((links, monitors), (1, 1));
        self.is_told_nothing(Duration::from_millis(300));
    }

    pub(crate) fn is_told_nothing(&mut self, time: Duration) {
        if let Some(message) = self.next(time) {
            panic!("it is told {message:?}");
        }
    }
}

/// Numbers from one process to another, which have to arrive in order.
pub(crate) struct Stream {
    pub(crate) sender: Process,
    to: Pid,
    sent: u64,
}

impl Stream {
    pub(crate) fn new(from: &Host, to: Pid) -> Stream {
        let sender = from
            .environment
            .spawn(trapping(), |_| std::future::pending());
        Stream {
            sender: sender.unwrap(),
            to,
            sent: 0,
        }
    }

    pub(crate) fn send(&mut self, padding: usize) {
        self.sent += 1;
        let mut bytes = self.sender.id().to_bits().to_le_bytes().to_vec();
        bytes.extend(self.sent.to_le_bytes());
        bytes.resize(16 + padding, 7);
        let message = DataMessage::new(None, bytes);
        let environment = self.sender.environment();
        environment
            .send(Some(&self.sender), self.to, message.into())
            .ok();
    }
}

/// Reads a number of a stream: who sends, and which.
pub(crate) fn number_of(message: &Message) -> (u64, u64) {
    let Message::Data(data) = message else {
        panic!("{message:?}");
    };
    let number = |at: usize| u64::from_le_bytes(data.bytes()[at..at + 8].try_into().unwrap());
    (number(0), number(8))
}

pub(crate) fn idle(host: &Host) -> Pid {
    let idle = host
        .environment
        .spawn(trapping(), |_| std::future::pending());
    idle.unwrap().id()
}
