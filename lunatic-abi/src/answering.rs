//! A future that answers requests of the runtime while another future is pending.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// A future that answers the runtime's requests while another future is pending.
    ///
    /// It checks for requests after each poll that finds the other future pending. No request is
    /// missed: the runtime wakes the process after it has made a request, so a request that comes
    /// later causes another poll. If the other future is ready when it is first polled, requests
    /// are not checked.
    pub(crate) struct Answering<F, A> {
        #[pin]
        future: F,
        answer: A,
    }
}

impl<F: Future, A: FnMut()> Answering<F, A> {
    /// Returns a future with the output of `future`.
    ///
    /// - `answer`: answers the requests that there are, if there are any.
    pub(crate) fn new(future: F, answer: A) -> Answering<F, A> {
        Answering { future, answer }
    }
}

impl<F: Future, A: FnMut()> Future for Answering<F, A> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let own = self.project();
        let polled = own.future.poll(cx);
        if polled.is_pending() {
            (own.answer)();
        }
        polled
    }
}
