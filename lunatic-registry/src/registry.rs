//! Names that are shared, and tied to the life of processes.

use std::sync::Arc;

use lunatic_mailbox::Pid;
use lunatic_process::Process;
use parking_lot::Mutex;

use crate::names::{NameError, NameTable};

/// Names for processes; clone it freely, all clones are one registry.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    names: Arc<Mutex<NameTable>>,
}

impl Registry {
    /// No names.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Gives a name to a process of this node, taking it from whoever had it,
    /// until the process ends.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put_local(&self, name: &str, process: &Process) -> Result<(), NameError> {
        let is_new = self.names.lock().put(name, process.id())?;
        self.follow(name, process, is_new);
        Ok(())
    }

    /// Gives a name to a process of another node, until it is removed.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put_remote(&self, name: &str, process: Pid) -> Result<(), NameError> {
        self.names.lock().put(name, process).map(|_| ())
    }

    /// Who has this name.
    pub fn get(&self, name: &str) -> Option<Pid> {
        self.names.lock().get(name)
    }

    /// Takes a name away, if it is there.
    pub fn remove(&self, name: &str) {
        self.names.lock().remove(name);
    }

    /// Who has this name, or else who `spawn` makes and gives it to; nobody else
    /// can take it meanwhile. `spawn` must not touch the registry, nor wait.
    ///
    /// # Errors
    ///
    /// What `spawn` fails with; then nothing is registered.
    pub fn get_or_put<E: From<NameError>>(
        &self,
        name: &str,
        is_alive: impl FnOnce(Pid) -> bool,
        spawn: impl FnOnce() -> Result<Process, E>,
    ) -> Result<Option<Pid>, E> {
        let mut names = self.names.lock();
        if let Some(process) = names.get(name).filter(|process| is_alive(*process)) {
            return Ok(Some(process));
        }
        let process = spawn()?;
        let is_new = names
            .put(name, process.id())
            .inspect_err(|_| process.kill())?;
        drop(names);
        self.follow(name, &process, is_new);
        Ok(None)
    }

    /// Ties a name to the life of a process. No lock is held: if the process has
    /// ended, the hook runs here and now.
    fn follow(&self, name: &str, process: &Process, is_new: bool) {
        process.set_label(short(name));
        if is_new {
            let names = Arc::downgrade(&self.names);
            let id = process.id();
            process.at_exit(move |_| {
                if let Some(names) = names.upgrade() {
                    names.lock().forget(id);
                }
            });
        }
    }
}

/// The part of a name that its user chose: guests of the `lunatic` crate put
/// three types before it (ABI §7).
fn short(name: &str) -> &str {
    name.splitn(4, '/').nth(3).unwrap_or(name)
}
