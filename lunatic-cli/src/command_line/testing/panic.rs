//! Finds the message of a panic in what a test printed.

/// What stands between a message in quotation marks and the location.
const QUOTED_END: &str = "', ";

/// The message of the first panic in `output`.
///
/// The panic hook of Rust's standard library prints it, in one of these forms:
///
/// - `thread 'NAME' panicked at 'MESSAGE', FILE:LINE:COLUMN` up to Rust 1.72;
/// - `thread 'NAME' panicked at FILE:LINE:COLUMN:` since then, with the message
///   on the lines below;
/// - `thread 'NAME' (ID) panicked at …`, which is otherwise the same, of late.
///
/// A message may be of several lines in all of them.
pub(super) fn first_message(output: &str) -> Option<&str> {
    const START: &str = "thread '";
    output
        .match_indices(START)
        .find_map(|(at, _)| message(&output[at + START.len()..]))
}

/// The message, if `text` goes on from the name of a thread as a panic does.
fn message(text: &str) -> Option<&str> {
    let (thread, rest) = text.split_once(" panicked at ")?;
    if !is_thread(thread) {
        return None;
    }
    match rest.strip_prefix('\'') {
        Some(rest) => quoted(rest),
        None => below(rest),
    }
}

/// Whether this is a name with its closing quotation mark, with an id or without.
fn is_thread(text: &str) -> bool {
    let name = match text.strip_suffix(')') {
        Some(name_and_id) => name_and_id
            .trim_end_matches(|digit: char| digit.is_ascii_digit())
            .strip_suffix(" ("),
        None => Some(text),
    };
    name.is_some_and(|name| name.ends_with('\'') && !name.contains('\n'))
}

/// The message at the start of `text`, up to its closing quotation mark. It may
/// hold others: a location stands behind the one that closes it.
fn quoted(text: &str) -> Option<&str> {
    let ends = || text.match_indices(QUOTED_END).map(|(at, _)| at);
    let end = ends()
        .find(|at| starts_with_location(&text[at + QUOTED_END.len()..]))
        .or_else(|| ends().next())?;
    Some(&text[..end])
}

/// Whether the first line of `text` is `FILE:LINE:COLUMN`.
fn starts_with_location(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    let mut parts = line.rsplitn(3, ':');
    let mut is_number = || parts.next().is_some_and(|part| part.parse::<u32>().is_ok());
    is_number() && is_number() && parts.next().is_some_and(|file| !file.contains(QUOTED_END))
}

/// The message on the lines below the one that ends with the location.
fn below(text: &str) -> Option<&str> {
    /// How the first line begins that is not the message any more.
    const ENDS: [&str; 2] = ["note: run with `RUST_BACKTRACE", "stack backtrace:"];
    let (location, rest) = text.split_once('\n')?;
    if !location.ends_with(':') {
        return None;
    }
    let length = rest
        .split_inclusive('\n')
        .take_while(|line| !ENDS.iter().any(|end| line.starts_with(end)))
        .map(str::len)
        .sum();
    let message: &str = &rest[..length];
    Some(message.strip_suffix('\n').unwrap_or(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str =
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";

    #[test]
    fn output_without_a_panic_has_no_message() {
        for output in [
            "",
            "hello\n",
            "thread 'main' is at work\n",
            "I panicked at 'nothing', really\n",
            "thread 'a'\n' panicked at 'b', src/lib.rs:1:2\n",
            "thread 'a' (b) panicked at src/lib.rs:1:2:\nc\n",
            "thread 'a' panicked at dawn\n",
        ] {
            assert_eq!(first_message(output), None, "{output:?}");
        }
    }

    #[test]
    fn a_message_in_quotes_is_found() {
        let output = format!("hi\nthread '<unnamed>' panicked at 'boom', src/lib.rs:1:2\n{NOTE}");
        assert_eq!(first_message(&output), Some("boom"));
    }

    #[test]
    fn a_message_in_quotes_may_hold_quotes_and_lines() {
        let output = "thread 'main' panicked at 'got 'a', 'b'\nand 'c', too', /src/lib.rs:1:2\n";
        assert_eq!(first_message(output), Some("got 'a', 'b'\nand 'c', too"));
    }

    #[test]
    fn a_message_in_quotes_needs_no_place_behind_it() {
        let output = "thread 'main' panicked at 'boom', somewhere\n";
        assert_eq!(first_message(output), Some("boom"));
    }

    #[test]
    fn a_message_below_is_found() {
        let output = format!("\nthread 'main' panicked at src/lib.rs:1:2:\nboom\n{NOTE}after\n");
        assert_eq!(first_message(&output), Some("boom"));
    }

    #[test]
    fn a_message_below_may_have_several_lines() {
        let output = format!(
            "thread 'main' panicked at src/lib.rs:1:2:\nassertion failed\n  left: 1\n\n right: 2\n{NOTE}"
        );
        let message = "assertion failed\n  left: 1\n\n right: 2";
        assert_eq!(first_message(&output), Some(message));
    }

    #[test]
    fn a_message_below_ends_where_a_backtrace_begins() {
        let output = "thread 'main' panicked at src/lib.rs:1:2:\nboom\nstack backtrace:\n   0: f\n";
        assert_eq!(first_message(output), Some("boom"));
    }

    #[test]
    fn a_message_below_may_be_all_that_follows() {
        let output = "thread 'main' panicked at src/lib.rs:1:2:\nboom";
        assert_eq!(first_message(output), Some("boom"));
    }

    #[test]
    fn a_message_may_be_empty() {
        let output = format!("thread 'main' panicked at src/lib.rs:1:2:\n\n{NOTE}");
        assert_eq!(first_message(&output), Some(""));
        let output = "thread 'main' panicked at '', src/lib.rs:1:2\n";
        assert_eq!(first_message(output), Some(""));
    }

    #[test]
    fn the_thread_may_have_an_id() {
        let output = "thread '<unnamed>' (12345) panicked at src/lib.rs:1:2:\nboom\n";
        assert_eq!(first_message(output), Some("boom"));
    }

    #[test]
    fn the_first_panic_counts() {
        let output = format!(
            "thread 'main' is well\n\
             thread 'main' panicked at src/lib.rs:1:2:\nfirst\n{NOTE}\
             thread 'main' panicked at src/lib.rs:3:4:\nsecond\n"
        );
        assert_eq!(first_message(&output), Some("first"));
    }
}
