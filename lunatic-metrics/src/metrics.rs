//! Metrics by name, with limits.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use lunatic_account::{Account, AccountId, Charge, Exceeded};
use parking_lot::{Mutex, RwLock};

use crate::metric::{Metric, Update};
use crate::name::{InvalidName, MetricName};

/// The highest number of names in one [`Metrics`].
pub const MAX_NAMES: usize = 1000;

/// The highest number of names in all [`Metrics`] that belong together.
pub const MAX_NAMES_TOGETHER: usize = 4000;

/// The highest number of names that branches pay for, in all [`Metrics`] that belong together:
/// they leave the others to the account of the root.
pub const MAX_NAMES_OF_BRANCHES: usize = 3000;

/// The highest number of names that one branch of the root's account pays for, with all branches
/// below it. It may have no more than are left for other branches, either.
pub const MAX_NAMES_OF_ONE_BRANCH: usize = 500;

/// The metrics of a group of processes. A clone shares them.
///
/// ```
/// use lunatic_account::Account;
/// use lunatic_metrics::{Metrics, Update};
/// use prometheus_client::encoding::text::encode;
/// use prometheus_client::registry::Registry;
///
/// let metrics = Metrics::new();
/// metrics.record("orders", Update::Count(2), &Account::default())?;
///
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(metrics));
/// let mut text = String::new();
/// encode(&mut text, &registry)?;
/// assert!(text.contains("\norders_total 2\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Metrics {
    pub(crate) group: Arc<Group>,
}

/// Why something was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRecorded {
    /// The name.
    Name(InvalidName),
    /// The value is infinite, no number, or beyond [`MAX_VALUE`](crate::MAX_VALUE).
    Value,
    /// The metric of that name is of another kind.
    Kind,
    /// There are as many names as may be.
    TooMany,
    /// A limit of the account that would pay is reached.
    Exceeded(Exceeded),
}

/// The metrics of one group.
pub(crate) struct Group {
    /// The first one has 0; later ones have higher numbers.
    pub(crate) number: u64,
    metrics: RwLock<HashMap<MetricName, Held>>,
    shared: Arc<Shared>,
}

/// A metric, and what is charged for it.
struct Held {
    metric: Arc<Metric>,
    /// The branch of the root's account that pays; `None` for the account of the root.
    branch: Option<AccountId>,
    _charges: [Charge; 2],
}

/// How many names branches of the root's account pay for.
#[derive(Default)]
struct OfBranches {
    together: usize,
    each: HashMap<AccountId, usize>,
}

impl OfBranches {
    /// Counts one more name of a branch, if there may be one.
    fn take(&mut self, branch: AccountId) -> bool {
        let left = MAX_NAMES_OF_BRANCHES - self.together;
        let own = self.each.get(&branch).copied().unwrap_or_default();
        let may = own < MAX_NAMES_OF_ONE_BRANCH && own < left;
        if may {
            self.together += 1;
            self.each.insert(branch, own + 1);
        }
        may
    }

    fn give_back(&mut self, branch: AccountId) {
        if let Entry::Occupied(mut own) = self.each.entry(branch) {
            self.together -= 1;
            match own.get() {
                1 => drop(own.remove()),
                _ => *own.get_mut() -= 1,
            }
        }
    }
}

/// The state that all groups of a runtime share.
#[derive(Default)]
struct Shared {
    next: AtomicU64,
    /// The groups that have recorded a metric, by number.
    groups: Mutex<BTreeMap<u64, Weak<Group>>>,
    /// All names of all groups.
    names: AtomicUsize,
    /// The metrics that are charged to branches of the root's account.
    of_branches: Mutex<OfBranches>,
    refused: [AtomicU64; REASONS.len()],
}

/// Why something was not recorded, for programs.
const REASONS: [&str; 5] = ["name", "value", "kind", "too_many", "account"];

impl Metrics {
    /// The metrics of a runtime.
    pub fn new() -> Metrics {
        Metrics::with(Arc::default())
    }

    /// Returns separate metrics for a group of processes: they are written with a label `branch`,
    /// and are dropped with the last clone.
    pub fn branch(&self) -> Metrics {
        Metrics::with(self.group.shared.clone())
    }

    fn with(shared: Arc<Shared>) -> Metrics {
        Metrics {
            group: Arc::new(Group {
                number: shared.next.fetch_add(1, Ordering::Relaxed),
                metrics: RwLock::default(),
                shared,
            }),
        }
    }

    /// Records something, and counts it if that cannot be done.
    ///
    /// - `payer`: the account to which the metric is charged if it is new.
    ///
    /// # Errors
    ///
    /// [`NotRecorded`]; the metrics are as they were.
    pub fn record(&self, name: &str, update: Update, payer: &Account) -> Result<(), NotRecorded> {
        let recorded = MetricName::new(name.to_owned(), update.kind())
            .map_err(NotRecorded::Name)
            .and_then(|name| self.update(name, update, payer));
        recorded.inspect_err(|why| self.count_refused(*why))
    }

    /// Counts something as not recorded.
    pub fn count_refused(&self, why: NotRecorded) {
        self.group.shared.refused[why.index()].fetch_add(1, Ordering::Relaxed);
    }

    fn update(&self, name: MetricName, update: Update, payer: &Account) -> Result<(), NotRecorded> {
        if !update.is_valid() {
            return Err(NotRecorded::Value);
        }
        let metric = match self.find(&name) {
            Some(metric) => metric,
            None => self.make(name, update, payer)?,
        };
        match metric.update(update) {
            true => Ok(()),
            false => Err(NotRecorded::Kind),
        }
    }

    fn find(&self, name: &MetricName) -> Option<Arc<Metric>> {
        let metrics = self.group.metrics.read();
        metrics.get(name).map(|held| held.metric.clone())
    }

    /// The metric of that name, which is made if it is not there.
    fn make(
        &self,
        name: MetricName,
        update: Update,
        payer: &Account,
    ) -> Result<Arc<Metric>, NotRecorded> {
        let kind = update.kind();
        // Charged, and made, without the lock.
        let charges = charges(&name, kind.bytes(), payer).map_err(NotRecorded::Exceeded)?;
        let metric = Arc::new(Metric::new(kind));
        let mut metrics = self.group.metrics.write();
        if let Some(held) = metrics.get(&name) {
            // Somebody else was faster.
            return Ok(held.metric.clone());
        }
        let branch = payer.is_branch().then(|| payer.below_root().id());
        if metrics.len() >= MAX_NAMES || !self.group.shared.takes_name(branch) {
            return Err(NotRecorded::TooMany);
        }
        let held = Held {
            metric: metric.clone(),
            branch,
            _charges: charges,
        };
        metrics.insert(name, held);
        let is_first = metrics.len() == 1;
        drop(metrics);
        if is_first {
            let group = Arc::downgrade(&self.group);
            self.group
                .shared
                .groups
                .lock()
                .insert(self.group.number, group);
        }
        Ok(metric)
    }

    /// How many names there are in all groups.
    pub fn names_together(&self) -> usize {
        self.group.shared.names.load(Ordering::Relaxed)
    }

    /// How often something was not recorded, by why.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.group.shared.refused.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        REASONS.into_iter().zip(counts)
    }

    /// All groups that have names, the oldest first.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        let groups = self.group.shared.groups.lock();
        groups.values().filter_map(Weak::upgrade).collect()
    }
}

impl Shared {
    /// Counts one more name, if there may be one.
    fn takes_name(&self, branch: Option<AccountId>) -> bool {
        if branch.is_some_and(|branch| !self.of_branches.lock().take(branch)) {
            return false;
        }
        let relaxed = Ordering::Relaxed;
        let one_more = |names| (names < MAX_NAMES_TOGETHER).then_some(names + 1);
        let takes = self.names.fetch_update(relaxed, relaxed, one_more).is_ok();
        if let (false, Some(branch)) = (takes, branch) {
            self.of_branches.lock().give_back(branch);
        }
        takes
    }
}

impl Group {
    /// All metrics, in no order.
    pub(crate) fn metrics(&self) -> Vec<(MetricName, Arc<Metric>)> {
        let metrics = self.metrics.read();
        let metrics = metrics.iter();
        metrics
            .map(|(name, held)| (name.clone(), held.metric.clone()))
            .collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let metrics = self.metrics.get_mut();
        if !metrics.is_empty() {
            self.shared
                .names
                .fetch_sub(metrics.len(), Ordering::Relaxed);
            let mut of_branches = self.shared.of_branches.lock();
            let branches = metrics.values().filter_map(|held| held.branch);
            branches.for_each(|branch| of_branches.give_back(branch));
            drop(of_branches);
            let group = self.shared.groups.lock().remove(&self.number);
            drop(group);
        }
    }
}

/// Charges a metric: one name, and the bytes of its entry.
fn charges(name: &MetricName, bytes: u64, payer: &Account) -> Result<[Charge; 2], Exceeded> {
    use lunatic_account::Kind;
    let bytes = bytes + name.as_str().len() as u64;
    Ok([
        Charge::new(payer, Kind::Names, 1)?,
        Charge::new(payer, Kind::Memory, bytes)?,
    ])
}

impl NotRecorded {
    fn index(self) -> usize {
        match self {
            NotRecorded::Name(_) => 0,
            NotRecorded::Value => 1,
            NotRecorded::Kind => 2,
            NotRecorded::TooMany => 3,
            NotRecorded::Exceeded(_) => 4,
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("group", &self.group.number)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for NotRecorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotRecorded::Name(invalid) => invalid.fmt(f),
            NotRecorded::Value => f.write_str("the value of a metric is no finite number"),
            NotRecorded::Kind => f.write_str("the metric of this name is of another kind"),
            NotRecorded::TooMany => f.write_str("there are as many metrics as may be"),
            NotRecorded::Exceeded(exceeded) => exceeded.fmt(f),
        }
    }
}

impl Error for NotRecorded {}
