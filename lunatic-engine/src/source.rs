//! The bytes that a module is loaded from.

use std::borrow::Cow;
use std::str;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::load_error::LoadError;
use crate::text_format;

/// The first bytes of binary modules.
const MAGIC: &[u8] = b"\0asm";

/// The bytes that a module is loaded from, binary or text; clone it freely.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    bytes: Bytes,
    digest: Arc<OnceLock<[u8; 32]>>,
}

impl Source {
    pub(crate) fn new(bytes: Bytes) -> Source {
        Source {
            bytes,
            digest: Arc::default(),
        }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Their BLAKE3 hash, which takes a quarter of the time of SHA-256.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| blake3::hash(&self.bytes).into())
    }

    /// Whether they begin like a binary module.
    pub(crate) fn is_binary(&self) -> bool {
        self.bytes.starts_with(MAGIC)
    }

    /// The binary module, which text is turned into.
    ///
    /// # Errors
    ///
    /// Fails if this is neither a binary module nor the text of one.
    pub(crate) fn binary(&self) -> Result<Cow<'_, [u8]>, LoadError> {
        /// Components begin like modules, with another version.
        const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
        let wasm = match self.is_binary() {
            true => Cow::Borrowed(&*self.bytes),
            false => Cow::Owned(text_format::to_binary(self.text()?).map_err(LoadError::Text)?),
        };
        match wasm.starts_with(COMPONENT) {
            true => Err(LoadError::Component),
            false => Ok(wasm),
        }
    }

    /// The text, if that may be the text of a module.
    fn text(&self) -> Result<&str, LoadError> {
        let text = str::from_utf8(&self.bytes).map_err(|_| LoadError::NotWasm)?;
        match text.contains('(') {
            true => Ok(text),
            false => Err(LoadError::NotWasm),
        }
    }
}
