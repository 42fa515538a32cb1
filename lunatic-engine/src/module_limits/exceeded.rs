//! The error of a module that exceeds a limit.

use std::error::Error;
use std::fmt;

use wasmparser::BinaryReaderError;

use crate::module_limits::table::ModuleLimit;

/// A module that exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExceedsModuleLimit {
    /// The limit that is exceeded.
    pub what: ModuleLimit,
    /// The amount that was found; a lower bound if counting has stopped there.
    pub found: u64,
    /// The highest amount that is allowed.
    pub limit: u64,
    /// The function that exceeds it, by its index among those that the module defines; `None`
    /// if the limit is not one of a function.
    pub function: Option<u64>,
}

/// Why a module is not compiled.
#[derive(Debug)]
pub(crate) enum Refused {
    Exceeds(ExceedsModuleLimit),
    Invalid(BinaryReaderError),
}

impl Refused {
    pub(super) fn in_function(self, function: u64) -> Refused {
        match self {
            Refused::Exceeds(exceeded) => Refused::Exceeds(ExceedsModuleLimit {
                function: Some(function),
                ..exceeded
            }),
            invalid => invalid,
        }
    }
}

impl From<ExceedsModuleLimit> for Refused {
    fn from(exceeded: ExceedsModuleLimit) -> Refused {
        Refused::Exceeds(exceeded)
    }
}

impl From<BinaryReaderError> for Refused {
    fn from(error: BinaryReaderError) -> Refused {
        Refused::Invalid(error)
    }
}

impl fmt::Display for ExceedsModuleLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExceedsModuleLimit {
            what,
            found,
            limit,
            function,
        } = self;
        if let Some(function) = function {
            write!(f, "function {function}: ")?;
        }
        write!(f, "too many {what}: {found}, at most {limit} are allowed")
    }
}

impl Error for ExceedsModuleLimit {}

/// Checks a length against a limit.
pub(super) fn within(
    what: ModuleLimit,
    found: usize,
    limit: u64,
) -> Result<(), ExceedsModuleLimit> {
    exceeds(what, found as u64, limit)
}

/// Checks a number against a limit.
pub(super) fn exceeds(what: ModuleLimit, found: u64, limit: u64) -> Result<(), ExceedsModuleLimit> {
    match found <= limit {
        true => Ok(()),
        false => Err(ExceedsModuleLimit {
            what,
            found,
            limit,
            function: None,
        }),
    }
}
