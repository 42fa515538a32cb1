//! Random secrets.

use std::fmt;
use std::io;

use subtle::ConstantTimeEq;

/// 256 random bits, written in hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Fails if the system has no random numbers.
    pub(crate) fn new() -> io::Result<Secret> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Secret(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    /// Returns whether a text is equal to the secret. The time that it takes depends only on the
    /// length of the text.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_bytes().ct_eq(text.as_bytes()).into()
    }

    /// The text.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// Does not print the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
