//! Connections between nodes: lanes that keep order, cuts that hold up what is on its way.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use lunatic_distributed::LANES;

/// So many bytes of a lane are on their way at once.
pub(crate) const LANE_WINDOW: usize = 192 << 10;

/// A node that hears nothing for so long gives a connection up.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_millis(4500);

/// How often each end says that it is there.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How long a dial may take.
pub(crate) const DIAL_LIMIT: Duration = Duration::from_secs(2);

/// A start of a node, by its place in the list of all starts.
pub(crate) type NodeKey = usize;

/// A place where a node can run.
pub(crate) type Host = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndState {
    /// The handshake has not come so far.
    Pending,
    Open,
    Gone,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) node: NodeKey,
    pub(crate) host: Host,
    pub(crate) state: EndState,
    pub(crate) last_heard: Duration,
    /// What is on its way to this end.
    pub(crate) lanes: Vec<Wire>,
}

impl End {
    fn lose_what_is_sent(&mut self) {
        for wire in &mut self.lanes {
            *wire = Wire::default();
        }
    }
}

/// One lane in one direction.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// Each unit with the time when it can be there.
    pub(crate) units: VecDeque<(Duration, Vec<u8>)>,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Wired {
    /// The first has dialled.
    pub(crate) ends: [End; 2],
}

/// A dial that is under way.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) from: NodeKey,
    pub(crate) from_host: Host,
    pub(crate) to: Host,
    pub(crate) is_over: bool,
}

/// What connects the nodes.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) connections: BTreeMap<u64, Wired>,
    pub(crate) dials: Vec<Dial>,
    /// From where to where nothing passes, and how many cuts there are.
    cuts: BTreeMap<(Host, Host), u32>,
    /// When a way was last closed.
    pub(crate) last_cut: BTreeMap<(Host, Host), Duration>,
    last: u64,
}

impl Network {
    pub(crate) fn is_open(&self, from: Host, to: Host) -> bool {
        !self.cuts.contains_key(&(from, to))
    }

    pub(crate) fn cut(&mut self, from: Host, to: Host) {
        *self.cuts.entry((from, to)).or_default() += 1;
    }

    pub(crate) fn heal(&mut self, from: Host, to: Host, now: Duration) {
        if let Some(times) = self.cuts.get_mut(&(from, to)) {
            *times -= 1;
            if *times == 0 {
                self.cuts.remove(&(from, to));
                self.last_cut.insert((from, to), now);
            }
        }
    }

    /// The connection that a dial has become: the end that dialled is there already.
    pub(crate) fn connect(&mut self, dial: usize, to: NodeKey, now: Duration) -> u64 {
        let dial = &self.dials[dial];
        let end = |node, host, state| End {
            node,
            host,
            state,
            last_heard: now,
            lanes: (0..LANES).map(|_| Wire::default()).collect(),
        };
        self.last += 1;
        let ends = [
            end(dial.from, dial.from_host, EndState::Open),
            end(to, dial.to, EndState::Pending),
        ];
        self.connections.insert(self.last, Wired { ends });
        self.last
    }

    /// Which end of a connection a node has.
    pub(crate) fn end_of(&self, connection: u64, node: NodeKey) -> Option<usize> {
        let ends = &self.connections.get(&connection)?.ends;
        ends.iter().position(|end| end.node == node)
    }

    /// The way to an end: from which host to which.
    pub(crate) fn way_to(&self, connection: u64, end: usize) -> Option<(Host, Host)> {
        let ends = &self.connections.get(&connection)?.ends;
        Some((ends[1 - end].host, ends[end].host))
    }

    pub(crate) fn end(&mut self, connection: u64, end: usize) -> Option<&mut End> {
        Some(&mut self.connections.get_mut(&connection)?.ends[end])
    }

    /// Nothing of what is on its way to an end arrives.
    pub(crate) fn lose_what_is_sent(&mut self, connection: u64, to: usize) {
        if let Some(end) = self.end(connection, to) {
            end.lose_what_is_sent();
        }
    }

    /// An end is there no longer. Forgets the connection with the second.
    pub(crate) fn end_gone(&mut self, connection: u64, end: usize) {
        let Some(wired) = self.connections.get_mut(&connection) else {
            return;
        };
        wired.ends[end].state = EndState::Gone;
        wired.ends[end].lose_what_is_sent();
        if wired.ends.iter().all(|end| end.state == EndState::Gone) {
            self.connections.remove(&connection);
        }
    }
}
