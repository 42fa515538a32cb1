//! The log of the ends of processes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lunatic_account::{Account, AccountId};
use parking_lot::Mutex;

/// So many lines are written in a [`SPAN`]. The others are only counted.
const LINES: u32 = 1000;

/// So many lines of each branch are written in a [`SPAN`], even if others have caused
/// [`LINES`].
const LINES_OF_BRANCH: u32 = 50;

/// So many branches have lines of their own in a [`SPAN`]; further ones have none.
const BRANCHES: usize = 256;

/// After so much time, lines with the numbers of the others are written.
const SPAN: Duration = Duration::from_secs(10);

/// Limits how many lines the processes of an environment cause in the log.
#[derive(Debug, Default)]
pub(crate) struct DeathLog(Mutex<Span>);

/// What became of the lines since a point in time.
#[derive(Debug, Default)]
struct Span {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
    /// By the account directly below the root; `None` for the root, and for those that are too
    /// many.
    branches: BTreeMap<Option<AccountId>, Lines>,
}

/// The lines of one branch.
#[derive(Debug, Default, Clone, Copy)]
struct Lines {
    written: u32,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is written.
    Written,
    /// It is left out, as the first one in its span: [`DeathLog::flush`] is to be called
    /// after this time.
    FirstLeftOut(Duration),
    /// It is left out.
    LeftOut,
}

impl DeathLog {
    /// Decides whether a line is written that a process of this account causes: that is a matter
    /// of the [limit](lunatic_account::AccountLimits::log_lines) of the account, too. If others were
    /// left out and it is time, it is told how many.
    pub(crate) fn admit(&self, account: &Account, now: Instant) -> Line {
        let branch = branch_of(account);
        let mut span = self.0.lock();
        let ended = span.end_if_due(now);
        let line = span.admit(branch, now, || account.spend_log_line(now));
        drop(span);
        ended.tell(now);
        line
    }

    /// Tells how many lines were left out, if any were.
    pub(crate) fn flush(&self, now: Instant) {
        let ended = std::mem::take(&mut *self.0.lock());
        ended.tell(now);
    }
}

/// The account directly below the root that has this one; `None` for the root.
fn branch_of(account: &Account) -> Option<AccountId> {
    let mut branch = account;
    let mut parent = account.parent()?;
    while let Some(above) = parent.parent() {
        branch = parent;
        parent = above;
    }
    Some(branch.id())
}

impl Span {
    /// Begins a new span if this one is over; returns what has to be told of this one.
    fn end_if_due(&mut self, now: Instant) -> Span {
        let is_over = |since| now.saturating_duration_since(since) >= SPAN;
        match self.since.is_some_and(is_over) {
            true => std::mem::take(self),
            false => Span::default(),
        }
    }

    /// - `spend`: counts a line that is to be written; false if the limits of its account do not
    ///   allow it.
    fn admit(
        &mut self,
        branch: Option<AccountId>,
        now: Instant,
        spend: impl FnOnce() -> bool,
    ) -> Line {
        self.since.get_or_insert(now);
        let is_known = self.branches.contains_key(&branch);
        let has_own = is_known || self.branches.len() < BRANCHES;
        let lines = match has_own {
            true => self.branches.entry(branch).or_default(),
            false => self.branches.entry(None).or_default(),
        };
        let is_own = has_own && lines.written < LINES_OF_BRANCH;
        if (self.written < LINES || is_own) && spend() {
            self.written += 1;
            lines.written += 1;
            return Line::Written;
        }
        lines.left_out += 1;
        self.left_out += 1;
        match self.left_out {
            1 => Line::FirstLeftOut(SPAN),
            _ => Line::LeftOut,
        }
    }

    /// Tells how many lines of each branch were left out.
    fn tell(self, now: Instant) {
        let Some(since) = self.since else { return };
        let time = now.saturating_duration_since(since);
        for (branch, Lines { left_out, .. }) in self.branches {
            match branch {
                _ if left_out == 0 => {}
                Some(account) => tracing::warn!(
                    %account,
                    "{left_out} lines of the log were dropped: the processes of a branch caused \
                     too many in {time:.1?}"
                ),
                None => tracing::warn!(
                    "{left_out} lines of the log were dropped: processes caused too many in \
                     {time:.1?}"
                ),
            }
        }
    }
}
