//! Why no instance was made.

use std::error::Error;
use std::fmt;

use crate::limits::ExceedsLimits;
use crate::load_error::LoadError;

/// Why no instance was made.
#[derive(Debug)]
#[non_exhaustive]
pub enum InstantiateError {
    /// The module needs more than the limits of the process allow.
    Limits(ExceedsLimits),
    /// The variant of the module that counts fuel could not be compiled.
    FuelVariant(LoadError),
    /// The variant of the module for dense memories could not be compiled, and there is no
    /// guarded memory left.
    DenseVariant(LoadError),
    /// The start function, or a segment that does not fit, trapped, or there is no
    /// stack or memory left.
    Start(wasmtime::Error),
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstantiateError::Limits(exceeded) => exceeded.fmt(f),
            InstantiateError::FuelVariant(_) => {
                f.write_str("the module could not be compiled to count fuel")
            }
            InstantiateError::DenseVariant(_) => f.write_str(
                "no memory is left that the processor guards, and the module could not be \
                 compiled for others",
            ),
            InstantiateError::Start(_) => f.write_str("the module could not be started"),
        }
    }
}

impl Error for InstantiateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            InstantiateError::Limits(exceeded) => exceeded.source(),
            InstantiateError::FuelVariant(error) | InstantiateError::DenseVariant(error) => {
                Some(error)
            }
            InstantiateError::Start(error) => Some(error.as_ref()),
        }
    }
}
