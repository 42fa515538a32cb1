//! The results of host functions.

use std::error::Error;
use std::fmt;

use lunatic_abi::{Guest, GuestError, Misuse, Resource, TIMED_OUT};
use lunatic_account::Charge;
use wasmtime::{Caller, Result};

use crate::errors::StreamError;
use crate::guest::NetHost;
use crate::guest::sockets::Socket;

/// The error of an operation that took longer than its time limit.
#[derive(Debug)]
pub(super) struct TimedOut {
    /// What the operation was: "connect to 10.0.0.1:80".
    pub(super) what: String,
}

/// The error of a wait that ended early, as the process is to change its code.
#[derive(Debug)]
pub(super) struct Interrupted;

/// Charges the descriptor of a socket that is to be made, if the process may have one more.
pub(super) fn reserve<T: NetHost>(caller: &mut Caller<'_, T>) -> Result<Charge, Misuse> {
    let account = caller.data().account().clone();
    caller.data_mut().net().reserve(&account)
}

/// Keeps a socket whose descriptor is [charged](reserve) already, and writes its id to `id_ptr`;
/// returns 0, or 1 with an error id there if the process has as many sockets as it may.
pub(super) fn keep<T: NetHost, S: Socket>(
    caller: &mut Caller<'_, T>,
    socket: S,
    descriptor: Charge,
    id_ptr: u32,
) -> Result<u32> {
    let kept = caller.data_mut().net().keep_reserved(socket, descriptor);
    caller.answer_id(id_ptr, kept)
}

/// Writes a number to `opaque_ptr` and returns 0, or 1 with an error id there,
/// or 9027 and writes nothing.
pub(super) fn counted<T: NetHost>(
    caller: &mut Caller<'_, T>,
    outcome: Result<usize, StreamError>,
    opaque_ptr: u32,
) -> Result<u32> {
    match outcome {
        Err(StreamError::TimedOut) => Ok(TIMED_OUT),
        outcome => caller.answer_id(opaque_ptr, outcome.map(|count| count as u64)),
    }
}

/// As [`counted`], for a wait that can be interrupted: that is 9027 too.
pub(super) fn counted_unless_interrupted<T: NetHost>(
    caller: &mut Caller<'_, T>,
    outcome: Option<Result<usize, StreamError>>,
    opaque_ptr: u32,
) -> Result<u32> {
    match outcome {
        Some(outcome) => counted(caller, outcome, opaque_ptr),
        None => Ok(TIMED_OUT),
    }
}

/// Returns 9027, with an error id at `id_ptr`: guests of the Rust library take
/// whatever is there for one (ABI §1.3, M8). Those that do not look never drop
/// it either, so it is left out before the error table is full.
pub(super) fn timed_out<T: NetHost>(
    caller: &mut Caller<'_, T>,
    what: String,
    id_ptr: u32,
) -> Result<u32> {
    const KEPT: usize = GuestError::LIMIT / 2;
    if caller.data_mut().errors().len() < KEPT {
        caller.report(id_ptr, &TimedOut { what })?;
    }
    Ok(TIMED_OUT)
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out: {}", self.what)
    }
}

impl Error for TimedOut {}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wait was ended early, as the process is to be reloaded")
    }
}

impl Error for Interrupted {}
