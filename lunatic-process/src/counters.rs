//! What environments count: messages, how processes end, and which processes run now.
//!
//! Each thread that counts has counters of its own, so that counting takes a load and a
//! store of a line that no other core writes. Who asks adds them up.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use lunatic_mailbox::Pid;
use parking_lot::Mutex;

use crate::exit::ExitReason;
use crate::failure::FailureKind;

/// Why processes end, in the order of [`ProcessCounts::ended`].
pub const END_REASONS: [&str; 6] = [
    "normal",
    "failed",
    "killed",
    "shutdown",
    "link_died",
    "other",
];

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProcessCounts {
    /// Messages that were sent, to processes of this node or others.
    pub messages: u64,
    /// How many processes have ended, for each of [`END_REASONS`].
    pub ended: [u64; END_REASONS.len()],
}

/// How long the mailboxes are that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MailboxLengths {
    /// How many were looked at.
    pub mailboxes: u64,
    /// The messages in all of them.
    pub messages: u64,
    /// The messages in the longest.
    pub longest: u64,
}

/// Counts messages and ends of processes; a clone is the same. Several environments can
/// share it; see [`EnvironmentConfig`](crate::EnvironmentConfig).
#[derive(Clone)]
pub struct ProcessCounters {
    threads: Arc<Threads>,
}

/// Counters for each of some threads, and one for all others.
struct Threads {
    own: Box<[Counters]>,
    others: Counters,
}

/// On cache lines of its own: cores fetch two at once.
#[derive(Default)]
#[repr(align(128))]
struct Counters {
    messages: AtomicU64,
    ended: [AtomicU64; END_REASONS.len()],
    /// The process whose body the thread polls, as bits; 0 if there is none.
    running: AtomicU64,
    /// The environment of that process; see [`EnvironmentMark`].
    environment: AtomicUsize,
}

/// What tells environments apart that share counters, as long as they live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnvironmentMark(pub(crate) usize);

impl ProcessCounters {
    /// Nothing counted yet.
    pub fn new() -> ProcessCounters {
        /// Beside one worker for each core, these may count: main threads, nodes, timers.
        const MORE: usize = 8;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        ProcessCounters {
            threads: Arc::new(Threads {
                own: (0..cores + MORE).map(|_| Counters::default()).collect(),
                others: Counters::default(),
            }),
        }
    }

    #[inline]
    pub(crate) fn count_message(&self) {
        self.add(|counters| &counters.messages);
    }

    /// Notes that this thread polls the body of a process, until the result is dropped.
    #[inline]
    pub(crate) fn run(&self, process: Pid, environment: EnvironmentMark) -> Running<'_> {
        let own = self.threads.own.get(thread_number());
        if let Some(own) = own {
            own.environment.store(environment.0, Ordering::Relaxed);
            own.running.store(process.to_bits(), Ordering::Relaxed);
        }
        Running(own)
    }

    /// The processes of an environment whose bodies are polled at this moment, on the threads that
    /// have counters of their own.
    pub(crate) fn running(&self, environment: EnvironmentMark) -> impl Iterator<Item = Pid> + '_ {
        let of_environment = self
            .threads
            .own
            .iter()
            .filter(move |own| own.environment.load(Ordering::Relaxed) == environment.0);
        of_environment
            .map(|own| own.running.load(Ordering::Relaxed))
            .filter(|bits| *bits != 0)
            .map(Pid::from_bits)
    }

    pub(crate) fn count_end(&self, reason: &ExitReason) {
        let index = match reason {
            ExitReason::Normal => 0,
            ExitReason::Failed(failure) => match failure.kind() {
                FailureKind::LinkDied { .. } => 4,
                _ => 1,
            },
            ExitReason::Killed => 2,
            ExitReason::Shutdown => 3,
            _ => 5,
        };
        self.add(|counters| &counters.ended[index]);
    }

    #[inline]
    fn add(&self, counter: impl FnOnce(&Counters) -> &AtomicU64) {
        match self.threads.own.get(thread_number()) {
            Some(own) => {
                // No other thread has this number, so nothing is lost between the two.
                let counter = counter(own);
                let count = counter.load(Ordering::Relaxed);
                counter.store(count + 1, Ordering::Relaxed);
            }
            None => {
                counter(&self.threads.others).fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What all threads have counted.
    pub fn get(&self) -> ProcessCounts {
        let mut sums = ProcessCounts::default();
        for counters in self.threads.own.iter().chain([&self.threads.others]) {
            sums.messages += counters.messages.load(Ordering::Relaxed);
            for (sum, count) in sums.ended.iter_mut().zip(&counters.ended) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        sums
    }
}

impl Default for ProcessCounters {
    fn default() -> ProcessCounters {
        ProcessCounters::new()
    }
}

impl fmt::Debug for ProcessCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// The body of a process is polled as long as this is there.
pub(crate) struct Running<'a>(Option<&'a Counters>);

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(own) = self.0 {
            own.running.store(0, Ordering::Relaxed);
        }
    }
}

/// The number of this thread, which it draws when it first counts. Another thread has it once
/// this one has ended.
#[inline]
fn thread_number() -> usize {
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    match NUMBER.get() {
        usize::MAX => {
            let number = DrawnNumber::draw();
            NUMBER.set(number);
            number
        }
        number => number,
    }
}

/// A number that is given back when its thread ends.
struct DrawnNumber(usize);

/// Numbers of threads that have ended.
static GIVEN_BACK: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl DrawnNumber {
    #[cold]
    fn draw() -> usize {
        thread_local! {
            static DRAWN: RefCell<Option<DrawnNumber>> = const { RefCell::new(None) };
        }
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let given_back = GIVEN_BACK.lock().pop();
        let number = given_back.unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed));
        // A thread that counts while it ends keeps its number.
        DRAWN
            .try_with(|drawn| drawn.replace(Some(DrawnNumber(number))))
            .ok();
        number
    }
}

impl Drop for DrawnNumber {
    fn drop(&mut self) {
        GIVEN_BACK.lock().push(self.0);
    }
}
