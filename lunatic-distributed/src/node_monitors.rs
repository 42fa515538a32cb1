//! The processes that are told which nodes come and go.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::fmt;

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_mailbox::{DataMessage, NodeId, Pid, Tag};
use lunatic_process::Process;
use parking_lot::Mutex;

use crate::local::NodeEvent;
use crate::node_info::NodeInfo;
use crate::sessions::Sessions;

/// So many processes of a node may be told which nodes come and go.
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
    monitors: Mutex<HashMap<Pid, Monitor<W>>>,
}

#[derive(Debug)]
struct Monitor<W> {
    process: W,
    tag: Option<Tag>,
    /// The nodes that it was told of as connected.
    known: BTreeSet<NodeId>,
    _charge: Charge,
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
    /// As many processes are told as may be.
    TooMany,
    /// A limit of the account is reached.
    Exceeded(Exceeded),
}

impl<W> Default for NodeMonitors<W> {
    fn default() -> NodeMonitors<W> {
        NodeMonitors {
            monitors: Mutex::default(),
        }
    }
}

impl<W: NodeWatcher> NodeMonitors<W> {
    /// From now on a process is told: first of the nodes that are connected, then of each change.
    /// Who is told already is told anew, with this tag. Returns whether it is the first time:
    /// then [`end`](NodeMonitors::end) has to be called when it ends.
    ///
    /// - `payer`: pays for the monitor. The messages are charged to the process, which ends if
    ///   it has no room for one.
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
        let mut monitors = self.monitors.lock();
        let is_first = !monitors.contains_key(&process.id());
        if is_first && monitors.len() >= MAX_NODE_MONITORS {
            return Err(NotMonitored::TooMany);
        }
        // A session is in the table before it is told of, and is not when its end is told.
        let present = sessions.all();
        let bytes = MONITOR_BYTES + (present.len() * 2 * size_of::<NodeId>()) as u64;
        let charge = Charge::new(payer, Kind::Memory, bytes).map_err(NotMonitored::Exceeded)?;
        let mut monitor = Monitor {
            process: process.clone(),
            tag,
            known: BTreeSet::new(),
            _charge: charge,
        };
        for session in present {
            monitor.known.insert(session.node().id);
            monitor.tell(Change::Present, session.node());
        }
        monitors.insert(process.id(), monitor);
        Ok(is_first)
    }

    /// A process is not told any more. Returns whether it was.
    pub fn end(&self, process: Pid) -> bool {
        self.monitors.lock().remove(&process).is_some()
    }

    /// Something has happened to another node.
    pub fn event(&self, event: &NodeEvent) {
        let (change, node) = match event {
            NodeEvent::Up(node) => (Change::Up, node),
            NodeEvent::Down { node, left: true } => (Change::Left, node),
            NodeEvent::Down { node, left: false } => (Change::Down, node),
            _ => return,
        };
        for monitor in self.monitors.lock().values_mut() {
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
                    "{MAX_NODE_MONITORS} processes monitor nodes, as many as may"
                )
            }
            NotMonitored::Exceeded(exceeded) => exceeded.fmt(f),
        }
    }
}

impl Error for NotMonitored {}
