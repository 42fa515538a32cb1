//! A client of the HTTP server that asks one thing after another.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::number::{self, Value};

const KEEP: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
const CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

/// The beginning of a request that never ends.
pub(super) const BEGINNING: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\nX: ";

/// Asks once and has the server close the connection.
pub(super) fn ask_and_close(mut stream: TcpStream) -> Result<()> {
    stream.write_all(CLOSE)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "no good answer");
    Ok(())
}

/// Asks on a connection that stays open; how long the answer took.
pub(super) fn ask(stream: &mut TcpStream) -> Result<Value> {
    let start = Instant::now();
    stream.write_all(KEEP)?;
    let mut buffer = [0; 1024];
    let mut filled = 0;
    while !is_complete(&buffer[..filled]) {
        let count = stream.read(&mut buffer[filled..])?;
        ensure!(count > 0, "the server closed the connection");
        filled += count;
    }
    Ok(number::seconds(start.elapsed()))
}

/// Whether these bytes are a whole answer with a body of text.
fn is_complete(answer: &[u8]) -> bool {
    length(answer).is_some_and(|length| answer.len() >= length)
}

fn length(answer: &[u8]) -> Option<usize> {
    let text = str::from_utf8(answer).ok()?;
    let (head, _) = text.split_once("\r\n\r\n")?;
    let body = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))?;
    Some(head.len() + 4 + body.parse::<usize>().ok()?)
}

/// The value that so many hundredths of all are not above.
pub(super) fn percentile(values: &mut [Value], hundredths: usize) -> Result<Value> {
    values.sort_unstable_by(f64::total_cmp);
    let index = (values.len() * hundredths).div_ceil(100).max(1) - 1;
    let value = values.get(index).context("there are no values")?;
    Ok(*value)
}

#[cfg(test)]
mod tests {
    use super::{is_complete, percentile};

    #[test]
    fn an_answer_is_complete_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert!(is_complete(answer));
        assert!(!is_complete(&answer[..answer.len() - 1]));
        assert!(!is_complete(b"HTTP/1.1 200 OK\r\n"));
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 50).ok(), Some(100.0));
        assert_eq!(percentile(&mut values, 99).ok(), Some(198.0));
        assert_eq!(percentile(&mut values, 100).ok(), Some(200.0));
        assert!(percentile(&mut [], 99).is_err());
    }
}
