//! Whether a thread has had page faults.
#![allow(
    unsafe_code,
    reason = "asks the kernel for numbers, and tries its answer"
)]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::arena::system::{self, Access};

/// A thread, from one look at its page faults to the next that finds more. Zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Period(u64);

/// The page faults of a thread.
#[derive(Debug, Clone, Copy)]
struct Known {
    period: Period,
    /// How many there were when it was looked last.
    faults: u64,
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known { period: Period::NONE, faults: 0 }) };
    /// The page faults of the instance whose memory is being given back.
    static ENDED: Cell<Ended> = const { Cell::new(Ended::UNKNOWN) };
}

/// The page faults of an instance that has ended.
#[derive(Debug, Clone, Copy)]
enum Ended {
    /// The instance has run in this period.
    In(Period),
    /// The page faults were checked.
    Looked { were_none: bool },
}

/// Checks for one instance whether it has run on one thread, and that thread has had no page faults
/// since. Then no pages of its memory have been written but those that had been written before, as
/// the first write to any other is a page fault, which the kernel counts for the writing thread.
///
/// It is a field after the memory, so that it is dropped later.
#[derive(Debug)]
pub(crate) struct PageFaults {
    lived_in: Period,
}

impl PageFaults {
    /// Returns a watch for an instance that is made next, on this thread.
    pub(crate) fn watch() -> PageFaults {
        let known = match KNOWN.get() {
            Known { period, .. } if period == Period::NONE => Known::look(),
            known => known,
        };
        PageFaults {
            lived_in: known.period,
        }
    }

    /// Call this each time before the instance runs, on its thread.
    pub(crate) fn resumed(&mut self) {
        if KNOWN.get().period != self.lived_in {
            self.lived_in = Period::NONE;
        }
    }

    /// Call this before the host may write to the memory.
    pub(crate) fn lose_track(&mut self) {
        self.lived_in = Period::NONE;
    }

    /// Call this before the memory is given back: until this value is dropped,
    /// [`none_in_this_life`](PageFaults::none_in_this_life) reports about this instance.
    pub(crate) fn ended(&self) {
        ENDED.set(Ended::In(self.lived_in));
    }

    /// Whether the kernel counts them. If not, nothing is ever known of them.
    #[cfg(test)]
    pub(super) fn are_counted() -> bool {
        page_faults().is_some()
    }

    /// Whether there were none in the life of the instance whose memory is given back now, on
    /// this thread. `false` if that is not known.
    pub(super) fn none_in_this_life() -> bool {
        let lived_in = match ENDED.get() {
            Ended::In(period) => period,
            Ended::Looked { were_none } => return were_none,
        };
        let were_none = lived_in.is_without_faults();
        ENDED.set(Ended::Looked { were_none });
        were_none
    }

    /// Whether there were none in the life of the instance so far, which runs on this thread.
    /// `false` if that is not known.
    pub(crate) fn none_so_far(&self) -> bool {
        self.lived_in.is_without_faults()
    }
}

impl Drop for PageFaults {
    fn drop(&mut self) {
        ENDED.set(Ended::UNKNOWN);
    }
}

impl Ended {
    const UNKNOWN: Ended = Ended::In(Period::NONE);
}

impl Known {
    /// Looks at the page faults of this thread.
    fn look() -> Known {
        let known = KNOWN.get();
        let Some(faults) = page_faults() else {
            return known;
        };
        if known.period != Period::NONE && faults == known.faults {
            return known;
        }
        let period = Period::begin();
        let known = Known { period, faults };
        KNOWN.set(known);
        known
    }
}

impl Period {
    const NONE: Period = Period(0);

    /// Whether it is that of this thread, which has had no page faults since it began.
    fn is_without_faults(self) -> bool {
        self != Period::NONE && self == KNOWN.get().period && self == Known::look().period
    }

    /// Returns a period that no thread has had.
    fn begin() -> Period {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Period(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// How many page faults this thread has had; `None` if the kernel does not count them.
fn page_faults() -> Option<u64> {
    static ARE_COUNTED: LazyLock<bool> = LazyLock::new(are_counted);
    ARE_COUNTED.then(count)?
}

/// Returns the number of page faults of this thread; `None` if the kernel does not report it.
fn count() -> Option<u64> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the kernel writes to `usage`, all of it if it returns 0.
    let usage = unsafe {
        match libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) {
            0 => usage.assume_init(),
            _ => return None,
        }
    };
    // Each is counted as one of the two.
    let faults = usage.ru_minflt.checked_add(usage.ru_majflt)?;
    u64::try_from(faults).ok()
}

/// Whether a page fault is counted: some systems that are nearly Linux always say 0.
fn are_counted() -> bool {
    let write = || {
        let page = system::reserve(system::page_bytes().ok()?, Access::ReadWrite).ok()?;
        let before = count()?;
        // SAFETY: the page is new, ours, and can be written.
        unsafe { page.write_volatile(1) };
        Some(count()? > before)
    };
    write().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Writes to a page for the first time.
    fn fault() {
        let page = system::page_bytes().and_then(|bytes| system::reserve(bytes, Access::ReadWrite));
        // SAFETY: the page is new, ours, and can be written.
        unsafe { page.expect("a page").write_volatile(1) };
    }

    fn none_in_the_life_of(watched: &PageFaults) -> bool {
        watched.ended();
        PageFaults::none_in_this_life()
    }

    /// Whether a life is found to be without page faults. Others may come between, of the
    /// thread's own stack for one, so it is tried again.
    fn is_ever_without(live: impl Fn(&mut PageFaults)) -> bool {
        (0..10).any(|_| {
            let mut watched = PageFaults::watch();
            live(&mut watched);
            none_in_the_life_of(&watched)
        })
    }

    #[test]
    fn a_life_without_page_faults_is_told_from_one_with_them() {
        let are_counted = PageFaults::are_counted();
        assert_eq!(is_ever_without(|_| ()), are_counted);
        assert_eq!(is_ever_without(PageFaults::resumed), are_counted);
        assert!(!is_ever_without(|_| fault()));
    }

    #[test]
    fn a_fault_that_was_noticed_in_another_life_counts() {
        assert!(!is_ever_without(|_| {
            fault();
            let other = PageFaults::watch();
            assert!(!none_in_the_life_of(&other));
        }));
    }

    #[test]
    fn nothing_is_known_of_a_life_on_two_threads_or_with_others() {
        assert!(!is_ever_without(PageFaults::lose_track));
        assert!(!is_ever_without(|watched| {
            thread::scope(|scope| scope.spawn(|| watched.resumed()).join().expect("resumed"));
        }));
        let watched = PageFaults::watch();
        let elsewhere = thread::scope(|scope| {
            let life = || none_in_the_life_of(&watched);
            scope.spawn(life).join().expect("ended")
        });
        assert!(!elsewhere);
    }

    #[test]
    fn nothing_is_known_when_no_instance_ends() {
        let watched = PageFaults::watch();
        assert!(!PageFaults::none_in_this_life());
        watched.ended();
        drop(watched);
        assert!(!PageFaults::none_in_this_life());
    }
}
