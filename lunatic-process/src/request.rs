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
}

/// So many requests may wait for a body; a body that never suspends sees to none.
const MAX_REQUESTS: usize = 64;

/// The requests that wait for a body, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct RequestQueue(Vec<Request>);

impl RequestQueue {
    /// Puts a request behind the others; hands it back if there are too many.
    pub(crate) fn push(&mut self, request: Request) -> Result<(), Request> {
        if self.0.len() >= MAX_REQUESTS {
            return Err(request);
        }
        self.0.push(request);
        Ok(())
    }

    pub(crate) fn take(&mut self) -> impl Iterator<Item = Request> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Request::Inspect(_) => "Inspect",
        })
    }
}
