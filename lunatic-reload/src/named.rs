//! A module with a name: its versions, and its processes that have offered themselves.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use async_channel::Sender;
use futures_lite::future;
use lunatic_mailbox::Pid;
use lunatic_process::{ExitReason, Failure, FailureKind};
use parking_lot::Mutex;

use crate::member::Member;
use crate::rollout::{Rollout, RolloutAction, RolloutEvent};
use crate::version::{NamedVersions, Version};

/// A module with a name.
#[derive(Debug)]
pub(crate) struct Named<M> {
    pub(crate) name: Arc<str>,
    pub(crate) state: Mutex<State<M>>,
}

#[derive(Debug)]
pub(crate) struct State<M> {
    pub(crate) current: Version<M>,
    /// The versions before, which something may still use, the latest first. There is one, unless
    /// a reload was to end the processes of the one before that and has gone back in part.
    pub(crate) old: Vec<Version<M>>,
    pub(crate) members: BTreeMap<Pid, Arc<Member<M>>>,
    /// How many of them offer themselves.
    pub(crate) offering: usize,
    /// Whether a reload goes on: no other one can begin.
    pub(crate) is_reloading: bool,
    /// While it moves processes.
    pub(crate) ongoing: Option<Ongoing<M>>,
    /// What has happened while it was looked who is to move.
    pub(crate) meanwhile: Option<BTreeMap<Pid, Meanwhile>>,
}

/// What has happened to a process before the reload could be told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meanwhile {
    /// It has offered itself, or does so no longer.
    Offered,
    /// It has ended; whether by a failure.
    Ended(bool),
}

/// A reload that goes on.
#[derive(Debug)]
pub(crate) struct Ongoing<M> {
    pub(crate) rollout: Rollout,
    /// What it is to be told to do.
    pub(crate) actions: Sender<RolloutAction>,
    /// The version that was current before.
    pub(crate) previous: Version<M>,
}

/// So many members are seen to at a time, before others run.
pub(crate) const PIECE: usize = 256;

impl<M: Clone + Send + Sync + 'static> Named<M> {
    /// A module with its first version.
    pub(crate) fn new(name: Arc<str>, current: Version<M>) -> Named<M> {
        Named {
            name,
            state: Mutex::new(State {
                current,
                old: Vec::new(),
                members: BTreeMap::new(),
                offering: 0,
                is_reloading: false,
                ongoing: None,
                meanwhile: None,
            }),
        }
    }

    /// What there is of it.
    pub(crate) fn describe(&self) -> NamedVersions<M> {
        let state = self.state.lock();
        let ongoing = state.ongoing.as_ref();
        NamedVersions {
            name: self.name.clone(),
            current: state.current.clone(),
            old: state.old.clone(),
            offering: state.offering,
            is_reloading: state.is_reloading,
            progress: ongoing.map(|ongoing| ongoing.rollout.progress()),
        }
    }

    /// Does something with all members, a piece of them at a time, between which others run.
    pub(crate) async fn for_each_piece(&self, mut each: impl FnMut(&[Arc<Member<M>>])) {
        // Those that join meanwhile come last; they could go on joining.
        let end = self.state.lock().members.keys().next_back().copied();
        let mut last = None;
        while last < end {
            let piece = self.state.lock().piece(last);
            let Some(member) = piece.last() else {
                return;
            };
            last = Some(member.process.id());
            each(&piece);
            drop(piece);
            future::yield_now().await;
        }
    }

    /// A process of the module has ended.
    pub(crate) fn ended(&self, pid: Pid, reason: &ExitReason) {
        let mut state = self.state.lock();
        let removed = state.members.remove(&pid);
        if removed.as_ref().is_some_and(|member| member.offers()) {
            state.offering -= 1;
        }
        // One that others take along through a link has not failed itself.
        let is_own = |failure: &Failure| !matches!(failure.kind(), FailureKind::LinkDied { .. });
        let failed = reason.failure().is_some_and(is_own);
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.insert(pid, Meanwhile::Ended(failed));
        }
        let is_moving = |member: &Arc<Member<M>>| member.is_moving.load(Ordering::Relaxed);
        let event = match failed && removed.as_ref().is_some_and(is_moving) {
            true => RolloutEvent::FailedMoving,
            false => RolloutEvent::Ended(failed),
        };
        state.tell(pid, event);
        drop(state);
        drop(removed);
    }
}

impl<M> State<M> {
    /// Whether a reload asks one process after the other to move.
    pub(crate) fn moves_one_by_one(&self) -> bool {
        self.ongoing.is_some() && !self.goes_back()
    }

    /// Whether a reload goes on whose processes go back.
    pub(crate) fn goes_back(&self) -> bool {
        let ongoing = self.ongoing.as_ref();
        ongoing.is_some_and(|ongoing| ongoing.rollout.goes_back())
    }

    pub(crate) fn find(&self, hash: &[u8; 32]) -> Option<&Version<M>> {
        let mut versions = [&self.current].into_iter().chain(&self.old);
        versions.find(|version| version.hash == *hash)
    }

    /// The next members behind the last one that was seen to.
    pub(crate) fn piece(&self, last: Option<Pid>) -> Vec<Arc<Member<M>>> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.members.range((from, Bound::Unbounded));
        let piece = behind.take(PIECE).map(|(_, member)| member.clone());
        piece.collect()
    }

    /// Decides whether a process is wanted while no reload asks one after the other.
    pub(crate) fn settle(&self, member: &Member<M>) -> Settled {
        let offered = member.state.lock();
        let settled = match &offered.offer {
            _ if offered.runs == self.current.hash => Settled::Current,
            None => Settled::WithoutOffer,
            Some((kind, version)) => match self.current.entries.best(kind, *version) {
                None => Settled::WithoutEntry,
                Some(_) if offered.refused == Some(self.current.hash) => Settled::Refused,
                Some(_) => Settled::Wanted,
            },
        };
        let is_wanted = settled == Settled::Wanted;
        member.is_wanted.store(is_wanted, Ordering::Release);
        settled
    }
}

impl<M: Clone> State<M> {
    /// Tells the reload that goes on, if one does, what has happened.
    pub(crate) fn tell(&mut self, pid: Pid, event: RolloutEvent) {
        let now = Instant::now();
        let ongoing = self.ongoing.as_mut();
        let actions = ongoing.map(|ongoing| ongoing.rollout.handle(now, pid, event));
        self.take_actions(actions.unwrap_or_default());
    }

    pub(crate) fn take_actions(&mut self, actions: Vec<RolloutAction>) {
        let Some(ongoing) = &self.ongoing else {
            return;
        };
        for action in actions {
            if action == RolloutAction::GoBack {
                // At once: nobody is to move on to a version that was given up.
                let given_up = mem::replace(&mut self.current, ongoing.previous.clone());
                self.old = vec![given_up];
            }
            // Who receives them is the reload itself.
            ongoing.actions.try_send(action).ok();
        }
    }
}

/// Whether a process is wanted; or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Wanted,
    /// It runs the current version.
    Current,
    /// It does not offer itself.
    WithoutOffer,
    /// The current version has no entry for it.
    WithoutEntry,
    /// It was asked, and that has come to nothing.
    Refused,
}
