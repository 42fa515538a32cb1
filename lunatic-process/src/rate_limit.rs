//! How many lines of a log are written.

use std::time::{Duration, Instant};

/// Decides, without a clock of its own, which lines of a log are written: so many in a
/// span of time. The others are counted.
///
/// Whoever may cause lines without end has one: a supervisor, an environment.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use lunatic_process::RateLimit;
///
/// let (start, second) = (Instant::now(), Duration::from_secs(1));
/// let mut limit = RateLimit::new(2, second);
/// let written = (0..10).filter(|_| limit.admits(start)).count();
/// assert_eq!(written, 2);
/// assert_eq!(limit.flush_if_due(start), None);
/// assert_eq!(limit.flush_if_due(start + second), Some((8, second)));
/// assert!(limit.admits(start + second));
/// ```
#[derive(Debug, Clone)]
pub struct RateLimit {
    lines: u32,
    span: Duration,
    /// When the span began.
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl RateLimit {
    /// Returns a limit of so many lines in each span of time.
    pub fn new(lines: u32, span: Duration) -> RateLimit {
        RateLimit {
            lines,
            span,
            since: None,
            written: 0,
            left_out: 0,
        }
    }

    /// Returns whether a line is written now; otherwise it is counted.
    pub fn admits(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if self.left_out == 0 && now.saturating_duration_since(since) >= self.span {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written < self.lines {
            self.written += 1;
            return true;
        }
        self.left_out += 1;
        false
    }

    /// Returns the number of lines that were left out and not told of yet.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns when the number of lines that were left out has to be told, if there are
    /// any.
    pub fn next_flush(&self) -> Option<Instant> {
        match self.left_out {
            0 => None,
            _ => self.since.and_then(|since| since.checked_add(self.span)),
        }
    }

    /// Returns how many lines were left out, and in how much time, and begins a new span,
    /// if that is due.
    pub fn flush_if_due(&mut self, now: Instant) -> Option<(u64, Duration)> {
        match self.next_flush() {
            Some(due) if due <= now => self.flush(now),
            _ => None,
        }
    }

    /// Returns how many lines were left out, and in how much time, if there are any, and
    /// begins a new span.
    pub fn flush(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let (since, left_out) = (self.since.take(), self.left_out);
        self.written = 0;
        self.left_out = 0;
        let since = since.filter(|_| left_out > 0)?;
        Some((left_out, now.saturating_duration_since(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: u32 = 5;
    const SPAN: Duration = Duration::from_secs(1);

    #[test]
    fn a_few_lines_are_written_and_the_others_counted_and_summed_up() {
        let start = Instant::now();
        let mut limit = RateLimit::new(LINES, SPAN);
        let written = (0..1000).filter(|_| limit.admits(start)).count();
        assert_eq!(written as u32, LINES);
        assert_eq!(limit.next_flush(), Some(start + SPAN));
        assert_eq!(limit.flush(start + SPAN), Some((995, SPAN)));
        assert_eq!(limit.next_flush(), None);
    }

    #[test]
    fn slow_lines_are_all_written() {
        let start = Instant::now();
        let mut limit = RateLimit::new(LINES, SPAN);
        for second in 0..100 {
            assert!(limit.admits(start + Duration::from_secs(second)));
        }
        assert_eq!(limit.flush(start + Duration::from_secs(100)), None);
    }
}
