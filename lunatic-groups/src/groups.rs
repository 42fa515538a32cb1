//! The scopes by name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use lunatic_account::{Account, Charge, Kind};
use lunatic_mailbox::Pid;
use lunatic_process::Environment;
use parking_lot::RwLock;

use crate::group_table::{GroupError, check_name};
use crate::scope::Scope;

/// The highest number of scopes. When it is reached, unused scopes are removed.
pub const MAX_SCOPES: usize = 1 << 10;

/// The function that is called with each change; see [`Groups::observe`].
pub(crate) type Observer = dyn Fn(&str, &str, Pid, bool, u32) + Send + Sync;

/// The groups of the processes of an environment, in scopes. All clones are the same
/// groups.
///
/// # Examples
///
/// ```
/// use lunatic_groups::Groups;
/// use lunatic_process::{Environment, SpawnOptions};
///
/// # let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
/// let environment = Environment::new(1, scheduler);
/// let process = environment.spawn(SpawnOptions::default(), |_| std::future::pending())?;
///
/// let groups = Groups::new(&environment);
/// groups.scope("shop")?.join("workers", &process)?;
/// assert_eq!(groups.scope("shop")?.members("workers").len(), 1);
/// assert_eq!(groups.scope("elsewhere")?.members("workers").len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Groups {
    environment: Environment,
    /// With a random seed, as guests choose the names.
    scopes: Arc<RwLock<HashMap<Box<str>, Scope>>>,
    observer: Arc<OnceLock<Box<Observer>>>,
}

impl Groups {
    /// Returns a set of scopes, which is empty.
    pub fn new(environment: &Environment) -> Groups {
        Groups {
            environment: environment.clone(),
            scopes: Arc::default(),
            observer: Arc::default(),
        }
    }

    /// Sets a function that is called when a process of this node joins or leaves a group, with the
    /// scope, the group, the process, whether it joins, and how many times. It is called under the
    /// lock of the scope, in the order of the changes, and must not block. Set it before any process
    /// joins; only the first call has an effect.
    pub fn observe(&self, observer: impl Fn(&str, &str, Pid, bool, u32) + Send + Sync + 'static) {
        self.observer.set(Box::new(observer)).ok();
    }

    /// Returns where the processes live.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the scope of this name, and creates it if it does not exist. The name of
    /// the default scope is empty.
    ///
    /// # Errors
    ///
    /// As [`scope_paid_by`](Groups::scope_paid_by), with the account of the environment.
    pub fn scope(&self, name: &str) -> Result<Scope, GroupError> {
        self.scope_paid_by(name, self.environment.account())
    }

    /// Returns the scope of this name, and creates it if it does not exist.
    ///
    /// - `payer`: to whom a new scope is charged, as long as there are these groups.
    ///
    /// # Errors
    ///
    /// [`GroupError::NameTooLong`], [`GroupError::TooManyScopes`] or [`GroupError::Exceeded`] if
    /// it cannot be created.
    pub fn scope_paid_by(&self, name: &str, payer: &Account) -> Result<Scope, GroupError> {
        /// The bytes of a scope without groups, beside its name.
        const SCOPE_BYTES: u64 = 1024;
        if let Some(scope) = self.existing_scope(name) {
            return Ok(scope);
        }
        check_name(name)?;
        let mut scopes = self.scopes.write();
        if let Some(scope) = scopes.get(name) {
            // Somebody else was faster.
            return Ok(scope.clone());
        }
        if scopes.len() >= MAX_SCOPES {
            // No caller gets one of them while the scopes are locked.
            scopes.retain(|_, scope| !scope.is_unused());
        }
        if scopes.len() >= MAX_SCOPES {
            return Err(GroupError::TooManyScopes);
        }
        let charge = Charge::new(payer, Kind::Memory, SCOPE_BYTES + 2 * name.len() as u64)
            .map_err(GroupError::Exceeded)?;
        let scope = Scope::new(
            name,
            self.environment.clone(),
            self.observer.clone(),
            charge,
        );
        scopes.insert(name.into(), scope.clone());
        Ok(scope)
    }

    /// Returns scopes and groups that a process is in, but no more than `max`, in any order.
    pub fn groups_of(&self, process: Pid, max: usize) -> Vec<(Box<str>, Arc<str>)> {
        let mut found = Vec::new();
        for (name, scope) in &*self.scopes.read() {
            let groups = scope.groups_of(process, max - found.len());
            found.extend(groups.into_iter().map(|group| (name.clone(), group)));
        }
        found
    }

    /// Returns the scope of this name, if it exists.
    pub fn existing_scope(&self, name: &str) -> Option<Scope> {
        self.scopes.read().get(name).cloned()
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("environment", &self.environment)
            .field("scopes", &self.scopes.read().len())
            .finish()
    }
}
