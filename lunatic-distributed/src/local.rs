//! What a cluster needs of the node that it runs on.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use lunatic_account::Account;
use lunatic_mailbox::{EncodedResource, NodeNumber, Pid, Tag};
use lunatic_process::{Effect, ExitReason, NoConnection, Signal};

use crate::groups::GroupChange;
use crate::handshake::Refusal;
use crate::node_info::NodeInfo;
use crate::session::Session;

/// The processes of this node, as its cluster needs them. All methods are called by the thread
/// of the node, and must not block.
pub trait LocalNode: Send + Sync {
    /// Gives a message of another node to a process. If there is no such process, it is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`NotDelivered`]; then the sender ends.
    fn deliver(&self, message: Incoming<'_>) -> Result<(), NotDelivered>;

    /// Applies a signal to a process of this node, but for what follows from it: see
    /// [`Environment::apply`](lunatic_process::Environment::apply). It may be called under the lock
    /// of a session, and calls nothing of the sessions.
    ///
    /// - `from`: a process of another node.
    ///
    /// # Errors
    ///
    /// There is no such process.
    fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<Effect, ExitReason>;

    /// Another node asks for something.
    ///
    /// - `from`: the process in whose name.
    /// - `answer`: how it is answered, now or later.
    fn request(&self, from: Pid, request: &[u8], answer: Answer);

    /// A process of another node has joined or left a group, or cannot be reached any more.
    fn group_changed(&self, change: GroupChange);

    /// A name that is unique in the cluster belongs to this process now, or to none.
    fn global_name_changed(&self, name: &str, process: Option<Pid>);

    /// A process of this node has lost its name to one whose claim is older, as the two nodes
    /// could not reach each other.
    fn global_name_lost(&self, name: &str, process: Pid, winner: Pid);

    /// Something has happened to another node.
    fn node_event(&self, event: NodeEvent);

    /// The account to which is charged what another node has sent, if there is one.
    fn account_of(&self, _node: NodeNumber) -> Option<Account> {
        None
    }

    /// Another node tells which certificates are revoked.
    fn revocations(&self, _list: &[u8]) {}

    /// The lists of revoked certificates that this node knows, which the other is told when a
    /// session begins.
    fn known_revocations(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// A message from a process of another node.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Who sends.
    pub from: Pid,
    /// To whom.
    pub to: Pid,
    /// The tag.
    pub tag: Option<Tag>,
    /// The bytes.
    pub bytes: &'a [u8],
    /// The resources by index.
    pub resources: Vec<Option<EncodedResource>>,
}

/// Why a message of another node was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDelivered {
    /// The mailbox of the receiver is full.
    MailboxFull,
    /// This node keeps no more for that one.
    Refused,
}

/// Something has happened to another node, or to what this one is among others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// There is a session with it.
    Up(NodeInfo),
    /// The session has ended.
    Down {
        /// The node.
        node: NodeInfo,
        /// It has left in good order.
        left: bool,
    },
    /// A node that was dialled does not want a session.
    Refused {
        /// What was dialled.
        address: SocketAddr,
        /// Why.
        refusal: Refusal,
        /// There has been no session with any node.
        is_joining: bool,
    },
    /// A node that was started earlier has the number of this one, which has to end, or to
    /// start with another.
    NumberTaken,
}

/// How a request of another node is answered. If it is dropped, who asks waits until the
/// session ends.
#[derive(Debug)]
pub struct Answer {
    session: Weak<Session>,
    lane: u8,
    to: Pid,
    id: u64,
}

impl Answer {
    pub(crate) fn new(session: &Arc<Session>, lane: u8, to: Pid, id: u64) -> Answer {
        Answer {
            session: session.downgrade(),
            lane,
            to,
            id,
        }
    }

    /// The connection over which the request has come, if it is still there.
    #[cfg(feature = "transport")]
    pub(crate) fn connection(&self) -> Option<crate::cluster::Connection> {
        Some(self.session.upgrade()?.connection())
    }

    /// Whether somebody waits for it: the session has not ended.
    pub(crate) fn is_awaited(&self) -> bool {
        self.session
            .upgrade()
            .is_some_and(|session| session.is_open())
    }

    /// Answers.
    ///
    /// - `from`: the answer arrives behind what this process has sent to who asks, and before
    ///   what it sends later. `None` if it is about no process.
    pub fn send(&self, from: Option<Pid>, response: &[u8]) {
        if let Some(session) = self.session.upgrade() {
            let lane = from.map_or(self.lane, |from| crate::frame::lane_of(from, self.to));
            let from = from.unwrap_or(crate::session::host_of(session.own_number()));
            session.respond(lane, from, self.to, self.id, response);
        }
    }

    /// Links a process of this node to who asks, which is told so.
    ///
    /// - `tag`: what who asks is told when the process dies.
    ///
    /// # Errors
    ///
    /// The session has ended.
    pub fn link(&self, process: Pid, tag: Option<Tag>) -> Result<(), NoConnection> {
        let session = self.session.upgrade().ok_or(NoConnection)?;
        session.link(process, self.to, None, tag)
    }
}

impl fmt::Display for NotDelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotDelivered::MailboxFull => "the mailbox is full",
            NotDelivered::Refused => "no more is kept for the node of the sender",
        })
    }
}

impl std::error::Error for NotDelivered {}
