//! How much a server takes from its clients, and how long it waits for them.

use std::time::Duration;

/// How much a [`Server`](crate::Server) takes from its clients, and how long it waits for
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// So many clients at once; more are told so, and closed.
    pub clients: usize,
    /// So many requests with bytes are received at once.
    pub uploads: usize,
    /// The longest line that a client may send, in bytes.
    pub line: usize,
    /// The most bytes behind a line.
    pub bytes: u64,
    /// The longest line that is sent to a client, in bytes.
    pub response: usize,
    /// How long the first line of a client, and the rest of a line that has begun, may take.
    pub line_time: Duration,
    /// How long the bytes behind a line may take.
    pub bytes_time: Duration,
    /// How long a client may take to read a line that is sent to it.
    pub write_time: Duration,
}

impl Default for Limits {
    /// 64 clients, 2 uploads, lines of 64 KiB, 256 MiB of bytes, responses of 64 MiB; 10 s
    /// for a line, 60 s for the bytes, 30 s for a response.
    fn default() -> Limits {
        Limits {
            clients: 64,
            uploads: 2,
            line: 64 << 10,
            bytes: 256 << 20,
            response: MAX_RESPONSE_BYTES,
            line_time: Duration::from_secs(10),
            bytes_time: Duration::from_secs(60),
            write_time: Duration::from_secs(30),
        }
    }
}

/// The longest line of a runtime, in bytes.
pub(crate) const MAX_RESPONSE_BYTES: usize = 64 << 20;
