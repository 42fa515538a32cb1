//! The threads of the compiler.

use std::error::Error as _;
use std::num::NonZero;
use std::sync::OnceLock;
use std::thread;

use rayon::ThreadPoolBuilder;
use wasmtime::Error;

/// How many functions are compiled at once.
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Starts the threads that wasmtime compiles with, unless they run already. If it started them
/// itself and the system gave none, it would panic.
///
/// # Errors
///
/// Fails if the system gives no threads, now and whenever it is called again.
pub(crate) fn start() -> Result<(), Error> {
    static STARTED: OnceLock<Option<String>> = OnceLock::new();
    let failure = STARTED.get_or_init(|| {
        let built = ThreadPoolBuilder::new().num_threads(count()).build_global();
        // Without a cause, it says that they run already.
        let failure = built.err().filter(|error| error.source().is_some());
        failure.map(|error| error.to_string())
    });
    match failure {
        None => Ok(()),
        Some(failure) => Err(Error::msg(format!(
            "cannot start the threads of the compiler: {failure}"
        ))),
    }
}
