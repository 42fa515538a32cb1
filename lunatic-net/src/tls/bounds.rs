//! How much of certificates is looked at.

use std::error::Error;
use std::fmt;

/// The longest public key, in bytes: one of RSA with 4096 bits, and what is around it. To check a
/// signature by a longer one takes most of a millisecond.
const MAX_KEY_BYTES: usize = 600;

/// Why a certificate, or a chain of them, is not looked at.
#[derive(Debug)]
pub(super) struct TooMuch(pub(super) String);

/// Checks the length of a public key.
///
/// # Errors
///
/// It is longer than what is accepted.
pub(super) fn check_key(key: &[u8]) -> Result<(), TooMuch> {
    match key.len() {
        0..=MAX_KEY_BYTES => Ok(()),
        length => Err(TooMuch(format!(
            "a certificate has a key of {length} bytes, where {MAX_KEY_BYTES} are accepted: RSA \
             with 4096 bits at the most"
        ))),
    }
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for TooMuch {}
