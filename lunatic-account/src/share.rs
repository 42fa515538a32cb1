//! How processors are divided between accounts, if there are not enough for all.
//!
//! Each account but the root has a [`Share`], which counts the CPU time of its processes.
//! Whoever has used more lately than its part is [behind](Share::is_behind): its processes
//! wait until those of the others have run. A part that nobody uses goes to those who do.
//!
//! The part of an account is that of the account above it, divided between the accounts
//! below that one which have used CPU time lately, by weight. The processes of the account
//! above itself count as one more of them; of what they leave, a tenth is kept free for them,
//! so that one of them that wants little finds its turn at once. So a guest gets no larger part
//! by having more processes, or more accounts below its own.

use std::cell::RefCell;
use std::fmt;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::AccountLimits;

/// The weight of an account whose limits name none, and of the processes of an account
/// beside the accounts below it.
const DEFAULT_WEIGHT: u64 = 100;

/// The highest weight, as that of control groups.
const MAX_WEIGHT: u64 = 10_000;

/// CPU time that was used this long ago counts little more than a third. A share that gets
/// no more than its part is never behind for longer; one that begins to take everything has
/// the advantage for a little more than twice as long.
const WINDOW: Duration = Duration::from_millis(10);

/// The part of one account; a clone is the same one.
///
/// ```
/// use std::time::Duration;
///
/// use lunatic_account::{Account, AccountLimits};
///
/// let root = Account::root(AccountLimits::UNLIMITED);
/// let guest = root.branch(AccountLimits::UNLIMITED)?;
/// let share = guest.share().expect("only the root has none");
///
/// // It uses both processors for a while.
/// for _ in 0..100 {
///     share.add_used(Duration::from_millis(2));
///     root.shares().divide(Duration::from_millis(1), 2);
/// }
/// assert!(share.is_behind());
/// # Ok::<(), lunatic_account::BranchError>(())
/// ```
#[derive(Clone)]
pub struct Share {
    node: Arc<Node>,
}

struct Node {
    parent: Option<Share>,
    depth: u32,
    weight: u64,
    max_threads: u64,
    shares: Weak<List>,
    /// Nanoseconds that have not been added to `recent` yet, of the accounts below too.
    used: AtomicU64,
    /// Whether it is in the list.
    is_listed: AtomicBool,
    is_behind: AtomicBool,
    /// Nanoseconds that were used lately; what was used longer ago counts less. This and what
    /// follows is only written while the list is locked.
    recent: AtomicU64,
    /// What `recent` may be.
    part: AtomicU64,
    below: Below,
}

/// What is known of the shares below an account that have used something lately.
#[derive(Default)]
struct Below {
    /// The sum of their weights.
    weights: AtomicU64,
    /// The sum of what they have used.
    recent: AtomicU64,
}

/// All shares of a tree of accounts.
#[derive(Clone, Default)]
pub struct Shares {
    list: Arc<List>,
}

#[derive(Default)]
struct List {
    active: Mutex<Active>,
    /// Those that are to be added to them. Workers do not wait for a division.
    new: Mutex<Vec<Share>>,
}

/// Those that have used CPU time lately.
#[derive(Default)]
struct Active {
    shares: Vec<Share>,
    /// The time since they were last looked at.
    passed: Duration,
}

thread_local! {
    /// The share of the process that runs on this thread.
    static CURRENT: RefCell<Option<Share>> = const { RefCell::new(None) };
}

impl Share {
    /// The share of a new account.
    pub(crate) fn new(parent: Option<&Share>, limits: &AccountLimits, shares: &Shares) -> Share {
        let weight = match limits.cpu_weight {
            u64::MAX => DEFAULT_WEIGHT,
            weight => weight.clamp(1, MAX_WEIGHT),
        };
        Share {
            node: Arc::new(Node {
                parent: parent.cloned(),
                depth: parent.map_or(0, |parent| parent.node.depth + 1),
                weight,
                max_threads: limits.threads.max(1),
                shares: Arc::downgrade(&shares.list),
                used: AtomicU64::new(0),
                is_listed: AtomicBool::new(false),
                is_behind: AtomicBool::new(false),
                recent: AtomicU64::new(0),
                part: AtomicU64::new(0),
                below: Below::default(),
            }),
        }
    }

    /// Counts CPU time that processes of the account have used.
    pub fn add_used(&self, time: Duration) {
        // From the top, so that no account is listed whose parent is not.
        if let Some(parent) = &self.node.parent {
            parent.add_used(time);
        }
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.node.used.fetch_add(nanos, Ordering::Relaxed);
        let is_new = !self.node.is_listed.load(Ordering::Relaxed)
            && !self.node.is_listed.swap(true, Ordering::Relaxed);
        if is_new && let Some(list) = self.node.shares.upgrade() {
            list.new.lock().push(self.clone());
        }
    }

    /// Whether the processes of the account are to wait for those of others: it is behind, or an
    /// account above is. An account that is new, or that has rested, is so with the one above it.
    #[inline]
    pub fn is_behind(&self) -> bool {
        let mut share = self;
        loop {
            if share.node.is_behind.load(Ordering::Relaxed) {
                return true;
            }
            match &share.node.parent {
                Some(parent) => share = parent,
                None => return false,
            }
        }
    }

    /// How many threads may work for the account and those below it at once, of each kind of
    /// work; `u64::MAX` if that is limited above only. See
    /// [`AccountLimits::threads`](crate::AccountLimits::threads).
    pub fn max_threads(&self) -> u64 {
        self.node.max_threads
    }

    /// This share, that of the account above, and so on; the root has none.
    pub fn and_above(&self) -> impl Iterator<Item = &Share> {
        iter::successors(Some(self), |share| share.node.parent.as_ref())
    }

    /// The share right below the root that this one is in; itself, if it is such a one.
    /// Whoever divides something else than processors divides it between these.
    pub fn topmost(&self) -> &Share {
        self.and_above().last().unwrap_or(self)
    }

    /// Whether both are the same share.
    pub fn is(&self, other: &Share) -> bool {
        Arc::ptr_eq(&self.node, &other.node)
    }

    /// Tells this share apart from others, as long as it lives.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.node).addr()
    }

    /// Notes that a process of this account runs on this thread from now on.
    pub fn enter(self) {
        CURRENT.set(Some(self));
    }

    /// Notes that no process of an account with a share runs on this thread any more.
    /// Returns the share that was [entered](Share::enter).
    pub fn leave() -> Option<Share> {
        CURRENT.take()
    }

    /// The share of the process that runs on this thread; `None` if it has none, or if
    /// no process runs here.
    pub fn current() -> Option<Share> {
        CURRENT.try_with(|current| current.borrow().clone()).ok()?
    }

    /// Moves time on. Returns whether something has been used lately.
    fn age(&self, kept: f64) -> bool {
        let node = &self.node;
        let used = node.used.swap(0, Ordering::Relaxed);
        let recent = node.recent.load(Ordering::Relaxed);
        // A number of nanoseconds within some windows is exact enough.
        let recent = (recent as f64 * kept + used as f64) as u64;
        node.recent.store(recent, Ordering::Relaxed);
        node.below.clear();
        let is_active = recent > 1000;
        if !is_active {
            node.is_behind.store(false, Ordering::Relaxed);
            node.is_listed.store(false, Ordering::Relaxed);
        }
        is_active
    }
}

impl Shares {
    /// Decides who is behind. To be called each millisecond or so while processes run. It takes
    /// time in proportion to the number of accounts that have used CPU time lately, and so,
    /// if these are many thousands, does nothing at most calls.
    ///
    /// - `passed`: the time since the last call.
    /// - `processors`: how many processes can run at once.
    pub fn divide(&self, passed: Duration, processors: usize) {
        /// What each share adds to the time between two decisions. It takes a fraction of it.
        const TIME_EACH: Duration = Duration::from_micros(1);
        let mut list = self.list.active.lock();
        let Active {
            shares: active,
            passed: since,
        } = &mut *list;
        active.append(&mut self.list.new.lock());
        *since += passed;
        let count = u32::try_from(active.len()).unwrap_or(u32::MAX);
        if *since < TIME_EACH.saturating_mul(count) {
            return;
        }
        let passed = std::mem::take(since);
        let kept = (-passed.as_secs_f64() / WINDOW.as_secs_f64()).exp();
        // Those below first, so that none of them has used more than the one above.
        active.sort_by_key(|share| std::cmp::Reverse(share.node.depth));
        active.retain(|share| share.age(kept));
        let below_root = Below::default();
        for share in active.iter() {
            let parent = share.node.parent.as_ref();
            let below = parent.map_or(&below_root, |parent| &parent.node.below);
            below.add(&share.node);
        }
        let all = WINDOW.as_nanos() as f64 * processors as f64;
        for share in active.iter().rev() {
            let node = &share.node;
            let (part, is_behind) = match &node.parent {
                Some(parent) => {
                    let part = parent.node.part.load(Ordering::Relaxed) as f64;
                    // That of the parent, which was decided before, is enough.
                    let is_behind = parent.node.is_behind.load(Ordering::Relaxed);
                    (parent.node.below.part(part, node.weight), is_behind)
                }
                None => (below_root.part(all, node.weight), false),
            };
            let part = part as u64;
            node.part.store(part, Ordering::Relaxed);
            let is_behind = is_behind || node.recent.load(Ordering::Relaxed) > part;
            node.is_behind.store(is_behind, Ordering::Relaxed);
        }
    }
}

impl Below {
    fn clear(&self) {
        self.weights.store(0, Ordering::Relaxed);
        self.recent.store(0, Ordering::Relaxed);
    }

    fn add(&self, node: &Node) {
        let recent = node.recent.load(Ordering::Relaxed);
        self.weights.fetch_add(node.weight, Ordering::Relaxed);
        self.recent.fetch_add(recent, Ordering::Relaxed);
    }

    /// The part of one of these shares.
    ///
    /// - `above`: the part of the account above.
    /// - `weight`: that of the share.
    fn part(&self, above: f64, weight: u64) -> f64 {
        /// What is kept free for the processes of the account above.
        const FREE: f64 = 0.1;
        let weights = self.weights.load(Ordering::Relaxed) as f64;
        let recent = self.recent.load(Ordering::Relaxed) as f64;
        let by_weight = above * weights / (weights + DEFAULT_WEIGHT as f64);
        // What those of the account above do not take is theirs too.
        let of_all = recent.min(above * (1.0 - FREE)).max(by_weight);
        of_all * weight as f64 / weights
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("depth", &self.node.depth)
            .field("is_behind", &self.is_behind())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares")
            .field("active", &self.list.active.lock().shares.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    fn weight(weight: u64) -> AccountLimits {
        AccountLimits {
            cpu_weight: weight,
            ..AccountLimits::UNLIMITED
        }
    }

    fn top(shares: &Shares, of: u64) -> Share {
        Share::new(None, &weight(of), shares)
    }

    /// In each tick, whoever is not behind uses what it wants; those who are get what is
    /// left. Returns how many milliseconds each has used.
    fn run(shares: &Shares, wants: &[(&Share, f64)], ticks: u32, processors: f64) -> Vec<f64> {
        let mut used = vec![0.0; wants.len()];
        for _ in 0..ticks {
            let mut left = processors;
            for behind in [false, true] {
                let these = || {
                    let wants = wants.iter().enumerate();
                    wants.filter(move |(_, (share, _))| share.is_behind() == behind)
                };
                let wanted: f64 = these().map(|(_, (_, want))| want).sum();
                let given = if wanted > left { left / wanted } else { 1.0 };
                for (number, (share, want)) in these() {
                    let time = want * given;
                    used[number] += time;
                    left = f64::max(left - time, 0.0);
                    share.add_used(TICK.mul_f64(time));
                }
            }
            shares.divide(TICK, processors as usize);
        }
        used
    }

    #[test]
    fn two_that_want_everything_get_as_much_each() {
        let shares = Shares::default();
        let (one, other) = (top(&shares, 100), top(&shares, 100));
        // One has so many more processes.
        let used = run(&shares, &[(&one, 300.0), (&other, 3.0)], 2000, 2.0);
        assert!((used[0] / used[1] - 1.0).abs() < 0.5, "{used:?}");
    }

    #[test]
    fn weights_are_kept() {
        let shares = Shares::default();
        let (one, other) = (top(&shares, 300), top(&shares, 100));
        let used = run(&shares, &[(&one, 50.0), (&other, 50.0)], 5000, 4.0);
        let ratio = used[0] / used[1];
        assert!((1.8..4.5).contains(&ratio), "{used:?}");
    }

    #[test]
    fn who_wants_little_is_never_behind() {
        let shares = Shares::default();
        let (greedy, modest) = (top(&shares, 100), top(&shares, 100));
        for _ in 0..1000 {
            run(&shares, &[(&greedy, 300.0), (&modest, 0.2)], 1, 2.0);
            assert!(!modest.is_behind());
        }
        assert!(greedy.is_behind());
    }

    #[test]
    fn who_begins_to_take_everything_is_behind_soon_and_not_any_more_after_a_rest() {
        let shares = Shares::default();
        let greedy = top(&shares, 100);
        run(&shares, &[(&greedy, 300.0)], 40, 2.0);
        assert!(greedy.is_behind());
        shares.divide(Duration::from_millis(40), 2);
        assert!(!greedy.is_behind());
        // It is not looked at any more.
        shares.divide(Duration::from_secs(1), 2);
        assert!(shares.list.active.lock().shares.is_empty());
        run(&shares, &[(&greedy, 300.0)], 40, 2.0);
        assert!(greedy.is_behind());
    }

    #[test]
    fn accounts_below_ones_own_do_not_add_to_its_part() {
        let shares = Shares::default();
        let (many, one) = (top(&shares, 100), top(&shares, 100));
        let below: Vec<_> = (0..50)
            .map(|_| Share::new(Some(&many), &weight(100), &shares))
            .collect();
        let mut wants: Vec<_> = below.iter().map(|share| (share, 2.0)).collect();
        wants.push((&one, 2.0));
        let used = run(&shares, &wants, 2000, 2.0);
        let (last, below) = used.split_last().unwrap();
        let below: f64 = below.iter().sum();
        assert!(below / last < 2.0, "{below} {last}");
        assert!(below / last > 0.5, "{below} {last}");
    }

    #[test]
    fn a_share_that_is_new_or_has_rested_is_behind_with_the_one_above() {
        let shares = Shares::default();
        let greedy = top(&shares, 100);
        let (busy, rested) = (
            Share::new(Some(&greedy), &weight(100), &shares),
            Share::new(Some(&greedy), &weight(100), &shares),
        );
        rested.add_used(TICK);
        run(&shares, &[(&busy, 300.0)], 200, 2.0);
        // Nobody looks at it any more.
        assert!(!rested.node.is_listed.load(Ordering::Relaxed));
        assert!(greedy.is_behind() && rested.is_behind());
        let new = Share::new(Some(&rested), &weight(100), &shares);
        assert!(new.is_behind());
        shares.divide(Duration::from_millis(40), 2);
        assert!(!new.is_behind() && !rested.is_behind() && !busy.is_behind());
    }

    #[test]
    fn many_shares_are_looked_at_less_often() {
        let shares = Shares::default();
        let many: Vec<_> = (0..5000).map(|_| top(&shares, 100)).collect();
        for share in &many {
            share.add_used(TICK);
        }
        // Nobody has been looked at before five thousand microseconds.
        for _ in 0..4 {
            shares.divide(TICK, 2);
            assert!(!many[0].is_behind());
        }
        shares.divide(TICK, 2);
        assert!(many.iter().all(Share::is_behind));
    }

    #[test]
    fn the_current_share_is_that_which_was_entered() {
        let shares = Shares::default();
        let one = top(&shares, 100);
        assert!(Share::current().is_none());
        one.clone().enter();
        assert!(Share::current().is_some_and(|current| current.is(&one)));
        assert!(Share::leave().is_some_and(|left| left.is(&one)));
        assert!(Share::current().is_none());
    }
}
