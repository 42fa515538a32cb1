//! Charges what an instance has written of its stacks.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::task::Poll;

use lunatic_account::{Account, Charge, Exceeded, Kind};
use wasmtime::{Error, Result};

use crate::arena::{PageFaults, StacksInUse};
use crate::time_slice::TimeSlice;

/// Charges what an instance has written of its stacks, beyond the top of each, to its account,
/// until the instance is dropped. What is charged to the root of the tree of accounts is not
/// measured: nothing limits that but the memory of the program.
///
/// A stack is measured when the instance is suspended, as it could not be stopped before. To ask
/// the kernel takes as long as some guests run, so it is asked after each time slice that is over,
/// and otherwise, at random, about one time in [`ONE_IN`]. As soon as something is found, all
/// instances of that branch are measured at each suspension: a branch has no more than some tens
/// of stacks that nobody has measured, however many processes it has.
#[derive(Debug)]
pub(crate) struct StackMeter {
    /// In a box, as most instances have none.
    measured: Option<Box<Measured>>,
}

#[derive(Debug)]
struct Measured {
    stacks: StacksInUse,
    charge: Charge,
    /// Since the last measurement.
    page_faults: PageFaults,
}

/// A stack of a branch without deep ones is measured each so many suspensions, on average.
const ONE_IN: u64 = 16;

impl StackMeter {
    /// - `account`: that of the instance; `None` if it is not charged.
    pub(crate) fn new(account: Option<&Account>) -> StackMeter {
        let branch = account.filter(|account| account.parent().is_some());
        StackMeter {
            measured: branch.map(|branch| {
                Box::new(Measured {
                    stacks: StacksInUse::default(),
                    charge: Charge::empty(branch, Kind::LinearMemory),
                    page_faults: PageFaults::watch(),
                })
            }),
        }
    }

    /// Polls the instance, and measures its stacks if it is suspended then.
    ///
    /// # Errors
    ///
    /// What the poll returns; [`Exceeded`] if the account has no memory left for what was
    /// written.
    #[inline]
    pub(crate) fn measure_after<R>(
        &mut self,
        time_slice: &TimeSlice,
        poll: impl FnOnce() -> Poll<Result<R>>,
    ) -> Poll<Result<R>> {
        let Some(measured) = &mut self.measured else {
            return poll();
        };
        measured.page_faults.resumed();
        let polled = measured.stacks.record(poll);
        if polled.is_pending()
            && measured.is_due(time_slice)
            && let Err(exceeded) = measured.measure()
        {
            let error = Error::from(exceeded)
                .context("no memory is left for what it has written of its stack");
            return Poll::Ready(Err(error));
        }
        polled
    }
}

impl Measured {
    fn is_due(&self, time_slice: &TimeSlice) -> bool {
        time_slice.is_over() || self.charge.account().has_deep_stacks() || is_chosen()
    }

    /// # Errors
    ///
    /// [`Exceeded`] if more was written than is charged, and that is refused.
    fn measure(&mut self) -> Result<(), Exceeded> {
        if self.page_faults.none_so_far() {
            return Ok(());
        }
        self.page_faults = PageFaults::watch();
        let Some(bytes) = self.stacks.deep_bytes() else {
            return Ok(());
        };
        if bytes > 0 {
            self.charge.account().set_has_deep_stacks();
        }
        match bytes == self.charge.amount() {
            true => Ok(()),
            false => self.charge.set(bytes),
        }
    }
}

/// Chooses about one call of [`ONE_IN`]. Guests do not know which.
fn is_chosen() -> bool {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish() | 1);
    }
    // Xorshift, which is never 0.
    let mut state = STATE.get();
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    (state >> 32).is_multiple_of(ONE_IN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_one_of_so_many_is_chosen() {
        let chosen = (0..16_000).filter(|_| is_chosen()).count();
        assert!((500..2000).contains(&chosen), "{chosen}");
    }
}
