//! How many lists of revoked certificates another node may send.

use std::time::{Duration, Instant};

/// Counts the lists of one connection. A node sends one list of each authority when a session
/// begins, and when a list changes.
#[derive(Debug, Default)]
pub(super) struct RevocationRate {
    /// When the current second began, and the lists since then.
    current: Option<(Instant, u32)>,
}

impl RevocationRate {
    /// The highest number of lists in a second. To verify one takes some 70 µs.
    const MAX_IN_A_SECOND: u32 = 64;

    /// Counts a list. Returns whether it may be verified.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        let (began, count) = match self.current {
            Some((began, count)) if now < began + Duration::from_secs(1) => (began, count),
            _ => (now, 0),
        };
        self.current = Some((began, count.saturating_add(1)));
        count < Self::MAX_IN_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_admits_64_lists() {
        let start = Instant::now();
        let mut rate = RevocationRate::default();
        let at = |millis| start + Duration::from_millis(millis);
        for millis in 0..64 {
            assert!(rate.admit(at(millis)));
        }
        assert!(!rate.admit(at(999)));
        assert!(rate.admit(at(1000)));
    }
}
