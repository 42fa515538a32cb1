//! Messages, tags and selective receive.
//!
//! A [`Mailbox`] has one owner, which receives, and any number of [`Sender`]s. A
//! message may carry a [`Tag`]. The owner can wait for the next message of any kind,
//! for the next with one of several tags, or for the reply to a request that it is
//! about to send. Waiting for a tag stays fast when a hundred thousand other messages
//! are queued.
//!
//! # Layout
//!
//! - `message`: [`Message`], [`DataMessage`] and [`Tag`]; [`SharedCopy`], a copy of a message.
//! - `pid`: [`Pid`] and [`NodeId`], the ids of processes and nodes.
//! - `pid_map`: [`PidMap`] and [`PidSet`], maps and sets of ids with a random seed.
//! - `resource`: [`MessageResource`], what a message carries besides bytes.
//! - `wanted`: [`Wanted`], the messages that a receiver waits for.
//! - `queue`: [`Queue`], the messages in arrival order with an index by tag.
//! - `payers`: the accounts to which queued messages are charged.
//! - `prefetched`: messages that the owner of a long queue has taken out in advance.
//! - `queued`: a queue and the accounts that pay for it.
//! - `mailbox`: [`Mailbox`] and [`Sender`], a queue that is shared between tasks.
//! - `closed_queue`: [`ClosedQueue`], the messages of a mailbox that was closed.
//! - `guest`: the namespace `lunatic::message` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - A message is in the queue until it is received. A waiting owner learns *which* queued message
//!   ends its wait, and never gets a message outside of the queue. So dropping a wait (at a
//!   timeout, or when a process is killed) loses no message and changes no order.
//! - Queued messages are charged to their senders. Not charged are the first few small messages,
//!   the few small ones that the owner of a long queue has taken out in advance, and messages of
//!   the host. A received message is charged to no account here.
//! - No lock is held while a waker runs or a message is dropped.
//! - Only `guest` depends on wasmtime. Nothing here depends on processes or sockets: a message
//!   carries them as a [`MessageResource`].

mod closed_queue;
#[cfg(feature = "guest")]
pub mod guest;
#[cfg(lunatic_loom)]
mod loom_lock;
mod mailbox;
mod message;
mod payers;
mod pid;
mod pid_map;
mod prefetched;
mod queue;
mod queued;
mod resource;
mod wanted;

pub use closed_queue::ClosedQueue;
pub use mailbox::{Limits, Mailbox, Receive, SendError, Sender, Wait};
pub use message::shared_copy::SharedCopy;
pub use message::{CursorBehindEnd, DataMessage, Message, Tag, WireMessage};
pub use pid::{NodeId, NodeNumber, ParsePidError, Pid};
pub use pid_map::{PidHashing, PidMap, PidSet};
pub use queue::Queue;
pub use resource::{EncodedResource, MessageResource, NotShared, NotTransferable};
pub use wanted::{TagList, Wanted};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
