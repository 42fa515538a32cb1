//! What a runtime implements to be asked.

use std::fmt;
use std::future::Future;

use async_channel::Receiver;
use futures_lite::Stream;
use futures_lite::stream::Boxed;

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
pub enum Answer {
    /// One response.
    One(Response),
    /// All that come, until the channel is closed or the client goes; then the receiver is
    /// dropped. It is read as fast as the client reads. Nothing else is read from the client
    /// meanwhile.
    Many(Receiver<Response>),
    /// Like [`Many`](Answer::Many), of a stream, which is polled on the thread of the server
    /// and dropped when the client goes.
    Stream(Boxed<Response>),
}

impl Answer {
    /// All that come from a stream.
    pub fn stream(responses: impl Stream<Item = Response> + Send + 'static) -> Answer {
        Answer::Stream(Box::pin(responses))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::One(response) => f.debug_tuple("One").field(response).finish(),
            Answer::Many(_) => f.write_str("Many"),
            Answer::Stream(_) => f.write_str("Stream"),
        }
    }
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
