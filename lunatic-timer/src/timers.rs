//! A queue of timers with a clock.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_lite::future;
use parking_lot::Mutex;

use crate::lines::Lines;
use crate::queue::TimerKey;

/// The highest number of pending timers.
pub const MAX_TIMERS: usize = 1 << 24;

/// Timers that run an action when they fire. All clones share the same timers.
///
/// They fire only while some task awaits [`run`](Timers::run).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use futures_lite::future;
/// use lunatic_timer::Timers;
///
/// let timers = Timers::new();
/// let (sender, receiver) = async_channel::bounded(1);
/// timers.after(Duration::from_millis(1), move || {
///     sender.try_send("now").ok();
/// })?;
/// let late = timers.after(Duration::from_secs(3600), || unreachable!())?;
/// assert!(late.cancel());
///
/// let fired = async { receiver.recv().await.ok() };
/// let never = async {
///     timers.run().await;
///     None
/// };
/// assert_eq!(future::block_on(future::or(fired, never)), Some("now"));
/// # Ok::<(), lunatic_timer::TooManyTimers>(())
/// ```
#[derive(Clone, Default)]
pub struct Timers {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Lines<Action>>,
    /// Notified when a timer is started that is due before all others.
    earlier: Event,
}

type Action = Box<dyn FnOnce() + Send>;

/// A timer, which is pending, has fired or was cancelled.
///
/// Dropping it changes nothing: the timer still fires.
pub struct Timer {
    timers: Timers,
    line: u64,
    /// `None` if it is due at a time that the clock cannot represent.
    key: Option<TimerKey>,
}

/// The error of [`Timers::after`] if there are [`MAX_TIMERS`] pending timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTimers;

impl Timers {
    /// Returns a new set of timers, which is empty.
    pub fn new() -> Timers {
        Timers::default()
    }

    /// Starts a timer that calls `action` after `delay`. No other timer fires while the
    /// action runs, so it should be short.
    ///
    /// # Errors
    ///
    /// [`TooManyTimers`].
    pub fn after(
        &self,
        delay: Duration,
        action: impl FnOnce() + Send + 'static,
    ) -> Result<Timer, TooManyTimers> {
        self.after_in(0, delay, action)
    }

    /// Starts a timer as [`after`](Timers::after) does, in a line of its own. If timers of several
    /// lines are due, one of each fires after the other: many of one line do not keep those of
    /// others.
    ///
    /// - `line`: any number. That of `after` is 0.
    ///
    /// # Errors
    ///
    /// [`TooManyTimers`].
    pub fn after_in(
        &self,
        line: u64,
        delay: Duration,
        action: impl FnOnce() + Send + 'static,
    ) -> Result<Timer, TooManyTimers> {
        let mut queue = self.shared.queue.lock();
        if queue.len() >= MAX_TIMERS {
            return Err(TooManyTimers);
        }
        let due = Instant::now().checked_add(delay);
        let key = due.map(|due| queue.insert(line, due, Box::new(action)));
        let is_first = queue.next_due() == due;
        drop(queue);
        if is_first {
            self.shared.earlier.notify(1);
        }
        Ok(Timer {
            timers: self.clone(),
            line,
            key,
        })
    }

    /// Returns the number of pending timers.
    pub fn len(&self) -> usize {
        self.shared.queue.lock().len()
    }

    /// Returns whether no timer is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fires timers when they are due. The future never completes.
    pub async fn run(&self) {
        loop {
            let earlier = self.shared.earlier.listen();
            self.fire_due().await;
            let next_due = self.shared.queue.lock().next_due();
            match next_due {
                Some(due) => {
                    future::or(lunatic_reactor::Timer::at(due), earlier).await;
                }
                None => earlier.await,
            }
        }
    }

    async fn fire_due(&self) {
        /// After actions of so long together, other tasks may run on this core: a message that is
        /// dropped can have much to it.
        const BATCH: Duration = Duration::from_micros(50);
        /// The number of timers that are fired before the clock is read again.
        const CHECK_CLOCK_EVERY: usize = 16;
        /// The highest number of timers that are fired in one batch, even if they take no time.
        const MAX_BATCH: usize = 256;
        loop {
            let begin = Instant::now();
            let mut now = begin;
            for number in 1..=MAX_BATCH {
                let due = self.shared.queue.lock().pop_due(now);
                match due {
                    Some(action) => action(),
                    None => return,
                }
                if number.is_multiple_of(CHECK_CLOCK_EVERY) {
                    now = Instant::now();
                    if now.saturating_duration_since(begin) >= BATCH {
                        break;
                    }
                }
            }
            future::yield_now().await;
        }
    }
}

impl Timer {
    /// Cancels the timer. Returns whether it was still pending; it has fired otherwise.
    pub fn cancel(self) -> bool {
        match self.key {
            Some(key) => {
                let action = self.timers.shared.queue.lock().remove(self.line, key);
                action.is_some()
            }
            None => true,
        }
    }

    /// Returns whether the timer has not fired yet.
    pub fn is_pending(&self) -> bool {
        self.key
            .is_none_or(|key| self.timers.shared.queue.lock().contains(self.line, key))
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timers({} pending)", self.len())
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("key", &self.key).finish()
    }
}

impl fmt::Display for TooManyTimers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAX_TIMERS} timers are pending, as many as may be")
    }
}

impl Error for TooManyTimers {}
