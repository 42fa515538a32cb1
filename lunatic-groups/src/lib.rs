//! Groups of processes, as OTP's `pg` has them.
//!
//! [`Groups`] has scopes; a [`Scope`] has groups by name, and a group the
//! processes that joined it. Whoever monitors a group, or a scope, is told of
//! everyone who joins and leaves.
//!
//! # Layout
//!
//! - [`members`]: [`Members`], the processes of one group, pure data.
//! - [`table`]: [`GroupTable`], who is in which group and who watches, pure data.
//! - [`event`]: [`GroupEvent`], what a monitor is told, and its bytes.
//! - [`scope`]: [`Scope`], a table that is shared, and tied to the life of processes.
//! - [`groups`]: [`Groups`], the scopes by name.
//! - `notifications`: what is still to be told, in order.
//! - `guest`: the namespace `lunatic::group` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - A process is in no group any more when its links hear of its death.
//! - Joining, leaving, and taking the next member do not depend on the size of
//!   the group.
//! - A monitor is told who is there when it begins, and then of each change in
//!   the order in which they happened, none left out.
//! - No lock is held while a message is sent, or over a wait.

pub mod event;
pub mod group_table;
pub mod groups;
#[cfg(feature = "guest")]
pub mod guest;
pub mod members;
mod notification_queue;
pub mod scope;

pub use event::{Change, GroupEvent};
pub use group_table::{
    GroupError, GroupTable, MAX_GROUPS, MAX_MEMBERSHIPS, MAX_MONITORS, MAX_NAME_BYTES, NotJoined,
};
pub use groups::{Groups, MAX_SCOPES};
pub use members::Members;
pub use scope::Scope;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
