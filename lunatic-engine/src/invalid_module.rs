//! Why a binary is not a valid module.

use std::error::Error;
use std::fmt;

use wasmparser::BinaryReaderError;

/// The error of a binary that begins like a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidModule {
    /// The description of the error.
    pub message: String,
    /// The position of the error, in bytes from the start of the binary; for a module in the text
    /// format, from the start of the binary that it was turned into.
    pub offset: usize,
    /// The proposal that the module uses and that is not accepted here, for example
    /// `exceptions`, if that is known to be the reason.
    pub missing_feature: Option<String>,
    /// Whether the binary follows the format, and has what is not accepted here for another
    /// reason, which `message` says.
    pub is_refused: bool,
}

impl InvalidModule {
    /// A binary that breaks the format.
    pub(crate) fn broken(message: impl Into<String>, offset: usize) -> InvalidModule {
        InvalidModule {
            message: message.into(),
            offset,
            missing_feature: None,
            is_refused: false,
        }
    }

    /// A binary that has what is not accepted here.
    pub(crate) fn refused(message: impl Into<String>, offset: usize) -> InvalidModule {
        InvalidModule {
            is_refused: true,
            ..InvalidModule::broken(message, offset)
        }
    }

    pub(crate) fn new(error: &BinaryReaderError) -> InvalidModule {
        let features = error.missing_wasm_feature();
        let missing_feature = features.and_then(|features| features.iter_names().next());
        InvalidModule {
            missing_feature: missing_feature.map(|(name, _)| name.to_lowercase().replace('_', "-")),
            ..InvalidModule::broken(error.message(), error.offset())
        }
    }
}

impl fmt::Display for InvalidModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at offset {:#x})", self.message, self.offset)
    }
}

impl Error for InvalidModule {}
