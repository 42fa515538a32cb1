//! The interface that answers requests.

use crate::request::Request;
use crate::response::Response;

/// Answers requests.
pub trait Serve: Send + Sync + 'static {
    /// Answers a request. Other clients of the server wait while this runs: what takes more
    /// than some milliseconds has to yield.
    fn serve(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// How many bytes may follow the head of a request, which has come without them; by
    /// default none.
    fn max_body(&self, _request: &Request) -> u64 {
        0
    }
}
