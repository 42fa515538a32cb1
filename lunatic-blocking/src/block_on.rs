//! `block_on` that spins for a moment before it parks the thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::adaptive_spin::AdaptiveSpin;

/// The longest time that a thread spins before it parks.
const MAX_SPIN: Duration = Duration::from_micros(50);

/// The waker of one thread.
struct ThreadWaker {
    /// Whether the future must be polled.
    is_woken: AtomicBool,
    /// Whether the thread is parked, or about to be.
    is_parked: AtomicBool,
    thread: Thread,
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<ThreadWaker>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<ThreadWaker>) {
        self.is_woken.store(true, Ordering::SeqCst);
        // Either this thread sees `is_parked`, or the other sees `is_woken` before it parks.
        if self.is_parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl ThreadWaker {
    fn take(&self) -> Option<()> {
        let is_woken = self.is_woken.load(Ordering::Relaxed);
        (is_woken && self.is_woken.swap(false, Ordering::SeqCst)).then_some(())
    }

    fn wait(&self, spin: &AdaptiveSpin) {
        if spin.poll(|| self.take()).is_some() {
            return;
        }
        self.is_parked.store(true, Ordering::SeqCst);
        while !self.is_woken.swap(false, Ordering::SeqCst) {
            thread::park();
        }
        self.is_parked.store(false, Ordering::SeqCst);
    }
}

/// Runs `future` to its end on this thread, and returns its output.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let thread_waker = Arc::new(ThreadWaker {
        is_woken: AtomicBool::new(false),
        is_parked: AtomicBool::new(false),
        thread: thread::current(),
    });
    let waker = Waker::from(thread_waker.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let spin = AdaptiveSpin::new(MAX_SPIN);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread_waker.wait(&spin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_is_woken_early_or_late_goes_on() {
        let (ask, asked) = async_channel::bounded(1);
        let (answer, answered) = async_channel::bounded(1);
        let driven = thread::spawn(move || {
            block_on(async {
                while let Ok(number) = asked.recv().await {
                    answer.send(number + 1).await.ok();
                }
            });
        });
        for number in 0..2000 {
            // Sometimes it sleeps by then.
            if number % 100 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            ask.send_blocking(number).ok();
            assert_eq!(answered.recv_blocking(), Ok(number + 1));
        }
        drop(ask);
        assert!(driven.join().is_ok());
    }
}
