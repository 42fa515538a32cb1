//! The versions of modules.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use lunatic_mailbox::Pid;
use lunatic_process::Process;
use parking_lot::Mutex;

use crate::error::ReloadError;
use crate::member::Member;
use crate::named::Named;
use crate::report::{ReloadOptions, Report};
use crate::version::{NamedVersions, Version};

/// The current version of each module that has a name, the old ones that something may still use,
/// and the processes that offer to move between them. All clones are the same.
pub struct Versions<M> {
    shared: Arc<Mutex<Modules<M>>>,
}

/// The modules that have a name, by that.
type Modules<M> = HashMap<Arc<str>, Arc<Named<M>>>;

/// What a reload would do.
#[derive(Debug, Clone)]
pub struct ReloadPlan<M> {
    /// The versions that it would drop: those before the current one, but for the new one.
    pub dropped: Vec<Version<M>>,
    /// The processes that would move, in the order of their ids; not those that run a version
    /// that is dropped.
    pub movable: Vec<Pid>,
}

impl<M: Clone + Send + Sync + 'static> Versions<M> {
    /// Returns a table without modules.
    pub fn new() -> Versions<M> {
        Versions {
            shared: Arc::default(),
        }
    }

    /// Adds a module, if there is none of this name. Returns the version of this name
    /// that has the same hash, or `None` if there is another module of this name.
    pub fn register(&self, name: &Arc<str>, version: Version<M>) -> Option<Version<M>> {
        let mut modules = self.shared.lock();
        let Some(named) = modules.get(name) else {
            let named = Named::new(name.clone(), version.clone());
            modules.insert(name.clone(), Arc::new(named));
            return Some(version);
        };
        let state = named.state.lock();
        state.find(&version.hash).cloned()
    }

    /// The current version of a module.
    pub fn current(&self, name: &str) -> Option<Version<M>> {
        let named = self.shared.lock().get(name).cloned()?;
        let state = named.state.lock();
        Some(state.current.clone())
    }

    /// The version of a module that has a hash, if it is the current one or an old one.
    ///
    /// # Errors
    ///
    /// [`ReloadError::UnknownName`].
    pub fn find(&self, name: &str, hash: &[u8; 32]) -> Result<Option<Version<M>>, ReloadError> {
        let named = self.named(name)?;
        let state = named.state.lock();
        Ok(state.find(hash).cloned())
    }

    /// The version of any module that has a hash, if it is a current one or an old one; of
    /// several that of the module whose name is the first.
    pub fn by_hash(&self, hash: &[u8; 32]) -> Option<Version<M>> {
        let modules: Vec<_> = self.shared.lock().values().cloned().collect();
        let found = modules.iter().filter_map(|named| {
            let state = named.state.lock();
            let version = state.find(hash).cloned();
            version.map(|version| (&named.name, version))
        });
        let first = found.min_by(|(a, _), (b, _)| a.cmp(b));
        first.map(|(_, version)| version)
    }

    /// The hashes of the versions before the current one of a module, the latest first.
    pub fn old(&self, name: &str) -> Vec<[u8; 32]> {
        let Ok(named) = self.named(name) else {
            return Vec::new();
        };
        let state = named.state.lock();
        state.old.iter().map(|old| old.hash).collect()
    }

    /// The processes of all versions of a module that offer themselves.
    pub fn offering(&self, name: &str) -> HashSet<Pid> {
        self.those(name, Member::offers)
    }

    /// The processes of a module that offer themselves, and those that have moved to a version
    /// of it and may not have offered themselves again yet.
    ///
    /// - `hash`: of the version.
    pub fn taking_part(&self, name: &str, hash: &[u8; 32]) -> HashSet<Pid> {
        self.those(name, |member| {
            let own = member.state.lock();
            own.offer.is_some() || own.runs == *hash
        })
    }

    /// Those processes of a module that have offered themselves once and are like this.
    fn those(&self, name: &str, are: impl Fn(&Member<M>) -> bool) -> HashSet<Pid> {
        let mut those = HashSet::new();
        let Ok(named) = self.named(name) else {
            return those;
        };
        let mut last = None;
        loop {
            let piece = named.state.lock().piece(last);
            let Some(member) = piece.last() else {
                return those;
            };
            last = Some(member.process.id());
            let piece = piece.iter().filter(|member| are(member));
            those.extend(piece.map(|member| member.process.id()));
        }
    }

    /// All modules, in the order of their names.
    pub fn list(&self) -> Vec<NamedVersions<M>> {
        let modules: Vec<_> = self.shared.lock().values().cloned().collect();
        let mut list: Vec<_> = modules.iter().map(|named| named.describe()).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }

    /// Forgets an old version of a module, unless a reload goes on. To be called when nothing uses it any more.
    pub fn forget_old(&self, name: &str, hash: &[u8; 32]) {
        if let Ok(named) = self.named(name) {
            let mut state = named.state.lock();
            let is_it = |old: &Version<M>| old.hash == *hash;
            let forgotten = match state.old.iter().position(is_it) {
                Some(index) if !state.is_reloading => Some(state.old.remove(index)),
                _ => None,
            };
            drop(state);
            // It may be the last handle of a module.
            drop(forgotten);
        }
    }

    /// The process offers itself for the first time.
    ///
    /// - `name`: the module that it runs a version of.
    /// - `runs`: the hash of that version.
    pub fn join(&self, process: &Process, name: &str, runs: [u8; 32]) -> Option<Arc<Member<M>>> {
        let named = self.shared.lock().get(name).cloned()?;
        let member = Arc::new(Member::new(process, Arc::downgrade(&named), runs));
        named
            .state
            .lock()
            .members
            .insert(process.id(), member.clone());
        let pid = process.id();
        let named = Arc::downgrade(&named);
        process.at_exit(move |reason| {
            if let Some(named) = named.upgrade() {
                named.ended(pid, reason);
            }
        });
        Some(member)
    }

    /// Makes another version the current one, and moves the processes that offer
    /// themselves. What has become of them is in the report. If the version is the current one
    /// already, those are asked again that have declined to move to it or failed, and nothing goes
    /// back.
    ///
    /// The future may be dropped only if the runtime ends: until it is ready, no other
    /// reload of the module can begin.
    ///
    /// - `version`: if it is an old one, all go back to it.
    /// - `left_out`: the hashes of versions whose processes do not move, as they are to be ended
    ///   when the others have moved.
    ///
    /// # Errors
    ///
    /// [`ReloadError`]; nothing has changed then.
    pub async fn reload(
        &self,
        name: &str,
        version: Version<M>,
        options: ReloadOptions,
        left_out: &[[u8; 32]],
    ) -> Result<Report, ReloadError> {
        let named = self.named(name)?;
        let report = named.begin(&version)?;
        let report = named.move_all(report, &version, options, left_out).await;
        named.end();
        report
    }

    /// What a reload would do; to be asked before processes are ended for it.
    ///
    /// # Errors
    ///
    /// What the reload would fail with when nobody runs the version any more that it would
    /// drop.
    pub async fn plan(&self, name: &str, new: &Version<M>) -> Result<ReloadPlan<M>, ReloadError> {
        let named = self.named(name)?;
        let dropped = {
            let state = named.state.lock();
            if state.is_reloading {
                return Err(ReloadError::InProgress(named.name.to_string()));
            }
            if state.current.hash == new.hash {
                return Ok(ReloadPlan {
                    dropped: Vec::new(),
                    movable: Vec::new(),
                });
            }
            let dropped = state.old.iter().filter(|old| old.hash != new.hash);
            dropped.cloned().collect::<Vec<_>>()
        };
        let ended: Vec<_> = dropped.iter().map(|dropped| dropped.hash).collect();
        let movable = named.movable(new, &ended).await?;
        Ok(ReloadPlan {
            dropped,
            movable: movable.into_iter().map(|(pid, _)| pid).collect(),
        })
    }

    /// Keeps a version as the oldest one of a module, if it has it no more and no reload goes on:
    /// a reload that has dropped it has come to nothing, and processes still run it.
    pub fn keep_old(&self, name: &str, version: Version<M>) {
        if let Ok(named) = self.named(name) {
            let mut state = named.state.lock();
            if state.find(&version.hash).is_none() && !state.is_reloading {
                state.old.push(version);
            }
        }
    }

    fn named(&self, name: &str) -> Result<Arc<Named<M>>, ReloadError> {
        let modules = self.shared.lock();
        modules.get(name).cloned().ok_or_else(|| {
            let mut known: Vec<_> = modules.keys().map(|name| name.to_string()).collect();
            known.sort();
            ReloadError::UnknownName {
                name: name.to_owned(),
                known,
            }
        })
    }
}

impl<M> Clone for Versions<M> {
    fn clone(&self) -> Versions<M> {
        Versions {
            shared: self.shared.clone(),
        }
    }
}

impl<M: Clone + Send + Sync + 'static> Default for Versions<M> {
    fn default() -> Versions<M> {
        Versions::new()
    }
}

impl<M> fmt::Debug for Versions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Versions")
    }
}
