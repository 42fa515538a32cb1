//! What is asked of the body of a process beside messages.

use std::fmt;

use async_channel::Sender;

use crate::info::Inspection;

/// Something that the body of a process sees to at its next suspension point: where
/// it waits, or where it is preempted. Messages are for the program, requests for
/// the runtime that runs it.
#[non_exhaustive]
pub enum Request {
    /// Tell what only the body knows.
    Inspect(Sender<Inspection>),
    /// The same without backtrace and details, which take longer than all else together.
    Describe(Sender<Inspection>),
}

/// So many requests may wait for a body; a body that never suspends sees to none.
const MAX_REQUESTS: usize = 64;

/// The requests that wait for a body, the oldest first. They are numbered in the order
/// in which they come.
#[derive(Debug, Default)]
pub(crate) struct RequestQueue {
    waiting: Vec<Request>,
    /// The number of the first one that waits.
    first: u64,
}

impl RequestQueue {
    /// Puts a request behind the others; hands it back if there are too many.
    pub(crate) fn push(&mut self, request: Request) -> Result<(), Request> {
        if self.waiting.len() >= MAX_REQUESTS {
            return Err(request);
        }
        self.waiting.push(request);
        Ok(())
    }

    /// Returns the number that the next request will have.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.waiting.len() as u64
    }

    /// Takes out the requests with lower numbers than this.
    pub(crate) fn take_before(&mut self, number: u64) -> Vec<Request> {
        let end = number.clamp(self.first, self.next());
        let later = self.waiting.split_off((end - self.first) as usize);
        self.first = end;
        std::mem::replace(&mut self.waiting, later)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Request::Inspect(_) => "Inspect",
            Request::Describe(_) => "Describe",
        })
    }
}
