//! What nodes write to each other.

use lunatic_mailbox::{DataMessage, EncodedResource, Pid, Tag};
use lunatic_process::{ExitReason, Signal};
use serde::{Deserialize, Serialize, Serializer};

use crate::bounded;
use crate::cluster_clock::Reading;
use crate::global::GlobalFrame;
use crate::groups::GroupFrame;
use crate::handshake::{Hello, Refusal, Welcome};

/// The lane of what is about the nodes themselves.
pub(crate) const CONTROL: u8 = 0;

/// Pairs of processes share so many lanes, which begin at 1.
const PAIR_LANES: u8 = 32;

/// How many lanes a connection has.
pub const LANES: u8 = PAIR_LANES + 1;

/// The longest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// So many resources a message has at most, as each counts towards its size.
pub(crate) const MAX_RESOURCES: usize = MAX_MESSAGE_BYTES / DataMessage::RESOURCE_BYTES;

/// The longest frame: a message, and what there is beside its bytes.
pub(crate) const MAX_FRAME_BYTES: usize = MAX_MESSAGE_BYTES + (1 << 20);

/// What is longer is sent in pieces of this size, in bytes, between those of others.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// The longest unit that a lane is given, in bytes.
pub const MAX_UNIT_BYTES: usize = 128 << 10;

/// One thing that a node tells another. A unit of a lane is one or more of them, one
/// behind the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Frame<'a> {
    /// The first frame of who has dialled.
    Hello(Box<Hello>),
    /// The answer: there is a session.
    Welcome(Box<Welcome>),
    /// The answer: there is none, and why.
    Refuse(Refusal),
    /// Who has dialled knows of the session: the other side may send.
    Ready,
    /// Are you there?
    Ping(u32),
    /// Yes.
    Pong(u32),
    /// The sender leaves the cluster: the last frame of each lane.
    Leave,
    /// A signed list of names whose certificates are revoked.
    Revocations(#[serde(borrow, serialize_with = "at_once")] &'a [u8]),
    /// Memberships of groups.
    Groups(GroupFrame),
    /// Names that are unique in the cluster.
    Global(GlobalFrame),
    /// A message from one process to another.
    Message {
        from: Pid,
        to: Pid,
        tag: Option<Tag>,
        #[serde(borrow, serialize_with = "at_once")]
        bytes: &'a [u8],
        #[serde(deserialize_with = "bounded::list::<_, _, MAX_RESOURCES>")]
        resources: Vec<Option<EncodedResource>>,
    },
    /// A signal that is about no link.
    Signal { from: Pid, to: Pid, signal: Signal },
    /// `from` is linked to `to`.
    Link {
        from: Pid,
        to: Pid,
        /// What `from` is told when `to` dies.
        tag: Option<Tag>,
        /// What `to` is told when `from` dies.
        back: Option<Tag>,
    },
    /// `from` has undone its link to `to`.
    Unlink { from: Pid, to: Pid, id: u64 },
    /// `from` knows that; the answer to each [`Frame::Unlink`].
    Unlinked { from: Pid, to: Pid, id: u64 },
    /// `from`, linked to `to`, has ended.
    LinkDied {
        from: Pid,
        to: Pid,
        tag: Option<Tag>,
        reason: ExitReason,
    },
    /// `from` does not exist, which `to` wanted to monitor.
    NoProcess { from: Pid, to: Pid },
    /// Something is asked of the node.
    Request {
        id: u64,
        from: Pid,
        #[serde(borrow, serialize_with = "at_once")]
        request: &'a [u8],
    },
    /// The answer to a [`Frame::Request`].
    Response {
        id: u64,
        to: Pid,
        #[serde(borrow, serialize_with = "at_once")]
        response: &'a [u8],
    },
    /// A part of a frame that is longer than a piece.
    Piece {
        transfer: u32,
        /// The length of the whole frame, in bytes.
        length: u32,
        #[serde(borrow, serialize_with = "at_once")]
        bytes: &'a [u8],
    },
    /// The sender is about to leave: it takes nothing new on, and its processes end in order.
    Draining,
    /// The clock that the sender has now. Who has dialled greets again if it takes that clock.
    Clock(Reading),
}

impl Frame<'_> {
    /// Appends the frame to a unit.
    pub(crate) fn append_to(&self, unit: &mut Vec<u8>) {
        append(self, unit);
    }

    /// The frame alone.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.expected_length());
        self.append_to(&mut bytes);
        bytes
    }

    /// What comes before the bytes of a [`Frame::Message`], and what comes behind them.
    ///
    /// - `length`: how many bytes there are.
    pub(crate) fn around_message(
        from: Pid,
        to: Pid,
        tag: Option<Tag>,
        length: usize,
        resources: &[Option<EncodedResource>],
    ) -> [Vec<u8>; 2] {
        let empty = Frame::Message {
            from,
            to,
            tag,
            bytes: &[],
            resources: Vec::new(),
        };
        let mut head = empty.to_bytes();
        // It ends with two lengths of 0, of the bytes and of the resources.
        head.truncate(head.len() - 2);
        append(&length, &mut head);
        let mut tail = Vec::new();
        append(resources, &mut tail);
        [head, tail]
    }

    /// What comes before the bytes of a [`Frame::Piece`].
    ///
    /// - `length`: that of the whole frame.
    /// - `count`: how many bytes there are.
    pub(crate) fn before_piece(transfer: u32, length: u32, count: usize) -> Vec<u8> {
        let empty = Frame::Piece {
            transfer,
            length,
            bytes: &[],
        };
        let mut head = empty.to_bytes();
        // It ends with a length of 0.
        head.truncate(head.len() - 1);
        append(&count, &mut head);
        head
    }

    /// How many bytes it has, about.
    fn expected_length(&self) -> usize {
        let long = match self {
            Frame::Message {
                bytes, resources, ..
            } => {
                let resources = resources.iter().flatten();
                let resources = resources.map(|one| one.kind.len() + one.bytes.len() + 16);
                bytes.len() + resources.sum::<usize>()
            }
            Frame::Request { request: bytes, .. }
            | Frame::Response {
                response: bytes, ..
            }
            | Frame::Revocations(bytes)
            | Frame::Piece { bytes, .. } => bytes.len(),
            _ => 0,
        };
        long + 64
    }
}

fn append(value: &(impl Serialize + ?Sized), bytes: &mut Vec<u8>) {
    let begun = std::mem::take(bytes);
    // Nothing in a frame can fail to be written to a vector.
    *bytes = postcard::to_extend(value, begun).unwrap_or_default();
}

/// Writes bytes in one go; by itself, serde writes them one by one, to the same effect.
fn at_once<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// The lane for what one process sends to another.
pub(crate) fn lane_of(from: Pid, to: Pid) -> u8 {
    // Counters are consecutive, so that neighbours get different lanes.
    let mixed = from.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ to.to_bits();
    let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    1 + (mixed >> 59) as u8 % PAIR_LANES
}
