//! Tests of what a process that sends to another node is made to wait for, and pays.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future::{block_on, yield_now};
use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_mailbox::DataMessage;
use lunatic_process::{Environment, EnvironmentConfig, ExitReason, Failure, SpawnOptions};

use super::*;
use crate::frame::LANES;
use crate::outgoing::{HIGH_WATER, LOW_WATER};
use crate::session::RequestError;

const OWN: NodeId = NodeId::from_bits(1);
const OTHER: NodeId = NodeId::from_bits(2);

/// Of each message.
const BYTES: usize = 32 << 10;

struct Node {
    sessions: Arc<Sessions>,
    environment: Environment,
    session: Arc<Session>,
}

/// A node that has a session over which nothing is sent but by [`Node::send`].
fn node() -> Node {
    let sessions = Arc::new(Sessions::new(OWN, || {}));
    let config = EnvironmentConfig {
        node: OWN,
        peers: sessions.clone(),
        ..EnvironmentConfig::default()
    };
    let environment = Environment::with_config(1, lunatic_testkit::scheduler(), config);
    let other = NodeInfo {
        id: OTHER,
        name: "other".parse().unwrap(),
        address: ([127, 0, 0, 1], 1).into(),
        generation: 1,
        tags: Default::default(),
    };
    let session = sessions.begin(Connection(1), other, true);
    Node {
        sessions,
        environment,
        session,
    }
}

impl Node {
    /// Starts a process that sends as fast as it may, and returns how often it has.
    fn flood(&self, options: SpawnOptions) -> (Process, Arc<AtomicUsize>) {
        self.repeat(options, |own| {
            let message = DataMessage::new(None, vec![0; BYTES]);
            let sent = own.environment().send(Some(own), to(7), message.into());
            sent.map_err(|error| Failure::new(error.to_string()))
        })
    }

    /// Starts a process that sends signals with long texts as fast as it may.
    fn flood_with_signals(&self, options: SpawnOptions) -> (Process, Arc<AtomicUsize>) {
        self.repeat(options, |own| {
            let asked = own.try_exit(to(7), ExitReason::Failed(long_failure()));
            asked.map_err(|error| Failure::new(error.to_string()))
        })
    }

    /// Starts a process that does something again and again.
    fn repeat(
        &self,
        options: SpawnOptions,
        mut once: impl FnMut(&Process) -> Result<(), Failure> + Send + 'static,
    ) -> (Process, Arc<AtomicUsize>) {
        let done = Arc::new(AtomicUsize::new(0));
        let count = done.clone();
        let process = self.environment.spawn(options, move |own| async move {
            loop {
                once(&own.process)?;
                count.fetch_add(1, Ordering::SeqCst);
                yield_now().await;
            }
        });
        (process.unwrap(), done)
    }

    /// Lets leave what waits, but so many bytes.
    fn send(&self, rest: usize) {
        for lane in (0..LANES).cycle() {
            if self.session.queued_bytes() <= rest {
                return;
            }
            self.session.take(lane);
        }
    }
}

fn to(counter: u64) -> Pid {
    Pid::new(OTHER.number(), counter).unwrap()
}

fn long_failure() -> Failure {
    Failure::new("x".repeat(4000))
}

fn limited(node: &Node) -> (Account, SpawnOptions) {
    let limits = AccountLimits {
        memory: 1 << 20,
        ..AccountLimits::default()
    };
    let account = node.environment.account().branch(limits).unwrap();
    let options = SpawnOptions {
        account: Some(account.clone()),
        ..SpawnOptions::default()
    };
    (account, options)
}

fn until(mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "it takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn who_sends_to_a_node_that_does_not_read_is_held_until_half_has_left() {
    let node = node();
    let (sender, sent) = node.flood(SpawnOptions::default());
    until(|| node.session.queued_bytes() > HIGH_WATER);
    std::thread::sleep(Duration::from_millis(100));
    let before = sent.load(Ordering::SeqCst);
    assert!(node.session.queued_bytes() < HIGH_WATER + 4 * BYTES);
    assert!(sender.account().used(Kind::Memory) > HIGH_WATER as u64);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(sent.load(Ordering::SeqCst), before, "it is held");
    node.send(LOW_WATER + BYTES);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(sent.load(Ordering::SeqCst), before, "it is still held");
    node.send(LOW_WATER - BYTES);
    until(|| sent.load(Ordering::SeqCst) > before);
    until(|| node.session.queued_bytes() > HIGH_WATER);
    // A process that is held can be killed.
    sender.kill();
    block_on(sender.wait());
    node.send(0);
    assert_eq!(sender.account().used(Kind::Memory), 0);
}

#[test]
fn who_sends_little_beside_a_long_message_waits_only_until_that_little_has_left() {
    let node = node();
    let mut long = DataMessage::new(None, vec![0; 40 << 20]);
    let sender = Pid::new(OWN.number(), 3).unwrap();
    let held = node.session.send(None, sender, to(7), &mut long).unwrap();
    assert!(held.is_some(), "who sends so much is held");
    // In another lane, where it does not wait for the pieces of the long one.
    let lane_to = |from: Pid, counter| crate::frame::lane_of(from, to(counter));
    let of_long = lane_to(sender, 7);
    let receiver = move |from: Pid| (8..).find(|to| lane_to(from, *to) != of_long).unwrap();
    let (other, sent) = node.repeat(SpawnOptions::default(), move |own| {
        let message = DataMessage::new(None, vec![0; 8]);
        let to = to(receiver(own.id()));
        let sent = own.environment().send(Some(own), to, message.into());
        sent.map_err(|error| Failure::new(error.to_string()))
    });
    let lane = lane_to(other.id(), receiver(other.id()));
    until(|| sent.load(Ordering::SeqCst) == 1);
    for expected in 1..5 {
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(sent.load(Ordering::SeqCst), expected, "it is held");
        assert!(node.session.take(lane).is_some());
        until(|| sent.load(Ordering::SeqCst) > expected);
        assert!(node.session.queued_bytes() > HIGH_WATER);
    }
    other.kill();
    block_on(other.wait());
}

#[test]
fn a_short_message_leaves_though_eight_lanes_are_flooded() {
    /// So many units leave before anybody else is asked.
    const ROOM: usize = 4;
    let node = node();
    let pair_in = |lane: u8| {
        let pairs = (1..).map(|counter| (Pid::new(OWN.number(), counter).unwrap(), to(counter)));
        let mut in_lane = pairs.filter(|(from, to)| crate::frame::lane_of(*from, *to) == lane);
        in_lane.next().unwrap()
    };
    let send = |lane: u8, bytes: usize| {
        let (from, to) = pair_in(lane);
        let mut message = DataMessage::new(None, vec![0; bytes]);
        node.session.send(None, from, to, &mut message).unwrap();
    };
    for lane in 1..=8 {
        (0..40).for_each(|_| send(lane, BYTES));
    }
    let round = || {
        let mut room = ROOM;
        let mut lanes = Vec::new();
        let mut open = u64::MAX;
        while room > 0
            && let Some((lane, _)) = node.session.take_next(&mut open, |_| 1)
        {
            lanes.push(lane);
            room -= 1;
        }
        lanes
    };
    round();
    send(20, 8);
    let lanes: Vec<_> = (0..3).flat_map(|_| round()).collect();
    assert!(lanes.contains(&20), "{lanes:?}");
    let mut before = lanes.iter().filter(|lane| **lane != 20);
    assert!(before.all(|lane| (1..=8).contains(lane)));
    // What is about the nodes themselves leaves before all.
    node.session.control(&crate::frame::Frame::Ping(1));
    assert_eq!(round().first(), Some(&0));
    // A lane without room is left out, and the others go on.
    let mut open = u64::MAX;
    let next = node
        .session
        .take_next(&mut open, |lane| usize::from(lane == 5));
    assert_eq!(next.map(|(lane, _)| lane), Some(5));
}

#[test]
fn the_end_of_a_session_lets_those_go_on_who_are_held_and_gives_back_what_they_paid() {
    let node = node();
    let (sender, sent) = node.flood(SpawnOptions::default());
    until(|| node.session.queued_bytes() > HIGH_WATER);
    std::thread::sleep(Duration::from_millis(50));
    let before = sent.load(Ordering::SeqCst);
    node.sessions.end(&node.session);
    node.session.end();
    until(|| sent.load(Ordering::SeqCst) > before + 10);
    assert_eq!(sender.account().used(Kind::Memory), 0);
    sender.kill();
    block_on(sender.wait());
}

#[test]
fn what_waits_for_another_node_is_paid_by_its_sender_up_to_its_limit() {
    let node = node();
    let (account, options) = limited(&node);
    let (sender, sent) = node.flood(options);
    let reason = block_on(sender.wait());
    assert!(reason.to_string().contains("memory"), "{reason}");
    let sent = sent.load(Ordering::SeqCst);
    assert!((20..32).contains(&sent), "{sent}");
    node.send(0);
    assert_eq!(account.used(Kind::Memory), 0);
}

#[test]
fn who_sends_signals_to_a_node_that_does_not_read_is_held_and_pays_for_them() {
    let node = node();
    let (sender, sent) = node.flood_with_signals(SpawnOptions::default());
    until(|| node.session.queued_bytes() > HIGH_WATER);
    until(|| {
        let before = sent.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        sent.load(Ordering::SeqCst) == before
    });
    assert!(node.session.queued_bytes() < HIGH_WATER + 4 * BYTES);
    assert!(sender.account().used(Kind::Memory) > HIGH_WATER as u64 / 2);
    let before = sent.load(Ordering::SeqCst);
    node.send(LOW_WATER - BYTES);
    until(|| sent.load(Ordering::SeqCst) > before);
    sender.kill();
    block_on(sender.wait());
    node.send(0);
    assert_eq!(sender.account().used(Kind::Memory), 0);
}

#[test]
fn signals_that_wait_for_another_node_are_paid_by_their_sender_up_to_its_limit() {
    let node = node();
    let (account, options) = limited(&node);
    let (sender, _) = node.flood_with_signals(options);
    let reason = block_on(sender.wait());
    assert!(reason.to_string().contains("memory"), "{reason}");
    assert!(node.session.queued_bytes() < 2 << 20);
    node.send(0);
    assert_eq!(account.used(Kind::Memory), 0);
}

#[test]
fn a_death_is_told_without_texts_to_a_node_for_which_much_waits() {
    const LINKS: u64 = 1000;
    let node = node();
    let (flood, _) = node.flood(SpawnOptions::default());
    until(|| node.session.queued_bytes() > HIGH_WATER);
    let linked = node
        .environment
        .spawn(SpawnOptions::default(), |own| async move {
            for counter in 0..LINKS {
                own.process.link(to(counter), None);
            }
            Err(long_failure())
        });
    block_on(linked.unwrap().wait());
    flood.kill();
    block_on(flood.wait());
    let beyond = node.session.queued_bytes() - HIGH_WATER;
    assert!(beyond < 4 * BYTES + 200 * LINKS as usize, "{beyond}");
    node.send(0);
    assert_eq!(node.environment.account().used(Kind::Memory), 0);
}

#[test]
fn a_message_that_is_too_long_for_another_node_is_told_so() {
    let node = node();
    let (sender, _) = node.repeat(SpawnOptions::default(), |_| Ok(()));
    let send = |length| {
        let message = DataMessage::new(None, vec![0; length]);
        node.environment.send(Some(&sender), to(7), message.into())
    };
    let refused = send((64 << 20) + 1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a message to another node has at most 67108864 bytes"
    );
    assert_eq!(sender.account().used(Kind::Memory), 0);
    sender.kill();
    block_on(sender.wait());
}

#[test]
fn nobody_waits_for_an_answer_who_has_been_dropped() {
    let node = node();
    let from = Pid::new(OWN.number(), 3).unwrap();
    let asked = [b"one", b"two"].map(|request| node.session.ask(from, None, request));
    assert_eq!(node.session.waiting(), 2);
    let [first, second] = asked;
    drop(first);
    assert_eq!(node.session.waiting(), 1);
    let respond = node.session.take_responder(2).unwrap();
    respond(Ok(b"answer"));
    assert_eq!(block_on(second).unwrap(), b"answer");
    assert_eq!(node.session.waiting(), 0);
}

#[test]
fn a_request_that_is_too_long_or_cannot_be_paid_for_is_told_so() {
    let node = node();
    let from = Pid::new(OWN.number(), 3).unwrap();
    let (account, _) = limited(&node);
    let ask = |length| {
        let request = vec![0; length];
        block_on(node.session.ask(from, Some(&account), &request)).unwrap_err()
    };
    let length = (64 << 20) + 1;
    assert_eq!(ask(length), RequestError::TooLong { length });
    assert!(matches!(ask(2 << 20), RequestError::Exceeded(_)));
    assert_eq!(account.used(Kind::Memory), 0);
    node.sessions.end(&node.session);
    node.session.end();
    assert_eq!(ask(7), RequestError::NoConnection);
}
