//! Tells that a call of a host function is over.

use std::fmt;

/// Calls a function when it is dropped, which is when a call of a host function is over, or
/// given up; see [`AbiHost::begin_call`](crate::AbiHost::begin_call).
#[must_use = "the call is over when this is dropped"]
pub struct CallEnd(Option<Box<dyn FnOnce() + Send>>);

impl CallEnd {
    /// - `end`: must not block.
    pub fn new(end: impl FnOnce() + Send + 'static) -> CallEnd {
        CallEnd(Some(Box::new(end)))
    }
}

impl Drop for CallEnd {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl fmt::Debug for CallEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallEnd")
    }
}
