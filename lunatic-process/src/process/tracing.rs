//! Who is told what a process does and prints.

use std::sync::atomic::Ordering;

use super::{Process, attention};
use crate::trace::{Interest, TraceEvent, Tracers};

impl Process {
    /// Whether somebody is told what it does.
    #[inline]
    pub(crate) fn is_traced(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::TRACE != 0
    }

    /// Whether somebody is told what it prints; see [`has_printed`](Process::has_printed).
    #[inline]
    pub fn is_output_traced(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::OUTPUT != 0
    }

    /// Tells those who [trace](crate::Environment::trace) its output what it prints.
    ///
    /// - `is_error`: to standard error.
    pub fn has_printed(&self, is_error: bool, printed: &[u8]) {
        let tracers = self.environment().tracers();
        tracers.tell_printed(self.id(), is_error, printed);
    }

    #[cold]
    pub(crate) fn tell_tracers(&self, event: &TraceEvent) {
        self.environment().tracers().tell(self.id(), event);
    }

    /// Sets whether it is traced to what the tracers want.
    pub(crate) fn set_traced(&self, tracers: &Tracers) {
        self.set_interest(tracers.interest(self.id()));
    }

    pub(crate) fn set_interest(&self, interest: Interest) {
        let bits = [
            (attention::TRACE, interest.events),
            (attention::OUTPUT, interest.output),
        ];
        for (bit, is_set) in bits {
            match is_set {
                true => self.inner.attention.fetch_or(bit, Ordering::Relaxed),
                false => self.inner.attention.fetch_and(!bit, Ordering::Relaxed),
            };
        }
    }
}
