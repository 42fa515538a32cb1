//! The arguments or the environment, in the layout of preview 1.

use crate::config_error::ConfigError;

/// Texts one behind the other, each ended by a byte 0. This is the layout of
/// `args_get` and `environ_get`, so they copy all at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    /// Where each text begins.
    starts: Vec<u32>,
}

impl Strings {
    /// The most bytes that the texts, their final zeros and their addresses may take
    /// together. It is the limit of Linux.
    const LIMIT: usize = 2 << 20;

    /// Appends one text, the parts of which are `parts`.
    pub(crate) fn push(&mut self, parts: &[&str]) -> Result<(), ConfigError> {
        if parts.iter().any(|part| part.contains('\0')) {
            return Err(ConfigError::ZeroByte(beginning(&parts.concat())));
        }
        let start = self.bytes.len();
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        let addresses = (self.starts.len() + 1) * size_of::<u32>();
        if start + length + addresses > Strings::LIMIT {
            return Err(ConfigError::TooLong {
                limit: Strings::LIMIT,
            });
        }
        for part in parts {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        self.bytes.push(0);
        self.starts.push(start as u32);
        Ok(())
    }

    /// Returns the texts with their final zeros.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns where in [`Strings::bytes`] each text begins.
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The bytes that it takes, roughly: what grows has room for twice as much.
    pub(crate) fn size(&self) -> usize {
        2 * (self.bytes.len() + self.starts.len() * size_of::<u32>())
    }

    /// By how many bytes that grows by one text.
    pub(crate) fn size_of(parts: &[&str]) -> usize {
        2 * (parts.iter().map(|part| part.len()).sum::<usize>() + 1 + size_of::<u32>())
    }

    /// Returns the texts, without their final zeros.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let texts = self.bytes.split_inclusive(|byte| *byte == 0);
        texts.filter_map(|text| std::str::from_utf8(&text[..text.len() - 1]).ok())
    }
}

/// Returns the beginning of a text, for messages.
fn beginning(text: &str) -> String {
    const MAX_BYTES: usize = 100;
    let end = text.floor_char_boundary(MAX_BYTES);
    match end < text.len() {
        true => format!("{}…", &text[..end]),
        false => text.to_owned(),
    }
}
