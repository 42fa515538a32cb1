//! An operation that several callers want and one of them runs.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::Event;

/// An operation that several callers want at once and one of them runs: looking up a name, for
/// example.
///
/// The operation runs in a [`Queue`](crate::Queue), to its end, whether the task of the caller is
/// polled or not; so no caller waits for another one that is suspended. Each caller puts such an
/// operation into a queue, and [tries](SingleFlight::try_run) there. If another one is running at
/// that moment, the caller waits for its [end](SingleFlight::ended).
///
/// ```
/// use std::sync::{Arc, OnceLock};
///
/// use lunatic_blocking::{Class, SingleFlight};
///
/// static SUM: OnceLock<u64> = OnceLock::new();
/// static ADDING: SingleFlight = SingleFlight::new();
///
/// async fn sum() -> u64 {
///     loop {
///         let ended = ADDING.ended();
///         let add = || ADDING.try_run(|| *SUM.get_or_init(|| (1..1000).sum()));
///         match Class::Cpu.queue().run(add).await {
///             Some(sum) => return sum,
///             None => ended.await,
///         }
///     }
/// }
///
/// assert_eq!(futures_lite::future::block_on(sum()), 499_500);
/// ```
#[derive(Debug, Default)]
pub struct SingleFlight {
    is_running: AtomicBool,
    ended: Event,
}

/// Tells that it has ended when it is dropped, also by a panic.
struct Running<'a>(&'a SingleFlight);

impl SingleFlight {
    /// Returns a new one, without a running operation.
    pub const fn new() -> SingleFlight {
        SingleFlight {
            is_running: AtomicBool::new(false),
            ended: Event::new(),
        }
    }

    /// Runs `operation` on this thread, and returns its result; `None` if another one is running.
    pub fn try_run<R>(&self, operation: impl FnOnce() -> R) -> Option<R> {
        if self.is_running.swap(true, Ordering::AcqRel) {
            return None;
        }
        let running = Running(self);
        let result = operation();
        drop(running);
        Some(result)
    }

    /// Whether one is running.
    pub fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// Waits for the end of an operation that is running after this was called.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.ended.listen()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
        self.0.ended.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn only_one_runs_and_the_others_learn_of_its_end_however_it_ends() {
        let flight = SingleFlight::new();
        let ended = flight.ended();
        let outcome = flight.try_run(|| {
            assert!(flight.is_running());
            flight.try_run(|| ())
        });
        assert_eq!(outcome, Some(None));
        block_on(ended);

        let mut ended = Box::pin(flight.ended());
        assert!(block_on(poll_once(&mut ended)).is_none());
        let panicked = || flight.try_run(|| panic!("an example"));
        assert!(catch_unwind(AssertUnwindSafe(panicked)).is_err());
        block_on(ended);
        assert_eq!(flight.try_run(|| 7), Some(7));
    }
}
