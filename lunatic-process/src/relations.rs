//! Links and monitors of one process as a pure state machine.

use std::fmt;

use lunatic_mailbox::{DataMessage, Message, Tag};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::exit::ExitReason;

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
    /// From now on, whatever happens to links becomes a message with a
    /// [`LinkNotice`]; OTP's `trap_exit`.
    TrapExits,
    /// `from` wants you to end for this reason; OTP's `exit/2`. Who traps link
    /// deaths is told as if `from` had died, and the link stays.
    Exit {
        /// Who asks.
        from: ProcessId,
        /// What you are told if you trap link deaths.
        tag: Option<Tag>,
        /// Why you are to end; nothing happens if it is normal.
        reason: ExitReason,
    },
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

/// What a process that traps exits is told of a link: the resource at index 0 of
/// a message.
///
/// A normal end is told too, and also that somebody undid a link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LinkNotice {
    /// A linked process has ended, or somebody asks the receiver to end.
    Exit {
        /// Who has ended, or asks.
        from: ProcessId,
        /// Why.
        reason: ExitReason,
    },
    /// The link to a process is undone.
    Unlinked {
        /// The other end.
        peer: ProcessId,
    },
}

impl LinkNotice {
    /// Takes the notice out of a message, if that is what it is.
    pub fn take(message: &mut Message) -> Option<LinkNotice> {
        match message {
            Message::Data(data) => data.take(0),
            _ => None,
        }
    }
}

impl From<LinkNotice> for Reaction {
    fn from(notice: LinkNotice) -> Reaction {
        let mut message = DataMessage::default();
        message.push(notice);
        Reaction::Deliver(message.into())
    }
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
    on_link_death: OnLinkDeath,
}

/// What a link death does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnLinkDeath {
    Die,
    /// An abnormal one becomes [`Message::LinkDied`].
    Tell,
    /// Every one becomes a [`LinkNotice`].
    Notice,
}

impl Relations {
    /// No links, no monitors; link deaths kill.
    pub fn new() -> Relations {
        Relations {
            links: FxHashMap::default(),
            watchers: FxHashSet::default(),
            on_link_death: OnLinkDeath::Die,
        }
    }

    /// Takes a signal in and says what follows from it.
    pub fn apply(&mut self, signal: Signal) -> Reaction {
        match signal {
            Signal::Kill => return Reaction::Die(ExitReason::Killed),
            Signal::DieWhenLinkDies(true) => self.on_link_death = OnLinkDeath::Die,
            Signal::DieWhenLinkDies(false) => self.on_link_death = OnLinkDeath::Tell,
            Signal::TrapExits => self.on_link_death = OnLinkDeath::Notice,
            Signal::Exit { from, tag, reason } => return self.asked_to_end(from, tag, reason),
            Signal::Link { peer, tag } => {
                self.links.insert(peer, tag);
            }
            Signal::Unlink { peer } => {
                let was_linked = self.links.remove(&peer).is_some();
                if was_linked && self.on_link_death == OnLinkDeath::Notice {
                    return LinkNotice::Unlinked { peer }.into();
                }
            }
            Signal::LinkDied { peer, tag, reason } => return self.link_died(peer, tag, reason),
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

    /// Whether what happens to links becomes a [`LinkNotice`].
    pub fn traps_exits(&self) -> bool {
        self.on_link_death == OnLinkDeath::Notice
    }

    /// What the other end of a link is told when this process dies; `None` if
    /// there is no link.
    pub fn link_to(&self, peer: ProcessId) -> Option<Option<Tag>> {
        self.links.get(&peer).copied()
    }

    fn link_died(&mut self, peer: ProcessId, tag: Option<Tag>, reason: ExitReason) -> Reaction {
        // A link that was undone meanwhile has nothing to tell.
        if self.links.remove(&peer).is_none() {
            return Reaction::None;
        }
        match self.on_link_death {
            OnLinkDeath::Notice => LinkNotice::Exit { from: peer, reason }.into(),
            _ if reason.is_normal() => Reaction::None,
            OnLinkDeath::Die => Reaction::Die(reason.passed_on_by(peer)),
            OnLinkDeath::Tell => Reaction::Deliver(Message::LinkDied { tag }),
        }
    }

    fn asked_to_end(&self, from: ProcessId, tag: Option<Tag>, reason: ExitReason) -> Reaction {
        match self.on_link_death {
            OnLinkDeath::Notice => LinkNotice::Exit { from, reason }.into(),
            _ if reason.is_normal() => Reaction::None,
            OnLinkDeath::Die => Reaction::Die(reason),
            OnLinkDeath::Tell => Reaction::Deliver(Message::LinkDied { tag }),
        }
    }
}

impl Default for Relations {
    fn default() -> Relations {
        Relations::new()
    }
}
