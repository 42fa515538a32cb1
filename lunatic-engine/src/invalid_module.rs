//! Why a binary is not a valid module.

use std::error::Error;
use std::fmt;

use wasmparser::BinaryReaderError;

/// What is wrong with a binary that begins like a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidModule {
    /// What is wrong, in words.
    pub message: String,
    /// Where that is, in bytes from the start of the binary; of a module in the text
    /// format, from the start of the binary that it was turned into.
    pub offset: usize,
    /// The proposal that the module uses and that is not accepted here, for example
    /// `exceptions`, if that is known to be the reason.
    pub missing_feature: Option<String>,
}

impl InvalidModule {
    pub(crate) fn new(error: &BinaryReaderError) -> InvalidModule {
        let features = error.missing_wasm_feature();
        let missing_feature = features.and_then(|features| features.iter_names().next());
        InvalidModule {
            message: error.message().to_string(),
            offset: error.offset(),
            missing_feature: missing_feature.map(|(name, _)| name.to_lowercase().replace('_', "-")),
        }
    }
}

impl fmt::Display for InvalidModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at offset {:#x})", self.message, self.offset)
    }
}

impl Error for InvalidModule {}
