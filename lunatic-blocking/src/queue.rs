//! The operations that wait, and the threads that run them.

use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_channel::bounded;
use lunatic_account::{Account, Exceeded, Share};
use parking_lot::Mutex;

use crate::compilation::Compilation;
use crate::fair_queue::{FairQueue, Ticket};
use crate::memory::{Granted, Need};
use crate::threads::{self, NoThread};

/// A queue of operations, and a bounded number of threads that run them. A clone is the
/// same queue.
///
/// All queues share their threads. A thread is started when there are operations and no thread is
/// without work; it ends when it had nothing to do for half a second. If the system gives no thread,
/// operations run on the calling thread.
///
/// Users take turns: each guest, with all that it has started, and the program itself. A user is
/// identified by the [share](Share::current) of the calling process. Operations of one user begin
/// in the order in which they came; operations of one guest run on at most half of the threads at
/// once, so that no guest has all of them.
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
    operations: FairQueue<Operation>,
    /// How many threads run operations.
    threads: usize,
}

struct Operation {
    /// The share of the task that asked for it, which also gets the operations that it asks for
    /// itself.
    share: Option<Share>,
    /// Gets the granted memory, or the reason why it does not run.
    run: Box<dyn FnOnce(Granted) + Send>,
}

impl Queue {
    /// An empty queue.
    ///
    /// - `max_threads`: how many operations may run at once.
    pub fn new(max_threads: NonZeroUsize) -> Queue {
        Queue {
            shared: Arc::new(Shared {
                max_threads,
                state: Mutex::new(State {
                    operations: FairQueue::new(max_threads.get().div_ceil(2)),
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
        match self.wait_for(None, operation).await {
            Ok(result) => result,
            Err(_) => unreachable!("who needs no memory is refused none"),
        }
    }

    /// [`run`](Queue::run), for a compiler, which needs much memory and time. It begins when
    /// there is enough memory beside the others of the queue that need some, and the payer has
    /// time for it left.
    ///
    /// - `bytes`: an estimate of the memory that it needs.
    /// - `payer`: to whom that is charged while it runs, and the [time](Account::compile_delay)
    ///   when it has run. If that is the root of a tree of accounts, an operation begins at the
    ///   latest when no other one runs that needs memory.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if a limit of the payer, or of all together, is too low for the memory; then
    /// the operation is dropped.
    ///
    /// # Panics
    ///
    /// With the panic of the operation, if it panics.
    pub async fn compile<R: Send + 'static>(
        &self,
        bytes: u64,
        payer: Option<Account>,
        operation: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Exceeded> {
        let mut compilation = Compilation { payer, operation };
        loop {
            let need = Need {
                bytes,
                payer: compilation.payer.clone(),
            };
            compilation.wait_for_time().await;
            match self.wait_for(Some(need), move || compilation.run()).await? {
                Ok(result) => return Ok(result),
                // Other operations of the payer may have used up its time since.
                Err(early) => compilation = early,
            }
        }
    }

    async fn wait_for<R: Send + 'static>(
        &self,
        need: Option<Need>,
        operation: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Exceeded> {
        let (sender, receiver) = bounded(1);
        let run = move |granted: Granted| {
            let outcome = match &granted {
                Granted::Nothing | Granted::Memory { .. } => {
                    Ok(catch_unwind(AssertUnwindSafe(operation)))
                }
                Granted::Refused(refused) => Err(*refused),
            };
            // The waiting task may need that memory for the result.
            drop(granted);
            // The waiting task may be gone.
            drop(sender.try_send(outcome));
        };
        let place = self.shared.push(need, Box::new(run));
        let outcome = receiver.recv().await;
        drop(place);
        match outcome.expect("only who waits takes an operation out of the queue") {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(refused) => Err(refused),
        }
    }

    /// Runs `operation` when a thread is free, without anyone waiting for it. A
    /// panic in it is reported by the panic hook and goes no further.
    pub fn run_detached(&self, operation: impl FnOnce() + Send + 'static) {
        let run = move |_: Granted| operation();
        self.shared.push(None, Box::new(run)).detach();
    }

    /// How many operations may run at once.
    pub fn max_threads(&self) -> NonZeroUsize {
        self.shared.max_threads
    }

    /// Whether no operation runs or waits.
    pub fn is_idle(&self) -> bool {
        let state = self.shared.state.lock();
        state.threads == 0 && state.operations.waiting() == 0
    }

    /// How many operations have not begun yet.
    pub fn waiting(&self) -> usize {
        self.shared.state.lock().operations.waiting()
    }
}

/// The place of an operation in the queue; the operation is taken out when this
/// is dropped, if it has not begun by then.
struct Place<'a> {
    shared: &'a Arc<Shared>,
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
        let operation = self.shared.state.lock().operations.remove(self.ticket);
        if operation.is_some() {
            // One behind it that needs no memory may begin now.
            self.shared.start_threads();
        }
        // The queue is not locked any more: what the operation holds may put
        // another one into it when it is dropped.
        drop(operation);
    }
}

impl Operation {
    fn run(self, granted: Granted) {
        if let Some(share) = self.share {
            share.enter();
        }
        (self.run)(granted);
    }
}

impl Shared {
    fn push(
        self: &Arc<Shared>,
        need: Option<Need>,
        run: Box<dyn FnOnce(Granted) + Send>,
    ) -> Place<'_> {
        let share = Share::current();
        let operation = Operation {
            share: share.clone(),
            run,
        };
        let ticket = self
            .state
            .lock()
            .operations
            .push(share.as_ref(), need, operation);
        self.start_threads();
        Place {
            shared: self,
            ticket,
        }
    }

    /// Starts a thread if an operation can run and there may be one more thread; that thread starts
    /// the next.
    fn start_threads(self: &Arc<Shared>) {
        if self.start_thread().is_err() {
            // What is waited for has to be done, and be it on this thread, which a process may use.
            let share = Share::leave();
            self.work();
            if let Some(share) = share {
                share.enter();
            }
        }
    }

    /// Counts one more thread if it is needed, and starts it.
    ///
    /// # Errors
    ///
    /// [`NoThread`] if the system gives none; then the calling thread is counted instead.
    fn start_thread(self: &Arc<Shared>) -> Result<(), NoThread> {
        let mut state = self.state.lock();
        if state.threads == self.max_threads.get() || !state.operations.is_ready() {
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let shared = self.clone();
        threads::run(Box::new(move || shared.work()))
    }

    /// The loop of a thread, until there are no operations.
    fn work(self: &Arc<Shared>) {
        let mut ended = None;
        while let Some((ticket, operation, granted)) = self.next(ended) {
            // There may be something for others, too. Without others, this thread comes to it.
            if self.start_thread().is_err() {
                self.state.lock().threads -= 1;
            }
            // A panic has been reported by its hook; the thread continues.
            drop(catch_unwind(AssertUnwindSafe(|| operation.run(granted))));
            Share::leave();
            ended = Some(ticket);
        }
    }

    /// Returns the next operation to run; if there is none, this thread ends.
    ///
    /// - `ended`: the operation that this thread has run.
    fn next(&self, ended: Option<Ticket>) -> Option<(Ticket, Operation, Granted)> {
        let mut state = self.state.lock();
        if let Some(ended) = ended {
            state.operations.end(ended);
        }
        let next = state.operations.begin();
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
