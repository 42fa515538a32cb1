//! Waiting for a time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::reactor::Reactor;

/// Is ready when a time is over, to the precision of the clocks of the system: well below a
/// millisecond if the program is not busy.
///
/// # Panics
///
/// Polling panics if the system gives the program no descriptors or no thread for it; see
/// [`start`](crate::start).
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use lunatic_reactor::Timer;
///
/// let begun = Instant::now();
/// futures_lite::future::block_on(Timer::after(Duration::from_millis(2)));
/// assert!(begun.elapsed() >= Duration::from_millis(2));
/// ```
#[derive(Debug)]
#[must_use = "it does nothing unless it is polled"]
pub struct Timer {
    /// `None`: beyond what the clock can represent.
    due: Option<Instant>,
    waiting: Option<Waiting>,
}

/// A time that the reactor knows.
#[derive(Debug)]
struct Waiting {
    number: u64,
    reactor: &'static Reactor,
}

impl Timer {
    /// Waits until a time.
    pub fn at(due: Instant) -> Timer {
        Timer {
            due: Some(due),
            waiting: None,
        }
    }

    /// Waits for so long, from now on. A time that the clock cannot represent never comes.
    pub fn after(delay: Duration) -> Timer {
        Timer {
            due: Instant::now().checked_add(delay),
            waiting: None,
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        if Instant::now() >= due {
            self.stop();
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        match &self.waiting {
            Some(Waiting { number, reactor }) => {
                match reactor.replace_waker(due, *number, waker) {
                    true => Poll::Pending,
                    // It was woken.
                    false => {
                        self.waiting = None;
                        Poll::Ready(())
                    }
                }
            }
            None => {
                let reactor = started();
                let number = reactor.add_time(due, waker);
                self.waiting = Some(Waiting { number, reactor });
                Poll::Pending
            }
        }
    }
}

fn started() -> &'static Reactor {
    let reactor = Reactor::get().expect("there are descriptors for the reactor");
    reactor
        .be_driven()
        .expect("there is a thread for the reactor");
    reactor
}

impl Timer {
    fn stop(&mut self) {
        if let (Some(due), Some(waiting)) = (self.due, self.waiting.take()) {
            waiting.reactor.remove_time(due, waiting.number);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop();
    }
}
