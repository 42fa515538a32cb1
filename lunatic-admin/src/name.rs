//! The name of a runtime.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Tells the runtimes of a user apart: 64 letters, digits, `-`, `_` and `.` at most, the first
/// of which is a letter or a digit.
///
/// ```
/// use lunatic_admin::RuntimeName;
///
/// let name: RuntimeName = "shop-2.eu".parse()?;
/// assert_eq!(name.as_str(), "shop-2.eu");
/// assert!("../shop".parse::<RuntimeName>().is_err());
/// # Ok::<(), lunatic_admin::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuntimeName(String);

/// A text is no [`RuntimeName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidName;

impl RuntimeName {
    /// Returns the name of a runtime that was given none: `lunatic-` and the id of this
    /// process of the system.
    pub fn of_this_program() -> RuntimeName {
        RuntimeName(format!("lunatic-{}", std::process::id()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RuntimeName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<RuntimeName, InvalidName> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let starts_well = text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric());
        match starts_well && text.len() <= MAX_NAME_BYTES && text.bytes().all(is_allowed) {
            true => Ok(RuntimeName(text.to_owned())),
            false => Err(InvalidName),
        }
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a name of a runtime has {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.` at most, \
             and begins with a letter or a digit"
        )
    }
}

impl Error for InvalidName {}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_name(text: &str) -> bool {
        text.parse::<RuntimeName>().is_ok()
    }

    #[test]
    fn a_name_cannot_be_a_path_nor_hidden_nor_a_flag() {
        for bad in [
            "", ".", "..", ".a", "-a", "_a", "a/b", "a b", "ä", "a\n", "a\0",
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_name("a") && is_name("9-_.") && is_name(&"x".repeat(64)));
        assert!(!is_name(&"x".repeat(65)));
    }

    #[test]
    fn a_program_without_a_name_has_a_valid_one() {
        let name = RuntimeName::of_this_program();
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
    }
}
