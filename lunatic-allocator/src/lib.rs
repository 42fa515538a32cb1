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

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
