//! What went wrong in a process, as data.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_error::with_causes;
use lunatic_mailbox::Pid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest text of a failure, in bytes; a longer one is cut.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// The longest backtrace of a failure, in bytes; a longer one is cut.
pub const MAX_BACKTRACE_BYTES: usize = 16 * 1024;

/// What went wrong: its kind, a text, and where. It holds no error value, so it
/// can be sent to another node and belongs to nobody; cheap to clone.
///
/// The body of a process fails with anything that is an error:
///
/// ```
/// use lunatic_process::{Failure, FailureKind};
///
/// fn body() -> Result<(), Failure> {
///     Err("no such file")?;
///     Ok(())
/// }
/// let failure = body().unwrap_err();
/// assert_eq!(failure.kind(), &FailureKind::Error);
/// assert_eq!(failure.to_string(), "no such file");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    data: Arc<Data>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Data {
    kind: FailureKind,
    /// Empty where the kind says it all.
    message: Box<str>,
    backtrace: Option<Box<str>>,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// The body returned an error.
    Error,
    /// The body was asked to end in good order, and did; it failed with
    /// [`Shutdown`].
    Shutdown,
    /// The guest trapped.
    Trap,
    /// The guest exited with a status that is not 0.
    ExitStatus(u32),
    /// The body panicked: a defect of the host.
    Panicked,
    /// A process linked to this one ended, and this one does not trap link deaths.
    LinkDied {
        /// The process that ended first.
        peer: Pid,
    },
    /// The guest has executed as much as its fuel allows.
    OutOfFuel,
}

impl Failure {
    /// A failure with the text of this error and all its causes. [`Shutdown`]
    /// makes one of the kind [`FailureKind::Shutdown`].
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync + 'static>>) -> Failure {
        let error = error.into();
        match error.is::<Shutdown>() {
            true => Failure::from_kind(FailureKind::Shutdown),
            false => Failure::with_message(FailureKind::Error, with_causes(&*error).to_string()),
        }
    }

    /// A failure of a kind that needs no further text.
    pub fn from_kind(kind: FailureKind) -> Failure {
        Failure::with_message(kind, String::new())
    }

    /// A failure with a text.
    ///
    /// - `message`: cut to [`MAX_MESSAGE_BYTES`].
    pub fn with_message(kind: FailureKind, message: String) -> Failure {
        let message = cut(message, MAX_MESSAGE_BYTES).into();
        Failure {
            data: Arc::new(Data {
                kind,
                message,
                backtrace: None,
            }),
        }
    }

    /// The same failure with the place where it happened.
    ///
    /// - `backtrace`: one line for each frame; cut to [`MAX_BACKTRACE_BYTES`].
    pub fn with_backtrace(self, backtrace: String) -> Failure {
        let Data { kind, message, .. } = &*self.data;
        Failure {
            data: Arc::new(Data {
                kind: kind.clone(),
                message: message.clone(),
                backtrace: Some(cut(backtrace, MAX_BACKTRACE_BYTES).into()),
            }),
        }
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> &FailureKind {
        &self.data.kind
    }

    /// Where in the guest it happened, one line for each frame, if it was a guest.
    pub fn backtrace(&self) -> Option<&str> {
        self.data.backtrace.as_deref()
    }

    /// How long message and backtrace are together, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        self.data.message.len() + self.backtrace().map_or(0, str::len)
    }
}

/// On one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.data.kind, &*self.data.message) {
            (FailureKind::LinkDied { peer }, _) => write!(f, "the linked process {peer} died"),
            (FailureKind::Shutdown, _) => Shutdown.fmt(f),
            (FailureKind::Panicked, message) => write!(f, "the host panicked: {message}"),
            (FailureKind::ExitStatus(status), "") => write!(f, "exited with status {status}"),
            (FailureKind::Trap, "") => f.write_str("the guest trapped"),
            (FailureKind::Error, "") => f.write_str("failed"),
            (_, message) => f.write_str(message),
        }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync + 'static>>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(error)
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.data.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Failure, D::Error> {
        let Data {
            kind,
            message,
            backtrace,
        } = Data::deserialize(deserializer)?;
        let failure = Failure::with_message(kind, message.into());
        Ok(match backtrace {
            Some(backtrace) => failure.with_backtrace(backtrace.into()),
            None => failure,
        })
    }
}

/// A body that fails with this ends in good order:
/// [`ExitReason::Shutdown`](crate::ExitReason::Shutdown).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown;

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shutdown")
    }
}

impl Error for Shutdown {}

/// The text, or so much of its beginning that it has at most `limit` bytes with
/// the mark that something is missing.
fn cut(mut text: String, limit: usize) -> String {
    const MARK: &str = "…";
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit - MARK.len()));
        text.push_str(MARK);
    }
    text
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        for start in ["", "a", "ab"] {
            let text = format!("{start}{}", "ü".repeat(MAX_MESSAGE_BYTES));
            let failure = Failure::new(text.clone());
            let message = failure.to_string();
            assert!(message.len() <= MAX_MESSAGE_BYTES);
            let kept = message.strip_suffix('…').unwrap();
            assert!(text.starts_with(kept) && kept.len() > MAX_MESSAGE_BYTES - 8);
        }
    }

    #[test]
    fn what_crosses_a_wire_is_the_same_and_not_longer_than_it_may_be() {
        let failure = Failure::with_message(FailureKind::Trap, "unreachable".into())
            .with_backtrace("0: main\n1: start".into());
        let bytes = postcard::to_allocvec(&failure).unwrap();
        assert_eq!(postcard::from_bytes::<Failure>(&bytes).unwrap(), failure);

        let long = Data {
            kind: FailureKind::Error,
            message: "x".repeat(1 << 20).into(),
            backtrace: Some("y".repeat(1 << 20).into()),
        };
        let bytes = postcard::to_allocvec(&long).unwrap();
        let failure: Failure = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(failure.to_string().len(), MAX_MESSAGE_BYTES);
        assert_eq!(failure.backtrace().unwrap().len(), MAX_BACKTRACE_BYTES);
    }
}
