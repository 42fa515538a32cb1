//! The allocator of the program `lunatic`.
//!
//! The system's allocator makes a system call for every 128 KiB that a thread's heap grows by,
//! which was a sixth of the time of spawning a hundred thousand processes.
//!
//! # Invariants
//!
//! - Only programs use it, and no library does: an embedder of the runtime chooses its own
//!   allocator.

/// The allocator, for `#[global_allocator]`.
pub use mimalloc::MiMalloc as Allocator;

/// Gives freed memory back to the system, except the memory that threads keep for themselves.
/// Without this call the allocator does that some time later, and only if something is allocated or
/// freed then.
///
/// It takes some milliseconds for each gibibyte.
pub fn give_back() {
    #[allow(unsafe_code, reason = "the safe crate does not offer it")]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

/// The option `MIMALLOC_GENERIC_COLLECT`, which the crate has no name for.
const GENERIC_COLLECT: libmimalloc_sys::mi_option_t = 34;

/// Makes a thread look through all of its memory, for memory to give back, only once in a million
/// times that it runs out of memory of one size. By default the allocator does that once in ten
/// thousand times; each takes some milliseconds, in which a process waits. Call it when the program
/// starts; the environment variable `MIMALLOC_GENERIC_COLLECT` overrules it.
pub fn collect_rarely() {
    #[allow(unsafe_code, reason = "the safe crate does not offer it")]
    // SAFETY: it may be called at any time, from any thread.
    unsafe {
        libmimalloc_sys::mi_option_set_default(GENERIC_COLLECT, 1_000_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        let get = || {
            #[allow(unsafe_code, reason = "the safe crate does not offer it")]
            // SAFETY: it may be called at any time, from any thread.
            unsafe {
                libmimalloc_sys::mi_option_get(GENERIC_COLLECT)
            }
        };
        // No other option has this value by itself.
        assert_eq!(get(), 10_000);
        collect_rarely();
        assert_eq!(get(), 1_000_000);
    }
}

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
