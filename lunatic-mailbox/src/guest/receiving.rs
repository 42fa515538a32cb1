//! The wait of a guest for a message.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lunatic_abi::{Deadline, Guest, TIMED_OUT, Timeout};
use wasmtime::{Caller, Error, Result};

use crate::guest::MailboxHost;
use crate::mailbox::Wait;

/// Waits for a message and puts it into scratch. The output is its kind, or 9027 with
/// scratch unchanged.
///
/// Written by hand, since every message of every process passes through it: an `async fn`
/// is several futures in each other, and larger than what they keep.
pub(super) struct Receiving<'a, T: 'static> {
    caller: Caller<'a, T>,
    /// The wait, or a trap.
    wait: Result<Wait, Option<Error>>,
    timeout: Timeout,
    /// `None` before the first poll.
    deadline: Option<Deadline>,
    /// Whether the runtime may end the wait early, as if the time were over.
    is_interruptible: bool,
}

impl<'a, T: MailboxHost> Receiving<'a, T> {
    /// Returns a wait that has begun, or the trap in place of one.
    ///
    /// - `timeout`: milliseconds; `u64::MAX` for ever.
    #[inline]
    pub(super) fn new(caller: Caller<'a, T>, wait: Result<Wait>, timeout: u64) -> Self {
        Receiving {
            caller,
            wait: wait.map_err(Some),
            timeout: Timeout::from_millis(timeout),
            deadline: None,
            is_interruptible: false,
        }
    }

    /// Returns the wait, which the runtime may end early.
    #[inline]
    pub(super) fn interruptible(mut self) -> Self {
        self.is_interruptible = true;
        self
    }
}

impl<T: MailboxHost> Future for Receiving<'_, T> {
    type Output = Result<u32>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<u32>> {
        let own = &mut *self;
        let wait = match &mut own.wait {
            Ok(wait) => wait,
            Err(trap) => {
                return trap
                    .take()
                    .map_or(Poll::Pending, |trap| Poll::Ready(Err(trap)));
            }
        };
        let mailbox = own.caller.data_mut().mailbox();
        if let Poll::Ready(kind) = mailbox.poll_receive(wait, cx) {
            if own.is_interruptible {
                own.caller.data_mut().end_interruptible();
            }
            return Poll::Ready(Ok(kind));
        }
        own.caller.answer_requests();
        let timeout = own.timeout;
        let deadline = own.deadline.get_or_insert_with(|| timeout.begin());
        // A message that is queued already is received even with a timeout of 0.
        if wait.is_searching() {
            return Poll::Pending;
        }
        match own.is_interruptible && own.caller.is_interrupted() {
            true => {}
            false => ready!(deadline.poll_passed(cx)),
        }
        if own.is_interruptible {
            own.caller.data_mut().end_interruptible();
        }
        let inbox = own.caller.data_mut().mailbox().inbox();
        inbox.end(wait.take());
        Poll::Ready(Ok(TIMED_OUT))
    }
}
