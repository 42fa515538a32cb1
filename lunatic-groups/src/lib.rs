//! Groups of processes, as OTP's `pg` has them.
//!
//! [`Groups`] contains scopes by name, a [`Scope`] groups by name, and a group the processes that
//! have joined it. A process that monitors a group, or a whole scope, gets a message for each
//! process that joins or leaves.
//!
//! # Layout
//!
//! - `members`: [`Members`], the processes of one group, without locks or tasks.
//! - `group_table`: [`GroupTable`], the groups and monitors of one scope, without
//!   locks or tasks.
//! - `event`: [`GroupEvent`], the content of the messages to monitors.
//! - `scope`: [`Scope`], a table that is shared and follows the life of processes.
//! - `groups`: [`Groups`], the scopes by name.
//! - `notification_queue`: the messages to monitors that are not sent yet, in order.
//! - `guest`: the namespace `lunatic::group` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - A process that ends is removed from all groups before its links and monitors are notified.
//! - The time to join, to leave, or to find the next member does not depend on the
//!   size of the group.
//! - A monitor first gets the members, and then every change, in the order of the changes. The members
//!   of a large group are collected in pieces; changes that the monitor has to be told of meanwhile wait.
//! - No lock is held while a message is sent, or over an `await`.

mod event;
mod group_table;
mod groups;
#[cfg(feature = "guest")]
pub mod guest;
mod members;
mod notification_queue;
mod scope;

pub use event::{Change, GroupEvent, MEMBER_BYTES};
pub use group_table::{
    GroupError, GroupTable, Leaving, MAX_GROUPS, MAX_MEMBERSHIPS, MAX_MONITORS, MAX_NAME_BYTES,
    MAX_WATCHERS, NotJoined, Notice, Presented,
};
pub use groups::{Groups, MAX_SCOPES};
pub use members::{Member, Members};
pub use scope::{NotDispatched, Scope};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
