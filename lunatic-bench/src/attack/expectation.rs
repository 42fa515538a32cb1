//! The expected end of a culprit. In addition, no other process may be affected.

use std::fmt;

use anyhow::{Result, bail};

/// The expected end of the process that runs `main`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// It traps, with this text in the reason.
    Trap(String),
    /// It returns, after it has found that it was refused what it wanted.
    Refused,
    /// It traps or returns, because it gets no more.
    Stopped,
    /// It runs until it is killed.
    RunsOn,
    /// Any of these.
    Contained,
}

/// How a process ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It returned.
    Returned,
    /// It failed, for this reason; empty if it had ended before anybody could ask.
    Failed(String),
    /// It was killed.
    Killed,
}

impl Expectation {
    pub(super) fn read(text: &str) -> Result<Expectation> {
        Ok(match text.split_once(' ').unwrap_or((text, "")) {
            ("trap", reason) => Expectation::Trap(reason.to_owned()),
            ("refused", "") => Expectation::Refused,
            ("stopped", "") => Expectation::Stopped,
            ("runs", "on") => Expectation::RunsOn,
            ("contained", "") => Expectation::Contained,
            _ => bail!("nobody knows what `{text}` is"),
        })
    }

    /// Whether a culprit may end so; `None` if it still runs.
    pub fn allows(&self, end: Option<&End>) -> bool {
        match (self, end) {
            (_, Some(End::Killed)) => false,
            (Expectation::Contained, _) | (Expectation::RunsOn, None) => true,
            (Expectation::Trap(reason), Some(End::Failed(text))) => {
                text.is_empty() || text.contains(reason)
            }
            (Expectation::Refused | Expectation::Stopped, Some(End::Returned))
            | (Expectation::Stopped, Some(End::Failed(_))) => true,
            _ => false,
        }
    }

    /// Whether a culprit has to end by itself.
    pub fn is_an_end(&self) -> bool {
        !matches!(self, Expectation::RunsOn | Expectation::Contained)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Trap(reason) => write!(f, "trap {reason}"),
            Expectation::Refused => f.write_str("refused"),
            Expectation::Stopped => f.write_str("stopped"),
            Expectation::RunsOn => f.write_str("runs on"),
            Expectation::Contained => f.write_str("contained"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Returned => f.write_str("returned"),
            End::Failed(reason) if reason.is_empty() => f.write_str("trapped"),
            End::Failed(reason) => write!(f, "trapped: {reason}"),
            End::Killed => f.write_str("killed"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn a_trap_has_to_have_its_reason() {
        let trap = Expectation::read("trap limit").unwrap();
        assert!(trap.allows(Some(&End::Failed("a limit".to_owned()))));
        assert!(!trap.allows(Some(&End::Failed("unreachable".to_owned()))));
        assert!(!trap.allows(Some(&End::Returned)));
        assert!(!trap.allows(None));
    }

    #[test]
    fn nobody_but_the_host_kills() {
        let any = Expectation::read("contained").unwrap();
        assert!(any.allows(None) && any.allows(Some(&End::Returned)));
        assert!(!any.allows(Some(&End::Killed)));
    }
}
