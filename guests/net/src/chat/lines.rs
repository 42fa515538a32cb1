//! Lines of text from whoever sends bytes.

use std::io::{BufRead, BufReader, Read, Result};

use lunatic::net::TcpStream;

/// The longest line; what is beyond is cut off.
const MAX_LINE: usize = 1 << 10;

/// The lines that a user types.
pub(super) struct Lines(BufReader<TcpStream>);

impl Lines {
    pub(super) fn new(stream: TcpStream) -> Lines {
        Lines(BufReader::new(stream))
    }

    /// Waits for a line; none at the end. Nothing in it can move the cursor of
    /// who sees it.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let mut limited = self.0.by_ref().take(MAX_LINE as u64);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') && !self.skip_line()? {
            // The connection ended in the middle of it.
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        let printable = text.chars().filter(|letter| !letter.is_control());
        Ok(Some(printable.collect::<String>().trim().to_owned()))
    }

    /// Reads to the end of the line; whether there is one.
    fn skip_line(&mut self) -> Result<bool> {
        loop {
            let bytes = self.0.fill_buf()?;
            let (count, is_over) = match bytes.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (bytes.len(), bytes.is_empty()),
            };
            let has_end = is_over && count > 0;
            self.0.consume(count);
            if is_over {
                return Ok(has_end);
            }
        }
    }
}
