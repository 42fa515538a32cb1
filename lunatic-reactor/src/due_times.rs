//! The times that tasks wait for, in their order.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

use smallvec::SmallVec;

/// The highest number of tasks that are woken at once.
const MAX_BATCH: usize = 256;

/// The times that tasks wait for.
#[derive(Debug, Default)]
pub(crate) struct DueTimes {
    waiting: BTreeMap<(Instant, u64), Waker>,
    last: u64,
    /// For when the clock of the kernel is set, if it has not gone off since.
    set: Option<Instant>,
}

impl DueTimes {
    /// Adds a time, and returns its number.
    pub(crate) fn insert(&mut self, due: Instant, waker: Waker) -> u64 {
        self.last += 1;
        self.waiting.insert((due, self.last), waker);
        self.last
    }

    /// Replaces the waker of a time. Returns the one to be dropped, or an error if the time is not
    /// there any more, because the task was woken.
    pub(crate) fn replace(
        &mut self,
        due: Instant,
        number: u64,
        waker: Waker,
    ) -> Result<Waker, Waker> {
        match self.waiting.get_mut(&(due, number)) {
            Some(known) => Ok(std::mem::replace(known, waker)),
            None => Err(waker),
        }
    }

    /// Removes a time that nobody waits for any more.
    pub(crate) fn remove(&mut self, due: Instant, number: u64) -> Option<Waker> {
        self.waiting.remove(&(due, number))
    }

    /// Whether nobody waits and the clock is not set. While it is set, it has to be recorded when it
    /// goes off, also in vain: it would not be set for what comes later.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.set.is_none()
    }

    /// Removes times that are over, the earliest first, and no more than [`MAX_BATCH`].
    pub(crate) fn take_due(&mut self, now: Instant) -> SmallVec<[Waker; 8]> {
        if self.set.is_some_and(|set| set <= now) {
            self.set = None;
        }
        let mut due = SmallVec::new();
        while due.len() < MAX_BATCH
            && let Some(first) = self.waiting.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }

    /// Returns the earliest time if the clock of the kernel is to be set for it, and records that it
    /// is.
    ///
    /// A clock that is set for a time before all of these, which nobody waits for any more, stays as
    /// it is: it goes off once in vain.
    pub(crate) fn next_setting(&mut self) -> Option<Instant> {
        let (first, _) = *self.waiting.first_key_value()?.0;
        if self.set.is_some_and(|set| set <= first) {
            return None;
        }
        self.set = Some(first);
        Some(first)
    }

    /// Records that the clock could not be set.
    pub(crate) fn forget_setting(&mut self) {
        self.set = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_clock_is_set_only_for_a_time_that_is_earlier_than_the_one_it_is_set_for() {
        let mut times = DueTimes::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(times.next_setting(), None);
        let first = times.insert(at(5), Waker::noop().clone());
        assert_eq!(times.next_setting(), Some(at(5)));
        assert_eq!(times.next_setting(), None);
        times.insert(at(7), Waker::noop().clone());
        assert_eq!(times.next_setting(), None);
        times.remove(at(5), first);
        assert_eq!(times.next_setting(), None, "it goes off at 5");
        assert!(times.take_due(at(5)).is_empty());
        assert_eq!(times.next_setting(), Some(at(7)));
        times.insert(at(6), Waker::noop().clone());
        assert_eq!(times.next_setting(), Some(at(6)));
        assert_eq!(times.take_due(at(7)).len(), 2);
        assert!(times.is_idle());
        assert_eq!(times.next_setting(), None);
    }

    #[test]
    fn a_clock_that_goes_off_in_vain_while_nobody_waits_is_set_again() {
        let mut times = DueTimes::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = times.insert(at(5), Waker::noop().clone());
        assert_eq!(times.next_setting(), Some(at(5)));
        times.remove(at(5), first);
        assert!(!times.is_idle(), "it goes off at 5");
        assert!(times.take_due(at(5)).is_empty());
        assert!(times.is_idle());
        times.insert(at(7), Waker::noop().clone());
        assert_eq!(times.next_setting(), Some(at(7)));
    }

    #[test]
    fn many_times_that_are_over_are_taken_in_batches_the_earliest_first() {
        let mut times = DueTimes::default();
        let now = Instant::now();
        for _ in 0..MAX_BATCH + 1 {
            times.insert(now, Waker::noop().clone());
        }
        let last = times.insert(now + Duration::from_nanos(1), Waker::noop().clone());
        let later = now + Duration::from_secs(1);
        assert_eq!(times.take_due(later).len(), MAX_BATCH);
        assert_eq!(times.next_setting(), Some(now), "the rest is over too");
        assert_eq!(times.take_due(now).len(), 1);
        assert!(times.replace(now, 1, Waker::noop().clone()).is_err());
        let due = now + Duration::from_nanos(1);
        assert!(times.replace(due, last, Waker::noop().clone()).is_ok());
        assert_eq!(times.take_due(later).len(), 1);
    }
}
