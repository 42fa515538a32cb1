//! The operations that wait, and the threads that run them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_channel::bounded;
use parking_lot::Mutex;

/// A queue of operations, and a bounded number of threads that run them in the
/// order in which they came. A clone is the same queue.
///
/// Its threads are those of the [`blocking`] crate, taken when there is
/// something to do and given back when there is nothing.
///
/// All operations wait in one line, whoever they are for.
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
    /// By their numbers, so that one can be taken out from anywhere.
    waiting: BTreeMap<u64, Operation>,
    next_number: u64,
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
                    waiting: BTreeMap::new(),
                    next_number: 0,
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
        self.shared.state.lock().waiting.len()
    }
}

/// The place of an operation in the queue; the operation is taken out when this
/// is dropped, if it has not begun by then.
struct Place<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Place<'_> {
    /// Leaves the operation in the queue.
    fn detach(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let operation = self.shared.state.lock().waiting.remove(&self.number);
        // The queue is not locked any more: what the operation holds may put
        // another one into it when it is dropped.
        drop(operation);
    }
}

impl Shared {
    fn push(self: &Arc<Shared>, operation: Operation) -> Place<'_> {
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.waiting.insert(number, operation);
        let needs_thread = state.threads < self.max_threads.get();
        state.threads += usize::from(needs_thread);
        drop(state);
        if needs_thread {
            let shared = self.clone();
            blocking::unblock(move || shared.work()).detach();
        }
        Place {
            shared: self,
            number,
        }
    }

    /// What a thread does until there is nothing to do.
    fn work(&self) {
        while let Some(operation) = self.next() {
            // A panic has been reported by its hook; the thread goes on.
            drop(catch_unwind(AssertUnwindSafe(operation)));
        }
    }

    /// The next operation to run; if there is none, this thread ends.
    fn next(&self) -> Option<Operation> {
        let mut state = self.state.lock();
        let first = state.waiting.pop_first();
        if first.is_none() {
            state.threads -= 1;
        }
        first.map(|(_, operation)| operation)
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
