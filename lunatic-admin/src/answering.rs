//! What a runtime implements to be asked.

use std::future::Future;

use async_channel::Receiver;

use crate::request::Request;
use crate::response::{Refusal, Response};

/// What answers the requests of clients.
pub trait Answering: Send + Sync + 'static {
    /// Answers a request. It runs on the thread of the server, where a long computation
    /// keeps other clients waiting: yield in between. It is not dropped when the client goes,
    /// but when the server ends.
    ///
    /// - `bytes`: what followed the request.
    fn answer(&self, request: Request, bytes: Vec<u8>) -> impl Future<Output = Answer> + Send;
}

/// The answer to a request.
#[derive(Debug)]
pub enum Answer {
    /// One response.
    One(Response),
    /// All that come, until the channel is closed or the client goes; then the receiver is
    /// dropped. It is read as fast as the client reads. Nothing else is read from the client
    /// meanwhile.
    Many(Receiver<Response>),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Answer {
        Answer::One(response)
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        Answer::One(refusal.into())
    }
}
