//! How much a client may do.

use std::time::Duration;

/// Limits of a [`Server`](crate::Server).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// So many clients at once. If one more comes, the one is disconnected that has waited
    /// longest without a whole request.
    pub clients: usize,
    /// So many bytes of whole answers that clients have not read yet, of all of them together; who
    /// asks for more is told 503. One answer may have more if it is the only one, and those of at
    /// most 16 KiB are not counted.
    pub answers: usize,
    /// So many bytes in the head of a request: its first line and its headers.
    pub head: usize,
    /// So many headers.
    pub headers: usize,
    /// The time from the first byte of a request until its head is there.
    pub head_time: Duration,
    /// How long a client may be silent between two requests, and before the first.
    pub idle_time: Duration,
    /// The time until the body of a request is there.
    pub body_time: Duration,
    /// The time in which a client has to read a piece of an answer.
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
