//! Writes the text of somebody else on one line.

use std::fmt::{self, Write};

/// How much of a guest's text is written to a log at most, in bytes. A program may write
/// less.
pub const MAX_LOGGED_BYTES: usize = 4096;

/// A text, displayed on one line of limited length; see [`on_one_line`].
#[derive(Debug, Clone, Copy)]
pub struct OnOneLine<T> {
    text: T,
    max: usize,
}

/// Returns a value that displays a foreign text, for example of a guest, so that it can be written
/// to a log or a terminal.
///
/// Line ends, control characters and characters that change the direction of writing are escaped,
/// so that the text can neither look like another line nor control a terminal. An ellipsis replaces
/// everything after `max` bytes, which is not even formatted.
///
/// # Examples
///
/// ```
/// use lunatic_error::on_one_line;
///
/// assert_eq!(on_one_line("gone\n\u{1b}[2J", 100).to_string(), r"gone\n\u{1b}[2J");
/// assert_eq!(on_one_line("abcdef", 3).to_string(), "abc…");
/// ```
pub fn on_one_line<T: fmt::Display>(text: T, max: usize) -> OnOneLine<T> {
    OnOneLine { text, max }
}

impl<T: fmt::Display> fmt::Display for OnOneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new(f, self.max);
        let written = write!(line, "{}", self.text);
        line.finish(written)
    }
}

/// A line of limited length, to which foreign texts are written. Writing beyond the limit is an
/// error, so that the formatting stops there.
#[derive(Debug)]
pub struct Line<W> {
    to: W,
    room: usize,
    is_cut: bool,
}

impl<W: Write> Line<W> {
    /// Returns an empty line that is written to `to` and has at most `max` bytes.
    pub fn new(to: W, max: usize) -> Line<W> {
        Line {
            to,
            room: max,
            is_cut: false,
        }
    }

    /// Writes a text of one's own as it is. It does not count.
    ///
    /// # Errors
    ///
    /// Fails if the writer does.
    pub fn write_own(&mut self, text: fmt::Arguments<'_>) -> fmt::Result {
        self.to.write_fmt(text)
    }

    /// Returns whether the limit was reached.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Ends the line: writes an ellipsis if it was cut.
    ///
    /// # Errors
    ///
    /// Fails if the writer does. That the line was cut is not an error.
    pub fn finish(mut self, written: fmt::Result) -> fmt::Result {
        match self.is_cut {
            true => self.to.write_char('…'),
            false => written,
        }
    }

    fn push(&mut self, char: char) -> fmt::Result {
        match self.room.checked_sub(char.len_utf8()) {
            Some(room) if !self.is_cut => {
                self.room = room;
                self.to.write_char(char)
            }
            _ => {
                self.is_cut = true;
                Err(fmt::Error)
            }
        }
    }
}

impl<W: Write> Write for Line<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            match is_plain(char) {
                true => self.push(char)?,
                false => char.escape_default().try_for_each(|char| self.push(char))?,
            }
        }
        Ok(())
    }
}

/// Returns whether a character stands for itself, and does nothing else.
fn is_plain(char: char) -> bool {
    let changes_direction = matches!(
        char,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    let ends_line = matches!(char, '\u{2028}' | '\u{2029}');
    !char.is_control() && !changes_direction && !ends_line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_stays_as_it_is() {
        let text = "grüße, 世界 \"quoted\" \\ '…'";
        assert_eq!(on_one_line(text, 100).to_string(), text);
    }

    #[test]
    fn no_character_ends_the_line_or_controls_a_terminal() {
        let text =
            "a\r\n\t\u{0}\u{7f}\u{85}\u{9b}31m\u{1b}]0;x\u{7}\u{2028}\u{202e}\u{2066}\u{200f}";
        let line = on_one_line(text, 1000).to_string();
        assert!(line.chars().all(is_plain), "{line}");
        assert!(line.starts_with(r"a\r\n\t\u{0}\u{7f}\u{85}\u{9b}31m\u{1b}]0;x\u{7}"));
    }

    #[test]
    fn a_line_is_cut_between_characters_and_says_so() {
        assert_eq!(on_one_line("abc", 3).to_string(), "abc");
        assert_eq!(on_one_line("abcd", 3).to_string(), "abc…");
        assert_eq!(on_one_line("aüb", 2).to_string(), "a…");
        // An escape counts as long as it is, and is written in parts.
        assert_eq!(on_one_line("a\u{1b}b", 4).to_string(), r"a\u{…");
    }

    #[test]
    fn what_is_beyond_the_limit_is_not_made() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("again and ")?;
                }
            }
        }
        assert_eq!(on_one_line(Endless, 7).to_string(), "again a…");
    }
}
