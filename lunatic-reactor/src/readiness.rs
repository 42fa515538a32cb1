//! Whether a descriptor is ready in one direction, and who waits for it.
//!
//! The kernel tells once that a descriptor has become ready, not for how long it stays so. So
//! *ready* is remembered until an operation finds that it is not true any more. Between the operation
//! and the moment at which it clears the flag, the kernel may have told again; then the flag stays.
//! This is seen by a tick in the same word as the flag, which each event counts up.
//!
//! A task that waits puts its waker into the list first, then looks at the flag once more. An event
//! sets the flag first, then takes the wakers out of the list. So at least one of the two sees what
//! the other did.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[cfg(lunatic_loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};
use smallvec::SmallVec;
#[cfg(not(lunatic_loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};

/// An operation may succeed.
const READY: usize = 1;
/// There may be wakers in the list.
const AWAITED: usize = 2;
/// What an event adds to the word.
const TICK: usize = 4;

/// One direction of a descriptor. At first it counts as ready, so that the first operation is tried.
pub struct Direction {
    state: AtomicUsize,
    waiters: Mutex<Waiters>,
}

/// A direction as it was at some moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen(usize);

/// Those that wait for one direction. Mostly it is one; a socket that accepts can have many.
struct Waiters {
    last: u64,
    list: SmallVec<[(u64, Waker); 1]>,
}

/// Is ready when the direction is.
pub struct Wait<'a> {
    direction: &'a Direction,
    /// Its number in the list, once it is there.
    number: Option<u64>,
}

impl Direction {
    /// One that counts as ready.
    #[allow(clippy::new_without_default, reason = "it is not empty")]
    pub fn new() -> Direction {
        Direction {
            state: AtomicUsize::new(READY),
            waiters: Mutex::new(Waiters {
                last: 0,
                list: SmallVec::new(),
            }),
        }
    }

    /// Returns the present state.
    pub fn seen(&self) -> Seen {
        Seen(self.state.load(Ordering::SeqCst))
    }

    /// Records an event, and wakes all that wait.
    pub fn set(&self) {
        let set = |state: usize| Some(state.wrapping_add(TICK) | READY);
        let before = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, set);
        if before.is_ok_and(|before| before & AWAITED == 0) {
            return;
        }
        let mut waiters = self.waiters();
        self.state.fetch_and(!AWAITED, Ordering::SeqCst);
        let woken = mem::take(&mut waiters.list);
        drop(waiters);
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// Records that an operation would have blocked, unless there was an event since `seen`, which
    /// was taken before the operation.
    pub fn clear(&self, Seen(seen): Seen) {
        let clear = |state: usize| (state / TICK == seen / TICK).then_some(state & !READY);
        // It fails if there was an event.
        let _ = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, clear);
    }

    /// Waits until an operation may succeed, and returns the state to be passed to
    /// [`clear`](Direction::clear) if it does not.
    pub fn ready(&self) -> Wait<'_> {
        Wait {
            direction: self,
            number: None,
        }
    }

    /// Locks the list. Nothing panics while the lock is held.
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().expect("the lock is not poisoned")
    }

    fn remove(&self, number: u64) -> Option<Waker> {
        let mut waiters = self.waiters();
        let mut list = waiters.list.iter();
        let position = list.position(|(other, _)| *other == number)?;
        Some(waiters.list.swap_remove(position).1)
    }
}

impl Seen {
    fn if_ready(state: usize) -> Option<Seen> {
        (state & READY != 0).then_some(Seen(state))
    }
}

impl Waiters {
    /// Puts a waker into the list. Returns its number, and the waker that it replaces.
    fn put(&mut self, number: Option<u64>, waker: Waker) -> (u64, Option<Waker>) {
        let known = number.and_then(|number| {
            let mut list = self.list.iter_mut();
            list.find(|(other, _)| *other == number)
        });
        if let Some((number, known)) = known {
            return (*number, Some(mem::replace(known, waker)));
        }
        let number = number.unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        self.list.push((number, waker));
        (number, None)
    }
}

impl Future for Wait<'_> {
    type Output = Seen;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Seen> {
        let direction = self.direction;
        let state = direction.state.load(Ordering::SeqCst);
        if let Some(seen) = Seen::if_ready(state) {
            return Poll::Ready(seen);
        }
        let waker = cx.waker().clone();
        let mut waiters = direction.waiters();
        let (number, replaced) = waiters.put(self.number, waker);
        let state = direction.state.fetch_or(AWAITED, Ordering::SeqCst);
        drop(waiters);
        drop(replaced);
        self.number = Some(number);
        Seen::if_ready(state).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            drop(self.direction.remove(number));
        }
    }
}

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direction")
            .field("seen", &self.seen())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").finish_non_exhaustive()
    }
}
