//! How long a path may be.

/// The longest path that a guest may give, in bytes: `PATH_MAX` of Linux without the byte
/// 0 at the end.
pub(crate) const MAX_PATH_BYTES: usize = 4095;
