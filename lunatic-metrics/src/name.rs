//! The names of metrics.

use std::error::Error;
use std::fmt;

use crate::metric::Kind;

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// The prefix of the names of the runtime's own metrics.
const RESERVED: &str = "lunatic_";

/// A name as OpenMetrics has it: ASCII letters, digits, `_` and `:`, and no digit first.
///
/// `.`, `-`, `/` and spaces become `_`, as other libraries have it. A counter loses the end
/// `_total`, which it is written with again.
///
/// ```
/// use lunatic_metrics::{Kind, MetricName};
///
/// let name = MetricName::new("http.requests_total".to_owned(), Kind::Counter)?;
/// assert_eq!(name.as_str(), "http_requests");
/// assert!(MetricName::new("<script>".to_owned(), Kind::Gauge).is_err());
/// # Ok::<(), lunatic_metrics::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricName(String);

/// Why something is no name of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// There is nothing in it.
    Empty,
    /// The name is longer than [`MAX_NAME_BYTES`].
    TooLong,
    /// A character that is not allowed, or a digit at the beginning.
    Character(char),
    /// The name begins like the names of the runtime.
    Reserved,
}

impl MetricName {
    /// Looks at a name, in a time that is bounded by [`MAX_NAME_BYTES`].
    ///
    /// # Errors
    ///
    /// [`InvalidName`].
    pub fn new(name: String, kind: Kind) -> Result<MetricName, InvalidName> {
        if name.len() > MAX_NAME_BYTES {
            return Err(InvalidName::TooLong);
        }
        let mut written = String::with_capacity(name.len());
        for char in name.chars() {
            written.push(match char {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | ':' => char,
                '.' | '-' | '/' | ' ' => '_',
                other => return Err(InvalidName::Character(other)),
            });
        }
        if kind == Kind::Counter
            && let Some(base) = written.strip_suffix("_total")
        {
            written.truncate(base.len());
        }
        match written.chars().next() {
            None => Err(InvalidName::Empty),
            Some(digit) if digit.is_ascii_digit() => Err(InvalidName::Character(digit)),
            Some(_) if written.starts_with(RESERVED) => Err(InvalidName::Reserved),
            Some(_) => Ok(MetricName(written)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidName::Empty => f.write_str("the name of a metric is empty"),
            InvalidName::TooLong => write!(
                f,
                "the name of a metric is longer than {MAX_NAME_BYTES} bytes"
            ),
            InvalidName::Character(char) => {
                write!(f, "the name of a metric has {char:?} where that cannot be")
            }
            InvalidName::Reserved => write!(
                f,
                "names that begin with `{RESERVED}` are those of the runtime"
            ),
        }
    }
}

impl Error for InvalidName {}
