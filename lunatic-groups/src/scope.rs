//! A table of groups that is shared and follows the life of processes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::iter::{from_fn, repeat_n, repeat_with};
use std::sync::{Arc, OnceLock};

use futures_lite::future;
use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_mailbox::{DataMessage, Message, Pid, SendError, Tag};
use lunatic_process::{Environment, Process};
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

use crate::group_table::{
    GroupError, GroupTable, Leaving, NotJoined, Notice, PresentationEnd, Presented,
};
use crate::groups::Observer;
use crate::members::Member;
use crate::notification_queue::{NotificationQueue, Paid};

/// A set of groups, which is independent of the groups in other scopes. All clones
/// are the same scope.
///
/// # Examples
///
/// ```
/// use futures_lite::future::block_on;
/// use lunatic_groups::{Change, GroupEvent, Groups};
/// use lunatic_mailbox::{Message, Wanted};
/// use lunatic_process::{Environment, SpawnOptions};
///
/// # let scheduler = lunatic_scheduler::Scheduler::builder().start()?;
/// let environment = Environment::new(1, scheduler);
/// let worker = environment.spawn(SpawnOptions::default(), |_| std::future::pending())?;
/// let watcher = environment.spawn(SpawnOptions::default(), |mut own| async move {
///     for expected in [Change::Present, Change::Joined, Change::Left] {
///         let Message::Data(message) = own.mailbox.receive(Wanted::Any).await else {
///             continue;
///         };
///         let event = GroupEvent::from_bytes(message.bytes());
///         assert_eq!(event.map(|event| event.change), Some(expected));
///     }
///     Ok(())
/// })?;
///
/// let scope = Groups::new(&environment).scope("shop")?;
/// block_on(scope.monitor("workers", &watcher, None))?;
/// scope.join("workers", &worker)?;
/// worker.kill();
/// assert!(block_on(watcher.wait()).is_normal());
/// assert!(scope.members("workers").is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Scope {
    inner: Arc<Inner>,
}

/// The highest number of members, or of names of groups, that are read or changed under one lock.
pub(crate) const BATCH: usize = 256;

/// About as many members are collected under one lock for the first message of a monitor.
const COLLECTED_AT_ONCE: usize = 2048;

/// Why a message was not sent to a member of a group.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotDispatched {
    /// The group has no members. This is the message.
    Nobody(Message),
    /// The account of the sender has no memory left.
    Exceeded(Exceeded),
}

struct Inner {
    name: Box<str>,
    environment: Environment,
    observer: Arc<OnceLock<Box<Observer>>>,
    table: RwLock<GroupTable>,
    /// What monitors are to be told after their first message, by their ids. It is only locked
    /// while the table is.
    waiting: Mutex<BTreeMap<u64, VecDeque<Paid>>>,
    notifications: Arc<NotificationQueue>,
    _charge: Charge,
}

impl Scope {
    pub(crate) fn new(
        name: &str,
        environment: Environment,
        observer: Arc<OnceLock<Box<Observer>>>,
        charge: Charge,
    ) -> Scope {
        Scope {
            inner: Arc::new(Inner {
                name: name.into(),
                environment,
                table: RwLock::new(match observer.get() {
                    Some(_) => GroupTable::with_journal(),
                    None => GroupTable::new(),
                }),
                observer,
                waiting: Mutex::default(),
                notifications: Arc::default(),
                _charge: charge,
            }),
        }
    }

    /// Returns whether the caller has the only reference, and the scope has no groups, members or
    /// monitors.
    pub(crate) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.inner) == 1 && self.inner.table.read().is_unused()
    }

    /// Adds a membership of a process in a group, which lasts until the process leaves
    /// or ends. A process that joins several times has to leave as often. The messages to
    /// monitors are charged to it until they are received.
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn join(&self, group: &str, process: &Process) -> Result<(), GroupError> {
        if !process.is_alive() {
            return Err(GroupError::NoProcess);
        }
        let member = process.id();
        let account = process.account();
        let is_new = self.inner.change_paid(|table| {
            let notices = pay(table.join_notice_bytes(group), account)?;
            let is_new = table.join(group, member)?;
            if let Err(refused) = table.charge(member, account) {
                match is_new {
                    true => table.forget(member),
                    false => drop(table.leave(group, member)),
                }
                // The refused change needs no messages. There are no others under the lock.
                table.take_notices();
                return Err(refused);
            }
            Ok((is_new, notices))
        })?;
        self.follow(process, is_new);
        Ok(())
    }

    /// Removes one membership of a process in a group. The messages to monitors are charged to the
    /// process, or to the monitors if it has no memory left; a monitor that has none either
    /// [ends](Process::end_for_lost_message).
    ///
    /// # Errors
    ///
    /// [`NotJoined`] if it is not in the group.
    pub fn leave(&self, group: &str, process: &Process) -> Result<(), NotJoined> {
        let member = process.id();
        let account = process.account();
        self.inner
            .change(Some(account), |table| table.leave(group, member))
    }

    /// Adds a membership of a process of another node, which lasts until
    /// [`leave_remote`](Scope::leave_remote). It is not charged, and the messages to monitors are
    /// charged to the monitors.
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn join_remote(&self, group: &str, member: Pid) -> Result<(), GroupError> {
        let joined = self.inner.change(None, |table| table.join(group, member));
        joined.map(|_| ())
    }

    /// Removes one membership of a process of another node.
    pub fn leave_remote(&self, group: &str, member: Pid) {
        self.inner.change(None, |table| {
            // The other node may have reported more memberships than there was room for.
            table.leave(group, member).ok();
            table.forget_unused(member);
        });
    }

    /// Returns the members of a group, each as often as it joined, in any order.
    pub fn members(&self, group: &str) -> Vec<Pid> {
        let members = self.members_in_pieces(group, BATCH).flatten();
        let each = members.map(|member| repeat_n(member.process, member.times as usize));
        each.flatten().collect()
    }

    /// Returns the members of a group in pieces, between which others can use the table. Processes
    /// that join during that time are not included.
    ///
    /// - `size`: the highest number of processes in a piece.
    pub(crate) fn members_in_pieces<'a>(
        &'a self,
        group: &'a str,
        size: usize,
    ) -> impl Iterator<Item = Vec<Member>> + 'a {
        let (mut next, mut end) = (0, None);
        from_fn(move || {
            let table = self.inner.table.read();
            let members = table.members(group)?;
            let end = *end.get_or_insert_with(|| members.end());
            let rest = members.from(next);
            let rest = rest.take_while(|member| member.number < end);
            let piece: Vec<_> = rest.take(size).collect();
            next = piece.last()?.number + 1;
            Some(piece)
        })
    }

    /// Returns the members of a group that run on this node, each as often as it
    /// joined, in any order.
    pub fn local_members(&self, group: &str) -> Vec<Pid> {
        let mut members = self.members(group);
        members.retain(|member| self.inner.environment.is_local(*member));
        members
    }

    /// Returns the names of the groups that have members, in any order.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.groups_in_pieces().flatten().collect()
    }

    /// Returns the names of the groups that have members in pieces, between which others can use
    /// the table.
    pub(crate) fn groups_in_pieces(&self) -> impl Iterator<Item = Vec<Arc<str>>> {
        let mut last: Option<Arc<str>> = None;
        from_fn(move || {
            let table = self.inner.table.read();
            let piece: Vec<_> = match &last {
                Some(last) => table.groups_after(last).take(BATCH).cloned().collect(),
                None => table.groups().take(BATCH).cloned().collect(),
            };
            last = Some(piece.last()?.clone());
            Some(piece)
        })
    }

    /// Returns the names of groups that a process is in, but no more than `max`, in any
    /// order.
    pub fn groups_of(&self, process: Pid, max: usize) -> Vec<Arc<str>> {
        let table = self.inner.table.read();
        table.groups_of(process).take(max).cloned().collect()
    }

    /// Returns another member of a group with each call; see [`Members::next`].
    ///
    /// [`Members::next`]: crate::Members::next
    pub fn next_member(&self, group: &str) -> Option<Pid> {
        self.inner.table.read().members(group)?.next()
    }

    /// Sends a message to the [next member](Scope::next_member) of a group that the sender may
    /// send to, and returns that member. If the mailbox of the member is full, the message is lost.
    ///
    /// - `from`: the sender, to whose account the message is charged until it is received; `None`
    ///   if it is sent by the host. A sender that may only send within its branch finds no member
    ///   if none of the next 1024 members is in the branch.
    ///
    /// # Errors
    ///
    /// [`NotDispatched`].
    pub fn dispatch(
        &self,
        from: Option<&Process>,
        group: &str,
        message: Message,
    ) -> Result<Pid, NotDispatched> {
        const MOST_TRIED: usize = 1024;
        let tried = match from {
            Some(from) if !from.sends_anywhere() => {
                let table = self.inner.table.read();
                let members = table.members(group);
                members.map_or(0, |members| members.distinct().len())
            }
            _ => 1,
        };
        let tried = tried.min(MOST_TRIED);
        let mut next = repeat_with(|| self.next_member(group))
            .take(tried)
            .map_while(|next| next);
        let Some(member) = next.find(|member| may_send(from, *member)) else {
            return Err(NotDispatched::Nobody(message));
        };
        match self.inner.environment.send(from, member, message) {
            Err(SendError::Refused(exceeded)) => Err(NotDispatched::Exceeded(exceeded)),
            _ => Ok(member),
        }
    }

    /// Sends a message with this tag and these bytes to each process in a group that the sender may
    /// send to, once however often it joined. Returns the number of processes. Messages to full
    /// mailboxes are lost.
    ///
    /// - `from`: the sender, to whose account the messages are charged until they are
    ///   received; `None` if they are sent by the host.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account has no memory left for another message. Messages that were sent
    /// before are not taken back.
    pub async fn broadcast(
        &self,
        from: Option<&Process>,
        group: &str,
        tag: Option<Tag>,
        bytes: &[u8],
    ) -> Result<usize, Exceeded> {
        /// After so many bytes of messages, other tasks may run on this core.
        const SLICE_BYTES: usize = 1 << 18;
        let slice = (SLICE_BYTES / bytes.len().max(1)).clamp(1, BATCH);
        let mut count = 0;
        for slice in self.members_in_pieces(group, slice) {
            for member in &slice {
                if !may_send(from, member.process) {
                    continue;
                }
                let copy = DataMessage::new(tag, bytes);
                let sent = self
                    .inner
                    .environment
                    .send(from, member.process, copy.into());
                if let Err(SendError::Refused(exceeded)) = sent {
                    return Err(exceeded);
                }
                count += 1;
            }
            future::yield_now().await;
        }
        Ok(count)
    }

    /// Adds a monitor: the process gets the members of a group, and then each process that joins or
    /// leaves it, as a [`GroupEvent`](crate::GroupEvent) in a data message. Returns the id of the
    /// monitor.
    ///
    /// Many members are collected in pieces, between which others can use the groups. Who joins or
    /// leaves meanwhile may be told of after the members, or be among them, or not.
    ///
    /// - `tag`: the tag of the messages.
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub async fn monitor(
        &self,
        group: &str,
        watcher: &Process,
        tag: Option<Tag>,
    ) -> Result<u64, GroupError> {
        let (member, account) = (watcher.id(), watcher.account());
        let mut members = Vec::new();
        let (monitor, is_new, rest) = self.inner.change_paid(|table| {
            let charge = pay(table.monitor_notice_bytes(group), account)?;
            let (monitor, is_new) = table.begin_monitor(group, member, tag)?;
            pay_for_monitor(table, account, member, (monitor, is_new))?;
            let has_more = table.collect_some(monitor, &mut members, COLLECTED_AT_ONCE);
            if has_more {
                return Ok((
                    (monitor, is_new, Some(charge)),
                    Charge::empty(account, Kind::Memory),
                ));
            }
            table.present(monitor, members.drain(..).collect());
            Ok(((monitor, is_new, None), charge))
        })?;
        self.follow(watcher, is_new);
        if let Some(mut charge) = rest {
            let beginning = Beginning::new(self, watcher, monitor);
            let presented = self.inner.present_members(monitor, members, &mut charge);
            presented.await?;
            beginning.complete();
        }
        Ok(monitor)
    }

    /// Like [`monitor`](Scope::monitor), for all groups that the scope has or will have.
    /// There is a first message for each group that has members. They are made in pieces, between
    /// which others can use the groups: what happens to a group meanwhile is told by its first
    /// message, or after that.
    ///
    /// # Errors
    ///
    /// [`GroupError`]. If groups have grown meanwhile and the account cannot pay for that, some of
    /// the messages may have been sent.
    pub async fn monitor_scope(
        &self,
        watcher: &Process,
        tag: Option<Tag>,
    ) -> Result<u64, GroupError> {
        let (member, account) = (watcher.id(), watcher.account());
        let all = self.inner.table.read().monitor_scope_notice_bytes();
        let mut charge = pay(all, account)?;
        let (monitor, is_new) = self.inner.change_paid(|table| {
            let begun = table.monitor_scope(member, tag)?;
            pay_for_monitor(table, account, member, begun)?;
            Ok((begun, Charge::empty(account, Kind::Memory)))
        })?;
        self.follow(watcher, is_new);
        let beginning = Beginning::new(self, watcher, monitor);
        loop {
            match self.inner.present_some(monitor, &mut charge)? {
                Presented::All => break,
                Presented::Some => future::yield_now().await,
                Presented::ManyMembersNext => {
                    let members = Vec::new();
                    let presented = self.inner.present_members(monitor, members, &mut charge);
                    presented.await?;
                }
            }
        }
        beginning.complete();
        Ok(monitor)
    }

    /// Removes a monitor of a process. Returns whether there was one with this id. The
    /// messages that were sent before stay in the mailbox of the process.
    pub fn stop_monitoring(&self, watcher: &Process, monitor: u64) -> bool {
        let member = watcher.id();
        self.inner
            .change(None, |table| table.stop_monitoring(member, monitor))
    }

    /// Locks the table for reading.
    #[cfg(feature = "guest")]
    pub(crate) fn table(&self) -> parking_lot::RwLockReadGuard<'_, GroupTable> {
        self.inner.table.read()
    }

    /// Makes sure that a process that is new in the table is removed from it when it ends. The lock
    /// must not be held: if the process has ended already, it is removed at once.
    fn follow(&self, process: &Process, is_new: bool) {
        if is_new {
            let scope = Arc::downgrade(&self.inner);
            let member = process.id();
            let account = process.account().clone();
            let mut leaving = None;
            process.at_exit_in_pieces(move |_| {
                let scope = scope.upgrade();
                scope.is_some_and(|scope| scope.forget_some(member, &mut leaving, &account))
            });
        }
    }
}

/// A monitor that has not got all of its first messages. It is removed when this is dropped before
/// it has.
struct Beginning<'a> {
    scope: &'a Scope,
    watcher: &'a Process,
    monitor: u64,
    is_complete: bool,
}

impl<'a> Beginning<'a> {
    fn new(scope: &'a Scope, watcher: &'a Process, monitor: u64) -> Beginning<'a> {
        Beginning {
            scope,
            watcher,
            monitor,
            is_complete: false,
        }
    }

    fn complete(mut self) {
        self.is_complete = true;
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.scope.stop_monitoring(self.watcher, self.monitor);
        }
    }
}

/// Whether a sender may send to a process; the host may.
fn may_send(from: Option<&Process>, to: Pid) -> bool {
    from.is_none_or(|from| from.may_send_to(to))
}

impl Inner {
    /// Removes some of the memberships and monitors of a process that has ended. Returns
    /// whether there are more.
    ///
    /// - `leaving`: what is left; `None` before the first call.
    /// - `payer`: its account.
    fn forget_some(&self, member: Pid, leaving: &mut Option<Leaving>, payer: &Account) -> bool {
        self.change(Some(payer), |table| {
            let leaving = leaving.get_or_insert_with(|| table.forget_process(member));
            table.leave_some(leaving, BATCH)
        })
    }

    /// Sends some of the first messages of a monitor of the scope. Returns whether there are more.
    ///
    /// - `charge`: what was charged for them, which grows if they take more by now.
    fn present_some(&self, monitor: u64, charge: &mut Charge) -> Result<Presented, GroupError> {
        self.change_paid(|table| {
            let presented = table.present_some(monitor, BATCH);
            let bytes = table.notice_bytes();
            if let Err(refused) = cover(charge, bytes) {
                // There are no others under the lock.
                table.take_notices();
                return Err(refused);
            }
            Ok((presented, charge.split(bytes)))
        })
    }

    /// Tells a monitor of the members of a group that it is being told of.
    ///
    /// - `members`: those that are collected already.
    /// - `charge`: as for [`present_some`](Inner::present_some).
    async fn present_members(
        &self,
        monitor: u64,
        mut members: Vec<Pid>,
        charge: &mut Charge,
    ) -> Result<(), GroupError> {
        loop {
            future::yield_now().await;
            let has_more =
                self.table
                    .write()
                    .collect_some(monitor, &mut members, COLLECTED_AT_ONCE);
            cover(charge, Notice::largest_size(members.len()))?;
            if !has_more {
                break;
            }
        }
        // Copied without the lock.
        let members: Arc<[Pid]> = members.into();
        self.change_paid(|table| {
            table.present(monitor, members);
            Ok(((), charge.split(table.notice_bytes())))
        })
    }

    /// Changes the table, and sends the resulting messages to monitors.
    ///
    /// - `change`: returns the charge for these messages.
    fn change_paid<R>(
        &self,
        change: impl FnOnce(&mut GroupTable) -> Result<(R, Charge), GroupError>,
    ) -> Result<R, GroupError> {
        let mut table = self.table.write();
        let (result, charge) = change(&mut table)?;
        let notices = table.take_notices();
        self.tell(table, shared(notices, charge));
        Ok(result)
    }

    /// Changes the table, and sends the resulting messages to monitors, in a change that cannot
    /// be refused.
    ///
    /// - `payer`: the account of the process that causes the messages. They are charged to it until
    ///   they are received, if it has enough memory for all; otherwise they are charged to the
    ///   monitors.
    fn change<R>(&self, payer: Option<&Account>, change: impl FnOnce(&mut GroupTable) -> R) -> R {
        let mut table = self.table.write();
        let result = change(&mut table);
        let notices = table.take_notices();
        let bytes = notices.iter().map(Notice::size).sum();
        match payer.and_then(|payer| Charge::new(payer, Kind::Memory, bytes).ok()) {
            Some(charge) => self.tell(table, shared(notices, charge)),
            None => {
                let mut ending = Vec::new();
                let charged = notices.into_iter();
                let charged =
                    charged.filter_map(|notice| self.paid_by_watcher(notice, &mut ending));
                self.tell(table, charged);
                for (watcher, refused) in ending {
                    watcher.end_for_lost_message(&refused);
                }
            }
        }
        result
    }

    /// Charges a notice to the monitor. If that is refused, the monitor must end.
    fn paid_by_watcher(
        &self,
        notice: Notice,
        ending: &mut Vec<(Process, Exceeded)>,
    ) -> Option<Paid> {
        let watcher = self.environment.process(notice.watcher)?;
        match Charge::new(watcher.account(), Kind::Memory, notice.size()) {
            Ok(charge) => Some(Paid::new(notice, charge)),
            Err(refused) => {
                ending.push((watcher, refused));
                None
            }
        }
    }

    /// Tells of what was changed, and unlocks the table.
    fn tell(
        &self,
        mut table: RwLockWriteGuard<'_, GroupTable>,
        notices: impl Iterator<Item = Paid>,
    ) {
        self.observe(&mut table);
        // Under the lock, so that notices are in the order of the changes.
        let given_up = match table.has_presentations() {
            true => self.put_or_let_wait(&mut table, notices),
            false => {
                self.notifications.put(notices);
                Vec::new()
            }
        };
        drop(table);
        drop(given_up);
        self.notifications.send(&self.environment);
    }

    /// Puts notices into the queue that their monitors need not be told anything before, and those
    /// that have waited for that. Returns those that have waited for nothing.
    fn put_or_let_wait(
        &self,
        table: &mut GroupTable,
        notices: impl Iterator<Item = Paid>,
    ) -> Vec<VecDeque<Paid>> {
        let mut waiting = self.waiting.lock();
        self.notifications.put(notices.filter_map(|paid| {
            let notice = paid.notice();
            if !table.has_to_wait(notice) {
                return Some(paid);
            }
            let of_monitor = waiting.entry(notice.event.monitor).or_default();
            of_monitor.push_back(paid);
            None
        }));
        let mut given_up = Vec::new();
        for (monitor, end) in table.take_presentations_over() {
            let Some(notices) = waiting.remove(&monitor) else {
                continue;
            };
            match end {
                PresentationEnd::Complete => self.notifications.put_many(notices),
                PresentationEnd::GivenUp => given_up.push(notices),
            }
        }
        given_up
    }
}

impl Inner {
    /// Tells the observer what has changed for processes of this node, in order.
    fn observe(&self, table: &mut GroupTable) {
        let Some(observer) = self.observer.get() else {
            return;
        };
        for change in table.take_journal() {
            if self.environment.is_local(change.member) {
                observer(
                    &self.name,
                    &change.group,
                    change.member,
                    change.joined,
                    change.times,
                );
            }
        }
    }
}

/// Charges the messages to monitors that follow from a change.
fn pay(bytes: u64, payer: &Account) -> Result<Charge, GroupError> {
    Charge::new(payer, Kind::Memory, bytes).map_err(GroupError::Exceeded)
}

/// Charges more if that is less than these bytes.
fn cover(charge: &mut Charge, bytes: u64) -> Result<(), GroupError> {
    match charge.amount() < bytes {
        true => charge.set(bytes).map_err(GroupError::Exceeded),
        false => Ok(()),
    }
}

/// Charges a monitor, or removes it if that is refused.
fn pay_for_monitor(
    table: &mut GroupTable,
    payer: &Account,
    watcher: Pid,
    (monitor, is_new): (u64, bool),
) -> Result<(), GroupError> {
    table.charge(watcher, payer).inspect_err(|_| {
        table.stop_monitoring(watcher, monitor);
        // Nothing has waited for it yet.
        table.take_presentations_over();
        if is_new {
            table.forget(watcher);
        }
    })
}

/// Divides what is charged for notices among them.
fn shared(notices: Vec<Notice>, mut charge: Charge) -> impl Iterator<Item = Paid> {
    notices.into_iter().map(move |notice| {
        let part = charge.split(notice.size());
        Paid::new(notice, part)
    })
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("groups", &self.inner.table.read().len())
            .finish_non_exhaustive()
    }
}
