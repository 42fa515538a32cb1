//! Modules in the text format.

use std::error::Error;
use std::fmt;

use wast::Wat;
use wast::parser::{self, ParseBuffer};

/// The error of the text of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextError {
    /// The description of the error.
    pub message: String,
    /// The line it is on; the first is 1.
    pub line: usize,
    /// The character of that line; the first is 1.
    pub column: usize,
    /// The text of that line, to be shown: what would control a terminal is replaced,
    /// character by character. Empty if the line is very long.
    pub excerpt: String,
}

/// Turns text into a binary module.
///
/// # Errors
///
/// [`TextError`] if the text is not that of a module or component.
pub(crate) fn to_binary(text: &str) -> Result<Vec<u8>, TextError> {
    encode(text).map_err(|error| TextError::new(&error, text))
}

fn encode(text: &str) -> Result<Vec<u8>, wast::Error> {
    let buffer = ParseBuffer::new(text)?;
    parser::parse::<Wat<'_>>(&buffer)?.encode()
}

impl TextError {
    fn new(error: &wast::Error, text: &str) -> TextError {
        const MAX_EXCERPT: usize = 500;
        let (line, column) = error.span().linecol_in(text);
        let text = text.lines().nth(line).unwrap_or_default();
        let before = text.get(..column).unwrap_or(text);
        let excerpt = match text.len() <= MAX_EXCERPT {
            true => text.chars().map(harmless).collect(),
            false => String::new(),
        };
        TextError {
            message: error.message(),
            line: line + 1,
            column: before.chars().count() + 1,
            excerpt,
        }
    }
}

/// Returns a character, or a replacement for one that a terminal would interpret.
fn harmless(character: char) -> char {
    match character {
        '\t' => ' ',
        // These change the direction of writing.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TextError {
            message,
            line,
            column,
            ..
        } = self;
        write!(f, "{message} (at line {line}, column {column})")
    }
}

impl Error for TextError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> TextError {
        to_binary(text).expect_err("the text is wrong")
    }

    #[test]
    fn an_error_says_where_it_is() {
        let error = error("(module\n  (func)\n  (nonsense))");
        assert_eq!((error.line, error.column), (3, 4));
        assert_eq!(error.excerpt, "  (nonsense))");
        assert!(error.to_string().ends_with("(at line 3, column 4)"));
    }

    #[test]
    fn columns_are_counted_in_characters() {
        let error = error("(module (; äöü ;) (nonsense))");
        assert_eq!((error.line, error.column), (1, 20));
    }

    #[test]
    fn an_excerpt_does_not_control_a_terminal() {
        let error = error("(module\t\"\u{1b}[31m\"");
        assert!(!error.excerpt.contains(['\t', '\u{1b}']));
        assert_eq!(
            error.excerpt.chars().count(),
            "(module\t\"\u{1b}[31m\"".chars().count()
        );
    }

    #[test]
    fn a_very_long_line_is_not_kept() {
        let error = error(&format!("(module {} (nonsense))", " ".repeat(10_000)));
        assert_eq!(error.excerpt, "");
        assert!(error.column > 10_000);
    }

    #[test]
    fn a_text_that_ends_too_early_is_wrong_at_its_end() {
        let error = error("(module\n(func");
        assert_eq!(error.line, 2);
    }
}
