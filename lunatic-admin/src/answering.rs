//! The interface that a runtime implements to answer requests.

use std::fmt;
use std::future::Future;

use async_channel::Receiver;
use futures_lite::Stream;
use futures_lite::stream::Boxed;

use crate::request::Request;
use crate::response::{Refusal, Response};

/// Answers the requests of clients.
pub trait Answering: Send + Sync + 'static {
    /// Answers a request. The future runs on the thread of the server, where a long computation
    /// delays other clients: yield in between. It is not dropped when the client disconnects, but
    /// when the server ends.
    ///
    /// - `bytes`: the bytes that followed the request.
    fn answer(&self, request: Request, bytes: Vec<u8>) -> impl Future<Output = Answer> + Send;
}

/// The answer to a request.
pub enum Answer {
    /// One response.
    One(Response),
    /// All responses of the channel, until it is closed or the client disconnects; then the
    /// receiver is dropped. It is read as fast as the client reads. Until then nothing else is read
    /// from the client.
    Many(Receiver<Response>),
    /// Like [`Many`](Answer::Many), but from a stream, which is polled on the thread of the server.
    Stream(Boxed<Response>),
}

impl Answer {
    /// Returns an answer with all responses of a stream.
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
