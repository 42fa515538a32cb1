//! How long an instance may run before it yields.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::preemption::{FIRST_BUDGET, MIN_BUDGET};
use crate::ticker::{Ticker, Ticks};

/// Distinguishes an instance that has just been resumed from one that has run for a tick, and
/// decides how much code it may run until the next check.
#[derive(Debug, Clone)]
pub(crate) struct TimeSlice {
    ticker: Ticker,
}

/// The time slice of the instance that runs on a thread.
#[derive(Debug, Clone, Copy)]
struct Slice {
    /// The tick at which it began.
    began_at: u64,
    /// The ticks that end it.
    ticks: Option<&'static Ticks>,
}

thread_local! {
    static SLICE: Cell<Slice> = const {
        Cell::new(Slice { began_at: 0, ticks: None })
    };

    /// The last budget that was given in the slice, and when.
    static LAST_BUDGET: Cell<Option<(u32, Instant)>> = const { Cell::new(None) };
}

/// Returns whether there was a tick since the instance that this thread runs was resumed.
///
/// Code that counts fuel does not ask by itself, and other code does not know what a host function
/// has taken: a host function that takes a while should ask, and yield or have the guest look at
/// the clock then.
#[inline]
pub fn is_time_slice_over() -> bool {
    let slice = SLICE.get();
    slice
        .ticks
        .is_some_and(|ticks| ticks.count() != slice.began_at)
}

/// Ends the time slice of the instance that this thread runs: who asks finds it
/// [over](is_time_slice_over), until an instance is resumed. Without one, nothing happens.
pub fn end_time_slice() {
    // No tick has this number.
    let began_at = u64::MAX;
    SLICE.set(Slice {
        began_at,
        ..SLICE.get()
    });
}

/// How long a budget is meant to last.
const BUDGET_TIME: Duration = Duration::from_micros(50);

/// The largest budget. Plain operators take some tenths of a nanosecond, so it lasts less than a
/// tick even if they take longer.
const MAX_BUDGET: u32 = 1 << 18;

impl TimeSlice {
    /// Time slices that end with a tick of this ticker.
    pub(crate) fn new(ticker: Ticker) -> TimeSlice {
        TimeSlice { ticker }
    }

    /// The number of the last tick.
    pub(crate) fn tick(&self) -> u64 {
        self.ticker.ticks()
    }

    /// Begins one: the instance on this thread is resumed.
    pub(crate) fn begin(&self) {
        let ticks = self.ticker.counter();
        SLICE.set(Slice {
            began_at: ticks.count(),
            ticks: Some(ticks),
        });
        LAST_BUDGET.set(None);
    }

    /// Returns whether there was a tick since it began.
    pub(crate) fn is_over(&self) -> bool {
        SLICE.get().began_at != self.ticker.ticks()
    }

    /// Returns a budget for code that has used up the last one; `None` if the time slice is
    /// over.
    pub(crate) fn refill(&self) -> Option<u32> {
        if self.is_over() {
            return None;
        }
        let now = Instant::now();
        let budget = match LAST_BUDGET.get() {
            // How long the code has run before this is not known.
            None => FIRST_BUDGET,
            Some((budget, given_at)) => next(budget, now.duration_since(given_at)),
        };
        LAST_BUDGET.set(Some((budget, now)));
        Some(budget)
    }
}

/// A budget that lasts about as long as it is meant to, if the last one took this long.
fn next(last: u32, took: Duration) -> u32 {
    let last = u128::from(last);
    let fitting = last * BUDGET_TIME.as_nanos() / took.as_nanos().max(1);
    // At most twice the last budget, so that one outlier does not count.
    let budget = fitting.min(last * 2);
    let budget = u32::try_from(budget).unwrap_or(MAX_BUDGET);
    budget.clamp(MIN_BUDGET, MAX_BUDGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_slice_is_over_with_the_next_tick_however_many_passed_before() {
        let ticker = Ticker::by_hand();
        let time_slice = TimeSlice::new(ticker.clone());
        (0..7).for_each(|_| ticker.tick());
        time_slice.begin();
        assert!(!time_slice.is_over());
        ticker.tick();
        assert!(time_slice.is_over());
        assert_eq!(time_slice.refill(), None);
        time_slice.begin();
        assert!(!time_slice.is_over());
        assert_eq!(time_slice.refill(), Some(FIRST_BUDGET));
    }

    #[test]
    fn a_time_slice_that_is_ended_is_over_until_the_next_begins() {
        end_time_slice();
        assert!(!is_time_slice_over(), "this thread has run no instance");
        let time_slice = TimeSlice::new(Ticker::by_hand());
        time_slice.begin();
        end_time_slice();
        assert!(time_slice.is_over() && is_time_slice_over());
        assert_eq!(time_slice.refill(), None);
        time_slice.begin();
        assert!(!time_slice.is_over() && !is_time_slice_over());
    }

    #[test]
    fn a_budget_lasts_about_as_long_as_it_is_meant_to() {
        assert_eq!(next(40_000, Duration::from_micros(50)), 40_000);
        assert_eq!(next(40_000, Duration::from_micros(100)), 20_000);
        assert_eq!(next(40_000, Duration::from_micros(40)), 50_000);
        assert_eq!(next(40_000, Duration::ZERO), 80_000);
        assert_eq!(next(40_000, Duration::from_secs(1)), MIN_BUDGET);
        assert_eq!(next(MAX_BUDGET, Duration::from_micros(1)), MAX_BUDGET);
    }
}
