//! Exchanges the code of processes while they live.
//!
//! A module with a name has a current version and usually one old one. A process that
//! offers itself tells its kind and the version in which it writes its state; the exports
//! of a module say which of these it can take over. A reload makes another version the
//! current one, and each process that does not run it moves at its next safe point: its
//! old instance hands over the state, a new instance takes it, and is the process then.
//! Pid, mailbox, links, monitors, names, timers, sockets and files stay.
//!
//! # Layout
//!
//! - `entries`: [`Entries`], what a module can take over.
//! - `rollout`: [`Rollout`], the order in which processes move: a state machine.
//! - `versions`: [`Versions`], the modules that have a name.
//! - `version`: [`Version`] and [`NamedVersions`], what is told of them.
//! - `named`: one of them, with its versions and its processes that have offered themselves.
//! - `member`: [`Member`], such a process.
//! - `reload`: [`Versions::reload`], the course of a reload of a module.
//! - `error`: [`ReloadError`] and [`NotWanted`].
//! - `report`: [`Report`], what a reload has done.
//! - [`guest`]: the namespace `lunatic::reload`.
//!
//! How one instance takes over from another is in `lunatic_process::guest::exchange`.
//!
//! # Invariants
//!
//! - A process is asked to move to no version but the current one.
//! - An attempt that fails is not repeated until there is another current version.
//! - No reload is over while an attempt goes on that it has caused, unless that does not end in
//!   a minute.
//! - The lock of a module is taken before that of a process, and no foreign code runs
//!   under either.

mod entries;
mod error;
#[cfg(feature = "guest")]
pub mod guest;
mod member;
mod named;
mod reload;
mod report;
mod rollout;
mod version;
mod versions;

pub use entries::Entries;
pub use error::{MissingEntry, NotWanted, ReloadError};
pub use member::{Member, Target};
pub use report::{Outcome, ProcessReport, ReloadOptions, ReloadResult, Report};
pub use rollout::{ProgressCount, Rollout, RolloutAction, RolloutEvent};
pub use version::{NamedVersions, Version};
pub use versions::{ReloadPlan, Versions};

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
