//! What processes tell each other beside messages.

use lunatic_mailbox::{EncodedResource, Message, MessageResource, NotTransferable, Pid, Tag};
use serde::{Deserialize, Serialize};

use crate::exit::ExitReason;

/// What processes tell each other beside messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        from: Pid,
        /// What you are told if you trap link deaths.
        tag: Option<Tag>,
        /// Why you are to end; nothing happens if it is normal.
        reason: ExitReason,
    },
    /// `peer` is linked to you; replaces an earlier link to it.
    Link {
        /// The other end.
        peer: Pid,
        /// What the other end is told when you die.
        tag: Option<Tag>,
    },
    /// `peer` is no longer linked to you.
    Unlink {
        /// The other end.
        peer: Pid,
    },
    /// `peer`, linked to you, has ended.
    LinkDied {
        /// The other end.
        peer: Pid,
        /// The tag of the link.
        tag: Option<Tag>,
        /// Why it ended.
        reason: ExitReason,
    },
    /// `watcher` wants to be told when you end.
    Monitor {
        /// Who asks.
        watcher: Pid,
    },
    /// `watcher` no longer wants to be told.
    StopMonitoring {
        /// Who asks.
        watcher: Pid,
    },
    /// A message of yours to a process of another node was refused, as its mailbox is
    /// full. You end, as if you had sent it within a node and it had been a trap.
    MailboxFull {
        /// To whom the message was.
        receiver: Pid,
    },
    /// `process`, monitored by you, has ended.
    ProcessDied {
        /// Who has ended.
        process: Pid,
        /// Why. [`ExitReason::NoProcess`] is told only to who has asked for reasons.
        reason: ExitReason,
    },
    /// A message of yours to a process of another node was refused, as that node keeps no
    /// more for this one. You end, as if you had sent it within a node and had no memory left.
    MessageRefused {
        /// To whom the message was.
        receiver: Pid,
    },
}

impl Signal {
    /// How long the texts are that it tells, in bytes.
    pub fn text_bytes(&self) -> usize {
        match self {
            Signal::Exit { reason, .. }
            | Signal::LinkDied { reason, .. }
            | Signal::ProcessDied { reason, .. } => reason.text_bytes(),
            _ => 0,
        }
    }

    /// The same signal; if it tells of a failed process, only of what kind the failure is, without
    /// its texts, of which there are as many copies as there are links and monitors.
    pub fn without_texts(self) -> Signal {
        match self {
            Signal::LinkDied { peer, tag, reason } => Signal::LinkDied {
                peer,
                tag,
                reason: reason.without_texts(),
            },
            Signal::ProcessDied { process, reason } => Signal::ProcessDied {
                process,
                reason: reason.without_texts(),
            },
            other => other,
        }
    }
}

/// What a process that traps exits is told of a link: the resource at index 0 of
/// a message.
///
/// A normal end is told too, and also that somebody undid a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LinkNotice {
    /// A linked process has ended, or somebody asks the receiver to end.
    Exit {
        /// Who has ended, or asks.
        from: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// The link to a process is undone.
    Unlinked {
        /// The other end.
        peer: Pid,
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

impl MessageResource for LinkNotice {
    fn kind(&self) -> &'static str {
        "link notice"
    }

    fn encode(&self) -> Result<EncodedResource, NotTransferable> {
        EncodedResource::of(self, self.kind())
    }

    fn charged_bytes(&self) -> usize {
        match self {
            LinkNotice::Exit { reason, .. } => reason.text_bytes(),
            LinkNotice::Unlinked { .. } => 0,
        }
    }
}
