//! The clock of preemption.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// How long an instance runs before it yields to others.
pub const TICK: Duration = Duration::from_millis(1);

/// Moves the engine's epoch on while somebody runs instances, and sleeps when
/// nobody does.
///
/// Every thread that runs instances calls [`enter`](Ticker::enter) before and
/// [`leave`](Ticker::leave) after.
#[derive(Debug)]
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    ended: AtomicBool,
    time_slice: TimeSlice,
}

/// Tells an instance that has just been resumed from one that has run for a tick.
///
/// The epoch alone does not: it has moved on while an instance waited, which is then
/// told to yield as soon as it goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct TimeSlice {
    ticks: Arc<AtomicU64>,
}

thread_local! {
    /// The tick at which the instance on this thread was resumed.
    static BEGAN_AT: Cell<u64> = const { Cell::new(0) };
}

impl TimeSlice {
    /// The instance on this thread is resumed.
    pub(crate) fn begin(&self) {
        BEGAN_AT.set(self.ticks.load(Ordering::Relaxed));
    }

    /// Whether there was a tick since.
    pub(crate) fn is_over(&self) -> bool {
        BEGAN_AT.get() != self.ticks.load(Ordering::Relaxed)
    }
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let clock = shared.clone();
        let handle = thread::Builder::new()
            .name("lunatic-ticker".into())
            .spawn(move || tick(&clock, &engine))?;
        Ok(Ticker {
            shared,
            thread: handle.thread().clone(),
        })
    }

    pub(crate) fn time_slice(&self) -> &TimeSlice {
        &self.shared.time_slice
    }

    /// A thread begins to run instances.
    pub fn enter(&self) {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }

    /// The thread has nothing to run for now.
    pub fn leave(&self) {
        self.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn tick(shared: &Shared, engine: &Engine) {
    while !shared.ended.load(Ordering::SeqCst) {
        // `asleep` is set before `running` is read and `enter` does it the
        // other way round, so one of the two sees the other.
        shared.asleep.store(true, Ordering::SeqCst);
        if shared.running.load(Ordering::SeqCst) == 0 {
            thread::park();
            continue;
        }
        shared.asleep.store(false, Ordering::SeqCst);
        thread::sleep(TICK);
        shared.time_slice.ticks.fetch_add(1, Ordering::Relaxed);
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_with_the_next_tick_however_many_passed_before() {
        let time_slice = TimeSlice::default();
        time_slice.ticks.fetch_add(7, Ordering::Relaxed);
        time_slice.begin();
        assert!(!time_slice.is_over());
        time_slice.ticks.fetch_add(1, Ordering::Relaxed);
        assert!(time_slice.is_over());
        time_slice.begin();
        assert!(!time_slice.is_over());
    }
}
