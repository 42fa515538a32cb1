//! The queue with a clock.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_lite::future;
use parking_lot::Mutex;

use crate::queue::{TimerKey, TimerQueue};

/// The highest number of pending timers.
pub const MAX_TIMERS: usize = 1 << 24;

/// Actions that are run later; clone it freely.
///
/// Somebody has to [`run`](Timers::run) it.
#[derive(Clone, Default)]
pub struct Timers {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<TimerQueue<Action>>,
    /// There is something that is due earlier than all before.
    earlier: Event,
}

type Action = Box<dyn FnOnce() + Send>;

/// A timer, pending or not.
pub struct Timer {
    timers: Timers,
    /// `None` if it is due later than the clock goes.
    key: Option<TimerKey>,
}

/// There are [`MAX_TIMERS`] pending timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyTimers;

impl Timers {
    /// No timers.
    pub fn new() -> Timers {
        Timers::default()
    }

    /// Calls `action` after a time. It must be quick: it runs on the timer task.
    ///
    /// # Errors
    ///
    /// [`TooManyTimers`].
    pub fn after(
        &self,
        delay: Duration,
        action: impl FnOnce() + Send + 'static,
    ) -> Result<Timer, TooManyTimers> {
        let mut queue = self.shared.queue.lock();
        if queue.len() >= MAX_TIMERS {
            return Err(TooManyTimers);
        }
        let due = Instant::now().checked_add(delay);
        let key = due.map(|due| queue.insert(due, Box::new(action)));
        let is_first = queue.next_due() == due;
        drop(queue);
        if is_first {
            self.shared.earlier.notify(1);
        }
        Ok(Timer {
            timers: self.clone(),
            key,
        })
    }

    /// How many timers are pending.
    pub fn len(&self) -> usize {
        self.shared.queue.lock().len()
    }

    /// Whether no timer is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fires timers when they are due, for ever.
    pub async fn run(&self) {
        loop {
            let earlier = self.shared.earlier.listen();
            self.fire_due().await;
            let next_due = self.shared.queue.lock().next_due();
            match next_due {
                Some(due) => {
                    let due = async {
                        async_io::Timer::at(due).await;
                    };
                    future::or(due, earlier).await;
                }
                None => earlier.await,
            }
        }
    }

    async fn fire_due(&self) {
        /// So many actions, then other tasks run on this core.
        const BATCH: usize = 256;
        loop {
            let now = Instant::now();
            for _ in 0..BATCH {
                let due = self.shared.queue.lock().pop_due(now);
                match due {
                    Some(action) => action(),
                    None => return,
                }
            }
            future::yield_now().await;
        }
    }
}

impl Timer {
    /// Keeps the timer from firing; whether it had not fired yet.
    pub fn cancel(self) -> bool {
        match self.key {
            Some(key) => {
                let action = self.timers.shared.queue.lock().remove(key);
                action.is_some()
            }
            None => true,
        }
    }

    /// Whether the timer has not fired yet.
    pub fn is_pending(&self) -> bool {
        self.key
            .is_none_or(|key| self.timers.shared.queue.lock().contains(key))
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
