//! The scopes by name.

use std::sync::Arc;

use lunatic_process::Environment;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::group_table::{GroupError, check_name};
use crate::scope::Scope;

/// The highest number of scopes.
pub const MAX_SCOPES: usize = 1 << 10;

/// Groups of the processes of an environment; clone it freely, all clones are
/// the same groups.
#[derive(Debug, Clone)]
pub struct Groups {
    environment: Environment,
    scopes: Arc<RwLock<FxHashMap<Box<str>, Scope>>>,
}

impl Groups {
    /// No groups.
    pub fn new(environment: &Environment) -> Groups {
        Groups {
            environment: environment.clone(),
            scopes: Arc::default(),
        }
    }

    /// The scope of this name, which from now on exists; the default one has the
    /// empty name.
    ///
    /// # Errors
    ///
    /// [`GroupError::NameTooLong`] and [`GroupError::TooManyScopes`].
    pub fn scope(&self, name: &str) -> Result<Scope, GroupError> {
        if let Some(scope) = self.existing_scope(name) {
            return Ok(scope);
        }
        check_name(name)?;
        let mut scopes = self.scopes.write();
        if scopes.len() >= MAX_SCOPES && !scopes.contains_key(name) {
            return Err(GroupError::TooManyScopes);
        }
        let scope = scopes
            .entry(name.into())
            .or_insert_with(|| Scope::new(self.environment.clone()));
        Ok(scope.clone())
    }

    /// The scope of this name, if it exists.
    pub fn existing_scope(&self, name: &str) -> Option<Scope> {
        self.scopes.read().get(name).cloned()
    }
}
