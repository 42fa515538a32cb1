//! The processes of one node, as `lunatic-process` has them, but in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lunatic_distributed::{
    Answer, Expelled, GroupChange, HeldNames, Incoming, LocalNode, NodeEvent, NotDelivered, OnLoss,
    Sessions,
};
use lunatic_mailbox::{NodeId, NodeNumber, Pid, Tag};
use lunatic_process::{Effect, ExitReason, Failure, FailureKind, NoConnection, Peers, Signal};
use parking_lot::Mutex;

use crate::simulation::truth::Shared;

/// The first byte of a message whose receiver has a full mailbox.
pub(crate) const REFUSED: u8 = 1;

/// So long it takes until a name is given, or a session is there for both nodes, at most.
const CLAIMING: Duration = Duration::from_secs(8);

/// What a process has that others can see.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) links: BTreeMap<Pid, Option<Tag>>,
    pub(crate) watchers: BTreeSet<Pid>,
    pub(crate) watching: BTreeSet<Pid>,
    pub(crate) traps: bool,
    pub(crate) is_dying: bool,
    /// Scope and group, once for each time it has joined.
    pub(crate) groups: Vec<(String, String)>,
    /// Those that it has.
    pub(crate) names: BTreeSet<String>,
    /// What is to become of it if it loses one, as it has said last.
    pub(crate) on_loss: BTreeMap<String, OnLoss>,
}

/// What is to be done outside of the call that made it necessary.
#[derive(Debug)]
pub(crate) enum Todo {
    Die(Pid, ExitReason),
    Group(GroupChange),
    Unregister(String, Pid),
    Answer(Answer, Vec<u8>),
    SpawnLinked(Answer, Pid, Vec<u8>),
    /// The connection takes a signal in whose sender has changed already.
    SecondStep(Pid, Pid, Signal),
    /// Another node has its name or number: it ends, and another start may take its place.
    Expelled,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) processes: BTreeMap<Pid, Process>,
    last: u64,
    pub(crate) todo: VecDeque<Todo>,
    pub(crate) up: BTreeMap<NodeId, String>,
    /// Since when.
    up_since: BTreeMap<NodeNumber, Duration>,
    /// By scope, group and process: how often it has joined.
    pub(crate) groups: BTreeMap<(String, String, Pid), u64>,
    pub(crate) names: BTreeMap<String, Pid>,
    /// The connection whose unit is taken in, and the node at its other end.
    pub(crate) serving: Option<(u64, NodeNumber)>,
    /// Nodes that went down in this call.
    pub(crate) downs: Vec<NodeId>,
    pub(crate) has_changed: bool,
    /// The memberships of others that were told before are told now.
    pub(crate) is_attaching: bool,
    /// Those whose end is to be told to what is beside the processes.
    pub(crate) ended: Vec<Pid>,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) number: NodeNumber,
    pub(crate) state: Mutex<State>,
    pub(crate) truth: Shared,
    pub(crate) sessions: OnceLock<Arc<Sessions>>,
    /// Whose end the sessions want to know of.
    pub(crate) watchers: Arc<Mutex<BTreeSet<Pid>>>,
    pub(crate) held: HeldNames,
    /// Names that are held are not given up at the end of a process; a planted fault.
    pub(crate) keeps_names: bool,
    /// A process changes what it knows of its links and monitors, and later the connection does; a
    /// planted fault.
    pub(crate) steps_apart: bool,
}

impl Model {
    /// - `first`: what the counters of its processes begin above, so that no two processes
    ///   of all starts have the same id, even if two nodes have the same number.
    pub(crate) fn new(name: &str, number: NodeNumber, first: u64, truth: Shared) -> Model {
        let state = State {
            last: first,
            ..State::default()
        };
        Model {
            name: name.into(),
            number,
            state: Mutex::new(state),
            truth,
            sessions: OnceLock::new(),
            watchers: Arc::default(),
            held: HeldNames::default(),
            keeps_names: false,
            steps_apart: false,
        }
    }

    fn fail(&self, what: String) {
        let name = &self.name;
        self.truth.lock().fail(format!("{name}: {what}"));
    }

    fn trace(&self, what: impl FnOnce() -> String) {
        let name = &self.name;
        self.truth.lock().trace(|| format!("{name}: {}", what()));
    }

    /// The runtime is there from now on.
    ///
    /// - `names`: those that are unique in the cluster.
    pub(crate) fn attach(&self, names: Vec<(String, Pid)>, traps: &[bool]) {
        self.state.lock().names = names.into_iter().collect();
        for traps in traps {
            self.spawn(*traps);
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        self.sessions.get().expect("it is set at the start")
    }

    pub(crate) fn spawn(&self, traps: bool) -> Pid {
        let mut state = self.state.lock();
        state.last += 1;
        let pid = Pid::new(self.number, state.last).expect("there are few");
        let process = Process {
            traps,
            ..Process::default()
        };
        state.processes.insert(pid, process);
        self.truth.lock().alive.insert(pid, self.sessions().own());
        pid
    }

    /// `Process::link`.
    pub(crate) fn link(&self, own: Pid, peer: Pid, tag: Option<Tag>) {
        self.trace(|| format!("{own} links {peer}"));
        let other_end = Signal::Link { peer: own, tag };
        self.signal_in_step(own, peer, other_end, &mut |sent| {
            if let Some(process) = self.state.lock().processes.get_mut(&own) {
                process.links.insert(peer, tag);
            }
            if let Err(NoConnection) = sent {
                let reason = ExitReason::NoConnection;
                self.apply(own, Signal::LinkDied { peer, tag, reason }).ok();
            }
        });
    }

    /// `Process::unlink`.
    pub(crate) fn unlink(&self, own: Pid, peer: Pid) {
        self.trace(|| format!("{own} unlinks {peer}"));
        let other_end = Signal::Unlink { peer: own };
        self.signal_in_step(own, peer, other_end, &mut |_| {
            if let Some(process) = self.state.lock().processes.get_mut(&own) {
                process.links.remove(&peer);
            }
        });
    }

    /// `Process::monitor`.
    pub(crate) fn monitor(&self, watcher: Pid, process: Pid) {
        self.trace(|| format!("{watcher} monitors {process}"));
        let monitor = Signal::Monitor { watcher };
        self.signal_in_step(watcher, process, monitor, &mut |sent| {
            if let Some(own) = self.state.lock().processes.get_mut(&watcher) {
                own.watching.insert(process);
            }
            if let Err(NoConnection) = sent {
                let reason = ExitReason::NoConnection;
                let died = Signal::ProcessDied { process, reason };
                self.apply(watcher, died).ok();
            }
        });
    }

    /// `Process::stop_monitoring`.
    pub(crate) fn stop_monitoring(&self, watcher: Pid, process: Pid) {
        self.trace(|| format!("{watcher} stops monitoring {process}"));
        let stop = Signal::StopMonitoring { watcher };
        self.signal_in_step(watcher, process, stop, &mut |_| {
            if let Some(own) = self.state.lock().processes.get_mut(&watcher) {
                own.watching.remove(&process);
            }
            self.truth.lock().monitors.remove(&(watcher, process));
        });
    }

    /// `Peers::signal_in_step`, or what is wrong: the two steps apart.
    fn signal_in_step(
        &self,
        from: Pid,
        to: Pid,
        signal: Signal,
        own_end: &mut dyn FnMut(Result<(), NoConnection>),
    ) {
        if self.steps_apart && self.sessions().get(to.node()).is_some() {
            own_end(Ok(()));
            let second = Todo::SecondStep(from, to, signal);
            return self.state.lock().todo.push_back(second);
        }
        self.sessions()
            .signal_in_step(None, from, to, signal, own_end)
            .ok();
    }

    /// What `DeathNotices` does.
    pub(crate) fn die(&self, own: Pid, reason: ExitReason) {
        let Some(process) = self.state.lock().processes.remove(&own) else {
            return;
        };
        self.trace(|| format!("{own} dies: {reason}"));
        let mut truth = self.truth.lock();
        truth.alive.remove(&own);
        truth.dead.insert(own, reason.clone());
        for watched in &process.watching {
            truth.monitors.remove(&(own, *watched));
        }
        drop(truth);
        if self.watchers.lock().remove(&own) {
            self.sessions().watcher_ended(own);
        }
        let mut state = self.state.lock();
        for (scope, group) in process.groups {
            let change = GroupChange {
                scope,
                group,
                process: own,
                joined: false,
            };
            state.todo.push_back(Todo::Group(change));
        }
        state.ended.push(own);
        let held: Vec<_> = self.held.ended(own).collect();
        if let Some(name) = process.names.iter().find(|name| !held.contains(name)) {
            self.fail(format!(
                "{own} has the name {name}, which is not held for it"
            ));
        }
        if !self.keeps_names {
            for name in held {
                state.todo.push_back(Todo::Unregister(name, own));
            }
        }
        drop(state);
        for (peer, tag) in process.links {
            let reason = reason.clone();
            let died = Signal::LinkDied {
                peer: own,
                tag,
                reason,
            };
            self.sessions().signal(None, own, peer, died).ok();
        }
        for watcher in process.watchers {
            let died = Signal::ProcessDied {
                process: own,
                reason: reason.clone(),
            };
            self.sessions().signal(None, own, watcher, died).ok();
        }
    }

    /// `Process::signal`, and `Relations::apply`, which this is to agree with; what the real
    /// one forgives is a failure here.
    fn apply(&self, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        self.trace(|| format!("{to} is told {signal:?}"));
        self.truth.lock().observe(to.to_bits());
        let mut state = self.state.lock();
        let Some(process) = state.processes.get_mut(&to) else {
            if let Signal::LinkDied { .. } | Signal::ProcessDied { .. } = signal {
                self.fail(format!("{to}, which has ended, is told {signal:?}"));
            }
            return Err(ExitReason::NoProcess);
        };
        let mut dies = None;
        match signal {
            Signal::Kill => dies = Some(ExitReason::Killed),
            Signal::Exit { reason, tag, .. } => {
                let number = tag.map_or(0, |tag| tag.get() as u64 & 0xff_ffff);
                if reason != exit_reason(number) {
                    self.fail(format!("{to} is asked to end: {reason:?}"));
                }
                if !process.traps && !reason.is_normal() {
                    dies = Some(reason);
                }
            }
            Signal::Link { peer, tag } => {
                process.links.insert(peer, tag);
            }
            Signal::Unlink { peer } => {
                self.truth.lock().counts.unlinks += 1;
                if process.links.remove(&peer).is_none() {
                    self.fail(format!("{to} is unlinked from {peer} without a link"));
                }
            }
            Signal::LinkDied { peer, reason, .. } => {
                self.truth.lock().counts.link_deaths += 1;
                if process.links.remove(&peer).is_none() {
                    self.fail(format!("{to} is told of {peer} without a link"));
                }
                self.check_reason(to, peer, &reason);
                if !process.traps && !reason.is_normal() {
                    dies = Some(ExitReason::link_death(peer));
                }
            }
            Signal::Monitor { watcher } => {
                process.watchers.insert(watcher);
                self.truth.lock().monitors.insert((watcher, to));
            }
            Signal::StopMonitoring { watcher } => {
                process.watchers.remove(&watcher);
                self.truth.lock().monitors.remove(&(watcher, to));
            }
            Signal::ProcessDied {
                process: watched,
                reason,
            } => {
                self.check_reason(to, watched, &reason);
                let mut truth = self.truth.lock();
                truth.counts.monitor_notices += 1;
                truth.monitors.remove(&(to, watched));
                let is_alive = truth.alive.contains_key(&watched);
                drop(truth);
                if !process.watching.remove(&watched) {
                    self.fail(format!("{to} is told of {watched} without a monitor"));
                }
                if is_alive && self.sessions().get(watched.node()).is_some() {
                    self.fail(format!("{to} is told of the end of {watched}, which lives"));
                }
            }
            Signal::MailboxFull { .. } | Signal::MessageRefused { .. } => {
                dies = Some(ExitReason::Killed)
            }
            signal => self.fail(format!("{to} is told {signal:?} by another node")),
        }
        if let Some(reason) = dies
            && !std::mem::replace(&mut process.is_dying, true)
        {
            state.todo.push_back(Todo::Die(to, reason));
        }
        Ok(())
    }

    fn check_reason(&self, to: Pid, peer: Pid, reason: &ExitReason) {
        let truth = self.truth.lock();
        let is_right = match reason {
            ExitReason::NoConnection => self.sessions().get(peer.node()).is_none(),
            // On the node that there is a session with: another may have its number.
            ExitReason::NoProcess => truth
                .alive
                .get(&peer)
                .is_none_or(|node| self.sessions().with_node(*node).is_none()),
            // If much waits for a node, it is told of a failure without its texts.
            ExitReason::Failed(told) => match truth.dead.get(&peer) {
                Some(ExitReason::Failed(dead)) => {
                    told == dead || *told == Failure::from_kind(dead.kind().clone())
                }
                _ => false,
            },
            reason => truth.dead.get(&peer) == Some(reason),
        };
        drop(truth);
        let has_data = reason.failure().is_some();
        self.truth.lock().counts.failures += u64::from(has_data);
        if !is_right {
            self.fail(format!("{to} is told that {peer} has ended: {reason}"));
        }
    }

    /// Whether a process of another node may be named in what is taken in now.
    fn check_speaker(&self, state: &State, from: Pid) {
        let is_right = match state.serving {
            Some((_, number)) if number == from.node() => true,
            None if state.is_attaching => true,
            // A session that is over tells its relations.
            _ => self.sessions().get(from.node()).is_none(),
        };
        if !is_right {
            self.fail(format!("something in the name of {from}, of another node"));
        }
    }

    /// Something numbered arrives.
    fn arrives(&self, from: Pid, to: Pid, sent_in: u64, number: u64) {
        let serving = self.state.lock().serving;
        let mut truth = self.truth.lock();
        if serving.map(|(connection, _)| connection) != Some(sent_in) {
            let what = format!("sent in connection {sent_in}, received in {serving:?}");
            truth.fail(format!("from {from} to {to}: {what}"));
        }
        let next = truth.received.entry((sent_in, from, to)).or_default();
        let expected = *next;
        *next += 1;
        if expected != number {
            let what = format!("number {number} in place of {expected}");
            truth.fail(format!(
                "from {from} to {to} in connection {sent_in}: {what}"
            ));
        }
        truth.observe(from.to_bits() ^ to.to_bits().rotate_left(9) ^ number);
    }
}

/// Why a process asks another to end, by the number of the signal: mostly a reason that nothing
/// happens for.
pub(crate) fn exit_reason(number: u64) -> ExitReason {
    match number % 16 {
        1 => ExitReason::Shutdown,
        2 => ExitReason::Failed(Failure::with_message(
            FailureKind::Error,
            format!("out of work {number}"),
        )),
        _ => ExitReason::Normal,
    }
}

/// A reason for which a process ends, with all that there may be in one.
pub(crate) fn end_reason(number: u64) -> ExitReason {
    let failure = |kind| Failure::with_message(kind, format!("failure {number} with größe"));
    match number % 9 {
        0..3 => ExitReason::Normal,
        3 => ExitReason::Shutdown,
        4 => ExitReason::Killed,
        5 => ExitReason::Failed(failure(FailureKind::Error)),
        6 => {
            let backtrace = format!("0: main at {number}\n").repeat(number as usize % 900);
            ExitReason::Failed(failure(FailureKind::Trap).with_backtrace(backtrace))
        }
        7 => ExitReason::Failed(Failure::from_kind(FailureKind::ExitStatus(number as u32))),
        _ => ExitReason::Failed(failure(FailureKind::Panicked)),
    }
}

/// The bytes of a message: a mark, connection and number, and as many more as wanted.
pub(crate) fn payload(mark: u8, connection: u64, number: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![mark];
    bytes.extend_from_slice(&connection.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    let filler = (number as u8).wrapping_mul(31) ^ connection as u8;
    bytes.resize(bytes.len() + length, filler);
    bytes
}

/// What a payload has, if it is whole.
fn read_payload(bytes: &[u8]) -> Option<(u8, u64, u64)> {
    let (mark, rest) = bytes.split_first()?;
    let (connection, rest) = rest.split_first_chunk::<8>()?;
    let (number, filler) = rest.split_first_chunk::<8>()?;
    let read = (
        *mark,
        u64::from_le_bytes(*connection),
        u64::from_le_bytes(*number),
    );
    let expected = (read.2 as u8).wrapping_mul(31) ^ read.1 as u8;
    let is_whole = match (filler.first(), filler.last(), filler.get(filler.len() / 2)) {
        (Some(a), Some(b), Some(c)) => [*a, *b, *c] == [expected; 3],
        _ => true,
    };
    is_whole.then_some(read)
}

impl LocalNode for Model {
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered> {
        match self.message_arrives(&message) {
            Some(REFUSED) => Err(NotDelivered::MailboxFull),
            _ => Ok(()),
        }
    }

    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        self.check_speaker(&self.state.lock(), from);
        self.signal_arrives(to, &signal);
        self.apply(to, signal).map(|()| Effect::NONE)
    }

    fn request(&self, from: Pid, request: &[u8], answer: Answer) {
        let mut state = self.state.lock();
        self.check_speaker(&state, from);
        let todo = match request.first() {
            Some(0) => Todo::SpawnLinked(answer, from, request.to_vec()),
            _ => Todo::Answer(answer, request.to_vec()),
        };
        state.todo.push_back(todo);
    }

    fn group_changed(&self, change: GroupChange) {
        self.truth.lock().counts.memberships += 1;
        let mut state = self.state.lock();
        self.check_speaker(&state, change.process);
        let GroupChange {
            scope,
            group,
            process,
            joined,
        } = change;
        self.truth.lock().observe(process.to_bits());
        let key = (scope, group, process);
        let times = state.groups.entry(key.clone()).or_default();
        match joined {
            true => *times += 1,
            false if *times == 0 => self.fail(format!("{process} leaves a group it is not in")),
            false => *times -= 1,
        }
        if *times == 0 {
            state.groups.remove(&key);
        }
    }

    fn global_name_changed(&self, name: &str, process: Option<Pid>) {
        self.trace(|| format!("name {name} belongs to {process:?}"));
        self.truth.lock().observe(process.map_or(0, Pid::to_bits));
        let mut state = self.state.lock();
        let before = match process {
            Some(process) => state.names.insert(name.into(), process),
            None => state.names.remove(name),
        };
        if before == process {
            self.fail(format!("name {name} has not changed: {process:?}"));
        }
    }

    fn global_name_lost(&self, name: &str, process: Pid, winner: Pid) {
        self.trace(|| format!("{process} loses the name {name} to {winner}"));
        self.truth.lock().counts.names_lost += 1;
        let mut state = self.state.lock();
        let own = state.processes.get_mut(&process);
        // It may have ended, and its name not been given up yet.
        if own.is_some_and(|own| !own.names.remove(name)) {
            self.fail(format!("{process} loses the name {name}, which it has not"));
        }
        if process.node() != self.number || winner.node() == self.number {
            self.fail(format!("{process} loses the name {name} to {winner}"));
        }
        // Where the two nodes reached each other, one would have been refused.
        let truth = self.truth.lock();
        let named = |process| truth.named.get(&(name.to_owned(), process)).copied();
        let first = named(process).min(named(winner));
        let since = state.up_since.get(&winner.node()).copied();
        let is_wrong = first
            .zip(since)
            .is_some_and(|(first, since)| since + CLAIMING < first);
        drop(truth);
        if is_wrong {
            self.fail(format!(
                "{process} and {winner} have got the name {name} in a session"
            ));
        }
        let expected = state.processes.get(&process);
        let expected = expected.and_then(|own| own.on_loss.get(name).copied());
        let on_loss = self.held.lost(process, name);
        if expected != on_loss {
            self.fail(format!(
                "{process} loses the name {name}: {on_loss:?}, not {expected:?}"
            ));
        }
        if let Some(own) = state.processes.get_mut(&process)
            && on_loss == Some(OnLoss::Kill)
            && !std::mem::replace(&mut own.is_dying, true)
        {
            state.todo.push_back(Todo::Die(process, ExitReason::Killed));
        }
    }

    fn node_event(&self, _: NodeEvent) {}
}

impl Model {
    /// A message is there. Returns its mark, if it is what was sent.
    pub(crate) fn message_arrives(&self, message: &Incoming<'_>) -> Option<u8> {
        let Incoming {
            from, to, bytes, ..
        } = *message;
        self.check_speaker(&self.state.lock(), from);
        let Some((mark, sent_in, number)) = read_payload(bytes) else {
            self.fail(format!(
                "a message from {from} to {to} is not what was sent"
            ));
            return None;
        };
        self.trace(|| format!("{to} receives {number} of {from}"));
        self.truth.lock().counts.messages += 1;
        self.arrives(from, to, sent_in, number);
        Some(mark)
    }

    /// A signal is there, which may have a number.
    pub(crate) fn signal_arrives(&self, to: Pid, signal: &Signal) {
        if let Signal::Exit {
            from,
            tag: Some(tag),
            ..
        } = signal
        {
            let tag = tag.get() as u64;
            self.arrives(*from, to, tag >> 24, (tag & 0xff_ffff) - 1);
        }
    }

    /// Something has happened to another node.
    pub(crate) fn session_event(&self, event: &NodeEvent) {
        let event = event.clone();
        self.trace(|| format!("{event:?}"));
        let mut state = self.state.lock();
        state.has_changed = true;
        match event {
            NodeEvent::Up(node) => {
                self.truth.lock().counts.sessions += 1;
                self.truth.lock().observe(node.id.to_bits());
                let name = String::from(node.name);
                let is_there =
                    |(id, up): (&NodeId, &String)| id.number() == node.id.number() || *up == name;
                if state.up.iter().any(is_there) {
                    self.fail(format!("{name} {} is up, and was before", node.id));
                }
                self.check_nothing_of(&state, node.id);
                state.up.insert(node.id, name);
                let now = self.truth.lock().now;
                state.up_since.insert(node.id.number(), now);
            }
            NodeEvent::Down { node, .. } => {
                self.truth.lock().observe(!node.id.to_bits());
                if state.up.remove(&node.id).is_none() {
                    self.fail(format!("{} is down, and was not up", node.id));
                }
                self.check_nothing_of(&state, node.id);
                state.downs.push(node.id);
            }
            // As the program does: it does not start, or ends.
            event if Expelled::by(&event).is_some() => state.todo.push_back(Todo::Expelled),
            _ => {}
        }
    }
}

impl Model {
    /// Nothing is left of a session that has ended.
    fn check_nothing_of(&self, state: &State, node: NodeId) {
        let number = node.number();
        let is_of = |pid: &&Pid| pid.node() == number;
        for (pid, process) in &state.processes {
            let links = process.links.keys().filter(is_of);
            let watchers = process.watchers.iter().filter(is_of);
            let watching = process.watching.iter().filter(is_of);
            // A process that monitors one that is not there is told nothing.
            let truth = self.truth.lock();
            let counts = |watched: &&Pid| {
                truth.monitors.contains(&(*pid, **watched)) || truth.alive.contains_key(*watched)
            };
            let watching = watching.filter(counts);
            let left: Vec<_> = links.chain(watchers).chain(watching).collect();
            drop(truth);
            if !left.is_empty() {
                self.fail(format!("{pid} still has relations: {left:?}"));
            }
        }
        if state.groups.keys().any(|(_, _, pid)| pid.node() == number) {
            self.fail(format!("node {number} is still in groups"));
        }
    }
}
