//! The allocator of the program `lunatic`.
//!
//! The system's allocator calls the kernel for every 128 KiB that a thread's heap grows by, which
//! was a sixth of the time of spawning a hundred thousand processes.
//!
//! # Invariants
//!
//! - Only programs use it, and no library does: whoever embeds the runtime chooses an allocator.

/// The allocator, for `#[global_allocator]`.
pub use mimalloc::MiMalloc as Allocator;

/// Gives memory that was freed back to the system, as far as it is of no thread's own. By itself
/// the allocator does that some time later, and only if something is allocated or freed then.
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

/// Has a thread look through all of its memory, for what it can give back, only once in a million
/// times that it runs out of memory of one size. By itself the allocator does that once in ten
/// thousand times, and each takes some milliseconds, as long as which a process waits. To be called
/// when the program starts; the environment variable `MIMALLOC_GENERIC_COLLECT` overrules it.
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
