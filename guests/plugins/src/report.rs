//! The report: what has become of the plugins. One process keeps it; others add lines
//! to it and ask for it by messages.

use std::io::{self, Write};

use lunatic_guest::process::{self, Message, ProcessId};

use crate::keepers;

/// The tag of a line for the report.
const LINE: i64 = 1;

/// The tag of a question, whose text is the id of who asks, and of its answer.
const QUESTION: i64 = 2;
const ANSWER: i64 = 3;

/// Keeps the report for as long as there are questions.
pub fn keep(_: u64) {
    keepers().join().expect("a group has room");
    let mut report = String::new();
    loop {
        let Message::Data { tag, bytes } = process::receive(&[LINE, QUESTION]) else {
            continue;
        };
        match (tag, bytes[..].try_into()) {
            (QUESTION, Ok(asker)) => {
                let asker = ProcessId(u64::from_le_bytes(asker));
                process::send(asker, ANSWER, report.as_bytes());
            }
            _ => report.push_str(&String::from_utf8_lossy(&bytes)),
        }
    }
}

/// Adds a line, and prints it if somebody reads that.
pub fn add(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
    keepers().dispatch(LINE, format!("{line}\n").as_bytes());
}

/// The report until now; `None` if nobody keeps it.
pub fn read() -> Option<String> {
    keepers().dispatch(QUESTION, &process::this().0.to_le_bytes())?;
    match process::receive(&[ANSWER]) {
        Message::Data { bytes, .. } => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    }
}
