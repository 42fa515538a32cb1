//! What the versions of the programs have in common.

use std::io::{self, BufRead};

use lunatic_guest::process::{self, Message, ProcessId};
use lunatic_guest::reload::ReplyTo;
use serde::{Deserialize, Serialize};

/// What a counter is asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// It counts this message, and replies with ten times the count and a digit of its own.
    Count(ReplyTo<u64>),
    /// It ends.
    End,
}

/// Tells where the program listens: on its standard output if it has the argument `print`,
/// else to the process whose id comes in a message.
pub fn tell_port(port: u16) {
    if std::env::args().any(|argument| argument == "print") {
        println!("{port}");
    } else {
        process::send(observer(), 1, &port.to_le_bytes());
    }
}

/// Waits for a message with a process id.
pub fn observer() -> ProcessId {
    loop {
        if let Message::Data { bytes, .. } = process::receive(&[]) {
            if let Ok(id) = bytes.try_into() {
                return ProcessId(u64::from_le_bytes(id));
            }
        }
    }
}

/// The next line of a connection, if all of it was read.
///
/// - `rest`: what was read behind the line before. The line is taken out of it.
/// - `more`: what was read since.
///
/// # Errors
///
/// If the line is no text.
pub fn take_line(rest: &mut Vec<u8>, more: &[u8]) -> io::Result<Option<String>> {
    rest.extend_from_slice(more);
    if !rest.contains(&b'\n') {
        return Ok(None);
    }
    let mut line = String::new();
    let taken = (&rest[..]).read_line(&mut line)?;
    rest.drain(..taken);
    Ok(Some(line))
}
