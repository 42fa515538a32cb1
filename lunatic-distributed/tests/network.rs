//! Nodes on a network that is cut, slow or loses packets, and nodes that are killed, stopped and
//! started again.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_lite::future::{block_on, or};
use lunatic_distributed::{
    Answer, GroupChange, Incoming, LocalNode, Node, NodeConfig, NodeError, NodeEvent, NotDelivered,
    Refusal,
};
use lunatic_mailbox::{DataMessage, Mailbox, Message, Pid, Wanted};
use lunatic_process::{
    Environment, EnvironmentConfig, ExitReason, LinkNotice, Process, Signal, SpawnOptions,
};
use lunatic_testkit::{Plug, Wire};
use lunatic_trust::{Authority, Credentials};
use tempfile::TempDir;

/// What a test waits for at most.
const LIMIT: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LIMIT, "it takes too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// A cluster whose nodes are on a wire.
struct Net {
    _directory: TempDir,
    path: PathBuf,
    wire: Wire,
}

/// A node of this program.
struct Host {
    node: Node,
    environment: Environment,
    plug: Plug,
    local: Arc<Local>,
}

struct Local {
    environment: Environment,
    own: Mutex<BTreeSet<(String, Pid)>>,
    others: Mutex<BTreeSet<(String, Pid)>>,
    ups: AtomicU64,
    downs: AtomicU64,
}

impl LocalNode for Local {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        lunatic_distributed::deliver(&self.environment, None, message, |_| Err("no resources"))
    }

    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        lunatic_distributed::signal(&self.environment, from, to, signal)
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

fn credentials(cluster: &Path, name: &str) -> Credentials {
    let authority = Authority::open(cluster).unwrap();
    let now = SystemTime::now();
    Credentials::from_authority(&authority, &name.parse().unwrap(), None, now).unwrap()
}

impl Net {
    fn new() -> Net {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("cluster");
        Authority::init(&path, &"test".parse().unwrap(), SystemTime::now()).unwrap();
        Net {
            _directory: directory,
            path,
            wire: Wire::new(),
        }
    }

    fn start(&self, name: &str, seeds: &[&Host]) -> Host {
        self.start_at(name, self.wire.plug(), seeds)
    }

    fn start_at(&self, name: &str, plug: Plug, seeds: &[&Host]) -> Host {
        let mut config = NodeConfig::new(credentials(&self.path, name), plug.listen);
        config.advertise = Some(plug.advertise);
        let address = |host: &&Host| host.plug.advertise.to_string();
        config.seeds = seeds.iter().map(address).collect();
        Host::start(config, plug).unwrap()
    }

    /// Hosts that all know each other.
    fn hosts<const N: usize>(&self, names: [&str; N]) -> [Host; N] {
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
    fn start_child(&self, name: &str, plug: Plug, seed: &Host) -> ChildNode {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "the_program_of_a_node",
            ])
            .env("NODE_CLUSTER", &self.path)
            .env("NODE_NAME", name)
            .env("NODE_LISTEN", plug.listen.to_string())
            .env("NODE_ADVERTISE", plug.advertise.to_string())
            .env("NODE_SEED", seed.plug.advertise.to_string())
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
        let process = first.parse().ok().map(Pid::from_bits);
        ChildNode {
            child,
            said: first,
            process,
        }
    }
}

/// A node that is a program of its own.
struct ChildNode {
    child: Child,
    /// What it has said of its start.
    said: String,
    /// A process that lives there.
    process: Option<Pid>,
}

impl ChildNode {
    fn signal(&self, signal: &str) {
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

/// Not a test by itself: what other tests start.
#[test]
#[ignore = "it is the program of a node that other tests start"]
fn the_program_of_a_node() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let address = |name: &str| -> SocketAddr { variable(name).parse().unwrap() };
    let cluster = PathBuf::from(variable("NODE_CLUSTER"));
    let plug = Plug {
        number: 0,
        listen: address("NODE_LISTEN"),
        advertise: address("NODE_ADVERTISE"),
    };
    let credentials = credentials(&cluster, &variable("NODE_NAME"));
    let mut config = NodeConfig::new(credentials, plug.listen);
    config.advertise = Some(plug.advertise);
    config.seeds = vec![variable("NODE_SEED")];
    match Host::start(config, plug) {
        Ok(host) => {
            let process = host
                .environment
                .spawn(trapping(), |_| std::future::pending());
            println!("\nNODE {}", process.unwrap().id().to_bits());
            // Until whoever has started it ends.
            std::io::stdin().lines().for_each(drop);
        }
        Err(error) => println!("\nNODE {error}"),
    }
}

fn trapping() -> SpawnOptions {
    SpawnOptions {
        trap_exits: true,
        ..SpawnOptions::default()
    }
}

impl Host {
    fn start(config: NodeConfig, plug: Plug) -> Result<Host, NodeError> {
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
    fn open(&self) -> (Process, Mailbox) {
        let (sender, receiver) = async_channel::bounded(1);
        let process = self.environment.spawn(trapping(), |own| async move {
            sender.send(own.mailbox).await.ok();
            std::future::pending().await
        });
        (process.unwrap(), block_on(receiver.recv()).unwrap())
    }

    fn is_connected(&self, other: &Host) -> bool {
        let id = other.node.info().id;
        self.node.sessions().with_node(id).is_some()
    }

    fn join(&self, group: &str, process: Pid) {
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
        self.node.group_changed(change);
    }

    /// Who is in which group, as this node knows.
    fn groups(&self) -> BTreeSet<(String, Pid)> {
        let own = self.local.own.lock().unwrap().clone();
        &own | &self.local.others.lock().unwrap()
    }

    fn downs(&self) -> u64 {
        self.local.downs.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        block_on(self.node.stop());
        block_on(self.environment.shut_down());
    }
}

/// A process that is linked to one of another node and monitors it.
struct Related {
    _process: Process,
    mailbox: Mailbox,
    to: Pid,
}

impl Related {
    fn new(host: &Host, to: Pid) -> Related {
        let (process, mailbox) = host.open();
        process.link(to, None);
        process.monitor(to);
        Related {
            _process: process,
            mailbox,
            to,
        }
    }

    fn next(&mut self, limit: Duration) -> Option<Message> {
        block_on(or(
            async { Some(self.mailbox.receive(Wanted::Any).await) },
            async {
                async_io::Timer::after(limit).await;
                None
            },
        ))
    }

    /// Expects that link and monitor are told once that there is no connection.
    fn is_told_once(&mut self) {
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

    fn is_told_nothing(&mut self, time: Duration) {
        if let Some(message) = self.next(time) {
            panic!("it is told {message:?}");
        }
    }
}

/// Numbers from one process to another, which have to arrive in order.
struct Stream {
    sender: Process,
    to: Pid,
    sent: u64,
}

impl Stream {
    fn new(from: &Host, to: Pid) -> Stream {
        let sender = from
            .environment
            .spawn(trapping(), |_| std::future::pending());
        Stream {
            sender: sender.unwrap(),
            to,
            sent: 0,
        }
    }

    fn send(&mut self, padding: usize) {
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
fn number_of(message: &Message) -> (u64, u64) {
    let Message::Data(data) = message else {
        panic!("{message:?}");
    };
    let number = |at: usize| u64::from_le_bytes(data.bytes()[at..at + 8].try_into().unwrap());
    (number(0), number(8))
}

fn idle(host: &Host) -> Pid {
    let idle = host
        .environment
        .spawn(trapping(), |_| std::future::pending());
    idle.unwrap().id()
}

#[test]
fn a_split_is_told_once_and_names_and_groups_are_equal_when_it_has_healed() {
    let net = Net::new();
    let [a, b, c] = net.hosts(["a", "b", "c"]);
    let [of_a, of_b, of_c] = [idle(&a), idle(&b), idle(&c)];
    let mut a_to_c = Related::new(&a, of_c);
    let mut c_to_a = Related::new(&c, of_a);
    let mut a_to_b = Related::new(&a, of_b);
    a.join("all", of_a);
    c.join("all", of_c);
    until("groups", || {
        a.groups().len() == 2 && a.groups() == c.groups()
    });
    for other in [&a, &b] {
        net.wire.cut_both(other.plug, c.plug, true);
    }
    a_to_c.is_told_once();
    c_to_a.is_told_once();
    a_to_b.is_told_nothing(Duration::from_millis(100));
    until("c is alone", || c.node.nodes().is_empty());
    assert_eq!(a.groups().len(), 1, "the other half is not in its groups");
    // Both halves go on.
    let [name_of_a, name_of_c] = [idle(&a), idle(&c)];
    block_on(a.node.register_global("king", name_of_a)).unwrap();
    block_on(c.node.register_global("king", name_of_c)).unwrap();
    b.join("all", of_b);
    c.join("more", of_c);
    for other in [&a, &b] {
        net.wire.cut_both(other.plug, c.plug, false);
    }
    let hosts = [&a, &b, &c];
    let took = until("it heals", || {
        let same_groups = hosts.iter().all(|host| host.groups() == a.groups());
        let king = a.node.find_global("king");
        let same_king = hosts
            .iter()
            .all(|host| host.node.find_global("king") == king);
        let is_whole = hosts.iter().all(|host| host.node.nodes().len() == 2);
        is_whole && same_groups && a.groups().len() == 4 && king.is_some() && same_king
    });
    println!("healed after {took:?}");
    let lives = |host: &Host, process: Pid| host.environment.exists(process);
    until("one of the two is killed", || {
        !(lives(&a, name_of_a) && lives(&c, name_of_c))
    });
    assert!(lives(&a, name_of_a) || lives(&c, name_of_c));
    for related in [&mut a_to_c, &mut c_to_a, &mut a_to_b] {
        related.is_told_nothing(Duration::from_millis(100));
    }
    hosts.iter().for_each(|host| host.stop());
}

#[test]
fn a_cut_in_one_direction_is_told_on_both_sides() {
    let net = Net::new();
    let [a, b] = net.hosts(["a", "b"]);
    let mut a_to_b = Related::new(&a, idle(&b));
    let mut b_to_a = Related::new(&b, idle(&a));
    std::thread::sleep(Duration::from_millis(200));
    net.wire.cut(a.plug, b.plug, true);
    a_to_b.is_told_once();
    b_to_a.is_told_once();
    net.wire.cut(a.plug, b.plug, false);
    until("it heals", || a.is_connected(&b) && b.is_connected(&a));
    assert_eq!((a.downs(), b.downs()), (1, 1));
    [a, b].iter().for_each(Host::stop);
}

#[test]
fn a_cut_between_two_of_three_hurts_nobody_else() {
    let net = Net::new();
    let [a, b, c] = net.hosts(["a", "b", "c"]);
    let mut a_to_c = Related::new(&a, idle(&c));
    let mut a_to_b = Related::new(&a, idle(&b));
    let mut b_to_c = Related::new(&b, idle(&c));
    net.wire.cut_both(a.plug, c.plug, true);
    a_to_c.is_told_once();
    // For a while, in which gossip could have taken one of them for down.
    a_to_b.is_told_nothing(Duration::from_secs(8));
    b_to_c.is_told_nothing(Duration::from_millis(100));
    assert_eq!(b.downs(), 0);
    let unconnected = block_on(a.node.unconnected());
    assert_eq!(unconnected.len(), 1, "a knows of c: {unconnected:?}");
    assert_eq!(unconnected[0].name.as_str(), "c");
    net.wire.cut_both(a.plug, c.plug, false);
    until("it heals", || a.is_connected(&c) && c.is_connected(&a));
    [a, b, c].iter().for_each(Host::stop);
}

#[test]
fn with_loss_and_delay_everything_arrives_in_order_and_nobody_is_taken_for_lost() {
    const COUNT: u64 = 1500;
    let net = Net::new();
    let [a, b] = net.hosts(["a", "b"]);
    net.wire.disturb(50, Duration::from_millis(100));
    let (to, mut mailbox) = b.open();
    let mut streams = [Stream::new(&a, to.id()), Stream::new(&a, to.id())];
    for number in 0..COUNT {
        // Long ones of the one stream are between the short ones of the other.
        streams[0].send(0);
        streams[1].send(if number % 100 == 0 { 200_000 } else { 10 });
    }
    let mut last = [0, 0];
    for _ in 0..2 * COUNT {
        let received = block_on(or(mailbox.receive(Wanted::Any), async {
            async_io::Timer::after(LIMIT).await;
            panic!("it takes too long")
        }));
        let (from, number) = number_of(&received);
        let of = streams
            .iter()
            .position(|it| it.sender.id().to_bits() == from);
        let of = of.unwrap();
        assert_eq!(number, last[of] + 1, "in order, and nothing twice or lost");
        last[of] = number;
    }
    // As long as it takes to suspect somebody.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!((a.downs(), b.downs()), (0, 0));
    [a, b].iter().for_each(Host::stop);
}

#[test]
fn a_killed_node_is_told_once_and_is_back_at_once_at_the_same_address() {
    let net = Net::new();
    let a = net.start("a", &[]);
    let plug = net.wire.plug();
    let mut child = net.start_child("child", plug, &a);
    let mut related = Related::new(&a, child.process.expect(&child.said));
    std::thread::sleep(Duration::from_millis(200));
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    let again = net.start_child("child", plug, &a);
    related.is_told_once();
    until("it is back", || a.node.nodes().len() == 1);
    let mut related = Related::new(&a, again.process.expect(&again.said));
    related.is_told_nothing(Duration::from_millis(500));
    assert_eq!(a.downs(), 1);
    a.stop();
}

#[test]
fn a_name_is_taken_while_its_node_lives_and_moves_when_that_is_killed() {
    let net = Net::new();
    let a = net.start("a", &[]);
    let mut child = net.start_child("child", net.wire.plug(), &a);
    child.process.expect(&child.said);
    let other = net.start_child("child", net.wire.plug(), &a);
    let taken = Refusal::NameTaken.to_string();
    assert!(other.said.contains(&taken), "{}", other.said);
    child.child.kill().unwrap();
    child.child.wait().unwrap();
    // Elsewhere, at once: the one of before does not answer any more.
    let elsewhere = net.start_child("child", net.wire.plug(), &a);
    elsewhere.process.expect(&elsewhere.said);
    until("it is there", || a.node.nodes().len() == 1);
    a.stop();
}

#[test]
fn a_node_that_was_stopped_for_20_seconds_comes_back_with_its_processes() {
    let net = Net::new();
    let a = net.start("a", &[]);
    let child = net.start_child("child", net.wire.plug(), &a);
    let process = child.process.expect(&child.said);
    let mut related = Related::new(&a, process);
    std::thread::sleep(Duration::from_millis(200));
    child.signal("STOP");
    related.is_told_once();
    std::thread::sleep(Duration::from_secs(20));
    child.signal("CONT");
    until("it is back", || a.node.nodes().len() == 1);
    // The same process: it is the same start of the node.
    let mut related = Related::new(&a, process);
    related.is_told_nothing(Duration::from_secs(1));
    a.stop();
}

#[test]
fn five_nodes_are_started_again_one_by_one_under_load() {
    let net = Net::new();
    let hosts: [Host; 5] = net.hosts(["a", "b", "c", "d", "e"]);
    let mut hosts: Vec<Host> = hosts.into();
    for host in &hosts {
        let process = idle(host);
        host.join("all", process);
        let name = host.node.info().name.to_string();
        block_on(host.node.register_global(&name, process)).unwrap();
    }
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    // A receiver on each node, that looks at the order of each stream.
    let receiver = |host: &Host| {
        let (wrong, received) = (wrong.clone(), received.clone());
        let receiver = host
            .environment
            .spawn(trapping(), move |mut own| async move {
                let mut last = std::collections::HashMap::new();
                loop {
                    let message = own.mailbox.receive(Wanted::Any).await;
                    let (from, number) = number_of(&message);
                    let before = last.insert(from, number).unwrap_or(0);
                    // What was sent over a session that has ended is missing.
                    if number <= before {
                        wrong.lock().unwrap().push((from, before, number));
                    }
                    received.fetch_add(1, Ordering::Relaxed);
                }
            });
        receiver.unwrap().id()
    };
    let load = |host: &Host, to: Vec<Pid>| {
        let mut streams: Vec<Stream> = to.into_iter().map(|to| Stream::new(host, to)).collect();
        let is_over = is_over.clone();
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                streams.iter_mut().for_each(|stream| stream.send(50));
                std::thread::sleep(Duration::from_millis(2));
            }
        })
    };
    let receivers: Vec<Pid> = hosts.iter().map(receiver).collect();
    let mut threads: Vec<_> = hosts
        .iter()
        .map(|host| load(host, receivers.clone()))
        .collect();
    for index in 0..hosts.len() {
        let (name, plug) = (hosts[index].node.info().name.to_string(), hosts[index].plug);
        hosts[index].stop();
        let seeds: Vec<&Host> = hosts
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, host)| host)
            .collect();
        let again = net.start_at(&name, plug, &seeds);
        let process = idle(&again);
        again.join("all", process);
        until("it is back", || again.node.nodes().len() == 4);
        block_on(again.node.register_global(&name, process)).unwrap();
        let to = hosts
            .iter()
            .map(|host| receiver(if host.plug == plug { &again } else { host }));
        threads.push(load(&again, to.collect()));
        hosts[index] = again;
    }
    until("all are equal", || {
        let names = ["a", "b", "c", "d", "e"];
        hosts.iter().all(|host| {
            host.node.nodes().len() == 4
                && host.groups().len() == 5
                && host.groups() == hosts[0].groups()
                && names
                    .iter()
                    .all(|name| host.node.find_global(name).is_some())
        })
    });
    is_over.store(true, Ordering::Relaxed);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(*wrong.lock().unwrap(), []);
    assert!(received.load(Ordering::Relaxed) > 1000);
    hosts.iter().for_each(Host::stop);
}
