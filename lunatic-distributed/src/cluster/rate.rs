//! How many frames of a kind another node may send that take this one some time.

use std::time::{Duration, Instant};

/// Counts the frames of a kind of one connection. A node sends one list of revoked certificates of
/// each authority when a session begins, and when a list changes; and it tells of its clock as
/// often as it takes another one.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// When the current second began, and the frames since then.
    current: Option<(Instant, u32)>,
}

impl Rate {
    /// The highest number of frames in a second. To verify a list takes some 70 µs.
    const MAX_IN_A_SECOND: u32 = 64;

    /// Counts a frame. Returns whether it may be taken in.
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
    fn a_second_admits_64_frames() {
        let start = Instant::now();
        let mut rate = Rate::default();
        let at = |millis| start + Duration::from_millis(millis);
        for millis in 0..64 {
            assert!(rate.admit(at(millis)));
        }
        assert!(!rate.admit(at(999)));
        assert!(rate.admit(at(1000)));
    }
}
