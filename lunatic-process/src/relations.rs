//! Links and monitors of one process as a pure state machine.

use std::fmt;

use lunatic_mailbox::{Message, Tag};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::exit::{ExitReason, Failure, LinkDeath};

/// The id of a process in its environment: from 1 up, never used again; 0 is
/// never a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub u64);

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What processes tell each other beside messages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Signal {
    /// End, whatever you do.
    Kill,
    /// From now on, link deaths kill (`true`, the initial state) or become
    /// messages (`false`).
    DieWhenLinkDies(bool),
    /// `peer` is linked to you; replaces an earlier link to it.
    Link {
        /// The other end.
        peer: ProcessId,
        /// What the other end is told when you die.
        tag: Option<Tag>,
    },
    /// `peer` is no longer linked to you.
    Unlink {
        /// The other end.
        peer: ProcessId,
    },
    /// `peer`, linked to you, has ended.
    LinkDied {
        /// The other end.
        peer: ProcessId,
        /// The tag of the link.
        tag: Option<Tag>,
        /// Why it ended.
        reason: ExitReason,
    },
    /// `watcher` wants to be told when you end.
    Monitor {
        /// Who asks.
        watcher: ProcessId,
    },
    /// `watcher` no longer wants to be told.
    StopMonitoring {
        /// Who asks.
        watcher: ProcessId,
    },
    /// `process`, monitored by you, has ended.
    ProcessDied {
        /// Who has ended.
        process: ProcessId,
    },
}

/// What a signal makes a process do.
#[derive(Debug)]
pub enum Reaction {
    /// Go on.
    None,
    /// Put this into its own mailbox.
    Deliver(Message),
    /// End for this reason.
    Die(ExitReason),
}

/// Who is told when a process ends, and what it does when others do.
///
/// Allocates nothing until there is a link or a monitor.
#[derive(Debug)]
pub struct Relations {
    links: FxHashMap<ProcessId, Option<Tag>>,
    watchers: FxHashSet<ProcessId>,
    die_when_link_dies: bool,
}

impl Relations {
    /// No links, no monitors; link deaths kill.
    pub fn new() -> Relations {
        Relations {
            links: FxHashMap::default(),
            watchers: FxHashSet::default(),
            die_when_link_dies: true,
        }
    }

    /// Takes a signal in and says what follows from it.
    pub fn apply(&mut self, signal: Signal) -> Reaction {
        match signal {
            Signal::Kill => return Reaction::Die(ExitReason::Killed),
            Signal::DieWhenLinkDies(die) => self.die_when_link_dies = die,
            Signal::Link { peer, tag } => {
                self.links.insert(peer, tag);
            }
            Signal::Unlink { peer } => {
                self.links.remove(&peer);
            }
            Signal::LinkDied { peer, tag, reason } => return self.link_died(peer, tag, &reason),
            Signal::Monitor { watcher } => {
                self.watchers.insert(watcher);
            }
            Signal::StopMonitoring { watcher } => {
                self.watchers.remove(&watcher);
            }
            Signal::ProcessDied { process } => {
                return Reaction::Deliver(Message::ProcessDied { process: process.0 });
            }
        }
        Reaction::None
    }

    /// The linked processes, each with the tag it is to be told.
    pub fn links(&self) -> impl Iterator<Item = (ProcessId, Option<Tag>)> {
        self.links.iter().map(|(peer, tag)| (*peer, *tag))
    }

    /// How many processes are linked.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// The processes that monitor this one.
    pub fn watchers(&self) -> impl Iterator<Item = ProcessId> {
        self.watchers.iter().copied()
    }

    fn link_died(&mut self, peer: ProcessId, tag: Option<Tag>, reason: &ExitReason) -> Reaction {
        // A link that was undone meanwhile has nothing to tell.
        if self.links.remove(&peer).is_none() || reason.is_normal() {
            return Reaction::None;
        }
        match self.die_when_link_dies {
            true => Reaction::Die(ExitReason::Failed(Failure::new(LinkDeath { peer }))),
            false => Reaction::Deliver(Message::LinkDied { tag }),
        }
    }
}

impl Default for Relations {
    fn default() -> Relations {
        Relations::new()
    }
}
