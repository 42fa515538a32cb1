//! What a process is asked for by the runtime.

use std::sync::atomic::Ordering;

use super::{Process, attention};
use crate::info::Inspection;
use crate::request::Request;

impl Process {
    /// Whether its body answers requests, as [`inspect`](Process::inspect) makes one. Who
    /// asks another waits until it ends.
    pub fn answers_requests(&self) -> bool {
        self.inner.answers_requests
    }

    /// Asks the body of the process for something, to be seen to at its next
    /// suspension point; the process is woken for it.
    ///
    /// # Errors
    ///
    /// Hands the request back if the process has ended, or has many requests
    /// waiting already.
    pub fn request(&self, request: Request) -> Result<(), Request> {
        let mut control = self.inner.control.lock();
        if control.ended.is_some() {
            return Err(request);
        }
        control.requests.push(request)?;
        let waker = self.call_attention(&control, attention::REQUEST);
        drop(control);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Asks the process what only its body knows: its module, its memory, what it
    /// waits in. The answer comes from its next suspension point; a wasm process is
    /// at one at least once in a millisecond of running. `None` if the process
    /// ends before, does not answer requests (native ones do not), or has too
    /// many of them waiting.
    pub async fn inspect(&self) -> Option<Inspection> {
        let (sender, receiver) = async_channel::bounded(1);
        self.request(Request::Inspect(sender)).ok()?;
        receiver.recv().await.ok()
    }

    /// Like [`inspect`](Process::inspect), but without backtrace and details: cheap enough to ask many
    /// processes.
    pub async fn describe(&self) -> Option<Inspection> {
        let (sender, receiver) = async_channel::bounded(1);
        self.request(Request::Describe(sender)).ok()?;
        receiver.recv().await.ok()
    }

    /// Whether there are requests for the body; for bodies that see to them.
    #[inline]
    pub fn has_requests(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::REQUEST != 0
    }

    /// Notes whether the body is polled only to answer requests.
    pub(crate) fn set_only_answers(&self, only_answers: bool) {
        let attention = &self.inner.attention;
        match only_answers {
            true => attention.fetch_or(attention::ONLY_ANSWERS, Ordering::Relaxed),
            false => attention.fetch_and(!attention::ONLY_ANSWERS, Ordering::Relaxed),
        };
    }

    /// Whether the body is polled only to answer requests: no code of the guest is to run.
    #[cfg(feature = "guest")]
    pub(crate) fn only_answers(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::ONLY_ANSWERS != 0
    }

    /// Takes the requests for the body out, the oldest first; for bodies that see
    /// to them.
    pub fn take_requests(&self) -> impl Iterator<Item = Request> + use<> {
        self.take_requests_before(u64::MAX).into_iter()
    }

    /// Takes out the requests whose numbers are lower than this.
    pub(crate) fn take_requests_before(&self, number: u64) -> Vec<Request> {
        let mut control = self.inner.control.lock();
        let taken = control.requests.take_before(number);
        if control.requests.is_empty() {
            let attention = &self.inner.attention;
            attention.fetch_and(!attention::REQUEST, Ordering::Relaxed);
        }
        taken
    }

    /// The number that the next request will have.
    #[cfg(feature = "guest")]
    pub(crate) fn next_request(&self) -> u64 {
        self.inner.control.lock().requests.next()
    }
}
