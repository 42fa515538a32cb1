//! Reads lines and bytes of limited length in limited time.

use std::io::{self, ErrorKind};
use std::time::Duration;

use async_io::Timer;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, future};

/// A stream of lines, with bytes in between.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    stream: R,
    /// The bytes that were read and not taken yet.
    buffer: Vec<u8>,
    max: usize,
}

/// Why there is no line.
#[derive(Debug)]
pub(crate) enum LineError {
    /// The line is longer than allowed.
    TooLong,
    /// The line or the bytes did not come in time.
    Timeout,
    /// The other side has closed the stream within a line.
    Cut,
    /// Reading failed.
    Io(io::Error),
}

/// The highest number of bytes that are read at once.
const READ_BYTES: usize = 16 << 10;

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Reads lines of `max` bytes at most.
    pub(crate) fn new(stream: R, max: usize) -> Lines<R> {
        Lines {
            stream,
            buffer: Vec::new(),
            max,
        }
    }

    /// Returns the stream, to write to.
    pub(crate) fn get_ref(&self) -> &R {
        &self.stream
    }

    /// Returns the next line without its end, or `None` if there is none any more. It may
    /// begin at any time; once it has begun, the rest has to come within `patience`.
    pub(crate) async fn next(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, LineError> {
        if self.buffer.is_empty() && self.fill().await? == 0 {
            return Ok(None);
        }
        within(patience, self.rest_of_line()).await.map(Some)
    }

    /// Like [`next`](Lines::next), but all of the line has to come within `patience`.
    pub(crate) async fn next_in_time(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Vec<u8>>, LineError> {
        within(patience, self.next(patience)).await
    }

    /// Returns so many bytes. They have to come within `patience`; memory is taken as they
    /// come.
    pub(crate) async fn bytes(
        &mut self,
        count: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, LineError> {
        within(patience, async {
            let behind = self.buffer.len().min(count);
            let rest = self.buffer.split_off(behind);
            let mut bytes = std::mem::replace(&mut self.buffer, rest);
            let missing = (count - bytes.len()) as u64;
            let stream = &mut self.stream;
            stream
                .take(missing)
                .read_to_end(&mut bytes)
                .await
                .map_err(LineError::Io)?;
            match bytes.len() == count {
                true => Ok(bytes),
                false => Err(LineError::Cut),
            }
        })
        .await
    }

    /// Waits until the other side closes the stream or sends anything.
    pub(crate) async fn disturbed(&mut self) {
        if self.buffer.is_empty() {
            self.fill().await.ok();
        }
    }

    async fn rest_of_line(&mut self) -> Result<Vec<u8>, LineError> {
        let mut searched = 0;
        loop {
            let new = &self.buffer[searched..];
            if let Some(at) = new.iter().position(|byte| *byte == b'\n') {
                let end = searched + at;
                if end > self.max {
                    return Err(LineError::TooLong);
                }
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(line);
            }
            searched = self.buffer.len();
            if searched > self.max {
                return Err(LineError::TooLong);
            }
            if self.fill().await? == 0 {
                return Err(LineError::Cut);
            }
        }
    }

    /// Reads some bytes; 0 at the end.
    async fn fill(&mut self) -> Result<usize, LineError> {
        let mut piece = [0; READ_BYTES];
        let count = self.stream.read(&mut piece).await.map_err(LineError::Io)?;
        self.buffer.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

/// Writes all of this within a time.
pub(crate) async fn write(
    mut stream: impl AsyncWrite + Unpin,
    bytes: &[u8],
    patience: Duration,
) -> io::Result<()> {
    let written = async { stream.write_all(bytes).await.map_err(LineError::Io) };
    match within(patience, written).await {
        Err(LineError::Io(error)) => Err(error),
        Err(_) => Err(ErrorKind::TimedOut.into()),
        Ok(()) => Ok(()),
    }
}

async fn within<T>(
    patience: Duration,
    doing: impl Future<Output = Result<T, LineError>>,
) -> Result<T, LineError> {
    let deadline = async {
        Timer::after(patience).await;
        Err(LineError::Timeout)
    };
    future::or(doing, deadline).await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
mod tests {
    use std::time::Duration;

    use futures_lite::future::block_on;

    use super::{LineError, Lines};

    const TIMEOUT: Duration = Duration::from_secs(60);

    #[test]
    fn lines_and_bytes_follow_each_other() {
        let mut lines = Lines::new(&b"one\n123two\n"[..], 16);
        block_on(async {
            assert_eq!(lines.next(TIMEOUT).await.unwrap().unwrap(), b"one");
            assert_eq!(lines.bytes(3, TIMEOUT).await.unwrap(), b"123");
            assert_eq!(lines.next(TIMEOUT).await.unwrap().unwrap(), b"two");
            assert!(lines.next(TIMEOUT).await.unwrap().is_none());
        });
    }

    #[test]
    fn a_line_is_refused_from_one_byte_too_many_on() {
        block_on(async {
            for (text, fits) in [("abc\n", true), ("abcd\n", false), ("abcde", false)] {
                let line = Lines::new(text.as_bytes(), 3).next(TIMEOUT).await;
                assert_eq!(line.is_ok(), fits, "{line:?}");
            }
        });
    }

    #[test]
    fn what_is_cut_off_is_no_line_and_too_few_bytes_are_none() {
        block_on(async {
            let line = Lines::new(&b"ab"[..], 3).next(TIMEOUT).await;
            assert!(matches!(line, Err(LineError::Cut)));
            let bytes = Lines::new(&b"ab"[..], 3).bytes(3, TIMEOUT).await;
            assert!(matches!(bytes, Err(LineError::Cut)));
        });
    }
}
