//! How much SQLite may take for a connection, and how much it has taken.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lunatic_account::{Account, Charge, Exceeded, Kind};
use parking_lot::Mutex;

use crate::compiled::MOST_BYTES;
use crate::control::Control;
use crate::error::SqliteError;

/// The pages of a database that are kept in memory, in KiB: as `.cargo/config.toml` says.
pub(crate) const CACHE_KIB: u64 = 512;

/// What a connection takes, in bytes, whatever it does: its cache, the compiled statements that it
/// keeps, and what else it always has.
pub(crate) const CONNECTION_BYTES: u64 = ((CACHE_KIB + 128) << 10) + MOST_BYTES as u64;

/// Memory is charged in pieces of so many bytes…
const STEP: u64 = 256 << 10;
/// …and released when so many are not used.
const SLACK: u64 = 1 << 20;

/// A piece of memory of so many bytes is refused if the operation is to end: it is a value that
/// something is done with, perhaps by a statement that has no loops in which SQLite asks.
const LARGE: u64 = 128 << 10;

/// What is charged for a connection until it is closed.
pub(crate) struct Charges {
    _memory: Charge,
    _descriptors: Charge,
}

impl Charges {
    /// Charges what each connection takes.
    ///
    /// - `has_files`: whether the database is in a file.
    ///
    /// # Errors
    ///
    /// [`Exceeded`].
    pub(crate) fn new(account: &Account, has_files: bool) -> Result<Charges, Exceeded> {
        /// The files of a database: itself, its journal, and what WAL shares.
        const DESCRIPTORS: u64 = 3;
        let descriptors = if has_files { DESCRIPTORS } else { 0 };
        Ok(Charges {
            _memory: Charge::new(account, Kind::Memory, CONNECTION_BYTES)?,
            _descriptors: Charge::new(account, Kind::Descriptors, descriptors)?,
        })
    }
}

/// How much SQLite may take for a connection, and how much it has taken.
///
/// It is that of all that SQLite does on a thread while the future of [`within`] is polled.
pub(crate) struct Quota {
    control: Arc<Control>,
    max_memory: u64,
    max_log: u64,
    /// The bytes that SQLite has.
    used: AtomicU64,
    /// So many bytes are charged, or need not be.
    covered: AtomicU64,
    /// What is charged beyond [`CONNECTION_BYTES`]; `None` if nobody pays.
    charge: Mutex<Option<Charge>>,
    /// Why memory was refused.
    refusal: Mutex<Option<Refusal>>,
    /// Whether nothing is refused.
    is_lenient: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// The operation is to end.
    Late,
    /// The connection has all that it may have.
    Full,
    /// So has the account.
    Exceeded(Exceeded),
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Quota>>> = const { RefCell::new(None) };
}

impl Quota {
    /// Returns one of which nothing is taken.
    ///
    /// - `control`: says when operations are to end.
    /// - `max_memory`: bytes of memory.
    /// - `max_log`: bytes of the log of a database in WAL mode.
    /// - `account`: is charged for memory beyond [`CONNECTION_BYTES`]; `None` if nobody pays.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account may have nothing any more.
    pub(crate) fn new(
        control: Arc<Control>,
        max_memory: u64,
        max_log: u64,
        account: Option<&Account>,
    ) -> Result<Quota, Exceeded> {
        let charge = account.map(|account| Charge::new(account, Kind::Memory, 0));
        let charge = charge.transpose()?;
        Ok(Quota {
            control,
            max_memory,
            max_log,
            used: AtomicU64::new(0),
            covered: AtomicU64::new(charge.as_ref().map_or(u64::MAX, |_| CONNECTION_BYTES)),
            charge: Mutex::new(charge),
            refusal: Mutex::new(None),
            is_lenient: AtomicBool::new(false),
        })
    }

    /// Returns what says when operations are to end.
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Returns how many bytes of memory SQLite has.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns how many bytes the log of a database may have.
    pub(crate) fn max_log(&self) -> u64 {
        self.max_log
    }

    /// Takes memory, if there may be so much.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let is_covered = used <= self.covered.load(Ordering::Relaxed);
        if is_covered && used <= self.max_memory && bytes < LARGE {
            return true;
        }
        let refusal = if bytes >= LARGE && self.control.must_end() {
            Refusal::Late
        } else if used > self.max_memory {
            Refusal::Full
        } else if let Err(exceeded) = self.cover(used) {
            Refusal::Exceeded(exceeded)
        } else {
            return true;
        };
        if self.is_lenient.load(Ordering::Relaxed) {
            return true;
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        *self.refusal.lock() = Some(refusal);
        false
    }

    /// Gives memory back.
    pub(crate) fn give(&self, bytes: u64) {
        let used = self.used.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        let covered = self.covered.load(Ordering::Relaxed);
        if (CONNECTION_BYTES + 1..u64::MAX).contains(&covered) && covered > used + SLACK {
            // To charge less is never refused.
            self.cover(used).ok();
        }
    }

    fn cover(&self, used: u64) -> Result<(), Exceeded> {
        let mut charge = self.charge.lock();
        let Some(charge) = &mut *charge else {
            return Ok(());
        };
        let beyond = used.saturating_sub(CONNECTION_BYTES);
        charge.set(beyond.next_multiple_of(STEP))?;
        let covered = CONNECTION_BYTES + charge.amount();
        self.covered.store(covered, Ordering::Relaxed);
        Ok(())
    }

    /// Charges nothing any more: the connection is closed, and what SQLite still has is shared
    /// with others.
    pub(crate) fn end(&self) {
        let charge = self.charge.lock().take();
        self.covered.store(u64::MAX, Ordering::Relaxed);
        drop(charge);
    }

    /// Says which limit an operation has met, if that is why it failed.
    pub(crate) fn explain(&self, error: SqliteError) -> SqliteError {
        if error.result_code() != SqliteError::NO_MEMORY {
            return self.control.explain(error);
        }
        match self.refusal.lock().take() {
            Some(Refusal::Late) => self.control.explain(SqliteError::interrupted()),
            Some(Refusal::Full) => {
                let limit = self.max_memory;
                let message = format!("the limit of {limit} bytes for a connection is reached");
                SqliteError::new(error.code, message)
            }
            Some(Refusal::Exceeded(exceeded)) => SqliteError::new(error.code, exceeded.to_string()),
            None => error,
        }
    }
}

/// Has all that SQLite takes while a future is polled counted.
pub(crate) async fn within<F: Future>(quota: Arc<Quota>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _entered = Entered(CURRENT.replace(Some(quota.clone())));
        future.as_mut().poll(context)
    })
    .await
}

/// Returns what SQLite takes from on this thread; `None` if that is not counted.
pub(crate) fn current() -> Option<Arc<Quota>> {
    let clone = |current: &RefCell<Option<Arc<Quota>>>| current.borrow().clone();
    CURRENT.try_with(clone).ok().flatten()
}

/// Refuses SQLite no memory while values are read that it has. It may have to convert one for
/// that, and `rusqlite` has a panic if it cannot. Each is bounded by the limit of its length.
pub(crate) fn leniently<R>(read: impl FnOnce() -> R) -> R {
    let quota = current();
    let _lenient = quota.as_deref().map(Lenient::new);
    read()
}

/// What was current before.
struct Entered(Option<Arc<Quota>>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(mem::take(&mut self.0));
    }
}

struct Lenient<'q>(&'q Quota);

impl Lenient<'_> {
    fn new(quota: &Quota) -> Lenient<'_> {
        quota.is_lenient.store(true, Ordering::Relaxed);
        Lenient(quota)
    }
}

impl Drop for Lenient<'_> {
    fn drop(&mut self) {
        self.0.is_lenient.store(false, Ordering::Relaxed);
    }
}
