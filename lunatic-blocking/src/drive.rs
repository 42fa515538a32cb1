//! Runs a future on this thread, which looks for a moment whether it is to go on before it sleeps.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::adaptive_spin::AdaptiveSpin;

/// For so long a thread looks for what is to be done, if it is asked often.
const LONGEST: Duration = Duration::from_micros(50);

/// Wakes a thread, if it sleeps.
struct Bell {
    /// Whether the future is to be polled.
    is_rung: AtomicBool,
    is_asleep: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Bell>) {
        self.is_rung.store(true, Ordering::SeqCst);
        // Either this is seen, or the thread sees that the bell is rung before it sleeps.
        if self.is_asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Bell {
    fn take(&self) -> Option<()> {
        let is_rung = self.is_rung.load(Ordering::Relaxed);
        (is_rung && self.is_rung.swap(false, Ordering::SeqCst)).then_some(())
    }

    fn wait(&self, spin: &AdaptiveSpin) {
        if spin.poll(|| self.take()).is_some() {
            return;
        }
        self.is_asleep.store(true, Ordering::SeqCst);
        while !self.is_rung.swap(false, Ordering::SeqCst) {
            thread::park();
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

/// Runs `future` to its end.
pub(crate) fn drive<F: Future>(future: F) -> F::Output {
    let bell = Arc::new(Bell {
        is_rung: AtomicBool::new(false),
        is_asleep: AtomicBool::new(false),
        thread: thread::current(),
    });
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let spin = AdaptiveSpin::new(LONGEST);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        bell.wait(&spin);
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
            drive(async {
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
