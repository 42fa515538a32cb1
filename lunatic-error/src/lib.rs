//! Writes an error and its causes, or the text of a guest, on one line.
//!
//! The [`Display`](fmt::Display) of an error in Lunatic says what failed; the reason is the error's
//! [`source`](Error::source). [`with_causes`] joins the two for people. Texts of guests are escaped
//! and cut by [`on_one_line`] before they are logged.

mod one_line;

use std::error::Error;
use std::fmt;

pub use one_line::{Line, MAX_LOGGED_BYTES, OnOneLine, on_one_line};

/// An error and its causes: displayed, all of them on one line, the outermost
/// first, with `: ` between them.
#[derive(Debug, Clone, Copy)]
pub struct WithCauses<'a>(&'a (dyn Error + 'static));

/// Returns what displays `error` and all its causes on one line.
///
/// ```
/// use std::{error, fmt, num};
///
/// #[derive(Debug)]
/// struct NoPort(num::ParseIntError);
///
/// impl fmt::Display for NoPort {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("not a port")
///     }
/// }
///
/// impl error::Error for NoPort {
///     fn source(&self) -> Option<&(dyn error::Error + 'static)> {
///         Some(&self.0)
///     }
/// }
///
/// let error = "http".parse::<u16>().map_err(NoPort).unwrap_err();
/// let text = lunatic_error::with_causes(&error).to_string();
/// assert_eq!(text, "not a port: invalid digit found in string");
/// ```
pub fn with_causes<'a>(error: &'a (dyn Error + 'static)) -> WithCauses<'a> {
    WithCauses(error)
}

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            let cause = self.1.as_deref()?;
            Some(cause)
        }
    }

    #[test]
    fn an_error_without_a_cause_is_shown_as_it_is() {
        assert_eq!(with_causes(&Layer("a", None)).to_string(), "a");
    }

    #[test]
    fn all_causes_follow_on_one_line_outermost_first() {
        let inner = Layer("b", Some(Box::new(Layer("c", None))));
        let error = Layer("a", Some(Box::new(inner)));
        assert_eq!(with_causes(&error).to_string(), "a: b: c");
    }
}
