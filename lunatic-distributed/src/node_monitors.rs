//! The processes that are told which nodes come and go.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::fmt;

use lunatic_account::{Account, AccountId, Charge, Exceeded, Kind};
use lunatic_mailbox::{DataMessage, NodeId, Pid, Tag};
use lunatic_process::Process;
use parking_lot::Mutex;

use crate::local::NodeEvent;
use crate::node_info::NodeInfo;
use crate::sessions::Sessions;

/// So many processes of each branch directly below the root may be told which nodes come and go.
pub const MAX_NODE_MONITORS: usize = 1 << 12;

/// What a monitor takes, in bytes, beside the nodes that it knows.
const MONITOR_BYTES: u64 = 256;

/// A process as it is told of nodes; in a runtime, a [`Process`].
pub trait NodeWatcher: Clone {
    /// Its id.
    fn id(&self) -> Pid;

    /// Gives it a message. If it has no room for it, it ends.
    fn tell(&self, message: DataMessage);
}

impl NodeWatcher for Process {
    fn id(&self) -> Pid {
        Process::id(self)
    }

    fn tell(&self, message: DataMessage) {
        self.deliver_or_end(message.into());
    }
}

/// The processes of this node that are told, by messages, which nodes come and go; OTP's
/// `net_kernel:monitor_nodes`.
#[derive(Debug)]
pub struct NodeMonitors<W = Process> {
    state: Mutex<State<W>>,
}

#[derive(Debug)]
struct State<W> {
    monitors: HashMap<Pid, Monitor<W>>,
    /// How many there are of each branch.
    of_branches: HashMap<AccountId, usize>,
}

#[derive(Debug)]
struct Monitor<W> {
    process: W,
    tag: Option<Tag>,
    /// The nodes that it was told of as connected.
    known: BTreeSet<NodeId>,
    /// The branch that it counts for.
    branch: AccountId,
    _name: Charge,
    memory: Charge,
}

/// What is told of a node, the first four bytes of the message.
#[derive(Debug, Clone, Copy)]
enum Change {
    Present = 0,
    Up = 1,
    Down = 2,
    Left = 3,
}

/// Why a process is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotMonitored {
    /// As many processes of the branch are told as may be.
    TooMany,
    /// A limit of the account is reached.
    Exceeded(Exceeded),
}

impl<W> Default for NodeMonitors<W> {
    fn default() -> NodeMonitors<W> {
        NodeMonitors {
            state: Mutex::new(State {
                monitors: HashMap::new(),
                of_branches: HashMap::new(),
            }),
        }
    }
}

impl<W: NodeWatcher> NodeMonitors<W> {
    /// From now on a process is told: first of the nodes that are connected, then of each change.
    /// Who is told already is told anew, with this tag. Returns whether it is the first time:
    /// then [`end`](NodeMonitors::end) has to be called when it ends.
    ///
    /// - `payer`: pays for the monitor, which takes one of its names; of its branch is the process.
    ///   The messages are charged to the process, which ends if it has no room for one.
    ///
    /// # Errors
    ///
    /// [`NotMonitored`].
    pub fn begin(
        &self,
        sessions: &Sessions,
        process: &W,
        tag: Option<Tag>,
        payer: &Account,
    ) -> Result<bool, NotMonitored> {
        let mut state = self.state.lock();
        // A session is in the table before it is told of, and is not when its end is told.
        let present = sessions.all();
        let bytes = MONITOR_BYTES + (present.len() * 2 * size_of::<NodeId>()) as u64;
        let is_first = state.make_room(process, tag, payer, bytes)?;
        if let Some(monitor) = state.monitors.get_mut(&process.id()) {
            for session in present {
                monitor.known.insert(session.node().id);
                monitor.tell(Change::Present, session.node());
            }
        }
        Ok(is_first)
    }

    /// A process is not told any more. Returns whether it was.
    pub fn end(&self, process: Pid) -> bool {
        self.state.lock().remove(process).is_some()
    }

    /// Something has happened to another node.
    pub fn event(&self, event: &NodeEvent) {
        let (change, node) = match event {
            NodeEvent::Up(node) => (Change::Up, node),
            NodeEvent::Down { node, left: true } => (Change::Left, node),
            NodeEvent::Down { node, left: false } => (Change::Down, node),
            _ => return,
        };
        for monitor in self.state.lock().monitors.values_mut() {
            let is_news = match change {
                Change::Up => monitor.known.insert(node.id),
                _ => monitor.known.remove(&node.id),
            };
            if is_news {
                monitor.tell(change, node);
            }
        }
    }
}

impl<W: NodeWatcher> State<W> {
    /// Makes a monitor that was told of no node, or one that there is already such. Returns whether
    /// it is new.
    ///
    /// - `bytes`: what it takes.
    fn make_room(
        &mut self,
        process: &W,
        tag: Option<Tag>,
        payer: &Account,
        bytes: u64,
    ) -> Result<bool, NotMonitored> {
        if let Some(known) = self.monitors.get_mut(&process.id()) {
            known.memory.set(bytes).map_err(NotMonitored::Exceeded)?;
            known.tag = tag;
            known.known.clear();
            return Ok(false);
        }
        let branch = payer.below_root().id();
        if self.of_branches.get(&branch).copied().unwrap_or(0) >= MAX_NODE_MONITORS {
            return Err(NotMonitored::TooMany);
        }
        let charge = |kind, amount| {
            let charge = Charge::new(payer, kind, amount);
            charge.map_err(NotMonitored::Exceeded)
        };
        let monitor = Monitor {
            process: process.clone(),
            tag,
            known: BTreeSet::new(),
            branch,
            _name: charge(Kind::Names, 1)?,
            memory: charge(Kind::Memory, bytes)?,
        };
        *self.of_branches.entry(branch).or_default() += 1;
        self.monitors.insert(process.id(), monitor);
        Ok(true)
    }

    fn remove(&mut self, process: Pid) -> Option<Monitor<W>> {
        let removed = self.monitors.remove(&process)?;
        if let Entry::Occupied(mut count) = self.of_branches.entry(removed.branch) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(removed)
    }
}

impl<W: NodeWatcher> Monitor<W> {
    fn tell(&self, change: Change, node: &NodeInfo) {
        let name = node.name.as_str().as_bytes();
        let mut message = DataMessage::new(self.tag, Vec::new());
        message.write(&(change as u32).to_le_bytes());
        message.write(&(name.len() as u32).to_le_bytes());
        message.write(&node.id.to_bits().to_le_bytes());
        message.write(name);
        self.process.tell(message);
    }
}

impl fmt::Display for NotMonitored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotMonitored::TooMany => {
                write!(
                    f,
                    "{MAX_NODE_MONITORS} processes of the branch monitor nodes, as many as may"
                )
            }
            NotMonitored::Exceeded(exceeded) => exceeded.fmt(f),
        }
    }
}

impl Error for NotMonitored {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_account::AccountLimits;

    use super::*;

    #[derive(Clone)]
    struct Watcher(u64);

    impl NodeWatcher for Watcher {
        fn id(&self) -> Pid {
            Pid::from_bits(self.0)
        }

        fn tell(&self, _: DataMessage) {}
    }

    #[test]
    fn a_branch_with_as_many_monitors_as_may_be_takes_none_from_others() {
        let sessions = Sessions::new(NodeId::from_bits(1), || ());
        let monitors = NodeMonitors::default();
        let root = Account::root(AccountLimits::UNLIMITED);
        let [greedy, other] = [(); 2].map(|()| root.branch(AccountLimits::UNLIMITED).unwrap());
        let below = greedy.branch(AccountLimits::UNLIMITED).unwrap();
        let begin = |id, payer| monitors.begin(&sessions, &Watcher(id), None, payer);
        for id in 0..MAX_NODE_MONITORS as u64 {
            let payer = if id % 2 == 0 { &greedy } else { &below };
            assert_eq!(begin(id, payer), Ok(true));
        }
        assert_eq!(begin(1 << 30, &greedy), Err(NotMonitored::TooMany));
        assert_eq!(begin(1 << 30, &below), Err(NotMonitored::TooMany));
        assert_eq!(begin(1 << 31, &other), Ok(true));
        assert_eq!(begin(0, &greedy), Ok(false), "it is told already");
        assert!(monitors.end(Pid::from_bits(0)));
        assert_eq!(begin(1 << 30, &greedy), Ok(true));
        assert_eq!(greedy.used(Kind::Names), MAX_NODE_MONITORS as u64);
        for id in (1..MAX_NODE_MONITORS as u64).chain([1 << 30, 1 << 31]) {
            assert!(monitors.end(Pid::from_bits(id)));
        }
        assert_eq!(root.used(Kind::Names), 0);
        assert!(monitors.state.lock().of_branches.is_empty());
    }

    #[test]
    fn a_monitor_takes_a_name_once() {
        let sessions = Sessions::new(NodeId::from_bits(1), || ());
        let monitors = NodeMonitors::default();
        let account = Account::root(AccountLimits {
            names: 1,
            ..AccountLimits::UNLIMITED
        });
        let begin = |id| monitors.begin(&sessions, &Watcher(id), None, &account);
        assert_eq!(begin(1), Ok(true));
        assert_eq!(begin(1), Ok(false));
        assert!(matches!(begin(2), Err(NotMonitored::Exceeded(_))));
        assert!(monitors.end(Pid::from_bits(1)));
        assert_eq!(account.used(Kind::Names), 0);
        assert_eq!(account.used(Kind::Memory), 0);
    }
}
