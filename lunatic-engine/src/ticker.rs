//! The clock of preemption.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// Ticks, once in each [`PERIOD`](Ticker::PERIOD), while any thread runs instances; sleeps while
/// none does. A clone is the same ticker.
///
/// Every thread that runs instances calls [`enter`](Ticker::enter) before and
/// [`leave`](Ticker::leave) after. The ticker runs as long as there is an engine, a loader, a
/// module or an instance that it belongs to.
///
/// ```
/// use lunatic_engine::{Engine, EngineConfig};
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// engine.ticker().enter();
/// // From here on, an instance that runs on this thread yields in time.
/// engine.ticker().leave();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    ticks: &'static Ticks,
    /// How many threads run instances.
    running: AtomicUsize,
    asleep: AtomicBool,
    /// The thread that ticks, once it was started.
    thread: OnceLock<Thread>,
    on_tick: OnceLock<Box<OnTick>>,
}

/// A function that is called at each tick.
type OnTick = dyn Fn(Duration) + Send + Sync;

/// How many ticks there were. It is read whenever an instance is resumed or calls a host function,
/// so it lies on a cache line that nothing else is written to. It is never freed, so that a thread
/// can find it without a look at what it runs.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Ticks(AtomicU64);

impl Ticks {
    /// How many there were so far.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Shared {
    fn default() -> Shared {
        Shared {
            ticks: Box::leak(Box::default()),
            running: AtomicUsize::default(),
            asleep: AtomicBool::default(),
            thread: OnceLock::default(),
            on_tick: OnceLock::default(),
        }
    }
}

impl Ticker {
    /// How long an instance runs before it yields to others.
    pub const PERIOD: Duration = Duration::from_millis(1);

    /// Starts the thread that ticks. It ends when the last clone of the ticker is
    /// dropped.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no thread.
    pub(crate) fn start() -> io::Result<Ticker> {
        Ticker::start_joinable().map(|(ticker, _)| ticker)
    }

    /// Starts a ticker, and returns it with the handle of its thread.
    fn start_joinable() -> io::Result<(Ticker, JoinHandle<()>)> {
        let shared = Arc::new(Shared::default());
        let weak = Arc::downgrade(&shared);
        let handle = thread::Builder::new()
            .name("lunatic-ticker".into())
            .spawn(move || run(&weak))?;
        // Only this function sets it.
        shared.thread.set(handle.thread().clone()).ok();
        Ok((Ticker { shared }, handle))
    }

    /// Records that a thread begins to run instances.
    pub fn enter(&self) {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.shared.wake();
        }
    }

    /// Records that a thread has nothing to run for now.
    pub fn leave(&self) {
        self.shared.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// Calls `hook` at each tick, on the thread of the ticker, which it must not block. Its
    /// argument is the time for which the thread has slept: [`PERIOD`](Ticker::PERIOD), or more if
    /// the system gave it no processor. Only the first hook is kept.
    pub fn on_tick(&self, hook: impl Fn(Duration) + Send + Sync + 'static) {
        self.shared.on_tick.set(Box::new(hook)).ok();
    }

    /// How many ticks there were so far.
    pub(crate) fn ticks(&self) -> u64 {
        self.shared.ticks.count()
    }

    /// Returns the counter of ticks.
    pub(crate) fn counter(&self) -> &'static Ticks {
        self.shared.ticks
    }
}

impl Shared {
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn tick(&self) {
        self.ticks.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // It finds that nothing is left to tick for.
        self.wake();
    }
}

/// The loop of the thread.
fn run(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        // `asleep` is set before `running` is read and `enter` does it the
        // other way round, so one of the two sees the other.
        shared.asleep.store(true, Ordering::SeqCst);
        if shared.running.load(Ordering::SeqCst) == 0 {
            drop(shared);
            thread::park();
            continue;
        }
        shared.asleep.store(false, Ordering::SeqCst);
        let begun = Instant::now();
        thread::sleep(Ticker::PERIOD);
        shared.tick();
        if let Some(hook) = shared.on_tick.get() {
            hook(begun.elapsed());
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("ticks", &self.ticks)
            .field("running", &self.running)
            .field("asleep", &self.asleep)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Ticker {
    /// Returns a ticker that ticks only when a test calls it.
    pub(crate) fn by_hand() -> Ticker {
        Ticker {
            shared: Arc::default(),
        }
    }

    pub(crate) fn tick(&self) {
        self.shared.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ticks_while_a_thread_runs_instances_and_ends_with_its_last_clone() {
        let (ticker, thread) = Ticker::start_joinable().expect("a thread");
        let clone = ticker.clone();
        ticker.enter();
        drop(ticker);
        let before = clone.ticks();
        while clone.ticks() < before + 2 {
            thread::yield_now();
        }
        clone.leave();
        drop(clone);
        thread.join().expect("it does not panic");
    }

    #[test]
    fn a_hook_is_called_at_each_tick_while_a_thread_runs_instances() {
        let ticker = Ticker::start().expect("a thread");
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = calls.clone();
        ticker.on_tick(move |slept| {
            assert!(slept >= Ticker::PERIOD);
            counter.fetch_add(1, Ordering::SeqCst);
        });
        ticker.enter();
        while calls.load(Ordering::SeqCst) < 3 {
            thread::yield_now();
        }
        ticker.leave();
        assert!(ticker.ticks() >= 3);
    }

    #[test]
    fn it_ends_although_it_sleeps() {
        let (ticker, thread) = Ticker::start_joinable().expect("a thread");
        while !ticker.shared.asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        drop(ticker);
        thread.join().expect("it does not panic");
    }
}
