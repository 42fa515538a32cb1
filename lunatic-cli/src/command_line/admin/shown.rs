//! How things of a runtime are written for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use lunatic_admin::{ProcessEntry, Usage};
use lunatic_error::on_one_line;
use serde::Serialize;

use crate::command_line::problem::Problem;

/// What stands for something that is not known, or not there.
pub(super) const NOTHING: &str = "-";

/// A text of a guest, on one line that controls no terminal.
///
/// - `max`: in bytes.
pub(super) fn text(text: &str, max: usize) -> String {
    on_one_line(text, max).to_string()
}

/// Something, or that it is not there.
pub(super) fn or_nothing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

/// Bytes in a unit in which they are short: `64K`, `1.5M`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["", "K", "M", "G", "T"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    match value < 10.0 && value.fract() > 0.05 {
        true => format!("{value:.1}{unit}"),
        false => format!("{value:.0}{unit}"),
    }
}

/// A time in a unit in which it is short.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{:.1}ms", time.as_secs_f64() * 1000.0),
        1..60 => format!("{:.1}s", time.as_secs_f64()),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// So much of so much.
pub(super) fn usage(usage: &Usage) -> String {
    let is_bytes = usage.what.starts_with("bytes");
    let number = |number: u64| match is_bytes {
        true => bytes(number),
        false => number.to_string(),
    };
    let what = text(
        usage.what.strip_prefix("bytes of ").unwrap_or(&usage.what),
        64,
    );
    match (usage.used.map(number), usage.limit.map(number)) {
        (Some(used), Some(limit)) => format!("{what}: {used} of {limit}"),
        (Some(used), None) => format!("{what}: {used}"),
        (None, Some(limit)) => format!("{what}: at most {limit}"),
        (None, None) => what,
    }
}

/// What a process does, in a word: the host function that it waits in, without its namespace.
pub(super) fn state(process: &ProcessEntry) -> String {
    if process.exiting {
        return "exiting".to_owned();
    }
    if process.running {
        return "running".to_owned();
    }
    match &process.described {
        Some(described) => match &described.waiting_in {
            Some(function) => text(function.rsplit("::").next().unwrap_or(function), 32),
            None => "runnable".to_owned(),
        },
        None if process.supervisor => "supervisor".to_owned(),
        None if process.native => "native".to_owned(),
        None => NOTHING.to_owned(),
    }
}

/// On one line of ASCII, so that a text of a guest controls no terminal.
pub(super) fn json(value: &impl Serialize) -> Result<String, Problem> {
    let json = serde_json::to_string(value).map_err(Problem::new)?;
    let mut ascii = String::with_capacity(json.len());
    for char in json.chars() {
        // What is not printable stands in a text, where it may be escaped.
        match char.is_ascii() && !char.is_ascii_control() {
            true => ascii.push(char),
            false => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    // A string takes everything.
                    write!(ascii, "\\u{unit:04x}").ok();
                }
            }
        }
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_short() {
        let pairs = [
            (0, "0"),
            (1023, "1023"),
            (65_536, "64K"),
            (1536, "1.5K"),
            (1 << 20, "1M"),
            (u64::MAX, "16777216T"),
        ];
        for (number, expected) in pairs {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn times_are_short() {
        let pairs = [
            (0.0015, "1.5ms"),
            (1.5, "1.5s"),
            (61.0, "1m01s"),
            (7260.0, "2h01m"),
        ];
        for (seconds, expected) in pairs {
            assert_eq!(time(Duration::from_secs_f64(seconds)), expected);
        }
    }

    #[test]
    fn json_is_plain_ascii_and_says_the_same() {
        let hostile = "\u{1b}[2J\u{9b}\u{202e}ä\n\u{7f}\u{1f600}";
        let json = json(&hostile).ok().unwrap_or_default();
        assert!(
            json.chars().all(|char| (' '..='~').contains(&char)),
            "{json}"
        );
        let read: String = serde_json::from_str(&json).unwrap_or_default();
        assert_eq!(read, hostile);
    }
}
