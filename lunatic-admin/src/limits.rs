//! The limits of a server for its clients.

use std::time::Duration;

/// The limits of a [`Server`](crate::Server) for its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The highest number of clients at once; a further one gets an error and is closed.
    pub clients: usize,
    /// The highest number of requests with bytes that are received at once.
    pub uploads: usize,
    /// The longest line that a client may send, in bytes.
    pub line: usize,
    /// The highest number of bytes after a line.
    pub bytes: u64,
    /// The longest line that is sent to a client, in bytes.
    pub response: usize,
    /// The time limit for the first line of a client, and for the rest of a line that has begun.
    pub line_time: Duration,
    /// The time limit for the bytes after a line.
    pub bytes_time: Duration,
    /// The time limit for a client to read a line that is sent to it.
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

/// The longest line that a runtime sends, in bytes.
pub(crate) const MAX_RESPONSE_BYTES: usize = 64 << 20;
