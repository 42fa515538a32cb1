//! A table of groups that is shared, and tied to the life of processes.

use std::fmt;
use std::sync::Arc;

use futures_lite::future;
use lunatic_mailbox::{DataMessage, Message, Pid, Tag};
use lunatic_process::{Environment, Process};
use parking_lot::RwLock;

use crate::group_table::{GroupError, GroupTable, NotJoined};
use crate::notification_queue::NotificationQueue;

/// Groups that know nothing of those in other scopes; clone it freely, all
/// clones are one scope.
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Environment,
    table: RwLock<GroupTable>,
    notifications: NotificationQueue,
}

impl Scope {
    pub(crate) fn new(environment: Environment) -> Scope {
        Scope {
            inner: Arc::new(Inner {
                environment,
                table: RwLock::default(),
                notifications: NotificationQueue::default(),
            }),
        }
    }

    /// Takes a process into a group until it leaves or ends. A process can join
    /// several times, and then leaves as often.
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn join(&self, group: &str, process: &Process) -> Result<(), GroupError> {
        if !process.is_alive() {
            return Err(GroupError::NoProcess);
        }
        let member = process.id();
        let is_new = self.inner.change(|table| table.join(group, member))?;
        self.follow(process, is_new);
        Ok(())
    }

    /// Takes one membership of a process away.
    ///
    /// # Errors
    ///
    /// [`NotJoined`].
    pub fn leave(&self, group: &str, process: &Process) -> Result<(), NotJoined> {
        let member = process.id();
        self.inner.change(|table| table.leave(group, member))
    }

    /// Who is in a group, each as often as it joined, in no order.
    pub fn members(&self, group: &str) -> Vec<Pid> {
        let table = self.inner.table.read();
        let members = table.members(group);
        members.map_or_else(Vec::new, |members| members.iter().collect())
    }

    /// The processes of this node that are in a group, each as often as it
    /// joined, in no order.
    pub fn local_members(&self, group: &str) -> Vec<Pid> {
        let mut members = self.members(group);
        members.retain(|member| self.inner.environment.is_local(*member));
        members
    }

    /// The names of the groups that have members, in no order.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.inner.table.read().groups().cloned().collect()
    }

    /// The members of a group one after the other, each once in a round.
    pub fn next_member(&self, group: &str) -> Option<Pid> {
        self.inner.table.read().members(group)?.next()
    }

    /// Sends a message to one member of a group, to another one the next time.
    /// To whom.
    ///
    /// # Errors
    ///
    /// Hands the message back if the group has no members.
    pub fn dispatch(&self, group: &str, message: Message) -> Result<Pid, Message> {
        let Some(member) = self.next_member(group) else {
            return Err(message);
        };
        self.inner.environment.send(member, message);
        Ok(member)
    }

    /// Sends a message of these bytes to each process of a group once. To how
    /// many.
    pub async fn broadcast(&self, group: &str, tag: Option<Tag>, bytes: &[u8]) -> usize {
        /// So many messages are sent before others may run.
        const SLICE: usize = 256;
        let members: Vec<Pid> = {
            let table = self.inner.table.read();
            let members = table.members(group);
            members.map_or_else(Vec::new, |members| members.distinct().collect())
        };
        for slice in members.chunks(SLICE) {
            for member in slice {
                let copy = DataMessage::new(tag, bytes);
                self.inner.environment.send(*member, copy.into());
            }
            future::yield_now().await;
        }
        members.len()
    }

    /// Lets a process be told, by an [`GroupEvent`](crate::GroupEvent), who is in a group,
    /// and then of everyone who joins and leaves it. The id of the monitor.
    ///
    /// - `tag`: of the messages.
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn monitor(
        &self,
        group: &str,
        watcher: &Process,
        tag: Option<Tag>,
    ) -> Result<u64, GroupError> {
        let member = watcher.id();
        let begun = self.inner.change(|table| table.monitor(group, member, tag));
        self.watched(watcher, begun)
    }

    /// As [`monitor`](Scope::monitor), for all groups of the scope, those to
    /// come too. The first messages tell of one group each.
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn monitor_scope(&self, watcher: &Process, tag: Option<Tag>) -> Result<u64, GroupError> {
        let member = watcher.id();
        let begun = self.inner.change(|table| table.monitor_scope(member, tag));
        self.watched(watcher, begun)
    }

    /// Takes a monitor of a process away. What was told before stays in its
    /// mailbox. Whether there was such a monitor.
    pub fn stop_monitoring(&self, watcher: &Process, monitor: u64) -> bool {
        let member = watcher.id();
        self.inner
            .change(|table| table.stop_monitoring(member, monitor))
    }

    /// Looks at the groups.
    #[cfg(feature = "guest")]
    pub(crate) fn table(&self) -> parking_lot::RwLockReadGuard<'_, GroupTable> {
        self.inner.table.read()
    }

    fn watched(
        &self,
        watcher: &Process,
        begun: Result<(u64, bool), GroupError>,
    ) -> Result<u64, GroupError> {
        let (monitor, is_new) = begun?;
        self.follow(watcher, is_new);
        Ok(monitor)
    }

    /// Ties what is known of a process to its life. No lock is held: if the
    /// process has ended, the hook runs here and now.
    fn follow(&self, process: &Process, is_new: bool) {
        if is_new {
            let scope = Arc::downgrade(&self.inner);
            let member = process.id();
            process.at_exit(move |_| {
                if let Some(scope) = scope.upgrade() {
                    scope.change(|table| table.forget(member));
                }
            });
        }
    }
}

impl Inner {
    /// Changes the table, and tells of it whoever has to know.
    fn change<R>(&self, change: impl FnOnce(&mut GroupTable) -> R) -> R {
        let mut table = self.table.write();
        let result = change(&mut table);
        // Under the lock, so that notices are in the order of the changes.
        self.notifications.put(table.take_notices());
        drop(table);
        self.notifications.send(&self.environment);
        result
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("groups", &self.inner.table.read().len())
            .finish_non_exhaustive()
    }
}
