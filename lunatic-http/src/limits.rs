//! The limits of a server for its clients.

use std::time::Duration;

/// Limits of a [`Server`](crate::Server).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The highest number of clients at once. A further client disconnects the one that has been
    /// without a whole request for the longest time.
    pub clients: usize,
    /// The highest number of bytes of whole answers that clients have not read yet, of all clients
    /// together. A request that would exceed it gets status 503. An answer may be larger if it
    /// is the only one, and answers of at most 16 KiB are not counted.
    pub answers: usize,
    /// The highest number of bytes in the head of a request: its first line and its headers.
    pub head: usize,
    /// The highest number of headers.
    pub headers: usize,
    /// The time limit from the first byte of a request to the end of its head.
    pub head_time: Duration,
    /// How long a client may be silent between two requests, and before the first.
    pub idle_time: Duration,
    /// The time limit for the body of a request.
    pub body_time: Duration,
    /// The time limit for a client to read a piece of an answer.
    pub write_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            clients: 256,
            answers: 32 << 20,
            head: 16 << 10,
            headers: 64,
            head_time: Duration::from_secs(5),
            idle_time: Duration::from_secs(60),
            body_time: Duration::from_secs(60),
            write_time: Duration::from_secs(10),
        }
    }
}
