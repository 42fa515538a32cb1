//! What is left of a death when the body is dropped, done a little at a time.

use std::collections::{hash_map, hash_set};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use lunatic_account::Charge;
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};
use lunatic_mailbox::{ClosedQueue, Pid, Tag};

use crate::exit::ExitReason;
use crate::failure::panic_message;
use crate::process::{ExitHook, Process};
use crate::relations::Relations;
use crate::signal::Signal;

/// After so many steps, other tasks may run on this core.
const PIECE: usize = 256;

/// What is left of the death of a process: to drop its messages, run its exit hooks, tell
/// its links, its monitors, and at the end who waits for it, in this order.
pub(crate) struct DeathNotices {
    process: Process,
    reason: ExitReason,
    queued: ClosedQueue,
    hooks: vec::IntoIter<ExitHook>,
    links: hash_map::IntoIter<Pid, Option<Tag>>,
    watchers: hash_set::IntoIter<Pid>,
    /// What is charged for links and watchers.
    charge: Option<Box<Charge>>,
    is_done: bool,
}

impl DeathNotices {
    pub(crate) fn new(
        process: &Process,
        reason: &ExitReason,
        queued: ClosedQueue,
        hooks: Vec<ExitHook>,
        mut relations: Relations,
    ) -> Self {
        let charge = relations.take_charge();
        let (links, watchers) = relations.into_parts();
        DeathNotices {
            process: process.clone(),
            reason: reason.clone(),
            queued,
            hooks: hooks.into_iter(),
            links,
            watchers,
            charge,
            is_done: false,
        }
    }

    /// Does the first steps now. If there are more, a task of their own does them.
    pub(crate) fn tell(mut self) {
        if !self.do_some() {
            let scheduler = self.process.environment().scheduler().clone();
            let share = self.process.account().share().cloned();
            scheduler.spawn_in(share, self);
        }
    }

    /// Does the next steps, and returns whether all have been done.
    fn do_some(&mut self) -> bool {
        let mut more_queued = true;
        undisturbed(&self.process, || more_queued = self.queued.drop_some(PIECE));
        if more_queued {
            return false;
        }
        for _ in 0..PIECE {
            if let Some(hook) = self.hooks.as_mut_slice().first_mut() {
                let mut has_more = false;
                undisturbed(&self.process, || has_more = hook(&self.reason));
                if has_more {
                    return false;
                }
                self.hooks.next();
            } else if let Some((receiver, signal)) = self.next_notice() {
                // A process that has ended meanwhile need not be told.
                self.process
                    .environment()
                    .signal_by(&self.process, receiver, signal)
                    .ok();
            } else {
                self.end();
                return true;
            }
        }
        false
    }

    fn next_notice(&mut self) -> Option<(Pid, Signal)> {
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
        let reason = self.reason.clone();
        Some((watcher, Signal::ProcessDied { process, reason }))
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.is_done, true) {
            self.charge = None;
            self.process.announce_end();
            let account = self.process.account();
            self.process.environment().release(account);
        }
    }
}

impl Future for DeathNotices {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.do_some() {
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
            self.do_some();
        }
    }
}

/// Runs foreign code whose panic must not keep a death from being told.
pub(crate) fn undisturbed(process: &Process, foreign: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(foreign)) {
        tracing::error!(
            process = %process.id(),
            "a panic while the process ended: {}",
            on_one_line(panic_message(&*panic), MAX_LOGGED_BYTES)
        );
    }
}
