//! The tree and the counting.

use std::error::Error;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::cpu::CpuBudget;
use crate::kind::Kind;
use crate::limits::AccountLimits;
use crate::rate::RateBudget;
use crate::share::{Share, Shares};

/// A tree has no more levels than this, so that a charge takes a bounded time.
const MAX_DEPTH: u32 = 16;

/// What is charged for an account itself, in bytes, to the account above it.
const ACCOUNT_BYTES: u64 = 512;

/// A node of the tree; a clone is the same account.
///
/// See the [crate] for what holds for it.
#[derive(Clone)]
pub struct Account {
    inner: Arc<Inner>,
}

/// Who is refused memory because the program has little left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// Nobody is.
    None,
    /// Who has more than its share.
    AboveShare {
        /// The most that a branch directly below the root may have, with all below it, in bytes.
        share: u64,
        /// Whether what is charged to the root itself is more than that.
        is_root_above: bool,
    },
    /// Everybody is.
    All,
}

/// Tells the accounts of a program apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(u64);

impl AccountId {
    /// Returns it as a number that no other account of this program has.
    pub fn to_bits(self) -> u64 {
        self.0
    }
}

struct Inner {
    id: AccountId,
    depth: u32,
    parent: Option<Account>,
    limits: AccountLimits,
    /// Its processes are of the branch of the account above.
    is_part: bool,
    used: Counters,
    /// Only in the root: the bytes that the host keeps and that are charged to branches.
    of_branches: Counter,
    /// Only directly below the root: see [`Account::has_deep_stacks`].
    has_deep_stacks: AtomicBool,
    /// Only in the root: a branch directly below it that has more is refused memory.
    most_of_branch: AtomicU64,
    /// Only in the root: what is charged to itself is refused memory.
    is_root_refused: AtomicBool,
    /// Only in the root: see [`Account::memory_left`].
    memory_left: AtomicU64,
    /// Only in the root: see [`Account::set_largest_charge`].
    largest_charge: AtomicU64,
    cpu: Option<Mutex<CpuBudget>>,
    compile_time: Option<Mutex<CpuBudget>>,
    output: Option<Mutex<RateBudget>>,
    log_lines: Option<Mutex<RateBudget>>,
    /// Those of the whole tree.
    shares: Shares,
    /// The root has none: its processes wait for nobody.
    share: Option<Share>,
}

/// How much is charged, by kind. Cores write to it all the time, so it shares no cache line
/// with what they only read.
#[derive(Default)]
#[repr(align(64))]
struct Counters([AtomicU64; Kind::ALL.len()]);

/// One of them by itself.
#[derive(Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

/// A charge was refused, and nothing was charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// What there would be too much of.
    pub kind: Kind,
    /// How much there may be.
    pub limit: u64,
    /// The account whose limit it is.
    pub account: AccountId,
}

/// Why there is no account below another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BranchError {
    /// The tree would have too many levels.
    TooDeep {
        /// How many it may have.
        limit: u32,
    },
    /// The account above has no memory left for it.
    Exceeded(Exceeded),
}

impl Account {
    /// The root of a new tree.
    pub fn root(limits: AccountLimits) -> Account {
        Account::new(None, limits, false)
    }

    /// A new account below this one.
    ///
    /// # Errors
    ///
    /// [`BranchError`].
    pub fn branch(&self, limits: AccountLimits) -> Result<Account, BranchError> {
        self.below(limits, false)
    }

    /// A new account below this one that only counts, and limits, apart: its processes are of
    /// the same [branch](Account::branch_root) as those of this one.
    ///
    /// ```
    /// use lunatic_account::{Account, AccountLimits};
    ///
    /// let root = Account::default();
    /// let part = root.part(AccountLimits::UNLIMITED)?;
    /// assert!(part.branch_root().is(&root));
    /// let branch = part.branch(AccountLimits::UNLIMITED)?;
    /// assert!(branch.branch_root().is(&branch));
    /// # Ok::<(), lunatic_account::BranchError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BranchError`].
    pub fn part(&self, limits: AccountLimits) -> Result<Account, BranchError> {
        self.below(limits, true)
    }

    fn below(&self, limits: AccountLimits, is_part: bool) -> Result<Account, BranchError> {
        if self.inner.depth + 1 >= MAX_DEPTH {
            return Err(BranchError::TooDeep { limit: MAX_DEPTH });
        }
        self.charge(Kind::Memory, ACCOUNT_BYTES)
            .map_err(BranchError::Exceeded)?;
        Ok(Account::new(Some(self.clone()), limits, is_part))
    }

    fn new(parent: Option<Account>, limits: AccountLimits, is_part: bool) -> Account {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let above = parent.as_ref();
        let shares = above.map_or_else(Shares::default, |above| above.inner.shares.clone());
        let share = above.map(|above| Share::new(above.share(), &limits, &shares));
        let time = |limit| (limit != u64::MAX).then(|| Mutex::new(CpuBudget::new(limit)));
        let rate = |limit| (limit != u64::MAX).then(|| Mutex::new(RateBudget::new(limit)));
        Account {
            inner: Arc::new(Inner {
                id: AccountId(NEXT.fetch_add(1, Ordering::Relaxed)),
                depth: parent.as_ref().map_or(0, |parent| parent.inner.depth + 1),
                parent,
                limits,
                is_part,
                used: Counters::default(),
                of_branches: Counter::default(),
                has_deep_stacks: AtomicBool::new(false),
                most_of_branch: AtomicU64::new(u64::MAX),
                is_root_refused: AtomicBool::new(false),
                memory_left: AtomicU64::new(u64::MAX),
                largest_charge: AtomicU64::new(u64::MAX),
                cpu: time(limits.cpu),
                compile_time: time(limits.compile_time),
                output: rate(limits.output),
                log_lines: rate(limits.log_lines),
                shares,
                share,
            }),
        }
    }

    /// Which account it is.
    pub fn id(&self) -> AccountId {
        self.inner.id
    }

    /// The account above; `None` for the root.
    pub fn parent(&self) -> Option<&Account> {
        self.inner.parent.as_ref()
    }

    /// The account whose branch its processes are: this one or, if it is a
    /// [part](Account::part), that of the account above.
    pub fn branch_root(&self) -> &Account {
        let mut account = self;
        while let (true, Some(above)) = (account.inner.is_part, account.parent()) {
            account = above;
        }
        account
    }

    /// The account directly below the root that this one is, or is below; the root for itself.
    ///
    /// ```
    /// use lunatic_account::{Account, AccountLimits};
    ///
    /// let root = Account::default();
    /// let one = root.branch(AccountLimits::UNLIMITED)?;
    /// let deeper = one.branch(AccountLimits::UNLIMITED)?;
    /// assert!(deeper.below_root().is(&one) && one.below_root().is(&one));
    /// assert!(root.below_root().is(&root));
    /// # Ok::<(), lunatic_account::BranchError>(())
    /// ```
    pub fn below_root(&self) -> &Account {
        let mut below = self;
        while let Some(above) = below.parent().filter(|above| !above.is_root()) {
            below = above;
        }
        below
    }

    /// Whether its processes are a branch of their own: not that of the root.
    pub fn is_branch(&self) -> bool {
        self.branch_root().parent().is_some()
    }

    /// The limits of this account itself.
    pub fn limits(&self) -> &AccountLimits {
        &self.inner.limits
    }

    /// How much is charged to this account and those below it.
    pub fn used(&self, kind: Kind) -> u64 {
        self.counter(kind).load(Ordering::Relaxed)
    }

    /// Whether this account is `other` or below it.
    pub fn is_within(&self, other: &Account) -> bool {
        self.to_root()
            .any(|account| Arc::ptr_eq(&account.inner, &other.inner))
    }

    /// Whether both are the same account.
    #[inline]
    pub fn is(&self, other: &Account) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Charges an amount to this account and all above it.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if that is more than a limit allows; then nothing is charged.
    pub fn charge(&self, kind: Kind, amount: u64) -> Result<(), Exceeded> {
        let mut below = None;
        for account in self.to_root() {
            if let Err(exceeded) = account.charge_one(kind, amount, below) {
                self.to_root()
                    .take_while(|charged| !charged.is(account))
                    .for_each(|charged| charged.release_one(kind, amount));
                return Err(exceeded);
            }
            below = Some(account);
        }
        self.count_of_branches(kind, |sum| sum.fetch_add(amount, Ordering::Relaxed));
        Ok(())
    }

    /// Charges an amount to this account and all above it, even if that is more than a limit
    /// allows: for what must not be lost. Until enough is released, other charges are refused.
    ///
    /// It is for whoever bounds by other means how often that happens, with
    /// [`check`](Account::check) for example.
    pub fn charge_beyond_limits(&self, kind: Kind, amount: u64) {
        for account in self.to_root() {
            if kind == Kind::LinearMemory && !account.is_root() {
                let memory = account.counter(Kind::Memory);
                memory.fetch_add(amount, Ordering::Relaxed);
            }
            account.counter(kind).fetch_add(amount, Ordering::Relaxed);
        }
        self.count_of_branches(kind, |sum| sum.fetch_add(amount, Ordering::Relaxed));
    }

    /// Checks whether an amount could be charged now.
    ///
    /// ```
    /// use lunatic_account::{Account, AccountLimits, Kind};
    ///
    /// let account = Account::root(AccountLimits { memory: 10, ..AccountLimits::UNLIMITED });
    /// assert!(account.check(Kind::Memory, 10).is_ok());
    /// account.charge_beyond_limits(Kind::Memory, 11);
    /// assert!(account.check(Kind::Memory, 0).is_err());
    /// account.release(Kind::Memory, 11);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if that is more than a limit allows.
    pub fn check(&self, kind: Kind, amount: u64) -> Result<(), Exceeded> {
        self.charge(kind, amount)?;
        self.release(kind, amount);
        Ok(())
    }

    /// Releases what was charged.
    pub fn release(&self, kind: Kind, amount: u64) {
        for account in self.to_root() {
            account.release_one(kind, amount);
        }
        self.count_of_branches(kind, |sum| sum.fetch_sub(amount, Ordering::Relaxed));
    }

    /// Changes what is charged to branches, if this account is one. The root, to which most is
    /// charged, counts nothing twice for that.
    fn count_of_branches(&self, kind: Kind, change: impl FnOnce(&AtomicU64) -> u64) {
        if kind == Kind::Memory && !self.is_root() {
            change(&self.root_account().inner.of_branches.0);
        }
    }

    /// Whether this account, or one above it, has a limit of fuel.
    pub fn limits_fuel(&self) -> bool {
        self.to_root().any(Account::has_fuel_limit)
    }

    /// Counts fuel that a process of this account is given, in this account and those above it
    /// that have a limit of fuel. It is never released.
    ///
    /// ```
    /// use lunatic_account::{Account, AccountLimits, Kind};
    ///
    /// let root = Account::default();
    /// let branch = root.branch(AccountLimits { fuel: 10, ..AccountLimits::UNLIMITED })?;
    /// assert!(branch.spend_fuel(7).is_ok());
    /// assert!(branch.spend_fuel(7).is_err());
    /// assert_eq!((branch.used(Kind::Fuel), root.used(Kind::Fuel)), (7, 0));
    /// # Ok::<(), lunatic_account::BranchError>(())
    /// ```
    ///
    /// - `units`: as [`AccountLimits::fuel`] counts it.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if that is more than a limit allows; then nothing is counted.
    pub fn spend_fuel(&self, units: u64) -> Result<(), Exceeded> {
        let limited = || self.to_root().filter(|account| account.has_fuel_limit());
        for account in limited() {
            if let Err(exceeded) = account.add(Kind::Fuel, units, account.inner.limits.fuel) {
                limited()
                    .take_while(|counted| !counted.is(account))
                    .for_each(|counted| counted.subtract(Kind::Fuel, units));
                return Err(exceeded);
            }
        }
        Ok(())
    }

    fn has_fuel_limit(&self) -> bool {
        self.inner.limits.fuel != u64::MAX
    }

    /// From now on, charges of memory to accounts of this tree are refused as a shortage of
    /// memory says. This account has to be the root.
    pub fn set_shortage(&self, shortage: Shortage) {
        let (most, is_root_refused) = match shortage {
            Shortage::None => (u64::MAX, false),
            Shortage::AboveShare {
                share,
                is_root_above,
            } => (share, is_root_above),
            Shortage::All => (0, true),
        };
        self.inner.most_of_branch.store(most, Ordering::Relaxed);
        let is_refused = &self.inner.is_root_refused;
        is_refused.store(is_root_refused, Ordering::Relaxed);
    }

    /// How many bytes the host keeps that are charged to this account, which has to be the root,
    /// and to no account below it.
    ///
    /// ```
    /// use lunatic_account::{Account, AccountLimits, Kind};
    ///
    /// let root = Account::default();
    /// root.charge(Kind::Memory, 10)?;
    /// let branch = root.branch(AccountLimits::UNLIMITED)?;
    /// let own = root.own_memory();
    /// branch.charge(Kind::Memory, 1000)?;
    /// assert_eq!(root.own_memory(), own);
    /// assert!(root.used(Kind::Memory) >= own + 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn own_memory(&self) -> u64 {
        let of_branches = self.inner.of_branches.0.load(Ordering::Relaxed);
        self.used(Kind::Memory).saturating_sub(of_branches)
    }

    /// From now on, a single charge of more bytes of [`Kind::Memory`] is refused in this tree: who
    /// would take that much in one step could not be stopped before the program has too much. This
    /// account has to be the root.
    ///
    /// ```
    /// use lunatic_account::{Account, Kind};
    ///
    /// let root = Account::default();
    /// root.set_largest_charge(1000);
    /// assert!(root.charge(Kind::Memory, 1001).is_err());
    /// assert!(root.charge(Kind::Memory, 1000).is_ok());
    /// ```
    pub fn set_largest_charge(&self, bytes: u64) {
        self.inner.largest_charge.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes the program may take before [charges of memory are
    /// refused](Account::set_shortage), as far as that was told.
    pub fn memory_left(&self) -> u64 {
        self.root_account()
            .inner
            .memory_left
            .load(Ordering::Relaxed)
    }

    /// Tells how many bytes the program may take. This account has to be the root.
    pub fn set_memory_left(&self, bytes: u64) {
        self.inner.memory_left.store(bytes, Ordering::Relaxed);
    }

    /// Notes that a process of the branch [directly below the root](Account::below_root) that this
    /// account is in has written much of its stack.
    pub fn set_has_deep_stacks(&self) {
        let noted = &self.below_root().inner.has_deep_stacks;
        if !noted.load(Ordering::Relaxed) {
            noted.store(true, Ordering::Relaxed);
        }
    }

    /// Whether that was ever noted: whoever measures stacks by samples measures all of this branch
    /// then.
    ///
    /// ```
    /// use lunatic_account::{Account, AccountLimits};
    ///
    /// let root = Account::default();
    /// let one = root.branch(AccountLimits::UNLIMITED)?;
    /// let below = one.branch(AccountLimits::UNLIMITED)?;
    /// let other = root.branch(AccountLimits::UNLIMITED)?;
    /// below.set_has_deep_stacks();
    /// assert!(one.has_deep_stacks() && !other.has_deep_stacks());
    /// # Ok::<(), lunatic_account::BranchError>(())
    /// ```
    #[inline]
    pub fn has_deep_stacks(&self) -> bool {
        let noted = &self.below_root().inner.has_deep_stacks;
        noted.load(Ordering::Relaxed)
    }

    /// The root of its tree.
    pub fn root_account(&self) -> &Account {
        self.to_root().last().unwrap_or(self)
    }

    /// Whether CPU time has to be reported to this account: it or one above it has a
    /// limit.
    pub fn limits_cpu(&self) -> bool {
        self.to_root().any(|account| account.inner.cpu.is_some())
    }

    /// Counts CPU time that a process of this account has used until `now`.
    pub fn use_cpu(&self, now: Instant, time: Duration) {
        spend(self.cpu_budgets(), now, time);
    }

    /// How long the processes of this account have to wait until they may run; zero if
    /// they may run now.
    pub fn cpu_delay(&self, now: Instant) -> Duration {
        delay(self.cpu_budgets(), now)
    }

    fn cpu_budgets(&self) -> impl Iterator<Item = &Mutex<CpuBudget>> {
        self.to_root()
            .filter_map(|account| account.inner.cpu.as_ref())
    }

    /// Counts time for which a module was compiled for a process of this account until `now`.
    pub fn use_compile_time(&self, now: Instant, time: Duration) {
        spend(self.compile_budgets(), now, time);
    }

    /// How long to wait until modules may be compiled for the processes of this account; zero if
    /// that may begin now.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use lunatic_account::{Account, AccountLimits};
    ///
    /// let root = Account::default();
    /// let limits = AccountLimits { compile_time: 100_000, ..AccountLimits::UNLIMITED };
    /// let branch = root.branch(limits)?;
    /// let now = Instant::now();
    /// assert!(branch.compile_delay(now).is_zero());
    /// branch.use_compile_time(now, Duration::from_secs(1));
    /// assert!(branch.compile_delay(now) > Duration::from_secs(9));
    /// assert!(root.compile_delay(now).is_zero());
    /// # Ok::<(), lunatic_account::BranchError>(())
    /// ```
    pub fn compile_delay(&self, now: Instant) -> Duration {
        delay(self.compile_budgets(), now)
    }

    fn compile_budgets(&self) -> impl Iterator<Item = &Mutex<CpuBudget>> {
        self.to_root()
            .filter_map(|account| account.inner.compile_time.as_ref())
    }

    /// Counts a line of the log that a process of this account causes, and returns whether it
    /// may be written: neither this account nor one above has caused too many. What is not
    /// written is not counted.
    pub fn spend_log_line(&self, now: Instant) -> bool {
        let budgets = self
            .to_root()
            .filter_map(|account| account.inner.log_lines.as_ref());
        let mut locked: Vec<_> = budgets.map(Mutex::lock).collect();
        let may = locked.iter_mut().all(|budget| budget.has(now, 1));
        if may {
            locked.iter_mut().for_each(|budget| {
                budget.try_spend(now, 1);
            });
        }
        may
    }

    /// Whether what is printed has to be [counted](Account::spend_output): this account or one
    /// above it has a limit.
    pub fn limits_output(&self) -> bool {
        self.to_root().any(|account| account.inner.output.is_some())
    }

    /// Counts bytes that a process of this account is to print, and returns how long it has to
    /// wait before that; zero if neither this account nor one above has a limit.
    pub fn spend_output(&self, now: Instant, bytes: u64) -> Duration {
        self.to_root()
            .filter_map(|account| account.inner.output.as_ref())
            .map(|budget| budget.lock().spend(now, bytes))
            .max()
            .unwrap_or_default()
    }

    /// The part of this account in the processors; `None` for the root.
    #[inline]
    pub fn share(&self) -> Option<&Share> {
        self.inner.share.as_ref()
    }

    /// The shares of all accounts of this tree.
    pub fn shares(&self) -> &Shares {
        &self.inner.shares
    }

    /// This account, the one above it, and so on to the root.
    fn to_root(&self) -> impl Iterator<Item = &Account> {
        iter::successors(Some(self), |account| account.parent())
    }

    fn counter(&self, kind: Kind) -> &AtomicU64 {
        &self.inner.used.0[kind.index()]
    }

    /// - `below`: the account that was charged before, which is directly below this one.
    fn charge_one(&self, kind: Kind, amount: u64, below: Option<&Account>) -> Result<(), Exceeded> {
        if kind == Kind::LinearMemory {
            if self.is_root() {
                self.check_shortage(kind, below)?;
            } else {
                self.add(Kind::Memory, amount, self.inner.limits.memory)?;
            }
            return self.add(kind, amount, u64::MAX);
        }
        if kind == Kind::Memory && self.is_root() {
            self.check_shortage(kind, below)?;
            if amount > self.inner.largest_charge.load(Ordering::Relaxed) {
                return Err(self.exceeded(kind, self.inner.limits.memory));
            }
        }
        if kind == Kind::Descriptors
            && let Some(branch) = below.filter(|_| self.is_root())
        {
            return self.add_leaving_as_many(kind, amount, branch);
        }
        self.add(kind, amount, self.inner.limits.of(kind))
    }

    fn release_one(&self, kind: Kind, amount: u64) {
        if kind == Kind::LinearMemory && !self.is_root() {
            self.subtract(Kind::Memory, amount);
        }
        self.subtract(kind, amount);
    }

    fn is_root(&self) -> bool {
        self.inner.parent.is_none()
    }

    /// - `branch`: the one that was charged already; `None` if only the root is charged.
    fn check_shortage(&self, kind: Kind, branch: Option<&Account>) -> Result<(), Exceeded> {
        let is_refused = match branch {
            Some(branch) => {
                let most = self.inner.most_of_branch.load(Ordering::Relaxed);
                most != u64::MAX && branch.used(Kind::Memory) > most
            }
            None => self.inner.is_root_refused.load(Ordering::Relaxed),
        };
        match is_refused {
            true => Err(self.exceeded(kind, self.inner.limits.memory)),
            false => Ok(()),
        }
    }

    fn add(&self, kind: Kind, amount: u64, limit: u64) -> Result<(), Exceeded> {
        let sum = |used: u64| used.checked_add(amount).filter(|sum| *sum <= limit);
        self.counter(kind)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum)
            .map(|_| ())
            .map_err(|_| self.exceeded(kind, limit))
    }

    /// Adds what a branch has more, if a quarter of all is left for others then, or as many as it
    /// has itself: one branch has at most three quarters of them, and there are some for the next.
    ///
    /// - `branch`: directly below this account, which was charged already.
    fn add_leaving_as_many(
        &self,
        kind: Kind,
        amount: u64,
        branch: &Account,
    ) -> Result<(), Exceeded> {
        let of_branch = branch.used(kind);
        let all = self.inner.limits.of(kind);
        let limit = all.saturating_sub(of_branch).max(all - all / 4);
        self.add(kind, amount, limit).map_err(|exceeded| Exceeded {
            limit: of_branch.saturating_sub(amount),
            ..exceeded
        })
    }

    fn subtract(&self, kind: Kind, amount: u64) {
        let before = self.counter(kind).fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "released more {kind} than was charged");
    }

    fn exceeded(&self, kind: Kind, limit: u64) -> Exceeded {
        Exceeded {
            kind,
            limit,
            account: self.id(),
        }
    }
}

/// Counts time that was used in all of these budgets.
fn spend<'a>(budgets: impl Iterator<Item = &'a Mutex<CpuBudget>>, now: Instant, time: Duration) {
    budgets.for_each(|budget| budget.lock().spend(now, time));
}

/// How long to wait until none of these budgets is overdrawn.
fn delay<'a>(budgets: impl Iterator<Item = &'a Mutex<CpuBudget>>, now: Instant) -> Duration {
    let delays = budgets.map(|budget| budget.lock().delay(now));
    delays.max().unwrap_or_default()
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            parent.release(Kind::Memory, ACCOUNT_BYTES);
        }
    }
}

impl Default for Account {
    /// A root without limits.
    fn default() -> Account {
        Account::root(AccountLimits::default())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id())
            .field("depth", &self.inner.depth)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Exceeded { kind, limit, .. } = self;
        write!(f, "the limit of {limit} {kind} is reached")
    }
}

impl Error for Exceeded {}

impl fmt::Display for BranchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BranchError::TooDeep { limit } => {
                write!(
                    f,
                    "accounts with limits of their own are nested {limit} deep, as many as may be"
                )
            }
            BranchError::Exceeded(exceeded) => exceeded.fmt(f),
        }
    }
}

impl Error for BranchError {}
