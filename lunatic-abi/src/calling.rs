//! How a host function calls a function of its caller.

use std::error::Error;
use std::fmt;

use wasmtime::{
    AsContextMut, Caller, Result, RootScope, ThrownException, TypedFunc, WasmParams, WasmResults,
};

/// An exception that nothing in the guest has caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UncaughtException;

/// Calls a function of the guest that called the host function.
///
/// # Errors
///
/// Fails if the function traps, and with [`UncaughtException`] if an exception comes out of it.
/// To the caller that is a trap like another: no exception passes through a host function, which
/// could not know in which state it was left.
pub async fn call_guest<T, P, R>(
    caller: &mut Caller<'_, T>,
    function: &TypedFunc<P, R>,
    params: P,
) -> Result<R>
where
    T: Send + 'static,
    P: WasmParams + Send + Sync,
    R: WasmResults + Send + Sync,
{
    let outcome = function.call_async(&mut *caller, params).await;
    match outcome {
        Err(error) if error.is::<ThrownException>() => {
            // Drops the exception, which would be kept until the next one otherwise.
            let mut scope = RootScope::new(caller);
            scope.as_context_mut().take_pending_exception();
            Err(UncaughtException.into())
        }
        outcome => outcome,
    }
}

impl fmt::Display for UncaughtException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("uncaught exception")
    }
}

impl Error for UncaughtException {}
