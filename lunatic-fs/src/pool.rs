//! Running what may block.
//!
//! Operations wait in a queue for one of a few threads of the blocking pool. It
//! does not matter whether the task that waits for one is polled meanwhile, so
//! nothing that happens to a process can hold up the files of another.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::thread;

use async_channel::bounded;
use parking_lot::Mutex;

/// What the page cache mostly answers at once. Such an operation needs a core
/// rather than a disk, so more threads than cores would only keep the threads
/// that run processes waiting: with a thousand processes reading and writing on
/// two cores, eight threads make the worst waits four times as long as two.
pub(crate) static QUICK: Pool =
    Pool::new(|| thread::available_parallelism().map_or(2, usize::from));

/// What waits for the disk and must not keep the others waiting.
pub(crate) static DISK: Pool = Pool::new(|| 8);

/// A queue of operations and the threads that run them.
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    most_threads: LazyLock<usize>,
}

struct Queue {
    waiting: VecDeque<Operation>,
    threads: usize,
}

type Operation = Box<dyn FnOnce() + Send>;

impl Pool {
    const fn new(most_threads: fn() -> usize) -> Pool {
        Pool {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                threads: 0,
            }),
            most_threads: LazyLock::new(most_threads),
        }
    }

    /// Runs `operation` when a thread is free.
    ///
    /// If the future is dropped before, it never runs; after that, it runs to
    /// its end.
    ///
    /// # Panics
    ///
    /// If the operation does.
    pub(crate) async fn run<R: Send + 'static>(
        &'static self,
        operation: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        let (sender, receiver) = bounded(1);
        self.run_later(move || {
            if !sender.is_closed() {
                // Nobody may be waiting any more when it is done.
                let _ = sender.try_send(operation());
            }
        });
        let result = receiver.recv().await;
        result.expect("the operation panicked, which was reported where it did")
    }

    /// Runs `operation` when a thread is free, without anyone waiting for it.
    pub(crate) fn run_later(&'static self, operation: impl FnOnce() + Send + 'static) {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(Box::new(operation));
        if queue.threads < *self.most_threads {
            queue.threads += 1;
            blocking::unblock(|| self.work()).detach();
        }
    }

    fn work(&self) {
        while let Some(operation) = self.next() {
            // A panic has been reported by its hook; the thread goes on.
            let _ = catch_unwind(AssertUnwindSafe(operation));
        }
    }

    /// The next operation; if there is none, this thread ends.
    fn next(&self) -> Option<Operation> {
        let mut queue = self.queue.lock();
        let operation = queue.waiting.pop_front();
        if operation.is_none() {
            queue.threads -= 1;
        }
        operation
    }
}
