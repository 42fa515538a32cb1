//! Names of nodes and of clusters, and patterns for them.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The name of a node: 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`, the first a
/// letter or a digit.
///
/// # Examples
///
/// ```
/// use lunatic_trust::{InvalidName, NodeName};
///
/// let name: NodeName = "worker-1".parse()?;
/// assert_eq!(name.as_str(), "worker-1");
/// let invalid = "Worker".parse::<NodeName>();
/// assert_eq!(invalid, Err(InvalidName::Character { character: 'W', position: 0 }));
/// # Ok::<(), InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

/// The name of a cluster: as that of a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(Arc<str>);

/// Which names are meant: one, or those that a text with `*` matches.
///
/// Each `*` stands for any characters, also none.
///
/// # Examples
///
/// ```
/// use lunatic_trust::{NamePattern, NodeName};
///
/// let workers: NamePattern = "worker-*".parse()?;
/// assert!(workers.matches(&"worker-1".parse::<NodeName>()?));
/// assert!(!workers.matches(&"database".parse::<NodeName>()?));
/// # Ok::<(), lunatic_trust::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(Arc<str>);

/// Why a text is no name, or no pattern of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// It has no characters.
    Empty,
    /// It has more than [`MAX_NAME_BYTES`] bytes.
    TooLong {
        /// How many it has.
        length: usize,
    },
    /// It begins with `.`, `_` or `-`.
    Start {
        /// The first character.
        character: char,
    },
    /// It has a character that no name has.
    Character {
        /// The first of them.
        character: char,
        /// How many characters are before it.
        position: usize,
    },
}

fn check(text: &str, is_pattern: bool) -> Result<(), InvalidName> {
    let is_allowed = |c: char| {
        c.is_ascii_lowercase()
            || c.is_ascii_digit()
            || matches!(c, '.' | '_' | '-')
            || (is_pattern && c == '*')
    };
    if text.len() > MAX_NAME_BYTES {
        return Err(InvalidName::TooLong { length: text.len() });
    }
    let first = text.chars().next().ok_or(InvalidName::Empty)?;
    if let Some((position, character)) = text.chars().enumerate().find(|(_, c)| !is_allowed(*c)) {
        return Err(InvalidName::Character {
            character,
            position,
        });
    }
    match first {
        '.' | '_' | '-' => Err(InvalidName::Start { character: first }),
        _ => Ok(()),
    }
}

macro_rules! text {
    ($type:ident, $is_pattern:literal) => {
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text, $is_pattern)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text!(NodeName, false);
text!(ClusterName, false);
text!(NamePattern, true);

impl NamePattern {
    /// The pattern that means every name.
    pub fn any() -> Self {
        Self("*".into())
    }

    /// Returns whether this pattern means `name`.
    pub fn matches(&self, name: &NodeName) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else {
            return self.0 == name.0;
        };
        let Some(mut text) = name.as_str().strip_prefix(start) else {
            return false;
        };
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*') {
            match text.find(part) {
                Some(at) => text = &text[at + part.len()..],
                None => return false,
            }
        }
        text.ends_with(end)
    }
}

impl From<NodeName> for NamePattern {
    fn from(name: NodeName) -> Self {
        Self(name.0)
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name has at least one character"),
            Self::TooLong { length } => {
                write!(
                    f,
                    "a name has at most {MAX_NAME_BYTES} bytes, and this has {length}"
                )
            }
            Self::Start { character } => {
                write!(
                    f,
                    "a name begins with a letter or a digit, not with {character:?}"
                )
            }
            Self::Character {
                character,
                position,
            } => write!(
                f,
                "a name consists of a-z, 0-9, '.', '_' and '-', and this has {character:?} after {position} characters"
            ),
        }
    }
}

impl Error for InvalidName {}
