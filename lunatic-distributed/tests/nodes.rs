//! Nodes with sockets, in one program.
#![cfg(feature = "transport")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_lite::future::{block_on, or, poll_once, zip};
use lunatic_distributed::{
    Answer, Expelled, GroupChange, Incoming, LANES, LocalNode, Node, NodeConfig, NodeError,
    NodeEvent, NotDelivered, Refusal, RegisterError,
};
use lunatic_mailbox::{DataMessage, Mailbox, Message, Pid, Tag, Wanted};
use lunatic_process::{
    Effect, Environment, EnvironmentConfig, ExitReason, LinkNotice, Process, Signal, SpawnOptions,
};
use lunatic_quic::{Endpoint, EndpointConfig, Event, Tls};
use lunatic_trust::{Authority, Credentials, TokenJoin};
use tempfile::TempDir;

/// What a test waits for at most.
const LIMIT: Duration = Duration::from_secs(30);

/// A cluster's directory.
struct Cluster {
    _directory: TempDir,
    authority: Authority,
}

/// A node and its processes.
struct Member {
    node: Node,
    environment: Environment,
    events: async_channel::Receiver<NodeEvent>,
    lost: async_channel::Receiver<(String, Pid)>,
}

struct Local {
    environment: Environment,
    events: async_channel::Sender<NodeEvent>,
    lost: async_channel::Sender<(String, Pid)>,
}

impl LocalNode for Local {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        lunatic_distributed::deliver(&self.environment, None, message, |_| Err("no resources"))
    }

    fn signal(&self, _: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        lunatic_distributed::signal(&self.environment, to, signal)
    }

    fn request(&self, _: Pid, request: &[u8], answer: Answer) {
        let mut reversed = request.to_vec();
        reversed.reverse();
        answer.send(None, &reversed);
    }

    fn group_changed(&self, _: GroupChange) {}

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, name: &str, process: Pid, _: Pid) {
        self.lost.try_send((name.into(), process)).unwrap();
    }

    fn node_event(&self, event: NodeEvent) {
        self.events.try_send(event).unwrap();
    }
}

impl Cluster {
    fn new() -> Cluster {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("cluster");
        let authority = Authority::init(&path, &"test".parse().unwrap(), SystemTime::now());
        Cluster {
            _directory: directory,
            authority: authority.unwrap(),
        }
    }

    fn config(&self, name: &str, seeds: &[&Member]) -> NodeConfig {
        let name = name.parse().unwrap();
        let now = SystemTime::now();
        let credentials = Credentials::from_authority(&self.authority, &name, None, now).unwrap();
        let mut config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
        let address = |member: &&Member| member.node.info().address.to_string();
        config.seeds = seeds.iter().map(address).collect();
        config
    }

    fn start(&self, name: &str, seeds: &[&Member]) -> Member {
        Member::start(self.config(name, seeds)).unwrap()
    }
}

impl Member {
    fn start(config: NodeConfig) -> Result<Member, NodeError> {
        let node = block_on(Node::start(config))?;
        let config = EnvironmentConfig {
            node: node.info().id,
            peers: node.sessions().clone(),
            ..EnvironmentConfig::default()
        };
        let environment = Environment::with_config(1, lunatic_testkit::scheduler(), config);
        let (events, received) = async_channel::unbounded();
        let (lost, losses) = async_channel::unbounded();
        node.attach(Arc::new(Local {
            environment: environment.clone(),
            events,
            lost,
        }));
        let (sessions, watched) = (node.sessions().clone(), environment.clone());
        node.sessions().on_monitor(move |watcher| {
            let sessions = sessions.clone();
            if let Some(process) = watched.process(watcher) {
                process.at_exit(move |_| sessions.watcher_ended(watcher));
            }
        });
        Ok(Member {
            node,
            environment,
            events: received,
            lost: losses,
        })
    }

    /// A process whose mailbox the test reads.
    fn open(&self) -> (Process, Mailbox) {
        let (sender, receiver) = async_channel::bounded(1);
        let options = SpawnOptions {
            trap_exits: true,
            ..SpawnOptions::default()
        };
        let process = self.environment.spawn(options, |own| async move {
            sender.send(own.mailbox).await.ok();
            std::future::pending().await
        });
        (process.unwrap(), block_on(receiver.recv()).unwrap())
    }

    fn stop(&self) {
        block_on(self.node.stop());
        block_on(self.environment.shut_down());
    }
}

/// The next message, or a panic after the limit.
fn next(mailbox: &mut Mailbox) -> Message {
    within(mailbox.receive(Wanted::Any))
}

fn within<T>(future: impl Future<Output = T>) -> T {
    block_on(or(async { Some(future.await) }, async {
        async_io::Timer::after(LIMIT).await;
        None
    }))
    .expect("it takes too long")
}

/// Waits until something holds.
fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(message: Message) -> Vec<u8> {
    match message {
        Message::Data(data) => data.bytes().to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_of_a_pair_arrive_in_order_short_and_long() {
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    let (sender, _) = one.open();
    let (receiver, mut mailbox) = two.open();
    until(|| one.node.nodes().len() == 1);
    let lengths = [1, 100_000, 3, 70_000, 5_000_000, 0, 17, 1_000_000];
    for (number, length) in lengths.into_iter().cycle().take(40).enumerate() {
        let mut bytes = vec![number as u8; length + 1];
        bytes[0] = number as u8;
        let message = DataMessage::new(Tag::new(7), bytes);
        let sent = one
            .environment
            .send(Some(&sender), receiver.id(), message.into());
        sent.unwrap();
    }
    for (number, length) in lengths.into_iter().cycle().take(40).enumerate() {
        let bytes = text(next(&mut mailbox));
        assert_eq!((bytes.len(), bytes[0]), (length + 1, number as u8));
    }
    one.stop();
    two.stop();
}

#[test]
fn links_and_monitors_tell_of_deaths_on_other_nodes() {
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    until(|| one.node.nodes().len() == 1);
    let (here, mut mailbox) = one.open();
    let (there, _kept) = two.open();
    here.link(there.id(), Tag::new(3));
    here.monitor(there.id());
    until(|| there.is_linked(here.id()) && there.watchers().len() == 1);
    two.environment.process(there.id()).unwrap().kill();
    let mut first = next(&mut mailbox);
    assert_eq!(
        LinkNotice::take(&mut first),
        Some(LinkNotice::Exit {
            from: there.id(),
            reason: ExitReason::Killed
        })
    );
    assert!(
        matches!(next(&mut mailbox), Message::ProcessDied { process } if process == there.id())
    );
    // There is no such process any more.
    here.link(there.id(), None);
    let mut third = next(&mut mailbox);
    assert_eq!(
        LinkNotice::take(&mut third),
        Some(LinkNotice::Exit {
            from: there.id(),
            reason: ExitReason::NoProcess
        })
    );
    one.stop();
    two.stop();
}

#[test]
fn the_end_of_a_node_is_told_to_links_and_monitors_as_no_connection() {
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    until(|| one.node.nodes().len() == 1);
    let (here, mut mailbox) = one.open();
    let (there, _kept) = two.open();
    here.link(there.id(), None);
    here.monitor(there.id());
    until(|| there.is_linked(here.id()) && there.watchers().len() == 1);
    block_on(two.node.stop());
    let mut first = next(&mut mailbox);
    let expected = LinkNotice::Exit {
        from: there.id(),
        reason: ExitReason::NoConnection,
    };
    assert_eq!(LinkNotice::take(&mut first), Some(expected));
    assert!(
        matches!(next(&mut mailbox), Message::ProcessDied { process } if process == there.id())
    );
    assert!(!there.is_linked(here.id()), "the other side was told too");
    let left = std::iter::from_fn(|| one.events.try_recv().ok());
    let left = left.filter(|event| matches!(event, NodeEvent::Down { left: true, .. }));
    assert_eq!(left.count(), 1);
    one.stop();
    two.stop();
}

#[test]
fn nodes_find_each_other_by_one_seed() {
    let cluster = Cluster::new();
    let first = cluster.start("first", &[]);
    let others: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| cluster.start(name, &[&first]))
        .into();
    let all: Vec<_> = std::iter::once(&first).chain(&others).collect();
    until(|| all.iter().all(|member| member.node.nodes().len() == 4));
    for member in all {
        member.stop();
    }
}

#[test]
fn a_node_whose_only_seed_is_itself_does_not_wait_for_others() {
    let cluster = Cluster::new();
    // A port that is free.
    let first = cluster.start("a", &[]);
    let listen = first.node.info().address;
    first.stop();
    let mut config = cluster.config("a", &[]);
    config.listen = listen;
    config.seeds = vec![listen.to_string()];
    let begun = Instant::now();
    let alone = Member::start(config).unwrap();
    // It would have waited for five seconds.
    assert!(begun.elapsed() < Duration::from_secs(5));
    let other = cluster.start("b", &[&alone]);
    until(|| alone.node.nodes().len() == 1);
    alone.stop();
    other.stop();
}

#[test]
fn a_name_is_refused_while_its_holder_lives_and_free_when_it_has_left() {
    let cluster = Cluster::new();
    let first = cluster.start("first", &[]);
    let second = cluster.start("second", &[&first]);
    let taken = Member::start(cluster.config("second", &[&first]));
    assert!(matches!(
        taken.map(|_| ()),
        Err(NodeError::Refused {
            refusal: Refusal::NameTaken { .. },
            ..
        })
    ));
    second.stop();
    let again = cluster.start("second", &[&first]);
    until(|| first.node.nodes().len() == 1);
    again.stop();
    first.stop();
}

#[test]
fn of_nodes_of_one_name_that_start_at_once_exactly_one_lives_on() {
    let cluster = Cluster::new();
    let seeds = [cluster.start("one", &[]), cluster.start("two", &[])];
    // The two meet while the others start, or know each other already.
    let [one, two] = &seeds;
    let third = cluster.start("three", &[one, two]);
    for round in 0..8_u64 {
        let rivals = 2 + round as usize % 2;
        let results: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..rivals)
                .map(|rival| {
                    let config = cluster.config("rival", &[&seeds[rival % 2]]);
                    let pause = Duration::from_millis(round * 7 * rival as u64);
                    scope.spawn(move || {
                        std::thread::sleep(pause);
                        Member::start(config)
                    })
                })
                .collect();
            starting
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        let mut living: Vec<Member> = Vec::new();
        for result in results {
            match result {
                Ok(member) => living.push(member),
                Err(NodeError::Refused {
                    refusal: Refusal::NameTaken { .. },
                    ..
                }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let is_expelled = |member: &Member| {
            block_on(poll_once(member.node.expelled())) == Some(Expelled::NameTaken)
        };
        let is_with_all = |member: &Member| {
            let id = member.node.info().id;
            let knows = |other: &Member| other.node.nodes().iter().any(|node| node.id == id);
            seeds.iter().chain([&third]).all(knows)
        };
        until(|| {
            let ended = living.iter().position(is_expelled);
            if let Some(ended) = ended {
                living.remove(ended).stop();
            }
            living.len() <= 1 && living.iter().all(is_with_all)
        });
        let last = living.pop();
        let last = last.unwrap_or_else(|| panic!("all have ended in round {round}"));
        assert!(!is_expelled(&last));
        let id = last.node.info().id;
        last.stop();
        until(|| {
            let members = seeds.iter().chain([&third]);
            let mut others = members.flat_map(|member| member.node.nodes());
            others.all(|node| node.id != id)
        });
    }
    third.stop();
    for seed in seeds {
        seed.stop();
    }
}

#[test]
fn a_name_in_the_cluster_belongs_to_one_process() {
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    until(|| one.node.nodes().len() == 1 && two.node.nodes().len() == 1);
    let [(here, _a), (there, _b)] = [one.open(), two.open()];
    within(one.node.register_global("king", here.id())).unwrap();
    until(|| two.node.find_global("king") == Some(here.id()));
    let refused = within(two.node.register_global("king", there.id()));
    assert!(matches!(refused, Err(RegisterError::Taken(taken)) if taken.by == here.id()));
    one.node.unregister_global("king", here.id());
    until(|| two.node.find_global("king").is_none());
    within(two.node.register_global("king", there.id())).unwrap();
    until(|| one.node.find_global("king") == Some(there.id()));
    assert!(one.lost.is_empty() && two.lost.is_empty());
    two.stop();
    until(|| one.node.find_global("king").is_none());
    one.stop();
}

#[test]
fn a_request_is_answered_and_fails_without_a_connection() {
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    until(|| one.node.nodes().len() == 1);
    let (here, _kept) = one.open();
    let to = two.node.info().id;
    let long: Vec<u8> = (0..1_000_000_u32).map(|byte| byte as u8).collect();
    let answer = within(one.node.request(to, here.id(), None, &long)).unwrap();
    assert!(answer.iter().eq(long.iter().rev()));
    two.stop();
    assert!(within(one.node.request(to, here.id(), None, b"x")).is_err());
    one.stop();
}

#[test]
fn what_is_asked_of_a_node_that_stops_is_answered() {
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    let (process, _kept) = one.open();
    let unknown = two.node.info().id;
    // It is asked behind the command to stop, and before it has stopped.
    let asked = async {
        let registered = one.node.register_global("late", process.id()).await;
        let peers = one.node.peers().await;
        (registered, peers.len(), one.node.suspicions().await)
    };
    let (_, (registered, peers, suspicions)) = within(zip(one.node.stop(), asked));
    assert_eq!(registered, Err(RegisterError::Stopped));
    assert_eq!((peers, suspicions), (0, 0));
    assert!(!within(one.node.is_known(unknown)));
    one.stop();
    two.stop();
}

#[test]
fn who_wants_to_join_is_heard_once() {
    let cluster = Cluster::new();
    let seed = cluster.start("seed", &[]);
    let hour = Duration::from_secs(3600);
    let token = cluster.authority.token(None, hour, SystemTime::now());
    let join = TokenJoin::new(token.unwrap(), "worker".parse().unwrap(), None).unwrap();
    let tls = Tls {
        client: join.tls().unwrap(),
        server: seed_tls(&cluster),
    };
    let mut config = EndpointConfig::new(([127, 0, 0, 1], 0).into(), tls, [7; 32]);
    config.lanes = LANES;
    let mut endpoint = Endpoint::bind(config).unwrap();
    let id = endpoint.dial(seed.node.info().address, "lunatic").unwrap();
    let mut answers = 0;
    let end = Instant::now() + LIMIT;
    let reason = loop {
        assert!(Instant::now() < end, "it takes too long");
        endpoint.wait(Some(end)).unwrap();
        match endpoint.next_event() {
            Some(Event::Connected { .. }) => {
                endpoint.send(id, 0, b"no request".to_vec().into());
            }
            Some(Event::Frame { .. }) => {
                answers += 1;
                endpoint.send(id, 0, join.request().to_vec().into());
            }
            Some(Event::Closed { reason, .. }) => break reason,
            _ => {}
        }
    };
    assert_eq!(answers, 1);
    assert!(reason.to_string().contains("one request"), "{reason}");
    seed.stop();
}

/// For an endpoint that nobody dials.
fn seed_tls(cluster: &Cluster) -> Arc<rustls::ServerConfig> {
    cluster.config("nobody", &[]).credentials.tls().unwrap().0
}

#[test]
fn a_node_joins_with_a_token_once() {
    let cluster = Cluster::new();
    let seed = cluster.start("seed", &[]);
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    let line = cluster.authority.token(None, hour, now).unwrap().to_text();
    let seeds = [seed.node.info().address.to_string()];
    let join = |name: &str| {
        let token = line.parse().unwrap();
        let join = TokenJoin::new(token, name.parse().unwrap(), None).unwrap();
        lunatic_distributed::join(&join, &seeds)
    };
    let credentials = join("worker").unwrap();
    let used = join("other").unwrap_err();
    assert!(used.to_string().contains("refused"), "{used}");
    let mut config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
    config.seeds = seeds.to_vec();
    let worker = Member::start(config).unwrap();
    until(|| seed.node.nodes().len() == 1);
    worker.stop();
    seed.stop();
}

#[test]
fn a_certificate_is_renewed_by_a_node_with_the_directory_and_sessions_go_on() {
    let cluster = Cluster::new();
    let seed = cluster.start("seed", &[]);
    // It has no directory, and is asked too.
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let joined = |name: &str, at: SystemTime| {
        let token = cluster.authority.token(None, hour, at).unwrap();
        let join = TokenJoin::new(token, name.parse().unwrap(), None).unwrap();
        let answer = cluster.authority.answer(join.request(), None, at);
        join.finish(&answer.bytes, at).unwrap()
    };
    let start = |credentials: Credentials| {
        let mut config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
        config.seeds = vec![seed.node.info().address.to_string()];
        Member::start(config).unwrap()
    };
    let other = start(joined("other", now));
    // Most of the time of the certificate is over.
    let credentials = joined("worker", now - 25 * 24 * hour);
    assert!(credentials.needs_renewal(now));
    let worker = start(credentials.clone());
    until(|| worker.node.nodes().len() == 2);
    until(|| !credentials.needs_renewal(now));
    // A new session shows the new certificate.
    let later = cluster.start("later", &[&worker]);
    until(|| later.node.nodes().len() == 3);
    assert_eq!(worker.node.nodes().len(), 3);
    assert_eq!(worker.node.lost_sessions(), 0);
    for member in [&later, &worker, &other, &seed] {
        member.stop();
    }
}

#[test]
fn seeds_are_names_with_several_addresses() {
    let cluster = Cluster::new();
    let first = cluster.start("first", &[]);
    let port = first.node.info().address.port();
    let mut config = cluster.config("second", &[]);
    // By IPv6 nobody answers.
    config.seeds = vec![format!("localhost:{port}"), "nowhere.invalid:4369".into()];
    let second = Member::start(config).unwrap();
    until(|| first.node.nodes().len() == 1);
    second.stop();
    first.stop();
}

#[test]
fn a_node_of_another_cluster_is_not_let_in() {
    let (one, other) = (Cluster::new(), Cluster::new());
    let first = one.start("first", &[]);
    let stranger = other.start("stranger", &[&first]);
    assert!(first.node.nodes().is_empty());
    assert!(stranger.node.nodes().is_empty());
    stranger.stop();
    first.stop();
}

#[test]
fn a_node_whose_certificate_is_revoked_is_thrown_out() {
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    until(|| one.node.nodes().len() == 1);
    let name = "two".parse().unwrap();
    cluster.authority.revoke(&name, SystemTime::now()).unwrap();
    until(|| one.node.nodes().is_empty());
    std::thread::sleep(Duration::from_millis(500));
    assert!(one.node.nodes().is_empty(), "it does not come back");
    two.stop();
    one.stop();
}

#[test]
fn what_a_node_has_sent_before_it_leaves_arrives() {
    const MESSAGES: u8 = 80;
    let cluster = Cluster::new();
    let one = cluster.start("one", &[]);
    let two = cluster.start("two", &[&one]);
    until(|| one.node.nodes().len() == 1);
    let (receiver, mut mailbox) = one.open();
    let (sender, _) = two.open();
    for number in 0..MESSAGES {
        let message = DataMessage::new(None, vec![number; 64 << 10]);
        let sent = two
            .environment
            .send(Some(&sender), receiver.id(), message.into());
        sent.unwrap();
    }
    sender.exit(receiver.id(), ExitReason::Shutdown);
    two.stop();
    for number in 0..MESSAGES {
        assert_eq!(text(next(&mut mailbox)), vec![number; 64 << 10]);
    }
    let notice = LinkNotice::take(&mut next(&mut mailbox));
    let expected = LinkNotice::Exit {
        from: sender.id(),
        reason: ExitReason::Shutdown,
    };
    assert_eq!(notice, Some(expected));
    until(|| {
        let events = std::iter::from_fn(|| one.events.try_recv().ok());
        let mut events = events.collect::<Vec<_>>().into_iter();
        events.any(|event| matches!(event, NodeEvent::Down { left: true, .. }))
    });
    one.stop();
}

#[test]
fn a_node_learns_from_others_which_certificates_are_revoked() {
    let cluster = Cluster::new();
    let config = cluster.config("seed", &[]);
    let known = config.credentials.clone();
    let seed = Member::start(config).unwrap();
    let hour = Duration::from_secs(3600);
    let token = cluster
        .authority
        .token(None, hour, SystemTime::now())
        .unwrap();
    let seeds = [seed.node.info().address.to_string()];
    let join = TokenJoin::new(token, "worker".parse().unwrap(), None).unwrap();
    let credentials = lunatic_distributed::join(&join, &seeds).unwrap();
    let name = "other".parse().unwrap();
    cluster.authority.revoke(&name, SystemTime::now()).unwrap();
    let list = cluster.authority.revocations().unwrap();
    let knows = |credentials: &Credentials| {
        let lists = credentials.revocations();
        lists
            .iter()
            .any(|known| known.as_bytes() == list.as_bytes())
    };
    until(|| knows(&known));
    assert!(!knows(&credentials), "nobody has told it");
    let mut config = NodeConfig::new(credentials.clone(), ([127, 0, 0, 1], 0).into());
    config.seeds = seeds.to_vec();
    let worker = Member::start(config).unwrap();
    until(|| knows(&credentials));
    worker.stop();
    seed.stop();
}
