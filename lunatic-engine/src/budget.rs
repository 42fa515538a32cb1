//! How much an instance may execute.

use std::num::NonZeroU64;

/// How much an instance may execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// As much as it wants; it shares the cores by time.
    Unlimited,
    /// So many units of fuel, about one for each instruction; then it traps.
    Fuel(NonZeroU64),
}
