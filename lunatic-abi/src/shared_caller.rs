//! The caller of a host function, used by two sides of a wait.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use parking_lot::{Mutex, MutexGuard};
use wasmtime::Caller;

use crate::answering::Answering;
use crate::memory::{AbiHost, Guest};

/// The caller of a host function whose wait needs the caller itself.
///
/// [`Guest::wait`] borrows the caller, so the future that it waits for cannot. An
/// operation that reads or writes guest memory in each of its attempts locks the
/// shared caller for that, and [`wait`](SharedCaller::wait) locks it in between.
///
/// ```
/// use lunatic_abi::{AbiHost, Guest, SharedCaller};
/// use wasmtime::{Caller, Result};
///
/// /// Copies a number when it arrives.
/// async fn receive<T: AbiHost>(mut caller: Caller<'_, T>, ptr: u32) -> Result<()> {
///     # let arrival = async { 7u32 };
///     let shared = SharedCaller::new(&mut caller);
///     let receiving = async {
///         let number = arrival.await;
///         shared.lock().write_u32(ptr, number)
///     };
///     shared.wait(receiving).await
/// }
/// ```
pub struct SharedCaller<'a, 'c, T: 'static>(Mutex<&'a mut Caller<'c, T>>);

impl<'a, 'c, T: AbiHost> SharedCaller<'a, 'c, T> {
    /// Shares the caller of a host function.
    pub fn new(caller: &'a mut Caller<'c, T>) -> SharedCaller<'a, 'c, T> {
        SharedCaller(Mutex::new(caller))
    }

    /// Returns the caller. It must be released before the operation waits again, or
    /// the process blocks its thread for ever.
    pub fn lock(&self) -> MutexGuard<'_, &'a mut Caller<'c, T>> {
        self.0.lock()
    }

    /// Waits for an operation that uses this caller, as [`Guest::wait`] does for
    /// others.
    pub fn wait<F: Future + Send>(&self, operation: F) -> impl Future<Output = F::Output> + Send {
        Answering::new(operation, || self.lock().answer_requests())
    }

    /// Waits for an operation that uses this caller, as
    /// [`Guest::wait_interruptible`] does for others.
    pub async fn wait_interruptible<F: Future + Send>(&self, operation: F) -> Option<F::Output> {
        let mut operation = pin!(self.wait(operation));
        let outcome = poll_fn(|cx| match operation.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.lock().is_interrupted() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        self.lock().data_mut().end_interruptible();
        outcome
    }
}

impl<T: 'static> fmt::Debug for SharedCaller<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedCaller")
    }
}
