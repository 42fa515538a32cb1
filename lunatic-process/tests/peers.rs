//! Messages and signals to the processes of other nodes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::{Arc, Mutex};

use futures_lite::future::block_on;
use lunatic_mailbox::{
    DataMessage, Mailbox, Message, NodeId, NodeNumber, Pid, SendError, Tag, Wanted,
};
use lunatic_process::{
    Environment, EnvironmentConfig, ExitReason, LinkNotice, NoConnection, Peers, Process, Signal,
    SpawnOptions,
};
use lunatic_scheduler::Scheduler;

const OWN_NODE: NodeId = NodeId::from_bits(0x1234_5670_0005);
const OTHER_NODE: NodeId = NodeId::from_bits(0x4321_0000_0009);

/// A peer that takes everything for one node, and reaches no other.
#[derive(Debug, Default)]
struct Recorder {
    messages: Mutex<Vec<(Pid, Vec<u8>)>>,
    signals: Mutex<Vec<(Pid, Signal)>>,
}

impl Peers for Recorder {
    fn send(
        &self,
        _: Option<&Process>,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        if connected(to).is_err() {
            return Err(SendError::Closed);
        }
        let Some(Message::Data(data)) = message.take() else {
            panic!("only data is sent");
        };
        self.messages
            .lock()
            .unwrap()
            .push((to, data.bytes().to_vec()));
        Ok(())
    }

    fn signal(
        &self,
        _: Option<&Process>,
        _: Pid,
        to: Pid,
        signal: Signal,
    ) -> Result<(), NoConnection> {
        connected(to)?;
        self.signals.lock().unwrap().push((to, signal));
        Ok(())
    }

    fn node_id(&self, number: NodeNumber) -> Option<NodeId> {
        (number == OTHER_NODE.number()).then_some(OTHER_NODE)
    }
}

fn connected(to: Pid) -> Result<(), NoConnection> {
    match to.node() == OTHER_NODE.number() {
        true => Ok(()),
        false => Err(NoConnection),
    }
}

fn cluster() -> (Environment, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let config = EnvironmentConfig {
        node: OWN_NODE,
        peers: recorder.clone(),
        ..EnvironmentConfig::default()
    };
    let scheduler = Scheduler::builder().start().unwrap();
    (Environment::with_config(1, scheduler, config), recorder)
}

fn remote(counter: u64) -> Pid {
    Pid::new(OTHER_NODE.number(), counter).unwrap()
}

fn unreachable(counter: u64) -> Pid {
    Pid::new(NodeNumber::new(77).unwrap(), counter).unwrap()
}

/// A process whose mailbox the test reads.
fn open(environment: &Environment, trap_exits: bool) -> (Process, Mailbox) {
    let (sender, receiver) = async_channel::bounded(1);
    let options = SpawnOptions {
        trap_exits,
        ..SpawnOptions::default()
    };
    let process = environment
        .spawn(options, move |own| async move {
            sender.send(own.mailbox).await.ok();
            futures_lite::future::pending().await
        })
        .unwrap();
    (process, receiver.recv_blocking().unwrap())
}

#[test]
fn local_ids_hold_the_number_of_their_node() {
    let (environment, _) = cluster();
    let (process, _mailbox) = open(&environment, false);
    assert_eq!(process.id().node(), OWN_NODE.number());
    assert_eq!(environment.node_of(process.id()), OWN_NODE);
    assert_eq!(environment.node_of(remote(1)), OTHER_NODE);
    assert_eq!(environment.node_of(unreachable(1)).to_bits(), 77);
}

#[test]
fn what_is_for_a_process_of_another_node_never_reaches_a_local_namesake() {
    let (environment, recorder) = cluster();
    let (process, mut mailbox) = open(&environment, false);
    let namesake = remote(process.id().counter());
    environment
        .send(None, namesake, DataMessage::new(Tag::new(1), *b"hi").into())
        .unwrap();
    for signal in [
        Signal::Kill,
        Signal::Monitor {
            watcher: process.id(),
        },
    ] {
        environment.signal(remote(1), namesake, signal).unwrap();
    }
    process.link(namesake, Tag::new(3));
    process.unlink(namesake);
    process.exit(namesake, ExitReason::Shutdown);
    assert!(process.is_alive());
    assert!(mailbox.try_receive(&Wanted::Any).is_none());
    assert_eq!(
        *recorder.messages.lock().unwrap(),
        [(namesake, b"hi".to_vec())]
    );
    let signals = recorder.signals.lock().unwrap();
    assert!(signals.iter().all(|(to, _)| *to == namesake));
    assert_eq!(signals.len(), 5);
}

#[test]
fn a_death_is_told_to_links_and_monitors_on_other_nodes() {
    let (environment, recorder) = cluster();
    let (process, _mailbox) = open(&environment, false);
    process.link(remote(1), Tag::new(3));
    process
        .signal(Signal::Monitor { watcher: remote(2) })
        .unwrap();
    process.kill();
    block_on(process.wait());
    let signals = recorder.signals.lock().unwrap();
    let died = Signal::LinkDied {
        peer: process.id(),
        tag: Tag::new(3),
        reason: ExitReason::Killed,
    };
    assert_eq!(signals[1], (remote(1), died));
    let died = Signal::ProcessDied {
        process: process.id(),
        reason: ExitReason::Killed,
    };
    assert_eq!(signals[2], (remote(2), died));
}

#[test]
fn a_link_to_an_unreachable_node_breaks_with_no_connection() {
    let (environment, _) = cluster();
    let (process, mut mailbox) = open(&environment, true);
    process.link(unreachable(1), None);
    let mut message = block_on(mailbox.receive(Wanted::Any));
    let notice = LinkNotice::Exit {
        from: unreachable(1),
        reason: ExitReason::NoConnection,
    };
    assert_eq!(LinkNotice::take(&mut message), Some(notice));

    let (process, _mailbox) = open(&environment, false);
    process.link(unreachable(1), None);
    assert_eq!(block_on(process.wait()), ExitReason::NoConnection);
}

#[test]
fn a_monitor_of_an_unreachable_node_is_told_at_once() {
    let (environment, _) = cluster();
    let (process, mut mailbox) = open(&environment, false);
    process.monitor(unreachable(1));
    let message = block_on(mailbox.receive(Wanted::Any));
    assert!(matches!(message, Message::ProcessDied { process } if process == unreachable(1)));
}

#[test]
fn a_node_that_is_alone_reaches_nobody() {
    let environment = Environment::new(1, Scheduler::builder().start().unwrap());
    let (process, mut mailbox) = open(&environment, false);
    let namesake = remote(process.id().counter());
    environment
        .send(None, namesake, DataMessage::default().into())
        .unwrap();
    let killed = environment.signal(remote(1), namesake, Signal::Kill);
    assert_eq!(killed, Err(ExitReason::NoConnection));
    assert!(process.is_alive());
    assert!(mailbox.try_receive(&Wanted::Any).is_none());
}

#[test]
fn signals_and_reasons_are_the_same_on_the_other_side_of_a_wire() {
    let reasons = [
        ExitReason::Normal,
        ExitReason::Killed,
        ExitReason::Shutdown,
        ExitReason::NoProcess,
        ExitReason::NoConnection,
        ExitReason::link_death(remote(9)),
        ExitReason::Failed("it broke".into()),
    ];
    for reason in reasons {
        let signal = Signal::LinkDied {
            peer: remote(1),
            tag: Tag::new(-1),
            reason,
        };
        let bytes = postcard::to_allocvec(&signal).unwrap();
        assert_eq!(postcard::from_bytes::<Signal>(&bytes).unwrap(), signal);
    }
}
