//! The processes that offer to move between versions.

use std::collections::BTreeSet;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lunatic_process::Process;
use parking_lot::Mutex;

use crate::error::NotWanted;
use crate::named::{Meanwhile, Named, Settled};
use crate::rollout::RolloutEvent;
use crate::version::Version;

/// A process that has offered itself.
pub struct Member<M> {
    pub(crate) process: Process,
    pub(crate) named: Weak<Named<M>>,
    /// Whether it is wanted at its next safe point. It is read without the lock.
    pub(crate) is_wanted: AtomicBool,
    /// Whether it was told in which version to write its state, and nothing has come of that yet.
    pub(crate) is_moving: AtomicBool,
    pub(crate) state: Mutex<Offered>,
}

#[derive(Debug)]
pub(crate) struct Offered {
    /// What it runs.
    pub(crate) runs: [u8; 32],
    /// Its kind, and the version of its state; `None` if it does not offer itself.
    pub(crate) offer: Option<(Arc<str>, i64)>,
    /// The version to which it is not to be moved again, as that has failed.
    pub(crate) refused: Option<[u8; 32]>,
}

/// Where a process is to move.
#[derive(Debug, Clone)]
pub struct Target<M> {
    /// The version.
    pub version: Version<M>,
    /// The kind of the process.
    pub kind: Arc<str>,
    /// The version of the state that it is to write.
    pub state_version: i64,
}

impl<M> Member<M> {
    /// A process that has offered nothing yet.
    ///
    /// - `runs`: the hash of the version that it runs.
    pub(crate) fn new(process: &Process, named: Weak<Named<M>>, runs: [u8; 32]) -> Member<M> {
        Member {
            process: process.clone(),
            named,
            is_wanted: AtomicBool::new(false),
            is_moving: AtomicBool::new(false),
            state: Mutex::new(Offered {
                runs,
                offer: None,
                refused: None,
            }),
        }
    }

    /// Whether the process offers itself.
    pub(crate) fn offers(&self) -> bool {
        self.state.lock().offer.is_some()
    }
}

impl<M: Clone + Send + Sync + 'static> Member<M> {
    /// Whether the process is to move at its next safe point.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// A reload to a version begins: the process is not wanted until it is asked, and if an
    /// attempt of its goes on, that ends.
    ///
    /// - `left_out`: the hashes of versions whose processes do not move.
    pub(crate) fn begins_reload(&self, to: &Version<M>, left_out: &[[u8; 32]]) {
        let mut own = self.state.lock();
        own.refused = left_out.contains(&own.runs).then_some(to.hash);
        drop(own);
        if self.is_wanted.swap(false, Ordering::AcqRel) {
            self.process.wake();
        }
    }

    /// The process is of this kind, and writes this version of its state; or offers
    /// itself no longer.
    pub fn offer(&self, offer: Option<(Arc<str>, i64)>) {
        let Some(named) = self.named.upgrade() else {
            return;
        };
        let mut state = named.state.lock();
        let pid = self.process.id();
        let before = mem::replace(&mut self.state.lock().offer, offer.clone());
        state.offering += usize::from(offer.is_some());
        state.offering -= usize::from(before.is_some());
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.insert(pid, Meanwhile::Offered);
        }
        let was_wanted = self.is_wanted();
        let settled = state.settle(self);
        match (settled, offer) {
            (Settled::Wanted, Some((kind, _))) if state.moves_one_by_one() => {
                // It waits until it is asked, unless it was.
                self.is_wanted.store(was_wanted, Ordering::Release);
                state.tell(pid, RolloutEvent::Offered(kind));
            }
            (Settled::WithoutEntry, _) => state.tell(pid, without_entry()),
            (Settled::WithoutOffer, _) => state.tell(pid, without_offer()),
            _ => {}
        }
    }

    /// What a reload to a version is told that has not been told of an offer; nothing of one
    /// that runs it.
    pub(crate) fn event_of_offer(&self, version: &Version<M>) -> Option<RolloutEvent> {
        let own = self.state.lock();
        if own.runs == version.hash || own.refused == Some(version.hash) {
            return None;
        }
        Some(match &own.offer {
            None => without_offer(),
            Some((kind, written)) => match version.entries.best(kind, *written) {
                None => without_entry(),
                Some(_) => RolloutEvent::Offered(kind.clone()),
            },
        })
    }

    /// Where the process is to move; `None` if it is not.
    pub fn target(&self) -> Option<Target<M>> {
        if !self.is_wanted() {
            return None;
        }
        let named = self.named.upgrade()?;
        let state = named.state.lock();
        let own = self.state.lock();
        let (kind, offered) = own.offer.clone()?;
        let version = state.current.clone();
        let state_version = version.entries.best(&kind, offered)?;
        let is_other = own.runs != version.hash;
        is_other.then_some(Target {
            version,
            kind,
            state_version,
        })
    }

    /// The version in which the process writes its state, if it offers itself.
    pub(crate) fn offered_version(&self) -> Option<i64> {
        let own = self.state.lock();
        own.offer.as_ref().map(|(_, version)| *version)
    }

    /// The process is told where it is to move, or that it is not to.
    pub fn set_moving(&self, is_moving: bool) {
        // Most are told that they are not, again and again.
        if self.is_moving.load(Ordering::Relaxed) != is_moving {
            self.is_moving.store(is_moving, Ordering::Relaxed);
        }
    }

    /// The process hands over to a version: an attempt begins. That it has
    /// [accepted](Member::accepts) or [`failed`](Member::failed) has to follow, unless it ends.
    /// If it is [wanted](Member::is_wanted) no longer meanwhile, the attempt is to end.
    ///
    /// # Errors
    ///
    /// [`NotWanted`] if that version is not the current one any more; nothing has begun then.
    pub fn begins(&self, to: &[u8; 32]) -> Result<(), NotWanted> {
        let named = self.named.upgrade().ok_or(NotWanted)?;
        let mut state = named.state.lock();
        if state.current.hash != *to || !self.is_wanted() {
            return Err(NotWanted);
        }
        state.tell(self.process.id(), RolloutEvent::Began);
        Ok(())
    }

    /// An attempt to move has failed: the process is not asked again to move there.
    pub fn failed(&self, target: &[u8; 32], why: String) {
        self.refuse(target, RolloutEvent::Failed(why));
    }

    /// The process declines to move.
    pub fn declined(&self, why: String) {
        if let Some(target) = self.target() {
            self.refuse(&target.version.hash, RolloutEvent::Declined(why));
        }
    }

    fn refuse(&self, target: &[u8; 32], event: RolloutEvent) {
        self.set_moving(false);
        let Some(named) = self.named.upgrade() else {
            return;
        };
        let mut state = named.state.lock();
        if state.current.hash == *target {
            if state.ongoing.is_none() {
                self.warn_of(&event);
            }
            self.state.lock().refused = Some(*target);
            self.is_wanted.store(false, Ordering::Release);
        } else if !(matches!(event, RolloutEvent::Failed(_)) && state.goes_back()) {
            // Only who goes back waits for the end of an attempt to move forward.
            return;
        }
        state.tell(self.process.id(), event);
    }

    /// Logs that an attempt to move has come to nothing after the reload: nobody else is told.
    fn warn_of(&self, event: &RolloutEvent) {
        let (what, why) = match event {
            RolloutEvent::Failed(why) => ("its attempt to move has failed", why),
            RolloutEvent::Declined(why) => ("it has declined to move", why),
            _ => return,
        };
        let process = &self.process;
        if process.environment().admits_log_line(process.account()) {
            tracing::warn!(
                process = %process.id(),
                "{what}, and it goes on with the old version: {why}"
            );
        }
    }

    /// If the process is of one of these kinds, it is not asked to move to a version any more.
    pub(crate) fn give_up(&self, kinds: &BTreeSet<Arc<str>>, to: &[u8; 32]) {
        let mut own = self.state.lock();
        let is_of = |(kind, _): &(Arc<str>, i64)| kinds.contains(kind);
        if own.runs != *to && own.offer.as_ref().is_some_and(is_of) {
            own.refused = Some(*to);
        }
    }

    /// The process will run another version in a moment, and does not offer itself until it
    /// does so again. That it has [`moved`](Member::moved) has to follow.
    ///
    /// # Errors
    ///
    /// [`NotWanted`] if that version is not the current one any more.
    pub fn accepts(&self, to: &[u8; 32]) -> Result<(), NotWanted> {
        let named = self.named.upgrade().ok_or(NotWanted)?;
        let mut state = named.state.lock();
        if state.current.hash != *to || !self.is_wanted() {
            return Err(NotWanted);
        }
        self.set_moving(false);
        let mut own = self.state.lock();
        own.runs = *to;
        own.refused = None;
        state.offering -= usize::from(own.offer.take().is_some());
        drop(own);
        self.is_wanted.store(false, Ordering::Release);
        state.tell(self.process.id(), RolloutEvent::Accepted);
        Ok(())
    }

    /// The process runs the version that it has accepted.
    ///
    /// - `pause`: how long it ran neither the one nor the other.
    pub fn moved(&self, pause: Duration) {
        if let Some(named) = self.named.upgrade() {
            let mut state = named.state.lock();
            state.tell(self.process.id(), RolloutEvent::Moved(pause));
        }
    }
}

pub(crate) fn wake<M>(members: &[Arc<Member<M>>]) {
    for member in members {
        if member.is_wanted.load(Ordering::Acquire) {
            member.process.wake();
        }
    }
}

pub(crate) fn without_entry() -> RolloutEvent {
    RolloutEvent::Declined("the current version has no entry for its kind".to_owned())
}

pub(crate) fn without_offer() -> RolloutEvent {
    RolloutEvent::Declined("it offers itself no longer".to_owned())
}

impl<M> fmt::Debug for Member<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("process", &self.process)
            .field("is_wanted", &self.is_wanted)
            .finish_non_exhaustive()
    }
}
