//! Tells what took how long, as events of `tracing`.
//!
//! An event has the target [`TARGET`], the level `TRACE`, and the fields `what`, `process`
//! and `us`: it is told when it is over, and began so many microseconds before. While nobody
//! wants these events nothing is measured.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lunatic_abi::CallEnd;
use lunatic_mailbox::Pid;

/// The target of the events.
pub(crate) const TARGET: &str = "lunatic::timeline";

/// Calls of host functions that take less are not told of, but for those that spawn or reach
/// other nodes.
const SLOW: Duration = Duration::from_millis(1);

/// Whether somebody wants to know: every call of a host function that may wait looks here, so
/// `tracing` is not asked.
static IS_WANTED: AtomicBool = AtomicBool::new(false);

/// Has calls told of from now on, in all runtimes of this program.
pub(crate) fn want() {
    IS_WANTED.store(true, Ordering::Relaxed);
}

/// Whether somebody wants to know.
#[inline]
pub(crate) fn is_wanted() -> bool {
    IS_WANTED.load(Ordering::Relaxed)
}

/// A call of a host function begins.
#[cold]
pub(crate) fn call(process: Pid, function: &'static str) -> CallEnd {
    let began = Instant::now();
    let is_told = function.starts_with("lunatic::distributed::")
        || function.starts_with("lunatic::process::spawn")
        || function.starts_with("lunatic::process::get_or_spawn");
    CallEnd::new(move || {
        if is_told || began.elapsed() >= SLOW {
            tell(function, process.counter(), began);
        }
    })
}

/// Something that the runtime has done is over.
pub(crate) fn tell(what: &str, process: u64, began: Instant) {
    let us = began.elapsed().as_micros() as u64;
    tracing::trace!(target: TARGET, what, process, us);
}
