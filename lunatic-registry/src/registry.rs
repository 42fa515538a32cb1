//! A table of names that is shared and follows the life of processes.

use std::sync::Arc;

use lunatic_mailbox::Pid;
use lunatic_process::Process;
use parking_lot::Mutex;

use crate::names::{NameError, NameTable, NamesOfOne};

/// Names for processes. All clones are the same registry.
///
/// # Examples
///
/// ```
/// use lunatic_process::{Environment, SpawnOptions};
/// use lunatic_registry::Registry;
///
/// # let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
/// let environment = Environment::new(1, scheduler);
/// let process = environment.spawn(SpawnOptions::default(), |_| std::future::pending())?;
///
/// let registry = Registry::new();
/// registry.put_local("logger", &process)?;
/// assert_eq!(registry.get("logger"), Some(process.id()));
///
/// process.kill();
/// futures_lite::future::block_on(process.wait());
/// assert_eq!(registry.get("logger"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry {
    names: Arc<Mutex<NameTable>>,
}

impl Registry {
    /// Returns an empty registry.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Gives a name to a process of this node, and takes it from the process that had
    /// it. The name is removed when the process ends.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put_local(&self, name: &str, process: &Process) -> Result<(), NameError> {
        let put = self.names.lock().put(name, process.id(), process.account());
        let is_new = put?;
        self.follow(name, process, is_new);
        Ok(())
    }

    /// Gives a name to a process of another node, and takes it from the process that
    /// had it. The name stays until it is removed or, if it is given by a process of a
    /// branch with limits of its own, until that process ends.
    ///
    /// - `giver`: the process that gives the name, to whose account it is charged; a name of a
    ///   process of this node is charged to that of the process.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn put_remote(&self, name: &str, process: Pid, giver: &Process) -> Result<(), NameError> {
        let payer = giver.account();
        if !payer.is_branch() {
            return self.names.lock().put_unfollowed(name, process, payer);
        }
        let put = self
            .names
            .lock()
            .put_given(name, process, giver.id(), payer);
        let is_new = put?;
        self.forget_at_end(giver, is_new);
        Ok(())
    }

    /// Returns the process that has this name.
    pub fn get(&self, name: &str) -> Option<Pid> {
        self.names.lock().get(name)
    }

    /// Returns names of a process, but no more than `max`, in no order.
    pub fn names_of(&self, process: Pid, max: usize) -> Vec<Arc<str>> {
        let names = self.names.lock();
        names.names_of(process).take(max).cloned().collect()
    }

    /// Removes a name, if it is there.
    pub fn remove(&self, name: &str) {
        self.names.lock().remove(name);
    }

    /// Returns the process that has this name, if `is_alive` says that it has not
    /// ended. Otherwise calls `spawn`, gives the name to the process that it returns,
    /// and returns `None`.
    ///
    /// The registry is locked during the call, so no other process can get the name. `spawn` and
    /// `is_alive` must not use the registry, and must not block.
    ///
    /// # Errors
    ///
    /// Fails if `spawn` fails, or the name cannot be registered; then the new process
    /// is killed.
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
            .put(name, process.id(), process.account())
            .inspect_err(|_| process.kill())?;
        drop(names);
        self.follow(name, &process, is_new);
        Ok(None)
    }

    /// Labels a process with a name and, if it is new here, has its names removed when
    /// it ends. The lock must not be held: if the process has ended already, they are
    /// removed at once.
    fn follow(&self, name: &str, process: &Process, is_new: bool) {
        process.set_label(short(name));
        self.forget_at_end(process, is_new);
    }

    fn forget_at_end(&self, process: &Process, is_new: bool) {
        if is_new {
            let names = Arc::downgrade(&self.names);
            let id = process.id();
            let mut rest = None;
            process.at_exit_in_pieces(move |_| {
                let names = names.upgrade();
                names.is_some_and(|names| forget_some(&names, id, &mut rest))
            });
        }
    }
}

/// Removes some of the names of a process that has ended, and returns whether it has more.
///
/// - `rest`: what is left; `None` before the first call.
fn forget_some(names: &Mutex<NameTable>, process: Pid, rest: &mut Option<NamesOfOne>) -> bool {
    const BATCH: usize = 256;
    let mut names = names.lock();
    let rest = rest.get_or_insert_with(|| names.forget_process(process));
    names.remove_names_of(process, rest.take(BATCH)) == BATCH
}

/// The part of a name that its user chose: the `lunatic` crate puts three types
/// before it (ABI §7).
fn short(name: &str) -> &str {
    name.splitn(4, '/').nth(3).unwrap_or(name)
}
