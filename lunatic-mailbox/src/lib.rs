//! Messages, tags and selective receive.
//!
//! A mailbox has one owner, who receives, and any number of [`Sender`]s. A
//! message may carry a tag; the owner can wait for the next message of any kind,
//! for one of a set of tags, or for the answer to a request it is about to send.
//! Waiting for a tag stays fast when a hundred thousand other messages are
//! queued.
//!
//! # Layout
//!
//! - [`message`]: what travels: [`Message`], [`DataMessage`], [`Tag`].
//! - [`pid`]: [`Pid`], [`NodeId`], the ids of processes and nodes.
//! - `resource`: [`MessageResource`], what a message carries beside bytes.
//! - [`queue`]: [`Queue`], the messages in arrival order and the index by tag.
//! - [`mailbox`]: [`Mailbox`] and [`Sender`], the queue shared between tasks.
//! - `guest`: the namespace `lunatic::message` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - A message is in the queue until the moment it is received. A waiting owner
//!   is told *which* queued message is its own, it is never handed one outside
//!   of the queue; so a wait that is given up (timeout, kill inside
//!   `trap::catch`) loses nothing and changes no order.
//! - No lock is held while a waker runs or a message is dropped.
//! - Nothing here knows wasmtime (outside of `guest`), processes or sockets:
//!   what a message carries beside bytes is a [`MessageResource`].

#[cfg(feature = "guest")]
pub mod guest;
#[cfg(lunatic_loom)]
mod loom_lock;
pub mod mailbox;
pub mod message;
pub mod pid;
pub mod queue;
mod resource;

pub use mailbox::{Limits, Mailbox, Receive, SendError, Sender, Wait};
pub use message::{DataMessage, Message, Tag, WireMessage};
pub use pid::{NodeId, NodeNumber, Pid};
pub use queue::{Queue, Wanted};
pub use resource::{EncodedResource, MessageResource, NotTransferable};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
