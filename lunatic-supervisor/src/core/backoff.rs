//! Delays before restarts, which grow with every failure.

use std::time::Duration;

use crate::core::spec_error::SpecError;

/// How long a supervisor waits before it restarts a child: at first `first`, then twice
/// as long each time, up to `longest`.
///
/// The delays begin at `first` again for a child that has run for at least `longest`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use lunatic_supervisor::{Backoff, Spec};
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
/// let spec = Spec::new("patient").backoff(backoff);
/// assert_eq!(spec.check(), Ok(()));
///
/// let turned_round = Backoff::new(Duration::from_secs(10), Duration::from_millis(100));
/// assert!(Spec::new("impossible").backoff(turned_round).check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
    /// The percentage by which a delay may be shortened at random, so that children that fail at
    /// the same time are not all restarted at the same time.
    pub jitter: u8,
}

impl Backoff {
    /// Returns delays between these two, with a jitter of 10 percent.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        const JITTER: u8 = 10;
        Backoff {
            first,
            longest,
            jitter: JITTER,
        }
    }

    /// Checks that `first` is not above `longest`, and `jitter` not above 100.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        const ALL: u8 = 100;
        if self.first > self.longest {
            return Err(SpecError::BackoffBeyondMaximum);
        }
        match self.jitter > ALL {
            true => Err(SpecError::JitterAboveAll(self.jitter)),
            false => Ok(()),
        }
    }

    /// Returns the delay before a restart.
    ///
    /// - `failures`: the number of failures in a row before this one.
    /// - `chance`: a random number.
    pub(super) fn delay(&self, failures: u32, chance: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        let delay = self.first.saturating_mul(factor).min(self.longest);
        let all = 100 * u128::from(u16::MAX);
        let share = u128::from(self.jitter) * u128::from(chance >> 16);
        let nanos = delay.as_nanos();
        from_nanos(nanos - nanos * share.min(all) / all)
    }
}

fn from_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    // The seconds fit: the delay is not longer than the duration it was made from.
    Duration::new((nanos / SECOND) as u64, (nanos % SECOND) as u32)
}

/// A generator of random numbers for the jitter: xorshift.
#[derive(Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed | 1)
    }

    pub(super) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, Chance};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff {
            jitter: 0,
            ..Backoff::new(SECOND, 5 * SECOND)
        };
        let delays: Vec<_> = [0, 1, 2, 3, 31, 32, u32::MAX]
            .iter()
            .map(|failures| backoff.delay(*failures, 7).as_secs())
            .collect();
        assert_eq!(delays, [1, 2, 4, 5, 5, 5, 5]);
    }

    #[test]
    fn chance_shortens_a_delay_by_its_share_at_most() {
        let backoff = Backoff {
            jitter: 50,
            ..Backoff::new(SECOND, SECOND)
        };
        let mut chance = Chance::new(42);
        for _ in 0..1000 {
            let delay = backoff.delay(0, chance.next());
            assert!(delay >= SECOND / 2 && delay <= SECOND, "{delay:?}");
        }
        assert_eq!(backoff.delay(0, 0), SECOND);
        assert_eq!(backoff.delay(0, u32::MAX), SECOND / 2);
    }

    #[test]
    fn the_longest_delay_there_is_does_not_overflow() {
        let backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(backoff.delay(u32::MAX, u32::MAX) > Duration::MAX / 2);
        assert_eq!(backoff.delay(0, 0), Duration::MAX);
    }
}
