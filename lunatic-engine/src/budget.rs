//! How much an instance may execute.

use std::num::NonZeroU64;

/// How much an instance may execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// No limit; the instance is preempted by time.
    Unlimited,
    /// The units of fuel, about one for each instruction; then the instance traps.
    Fuel(NonZeroU64),
}
