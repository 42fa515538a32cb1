//! Tests of what a node keeps for another that does not keep to the protocol.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::atomic::{AtomicU64, Ordering};

use futures_lite::future::{block_on, pending};
use lunatic_process::{
    Effect, Environment, EnvironmentConfig, ExitReason, Process, Signal, SpawnOptions,
};

use super::*;
use crate::attached::Attached;
use crate::frame::{CONTROL, MAX_RESOURCES, PIECE_BYTES};
use crate::global::{Claim, Stamp};
use crate::groups::{CHANGES_IN_A_FRAME, GroupFrame};
use crate::local::{Answer, NotDelivered};

const OWN: NodeId = NodeId::from_bits(1);
const OTHER: NodeId = NodeId::from_bits(2);
const CONNECTION: Connection = Connection(7);

fn info(id: NodeId, name: &str) -> NodeInfo {
    NodeInfo {
        id,
        name: name.parse().unwrap(),
        address: ([127, 0, 0, 1], 1).into(),
        generation: 1,
        tags: BTreeMap::new(),
    }
}

/// A node that has a session with another, to which nothing is sent.
fn with_session(now: Instant) -> Cluster {
    let sessions = Arc::new(Sessions::new(OWN, || ()));
    let local = Arc::new(Attached::default());
    let mut cluster = Cluster::new(info(OWN, "own"), local, sessions, 1, now);
    let other = info(OTHER, "other");
    cluster.connected(CONNECTION, other.name.clone(), None, now);
    cluster.begin_session(CONNECTION, other, true, now);
    cluster
}

/// The processes of an environment.
struct Local(Environment);

impl LocalNode for Local {
    fn deliver(&self, _: crate::Incoming<'_>) -> Result<(), NotDelivered> {
        Ok(())
    }

    fn signal(&self, _: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        crate::signal(&self.0, to, signal)
    }

    fn request(&self, _: Pid, _: &[u8], _: Answer) {}

    fn group_changed(&self, _: GroupChange) {}

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, _: &str, _: Pid, _: Pid) {}

    fn node_event(&self, _: NodeEvent) {}
}

/// Has a process here and the other node do something about a link at the same time, again and
/// again, each time with another process there. Afterwards, both tables have to know the same of it.
///
/// - `before`: what is done first.
/// - `here`: what the process does.
/// - `there`: what is told of the other process.
fn at_the_same_time(
    before: impl Fn(&Process, Pid),
    here: impl Fn(&Process, Pid) + Sync,
    there: impl Fn(Pid, Pid) -> Frame<'static>,
) {
    const ROUNDS: u64 = 4000;
    let now = Instant::now();
    let sessions = Arc::new(Sessions::new(OWN, || ()));
    let config = EnvironmentConfig {
        node: OWN,
        peers: sessions.clone(),
        ..EnvironmentConfig::default()
    };
    let environment = Environment::with_config(1, lunatic_testkit::scheduler(), config);
    let local = Arc::new(Local(environment.clone()));
    let mut cluster = Cluster::new(info(OWN, "own"), local, sessions.clone(), 1, now);
    let other = info(OTHER, "other");
    cluster.connected(CONNECTION, other.name.clone(), None, now);
    cluster.begin_session(CONNECTION, other, true, now);
    let session = sessions.get(OTHER.number()).unwrap();
    let options = SpawnOptions::default();
    let process = environment.spawn(options, |_| async { pending().await });
    let process = process.unwrap();
    let id = process.id();
    let peer = |round| Pid::new(OTHER.number(), round).unwrap();
    let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut linked = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                while begun.load(Ordering::Acquire) < round {
                    std::thread::yield_now();
                }
                here(&process, peer(round));
                done.store(round, Ordering::Release);
            }
        });
        for round in 1..=ROUNDS {
            let peer = peer(round);
            before(&process, peer);
            let mut unit = Vec::new();
            there(peer, id).append_to(&mut unit);
            begun.store(round, Ordering::Release);
            // Now a little earlier, now a little later.
            (0..round % 64).for_each(|_| std::hint::spin_loop());
            let lane = crate::frame::lane_of(peer, id);
            cluster.unit(CONNECTION, lane, &unit, now);
            while done.load(Ordering::Acquire) < round {
                std::thread::yield_now();
            }
            let is_known = session.with_relations(|known| known.is_linked(id, peer));
            if Some(process.is_linked(peer)) != is_known {
                // Let the other thread end.
                begun.store(ROUNDS, Ordering::Release);
                panic!("in round {round} the session knows {is_known:?} of the link");
            }
            linked += usize::from(is_known == Some(true));
            process.unlink(peer);
            for lane in 0..crate::LANES {
                while session.take(lane).is_some() {}
            }
        }
    });
    assert!(linked > 0, "the process never won");
    process.kill();
    block_on(process.wait());
}

#[test]
fn a_link_that_meets_the_unlink_of_the_other_end_is_whole_or_gone() {
    at_the_same_time(
        |process, peer| process.link(peer, None),
        |process, peer| process.link(peer, None),
        |from, to| Frame::Unlink { from, to, id: 1 },
    );
}

#[test]
fn an_unlink_that_meets_the_link_of_the_other_end_leaves_nothing_or_all() {
    let (tag, back) = (None, None);
    at_the_same_time(
        |_, _| (),
        |process, peer| process.unlink(peer),
        |from, to| Frame::Link {
            from,
            to,
            tag,
            back,
        },
    );
}

/// Has the other node write the same frames until its session ends, and returns how much has
/// waited for it at most.
fn until_it_ends(lane: u8, frame: impl Fn(u64) -> Frame<'static>) -> usize {
    let now = Instant::now();
    let mut cluster = with_session(now);
    let session = cluster.sessions.get(OTHER.number()).unwrap();
    let mut most = 0;
    let mut number = 0;
    while session.is_open() {
        let mut unit = Vec::new();
        while unit.len() < 64 << 10 {
            number += 1;
            frame(number).append_to(&mut unit);
        }
        cluster.unit(CONNECTION, lane, &unit, now);
        most = most.max(session.queued_bytes());
        assert!(most < 128 << 20, "it keeps ever more");
        cluster.tick(now);
    }
    let closed = Action::Close(CONNECTION, close_code::PROTOCOL, "answers are not read");
    assert!(cluster.take_actions().contains(&closed));
    most
}

#[test]
fn a_node_that_dials_and_says_nothing_has_only_so_many_connections() {
    let now = Instant::now();
    let mut cluster = with_session(now);
    let silent: NodeName = "silent".parse().unwrap();
    for number in 100..200 {
        cluster.connected(Connection(number), silent.clone(), None, now);
    }
    let kept: Vec<_> = cluster.connections.keys().map(|kept| kept.0).collect();
    assert_eq!(kept, [CONNECTION.0, 196, 197, 198, 199]);
    let closed = cluster.take_actions();
    let is_closed = |number| {
        let close = Action::Close(Connection(number), close_code::PROTOCOL, "no session");
        closed.contains(&close)
    };
    assert!((100..196).all(is_closed) && !(196..200).any(is_closed));
}

#[test]
fn names_are_not_claimed_while_much_waits_for_a_node() {
    let now = Instant::now();
    let mut cluster = with_session(now);
    let session = cluster.sessions.get(OTHER.number()).unwrap();
    while session.queued_control_bytes() <= CONTROL_HIGH_WATER {
        session.control(&Frame::Revocations(&[0; 1 << 16]));
    }
    let queued = session.queued_bytes();
    let process = |counter| Pid::new(OWN.number(), counter).unwrap();
    let (sender, decisions) = async_channel::unbounded();
    for counter in 0..1000 {
        let sender = sender.clone();
        let decide = move |decision: Result<(), crate::NameTaken>| {
            sender.try_send((counter, decision)).unwrap();
        };
        let name = format!("{counter:01000}");
        cluster.register_global(name, process(counter), Box::new(decide));
    }
    // Who has ended meanwhile wants it no more.
    cluster.unregister_global(&format!("{:01000}", 7), process(7));
    let by = process(7);
    assert_eq!(
        decisions.try_recv().unwrap(),
        (7, Err(crate::NameTaken { by }))
    );
    cluster.tick(now);
    assert_eq!(session.queued_bytes(), queued);
    while session.take(CONTROL).is_some() {}
    cluster.tick(now);
    let claimed = session.queued_bytes();
    assert!((999_000..1_200_000).contains(&claimed), "{claimed}");
    assert!(decisions.is_empty());
}

/// How many memberships of other nodes there are.
#[derive(Default)]
struct Members(AtomicU64);

impl LocalNode for Members {
    fn deliver(&self, _: crate::Incoming<'_>) -> Result<(), NotDelivered> {
        Ok(())
    }

    fn signal(&self, _: Pid, _: Pid, _: Signal) -> Result<Effect, ExitReason> {
        Err(ExitReason::NoProcess)
    }

    fn request(&self, _: Pid, _: &[u8], _: Answer) {}

    fn group_changed(&self, change: GroupChange) {
        match change.joined {
            true => self.0.fetch_add(1, Ordering::Relaxed),
            false => self.0.fetch_sub(1, Ordering::Relaxed),
        };
    }

    fn global_name_changed(&self, _: &str, _: Option<Pid>) {}

    fn global_name_lost(&self, _: &str, _: Pid, _: Pid) {}

    fn node_event(&self, _: NodeEvent) {}
}

#[test]
fn the_many_memberships_of_a_lost_node_are_forgotten_in_parts_and_before_it_is_back() {
    const ALL: u64 = 40_000;
    let now = Instant::now();
    let members = Arc::new(Members::default());
    let sessions = Arc::new(Sessions::new(OWN, || ()));
    let mut cluster = Cluster::new(info(OWN, "own"), members.clone(), sessions, 1, now);
    let other = info(OTHER, "other");
    let begin = |cluster: &mut Cluster, connection| {
        cluster.connected(connection, other.name.clone(), None, now);
        cluster.begin_session(connection, other.clone(), true, now);
        for counter in 1..=ALL {
            let change = GroupChange {
                scope: "shop".into(),
                group: "workers".into(),
                process: Pid::new(OTHER.number(), counter).unwrap(),
                joined: true,
            };
            let frame = Frame::Groups(GroupFrame(vec![change]));
            cluster.unit(connection, CONTROL, &frame.to_bytes(), now);
        }
    };
    let count = || members.0.load(Ordering::Relaxed);
    let is_due = |cluster: &Cluster| cluster.deadline().is_some_and(|at| at <= now);
    begin(&mut cluster, CONNECTION);
    assert_eq!(count(), ALL);
    cluster.closed(CONNECTION, false, now);
    let mut before = count();
    assert!(before < ALL && before > ALL / 2, "{before}");
    for _ in 0..3 {
        assert!(is_due(&cluster), "there is more to be done");
        cluster.tick(now);
        assert!((before - 10_000..before).contains(&count()));
        before = count();
    }
    begin(&mut cluster, Connection(8));
    assert_eq!(count(), ALL);
    cluster.closed(Connection(8), false, now);
    while is_due(&cluster) {
        cluster.tick(now);
    }
    assert_eq!(count(), 0);
}

#[test]
fn a_node_that_does_not_answer_a_claim_loses_its_session_and_the_name_is_given() {
    let begun = Instant::now();
    let mut cluster = with_session(begun);
    let process = Pid::new(OWN.number(), 1).unwrap();
    let (sender, decisions) = async_channel::unbounded();
    let decide = move |decision| sender.try_send(decision).unwrap();
    cluster.register_global("name".into(), process, Box::new(decide));
    let session = cluster.sessions.get(OTHER.number()).unwrap();
    let mut now = begun;
    while session.is_open() {
        now += Duration::from_secs(1);
        assert!(
            now < begun + Duration::from_secs(20),
            "it is awaited for ever"
        );
        assert!(decisions.is_empty());
        cluster.tick(now);
    }
    assert!(now >= begun + crate::global::ANSWER_LIMIT);
    assert_eq!(decisions.try_recv(), Ok(Ok(())));
    let reason = "claims are not answered";
    let closed = Action::Close(CONNECTION, close_code::TIMED_OUT, reason);
    assert!(cluster.take_actions().contains(&closed));
}

#[test]
fn groups_and_names_do_not_wait_for_what_processes_send() {
    let now = Instant::now();
    let mut cluster = with_session(now);
    let session = cluster.sessions.get(OTHER.number()).unwrap();
    let process = |node: NodeId, counter| Pid::new(node.number(), counter).unwrap();
    let mut message = lunatic_mailbox::DataMessage::new(None, vec![0; 40 << 20]);
    let (from, to) = (process(OWN, 1), process(OTHER, 1));
    session.send(None, from, to, &mut message).unwrap();
    while session.take(CONTROL).is_some() {}
    cluster.register_global("name".into(), from, Box::new(|_| ()));
    let change = GroupChange {
        scope: "shop".into(),
        group: "workers".into(),
        process: from,
        joined: true,
    };
    cluster.group_changed(change.clone());
    let mut told = Vec::new();
    while let Some(unit) = session.take(CONTROL) {
        let mut rest = &unit.to_vec()[..];
        while !rest.is_empty() {
            let (frame, behind) = postcard::take_from_bytes::<Frame<'_>>(rest).unwrap();
            told.push(match frame {
                Frame::Global(GlobalFrame::Claim(claim)) => claim.name,
                Frame::Groups(frame) if frame.0 == [change.clone()] => "change".into(),
                other => panic!("{other:?}"),
            });
            rest = behind;
        }
    }
    assert_eq!(told, ["name", "change"]);
}

#[test]
fn the_session_with_a_node_that_asks_and_does_not_read_ends() {
    let process = |node: NodeId| Pid::new(node.number(), 3).unwrap();
    let (from, to) = (process(OTHER), process(OWN));
    let unlink = |id| Frame::Unlink { from, to, id };
    assert!(until_it_ends(1, unlink) > 16 << 20);
    let monitor = |_| Frame::Signal {
        from,
        to,
        signal: lunatic_process::Signal::Monitor { watcher: from },
    };
    assert!(until_it_ends(1, monitor) > 8 << 20);
    let request = |id| Frame::Request {
        id,
        from,
        request: &[],
    };
    assert!(until_it_ends(1, request) > 8 << 20);
    let claim = |clock| {
        Frame::Global(GlobalFrame::Claim(Claim {
            name: "n".repeat(1000),
            process: from,
            stamp: Stamp { clock, node: OTHER },
        }))
    };
    assert!(until_it_ends(0, claim) > 32 << 20);
    assert!(until_it_ends(0, |number| Frame::Ping(number as u32)) > 2 << 20);
}

/// Has the other node write one frame, in pieces if it is long, and returns whether the session
/// goes on.
fn is_accepted(lane: u8, frame: &Frame<'_>) -> bool {
    let now = Instant::now();
    let mut cluster = with_session(now);
    let session = cluster.sessions.get(OTHER.number()).unwrap();
    let whole = frame.to_bytes();
    for bytes in whole.chunks(PIECE_BYTES) {
        let piece = Frame::Piece {
            transfer: 1,
            length: whole.len() as u32,
            bytes,
        };
        cluster.unit(CONNECTION, lane, &piece.to_bytes(), now);
    }
    session.is_open()
}

#[test]
fn lists_that_no_node_writes_are_not_read() {
    let process = |node: NodeId| Pid::new(node.number(), 3).unwrap();
    let message = |count| Frame::Message {
        from: process(OTHER),
        to: process(OWN),
        tag: None,
        bytes: &[],
        resources: vec![None; count],
    };
    assert!(is_accepted(1, &message(MAX_RESOURCES)));
    assert!(!is_accepted(1, &message(MAX_RESOURCES + 1)));
    let change = GroupChange {
        scope: String::new(),
        group: String::new(),
        process: process(OTHER),
        joined: true,
    };
    let groups = |count| Frame::Groups(GroupFrame(vec![change.clone(); count]));
    assert!(is_accepted(0, &groups(CHANGES_IN_A_FRAME)));
    assert!(!is_accepted(0, &groups(CHANGES_IN_A_FRAME + 1)));
}

#[test]
fn who_writes_in_the_name_of_another_loses_its_session() {
    let process = |node: NodeId| Pid::new(node.number(), 3).unwrap();
    let (own, other) = (process(OWN), process(OTHER));
    let third = process(NodeId::from_bits(3));
    let message = |from, to| Frame::Message {
        from,
        to,
        tag: None,
        bytes: &[],
        resources: Vec::new(),
    };
    assert!(is_accepted(1, &message(other, own)));
    assert!(!is_accepted(1, &message(third, own)));
    assert!(!is_accepted(1, &message(own, own)));
    // What is for a third is not passed on.
    assert!(!is_accepted(1, &message(other, third)));
    let second = Pid::new(OTHER.number(), 4).unwrap();
    let exit = |named| Frame::Signal {
        from: other,
        to: own,
        signal: Signal::Exit {
            from: named,
            tag: None,
            reason: ExitReason::Shutdown,
        },
    };
    assert!(is_accepted(1, &exit(other)));
    assert!(!is_accepted(1, &exit(second)));
    assert!(!is_accepted(1, &exit(third)));
    // A signal that processes have for themselves alone.
    let traps = Frame::Signal {
        from: other,
        to: own,
        signal: Signal::TrapExits,
    };
    assert!(!is_accepted(1, &traps));
    // What is between processes is not about nodes, and the other way round.
    assert!(!is_accepted(0, &message(other, own)));
    assert!(!is_accepted(1, &Frame::Ping(1)));
}
