//! Tells links and monitors that a process has ended, a few at a time.

use std::collections::{hash_map, hash_set};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use lunatic_mailbox::{Pid, Tag};

use crate::exit::ExitReason;
use crate::process::Process;
use crate::relations::Relations;
use crate::signal::Signal;

/// After so many notices, other tasks may run on this core.
const PIECE: usize = 256;

/// What is left of the death of a process: to tell its links, its monitors, and at the end
/// who waits for it, in this order.
pub(crate) struct DeathNotices {
    process: Process,
    reason: ExitReason,
    links: hash_map::IntoIter<Pid, Option<Tag>>,
    watchers: hash_set::IntoIter<Pid>,
    is_done: bool,
}

impl DeathNotices {
    pub(crate) fn new(process: &Process, reason: &ExitReason, relations: Relations) -> Self {
        let (links, watchers) = relations.into_parts();
        DeathNotices {
            process: process.clone(),
            reason: reason.clone(),
            links,
            watchers,
            is_done: false,
        }
    }

    /// Tells the first ones now. If there are more, a task of their own tells them.
    pub(crate) fn tell(mut self) {
        if !self.tell_some() {
            let scheduler = self.process.environment().scheduler().clone();
            scheduler.spawn(self);
        }
    }

    /// Tells the next ones, and returns whether all have been told.
    fn tell_some(&mut self) -> bool {
        for _ in 0..PIECE {
            let Some((receiver, signal)) = self.next() else {
                self.end();
                return true;
            };
            // A process that has ended meanwhile need not be told.
            self.process.environment().signal(receiver, signal).ok();
        }
        false
    }

    fn next(&mut self) -> Option<(Pid, Signal)> {
        let process = self.process.id();
        if let Some((peer, tag)) = self.links.next() {
            let reason = self.reason.clone();
            let peer_died = Signal::LinkDied {
                peer: process,
                tag,
                reason,
            };
            return Some((peer, peer_died));
        }
        let watcher = self.watchers.next()?;
        Some((watcher, Signal::ProcessDied { process }))
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.is_done, true) {
            self.process.announce_end();
            self.process.environment().release();
        }
    }
}

impl Future for DeathNotices {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.tell_some() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Nobody is left out, even if the task is thrown away.
impl Drop for DeathNotices {
    fn drop(&mut self) {
        while !self.is_done {
            self.tell_some();
        }
    }
}
