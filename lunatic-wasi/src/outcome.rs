//! The ends of a function of preview 1: success, an error number, or a trap.

use std::io;

use lunatic_abi::Misuse;
use wasmtime::Result;

use crate::errno::Errno;

/// What a host function of preview 1 returns.
pub(crate) type Outcome = Result<(), Failure>;

/// Why a host function of preview 1 did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The function returns this number to the guest.
    Errno(Errno),
    /// The guest traps.
    Trap(wasmtime::Error),
}

/// Returns the number that the guest sees, or the trap.
pub(crate) fn answer(outcome: Outcome) -> Result<i32> {
    const SUCCESS: i32 = 0;
    match outcome {
        Ok(()) => Ok(SUCCESS),
        Err(Failure::Errno(errno)) => Ok(errno as i32),
        Err(Failure::Trap(error)) => Err(error),
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Errno(errno)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Errno(error.into())
    }
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Failure {
        Failure::Trap(misuse.into())
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Failure {
        Failure::Trap(error)
    }
}
