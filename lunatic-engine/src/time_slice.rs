//! How long an instance may run before it yields.

use std::cell::Cell;

use crate::ticker::Ticker;

/// Tells an instance that has just been resumed from one that has run for a tick.
///
/// The epoch alone does not: it has moved on while an instance waited, which is then
/// told to yield as soon as it goes on.
#[derive(Debug, Clone)]
pub(crate) struct TimeSlice {
    ticker: Ticker,
}

thread_local! {
    /// The tick at which the instance on this thread was resumed.
    static BEGAN_AT: Cell<u64> = const { Cell::new(0) };
}

impl TimeSlice {
    /// Time slices that end with a tick of this ticker.
    pub(crate) fn new(ticker: Ticker) -> TimeSlice {
        TimeSlice { ticker }
    }

    /// Begins one: the instance on this thread is resumed.
    pub(crate) fn begin(&self) {
        BEGAN_AT.set(self.ticker.ticks());
    }

    /// Returns whether there was a tick since it began.
    pub(crate) fn is_over(&self) -> bool {
        BEGAN_AT.get() != self.ticker.ticks()
    }
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
        time_slice.begin();
        assert!(!time_slice.is_over());
    }
}
