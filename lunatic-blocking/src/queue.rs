//! The operations that wait, and the threads that run them.

use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_channel::bounded;
use lunatic_account::Share;
use parking_lot::Mutex;

use crate::turns::{Ticket, Turns};

/// A queue of operations, and a bounded number of threads that run them. A clone is the
/// same queue.
///
/// Its threads are those of the [`blocking`] crate, taken when there is
/// something to do and given back when there is nothing.
///
/// Those who ask take turns: each guest, with all that it started, and the program itself.
/// Who asks is told by the [share](Share::current) of the process that asks. What one of them
/// asks for begins in the order in which it came; of one guest no more runs at once than
/// half of the threads do, so that none has all of them.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use lunatic_blocking::Queue;
///
/// let queue = Queue::new(NonZeroUsize::MIN);
/// let length = queue.run(|| std::fs::read("Cargo.toml").map(|bytes| bytes.len()));
/// assert!(futures_lite::future::block_on(length)? > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    max_threads: NonZeroUsize,
    state: Mutex<State>,
}

struct State {
    turns: Turns<Operation>,
    /// How many threads run operations.
    threads: usize,
}

type Operation = Box<dyn FnOnce() + Send>;

impl Queue {
    /// An empty queue.
    ///
    /// - `max_threads`: how many operations may run at once.
    pub fn new(max_threads: NonZeroUsize) -> Queue {
        Queue {
            shared: Arc::new(Shared {
                max_threads,
                state: Mutex::new(State {
                    turns: Turns::new(max_threads.get().div_ceil(2)),
                    threads: 0,
                }),
            }),
        }
    }

    /// Runs `operation` when a thread is free, and returns its result.
    ///
    /// It enters the queue when the future is first polled. If the future is
    /// dropped before the operation has begun, the operation is dropped with it
    /// and never runs. After that it runs to its end, and its result is dropped.
    ///
    /// # Panics
    ///
    /// With the panic of the operation, if it panics.
    pub async fn run<R: Send + 'static>(
        &self,
        operation: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        let (sender, receiver) = bounded(1);
        let place = self.shared.push(Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(operation));
            // Nobody may be waiting any more.
            drop(sender.try_send(outcome));
        }));
        let outcome = receiver.recv().await;
        drop(place);
        match outcome.expect("only who waits takes an operation out of the queue") {
            Ok(result) => result,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Runs `operation` when a thread is free, without anyone waiting for it. A
    /// panic in it is reported by the panic hook and goes no further.
    pub fn run_detached(&self, operation: impl FnOnce() + Send + 'static) {
        self.shared.push(Box::new(operation)).detach();
    }

    /// How many operations may run at once.
    pub fn max_threads(&self) -> NonZeroUsize {
        self.shared.max_threads
    }

    /// How many operations have not begun yet.
    pub fn waiting(&self) -> usize {
        self.shared.state.lock().turns.waiting()
    }
}

/// The place of an operation in the queue; the operation is taken out when this
/// is dropped, if it has not begun by then.
struct Place<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Place<'_> {
    /// Leaves the operation in the queue.
    fn detach(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let operation = self.shared.state.lock().turns.remove(self.ticket);
        // The queue is not locked any more: what the operation holds may put
        // another one into it when it is dropped.
        drop(operation);
    }
}

impl Shared {
    fn push(self: &Arc<Shared>, operation: Operation) -> Place<'_> {
        let share = Share::current();
        let mut state = self.state.lock();
        let ticket = state.turns.push(share.as_ref(), operation);
        let has_thread_left = state.threads < self.max_threads.get();
        let needs_thread = has_thread_left && state.turns.is_ready();
        state.threads += usize::from(needs_thread);
        drop(state);
        if needs_thread {
            let shared = self.clone();
            blocking::unblock(move || shared.work()).detach();
        }
        Place {
            shared: self,
            ticket,
        }
    }

    /// What a thread does until there is nothing to do.
    fn work(&self) {
        let mut ended = None;
        while let Some((ticket, operation)) = self.next(ended) {
            // A panic has been reported by its hook; the thread goes on.
            drop(catch_unwind(AssertUnwindSafe(operation)));
            ended = Some(ticket);
        }
    }

    /// The next operation to run; if there is none, this thread ends.
    ///
    /// - `ended`: the one that this thread has run.
    fn next(&self, ended: Option<Ticket>) -> Option<(Ticket, Operation)> {
        let mut state = self.state.lock();
        if let Some(ended) = ended {
            state.turns.end(ended);
        }
        let next = state.turns.begin();
        if next.is_none() {
            state.threads -= 1;
        }
        next
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("max_threads", &self.max_threads())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
