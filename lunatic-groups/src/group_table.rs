//! The groups of a scope and their monitors, without locks or tasks.

use std::collections::{BTreeMap, BTreeSet, btree_map, btree_set};
use std::error::Error;
use std::fmt;
use std::iter::repeat_n;
use std::ops::Bound;
use std::sync::Arc;

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_mailbox::{Pid, Tag};

use crate::event::{Change, GroupEvent, MEMBER_BYTES};
use crate::members::Members;

/// The longest name of a group or a scope, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The highest number of groups in a scope, including groups without members that
/// are monitored.
pub const MAX_GROUPS: usize = 1 << 18;

/// The highest number of memberships of a process in a scope.
pub const MAX_MEMBERSHIPS: u32 = 1 << 16;

/// The highest number of monitors of a process in a scope.
pub const MAX_MONITORS: usize = 1 << 10;

/// The highest number of monitors of a group, and of a scope as a whole.
pub const MAX_WATCHERS: usize = 1 << 16;

/// Why a scope was not found, or why a process could not join or monitor a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// A name is longer than [`MAX_NAME_BYTES`].
    NameTooLong {
        /// The length of the name, in bytes.
        length: usize,
    },
    /// There are [`MAX_SCOPES`](crate::MAX_SCOPES) scopes.
    TooManyScopes,
    /// There are [`MAX_GROUPS`] groups in the scope.
    TooManyGroups,
    /// The process has [`MAX_MEMBERSHIPS`] memberships in the scope.
    TooManyMemberships,
    /// The process has [`MAX_MONITORS`] monitors in the scope.
    TooManyMonitors,
    /// The group, or the scope as a whole, has [`MAX_WATCHERS`] monitors.
    TooManyWatchers,
    /// The process has ended.
    NoProcess,
    /// A limit of the account of the process is reached.
    Exceeded(Exceeded),
}

/// The error of leaving a group that the process is not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJoined;

/// A message that has to be sent to a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The process that it is sent to.
    pub watcher: Pid,
    /// The tag of the message.
    pub tag: Option<Tag>,
    /// The content of the message.
    pub event: GroupEvent,
}

impl Notice {
    /// The bytes that are charged for a message beside its contents, and the head of an event.
    const HEAD_BYTES: u64 = 256;

    /// Returns what the message takes in a mailbox, in bytes, about.
    pub(crate) fn size(&self) -> u64 {
        Notice::size_of(&self.event.group, self.event.members.len())
    }

    /// Returns what a message about so many members of a group takes, whatever its name.
    pub(crate) fn largest_size(members: usize) -> u64 {
        Notice::size_of("", members) + MAX_NAME_BYTES as u64
    }

    /// Returns what a message about so many members of a group takes.
    fn size_of(group: &str, members: usize) -> u64 {
        Notice::HEAD_BYTES + (group.len() + members * MEMBER_BYTES) as u64
    }
}

/// The groups of a scope, and their monitors.
///
/// It sends nothing itself: the messages to monitors are collected until
/// [`take_notices`](GroupTable::take_notices) is called. The maps have random seeds, as
/// guests choose the names of groups.
///
/// # Examples
///
/// ```
/// use lunatic_groups::{Change, GroupTable};
/// use lunatic_mailbox::Pid;
///
/// let (watcher, worker) = (Pid::from_bits(1), Pid::from_bits(2));
/// let mut table = GroupTable::new();
/// table.monitor("workers", watcher, None)?;
/// table.join("workers", worker)?;
///
/// let changes: Vec<_> = table.take_notices().iter().map(|notice| notice.event.change).collect();
/// assert_eq!(changes, [Change::Present, Change::Joined]);
/// assert_eq!(table.members("workers").map(|members| members.len()), Some(1));
/// # Ok::<(), lunatic_groups::GroupError>(())
/// ```
///
/// All maps are trees: a hash map would keep its memory when the charges of its entries are
/// released, and would move all of them at once when it grows, under the lock of the scope.
#[derive(Debug, Default)]
pub struct GroupTable {
    groups: BTreeMap<Arc<str>, Group>,
    /// The sum of the lengths of the names of all groups that have members.
    name_bytes: usize,
    /// The names of the groups that have members, in an order that stays.
    names: BTreeSet<Arc<str>>,
    /// The number of memberships in all groups.
    memberships: usize,
    records: BTreeMap<Pid, Record>,
    scope_monitors: BTreeMap<u64, ScopeWatcher>,
    last_monitor: u64,
    /// The monitors that are being told who is in a group, by their ids.
    presentations: BTreeMap<u64, Presentation>,
    /// Those that are not any more since they were last taken.
    presentations_over: Vec<(u64, PresentationEnd)>,
    /// The members of a group that is added now have no smaller numbers: no two groups of the same
    /// name, one after the other, have the same number.
    first_number: u64,
    notices: Vec<Notice>,
    /// The changes since they were last taken; `None` if they are not recorded.
    journal: Option<Vec<Membership>>,
}

/// A process has joined a group, or left it, perhaps several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: Arc<str>,
    pub(crate) member: Pid,
    pub(crate) joined: bool,
    /// How often.
    pub(crate) times: u32,
}

/// A group that has members, or is monitored.
#[derive(Debug, Default)]
struct Group {
    members: Members,
    monitors: BTreeMap<u64, Watcher>,
}

#[derive(Debug, Clone, Copy)]
struct Watcher {
    process: Pid,
    tag: Option<Tag>,
}

/// Who monitors a whole scope.
#[derive(Debug)]
struct ScopeWatcher {
    watcher: Watcher,
    told: Told,
}

/// Which groups a monitor of a scope has been told of. It hears only of changes of those; the
/// others it is told of as they are then.
#[derive(Debug)]
enum Told {
    /// Those whose names come no later than this one; `None` of none.
    Through(Option<Arc<str>>),
    /// Those whose names come before this one. Of that group, it is being told.
    Before(Arc<str>),
    All,
}

impl Told {
    fn includes(&self, group: &str) -> bool {
        match self {
            Told::Through(last) => last.as_deref().is_some_and(|last| group <= last),
            Told::Before(next) => group < &**next,
            Told::All => true,
        }
    }

    /// Returns where the names of the others begin; `None` if there are none.
    fn others(&self) -> Option<Bound<&str>> {
        match self {
            Told::Through(last) => Some(last.as_deref().map_or(Bound::Unbounded, Bound::Excluded)),
            Told::Before(next) => Some(Bound::Included(&**next)),
            Told::All => None,
        }
    }
}

/// A monitor is being told who is in a group: the members that were there when this began are
/// collected in pieces, between which the group can change. The monitor hears of changes of those
/// that are collected already and of those that have come later, after it was told of the former.
#[derive(Debug)]
struct Presentation {
    group: Arc<str>,
    /// Those with smaller numbers are collected.
    next: u64,
    /// Those with this number or a greater one have come later.
    end: u64,
}

impl Presentation {
    fn new(group: &Arc<str>, members: &Members) -> Presentation {
        Presentation {
            group: group.clone(),
            next: 0,
            end: members.end(),
        }
    }

    fn hears_of(&self, number: u64) -> bool {
        number < self.next || number >= self.end
    }
}

/// How a monitor is not being told any more who is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PresentationEnd {
    /// It was told.
    Complete,
    /// It is a monitor no more.
    GivenUp,
}

/// The first messages of a monitor of a scope, as far as they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// There are more.
    Some,
    /// The next one is about a group with many members, which are to be
    /// [collected](GroupTable::collect_some), and then [presented](GroupTable::present).
    ManyMembersNext,
    /// There are no more.
    All,
}

/// The memberships and monitors of one process.
#[derive(Debug, Default)]
struct Record {
    memberships: u32,
    /// The charges for its memberships and monitors.
    charges: Option<[Charge; 2]>,
    groups: BTreeSet<Arc<str>>,
    /// The group of each monitor, or `None` for the whole scope.
    monitors: BTreeMap<u64, Option<Arc<str>>>,
}

/// The memberships and monitors that are left of a process that was removed from a table.
#[derive(Debug)]
pub struct Leaving {
    member: Pid,
    monitors: btree_map::IntoIter<u64, Option<Arc<str>>>,
    groups: btree_set::IntoIter<Arc<str>>,
}

impl Record {
    /// The bytes that are charged for a membership or a monitor, with its record.
    const ENTRY_BYTES: u64 = 512;

    fn charge(&mut self, payer: &Account) -> Result<(), Exceeded> {
        let count = self.count();
        let [names, memory] = match &mut self.charges {
            Some(charges) => charges,
            none => none.insert([
                Charge::new(payer, Kind::Names, 0)?,
                Charge::new(payer, Kind::Memory, 0)?,
            ]),
        };
        let before = names.amount();
        names.set(count)?;
        memory
            .set((count + 1) * Record::ENTRY_BYTES)
            .inspect_err(|_| {
                // Less is never refused.
                names.set(before).ok();
            })
    }

    /// Releases what is charged for memberships and monitors that are gone.
    fn release(&mut self) {
        let count = self.count();
        if let Some([names, memory]) = &mut self.charges
            && count < names.amount()
        {
            names.set(count).ok();
            memory.set((count + 1) * Record::ENTRY_BYTES).ok();
        }
    }

    fn count(&self) -> u64 {
        u64::from(self.memberships) + self.monitors.len() as u64
    }
}

impl GroupTable {
    /// Returns a table without groups.
    pub fn new() -> GroupTable {
        GroupTable::default()
    }

    /// Returns a table without groups that keeps a journal of its changes.
    pub(crate) fn with_journal() -> GroupTable {
        GroupTable {
            journal: Some(Vec::new()),
            ..GroupTable::default()
        }
    }

    /// Returns whether there are neither groups nor monitors, and no process has to be forgotten.
    pub(crate) fn is_unused(&self) -> bool {
        self.groups.is_empty() && self.scope_monitors.is_empty() && self.records.is_empty()
    }

    /// Takes the changes since the last call out, in order.
    pub(crate) fn take_journal(&mut self) -> Vec<Membership> {
        self.journal
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Removes a process that has neither memberships nor monitors.
    pub(crate) fn forget_unused(&mut self, member: Pid) {
        if self
            .records
            .get(&member)
            .is_some_and(|record| record.count() == 0)
        {
            self.records.remove(&member);
        }
    }

    /// Adds a membership of a process in a group, even if it has one. Returns whether
    /// the process was not in the table: it stays there, also without memberships,
    /// until it is [forgotten](GroupTable::forget).
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn join(&mut self, group: &str, member: Pid) -> Result<bool, GroupError> {
        let record = self.records.get(&member);
        if record.is_some_and(|record| record.memberships >= MAX_MEMBERSHIPS) {
            return Err(GroupError::TooManyMemberships);
        }
        let name = self.name(group)?;
        let entry = self.group_entry(&name);
        let was_empty = entry.members.is_empty();
        let number = entry.members.join(member);
        if was_empty {
            self.names.insert(name.clone());
            self.name_bytes += name.len();
        }
        self.memberships += 1;
        let is_new = !self.records.contains_key(&member);
        let record = self.records.entry(member).or_default();
        record.memberships += 1;
        record.groups.insert(name.clone());
        self.notify(&name, Change::Joined, (number, member), 1);
        Ok(is_new)
    }

    /// Charges the memberships and monitors of a process to an account, from now on until
    /// there are fewer.
    ///
    /// # Errors
    ///
    /// [`GroupError::Exceeded`]; what is charged stays as it was.
    pub fn charge(&mut self, process: Pid, payer: &Account) -> Result<(), GroupError> {
        match self.records.get_mut(&process) {
            Some(record) => record.charge(payer).map_err(GroupError::Exceeded),
            None => Ok(()),
        }
    }

    /// Removes one membership of a process in a group.
    ///
    /// # Errors
    ///
    /// [`NotJoined`] if it has none.
    pub fn leave(&mut self, group: &str, member: Pid) -> Result<(), NotJoined> {
        let (name, entry) = self.groups.get_key_value(group).ok_or(NotJoined)?;
        let name = name.clone();
        if entry.members.times(member) == 0 {
            return Err(NotJoined);
        }
        if let Some(record) = self.records.get_mut(&member) {
            record.memberships -= 1;
            record.release();
        }
        self.remove_memberships(&name, member, 1);
        Ok(())
    }

    /// Removes a process with all of its memberships and monitors.
    pub fn forget(&mut self, member: Pid) {
        let mut leaving = self.forget_process(member);
        while self.leave_some(&mut leaving, usize::MAX) {}
    }

    /// Removes a process, and returns its memberships and monitors, which stay in the
    /// table until it [leaves](GroupTable::leave_some): there may be many.
    pub fn forget_process(&mut self, member: Pid) -> Leaving {
        let record = self.records.remove(&member).unwrap_or_default();
        Leaving {
            member,
            monitors: record.monitors.into_iter(),
            groups: record.groups.into_iter(),
        }
    }

    /// Removes some of the monitors and memberships of a process that leaves: those in at most
    /// `max` groups, and no more after `max` messages to monitors. Returns whether there are more.
    pub fn leave_some(&mut self, leaving: &mut Leaving, max: usize) -> bool {
        for _ in 0..max {
            if self.notices.len() >= max {
                return true;
            }
            if let Some((monitor, group)) = leaving.monitors.next() {
                self.remove_monitor(monitor, group.as_deref());
            } else if let Some(name) = leaving.groups.next() {
                self.remove_memberships(&name, leaving.member, u32::MAX);
            } else {
                return false;
            }
        }
        true
    }

    /// Returns the members of a group, or `None` if there are none.
    pub fn members(&self, group: &str) -> Option<&Members> {
        let members = &self.groups.get(group)?.members;
        (!members.is_empty()).then_some(members)
    }

    /// Returns the names of the groups that have members, in their order.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// Returns the names of the groups that have members and come after a name, in their order.
    pub fn groups_after(&self, name: &str) -> impl Iterator<Item = &Arc<str>> {
        let after = (Bound::Excluded(name), Bound::Unbounded);
        self.names.range::<str, _>(after)
    }

    /// Returns the names of the groups that a process is in, in any order.
    pub fn groups_of(&self, process: Pid) -> impl Iterator<Item = &Arc<str>> {
        let record = self.records.get(&process).into_iter();
        record.flat_map(|record| &record.groups)
    }

    /// Returns the number of groups that have members.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns whether no group has members.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the sum of the lengths of the names of the groups that have members, in
    /// bytes.
    pub fn name_bytes(&self) -> usize {
        self.name_bytes
    }

    /// Adds a monitor: the process gets the members of a group, and each process that joins or
    /// leaves it from now on. Returns the id of the monitor, and whether the process was not in the
    /// table; see [`join`](GroupTable::join).
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn monitor(
        &mut self,
        group: &str,
        watcher: Pid,
        tag: Option<Tag>,
    ) -> Result<(u64, bool), GroupError> {
        let (monitor, is_new) = self.begin_monitor(group, watcher, tag)?;
        let mut members = Vec::new();
        while self.collect_some(monitor, &mut members, usize::MAX) {}
        self.present(monitor, members.into());
        Ok((monitor, is_new))
    }

    /// Begins what [`monitor`](GroupTable::monitor) does in one step: the members of the group are
    /// to be [collected](GroupTable::collect_some), and then [presented](GroupTable::present).
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn begin_monitor(
        &mut self,
        group: &str,
        watcher: Pid,
        tag: Option<Tag>,
    ) -> Result<(u64, bool), GroupError> {
        self.check_monitors(watcher)?;
        let name = self.name(group)?;
        let watchers = self.groups.get(&name).map(|group| group.monitors.len());
        check_watchers(watchers.unwrap_or_default())?;
        let (monitor, is_new) = self.new_monitor(watcher, Some(name.clone()));
        let watcher = Watcher {
            process: watcher,
            tag,
        };
        let entry = self.group_entry(&name);
        entry.monitors.insert(monitor, watcher);
        let presentation = Presentation::new(&name, &entry.members);
        self.presentations.insert(monitor, presentation);
        Ok((monitor, is_new))
    }

    /// Collects members of the group that a monitor is being told of: about `max`, but at least all
    /// memberships of one process. Returns whether there are more.
    pub fn collect_some(&mut self, monitor: u64, members: &mut Vec<Pid>, max: usize) -> bool {
        let Some(presentation) = self.presentations.get_mut(&monitor) else {
            return false;
        };
        let group = self.groups.get(&presentation.group);
        let rest = group.map(|group| group.members.from(presentation.next));
        let before = members.len();
        for member in rest.into_iter().flatten() {
            if member.number >= presentation.end {
                break;
            }
            if members.len() - before >= max {
                return true;
            }
            members.extend(repeat_n(member.process, member.times as usize));
            presentation.next = member.number + 1;
        }
        presentation.next = presentation.end;
        false
    }

    /// Adds the message to a monitor that tells it of the members of a group, which were
    /// [collected](GroupTable::collect_some). It is told nothing if it was removed meanwhile.
    pub fn present(&mut self, monitor: u64, members: Arc<[Pid]>) {
        let Some(Presentation { group, .. }) = self.presentations.remove(&monitor) else {
            return;
        };
        let over = (monitor, PresentationEnd::Complete);
        self.presentations_over.push(over);
        let watcher = match self.scope_monitors.get_mut(&monitor) {
            Some(ScopeWatcher { watcher, told }) => {
                *told = Told::Through(Some(group.clone()));
                Some(*watcher)
            }
            None => {
                let of_group = self.groups.get(&group);
                of_group.and_then(|group| group.monitors.get(&monitor).copied())
            }
        };
        if let Some(watcher) = watcher {
            let notice = notice(monitor, &watcher, Change::Present, &group, members);
            self.notices.push(notice);
        }
    }

    /// Whether a message to a monitor has to wait for the one that tells it of the members of the
    /// same group.
    pub(crate) fn has_to_wait(&self, notice: &Notice) -> bool {
        let presentation = self.presentations.get(&notice.event.monitor);
        presentation.is_some_and(|presentation| presentation.group == notice.event.group)
    }

    /// Whether messages have to wait, or may go on, since the presentations that are over were
    /// last taken.
    pub(crate) fn has_presentations(&self) -> bool {
        !self.presentations.is_empty() || !self.presentations_over.is_empty()
    }

    /// Takes the monitors out that are not being told any more who is in a group.
    pub(crate) fn take_presentations_over(&mut self) -> Vec<(u64, PresentationEnd)> {
        std::mem::take(&mut self.presentations_over)
    }

    /// Like [`monitor`](GroupTable::monitor), for all groups that the scope has or will
    /// have. There is a first message for each group that has members, which
    /// [`present_some`](GroupTable::present_some) adds.
    ///
    /// # Errors
    ///
    /// [`GroupError`].
    pub fn monitor_scope(
        &mut self,
        watcher: Pid,
        tag: Option<Tag>,
    ) -> Result<(u64, bool), GroupError> {
        self.check_monitors(watcher)?;
        check_watchers(self.scope_monitors.len())?;
        let (monitor, is_new) = self.new_monitor(watcher, None);
        let watcher = Watcher {
            process: watcher,
            tag,
        };
        let told = Told::Through(None);
        self.scope_monitors
            .insert(monitor, ScopeWatcher { watcher, told });
        Ok((monitor, is_new))
    }

    /// Adds the first messages of a monitor of the scope about the next groups, at most `max`, and
    /// no more after they have as many members. A group that has more itself is left to the caller.
    /// Returns whether there are more. What happens to a group before its first message is in that,
    /// and told by no other one.
    pub fn present_some(&mut self, monitor: u64, max: usize) -> Presented {
        let Some(ScopeWatcher { watcher, told }) = self.scope_monitors.get_mut(&monitor) else {
            return Presented::All;
        };
        let Some(others) = told.others() else {
            return Presented::All;
        };
        let mut groups = self.groups.range::<str, _>((others, Bound::Unbounded));
        let (mut looked_at, mut memberships) = (0, 0);
        let mut through = None;
        while looked_at < max && memberships < max {
            let Some((name, group)) = groups.next() else {
                *told = Told::All;
                return Presented::All;
            };
            if group.members.len() > max {
                let presentation = Presentation::new(name, &group.members);
                self.presentations.insert(monitor, presentation);
                *told = Told::Before(name.clone());
                return Presented::ManyMembersNext;
            }
            looked_at += 1;
            memberships += group.members.len();
            through = Some(name);
            if !group.members.is_empty() {
                let members = group.members.iter().collect();
                let notice = notice(monitor, watcher, Change::Present, name, members);
                self.notices.push(notice);
            }
        }
        if let Some(name) = through {
            *told = Told::Through(Some(name.clone()));
        }
        Presented::Some
    }

    /// Removes a monitor of a process. Returns whether there was one with this id.
    pub fn stop_monitoring(&mut self, watcher: Pid, monitor: u64) -> bool {
        let record = self.records.get_mut(&watcher);
        let removed = record.and_then(|record| {
            let group = record.monitors.remove(&monitor)?;
            record.release();
            Some(group)
        });
        let Some(group) = removed else {
            return false;
        };
        self.remove_monitor(monitor, group.as_deref());
        true
    }

    /// Returns what the messages take that follow if a process joins a group, in bytes.
    pub(crate) fn join_notice_bytes(&self, group: &str) -> u64 {
        let of_group = self.groups.get(group);
        let monitors = of_group.map_or(0, |group| group.monitors.len()) + self.scope_monitors.len();
        monitors as u64 * Notice::size_of(group, 1)
    }

    /// Returns what the first message to a new monitor of a group takes, in bytes.
    pub(crate) fn monitor_notice_bytes(&self, group: &str) -> u64 {
        Notice::size_of(group, self.members(group).map_or(0, Members::len))
    }

    /// Returns what the first messages to a new monitor of the scope take, in bytes.
    pub(crate) fn monitor_scope_notice_bytes(&self) -> u64 {
        let heads = self.names.len() as u64 * Notice::HEAD_BYTES;
        heads + (self.name_bytes + self.memberships * MEMBER_BYTES) as u64
    }

    /// Returns the messages to monitors that have to be sent since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Returns what the messages take that have to be sent since then, in bytes.
    pub(crate) fn notice_bytes(&self) -> u64 {
        self.notices.iter().map(Notice::size).sum()
    }

    /// Returns the name of a group that exists, or that may be added.
    fn name(&self, group: &str) -> Result<Arc<str>, GroupError> {
        check_name(group)?;
        match self.groups.get_key_value(group) {
            Some((name, _)) => Ok(name.clone()),
            None if self.groups.len() >= MAX_GROUPS => Err(GroupError::TooManyGroups),
            None => Ok(group.into()),
        }
    }

    /// Returns a group of this name, which is added if it is not there.
    fn group_entry(&mut self, name: &Arc<str>) -> &mut Group {
        let first_number = self.first_number;
        let entry = self.groups.entry(name.clone());
        entry.or_insert_with(|| Group {
            members: Members::numbered_from(first_number),
            monitors: BTreeMap::new(),
        })
    }

    /// Removes memberships of a process in a group: as many as it has, but not more than
    /// `times`.
    fn remove_memberships(&mut self, name: &Arc<str>, member: Pid, times: u32) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let had = group.members.times(member);
        let number = group.members.number(member).unwrap_or_default();
        let gone = match times {
            1 => u32::from(group.members.leave(member)),
            _ => group.members.remove(member),
        };
        self.memberships -= gone as usize;
        if gone == had
            && let Some(record) = self.records.get_mut(&member)
        {
            record.groups.remove(name);
        }
        if group.members.is_empty() {
            self.names.remove(name);
            self.name_bytes -= name.len();
        }
        self.notify(name, Change::Left, (number, member), gone as usize);
        self.drop_if_unused(name);
    }

    fn drop_if_unused(&mut self, name: &str) {
        let is_used = |group: &Group| !group.members.is_empty() || !group.monitors.is_empty();
        if self.groups.get(name).is_some_and(|group| !is_used(group))
            && let Some(group) = self.groups.remove(name)
        {
            self.first_number = self.first_number.max(group.members.end());
        }
    }

    /// Adds a notice for each monitor of a group and of the scope.
    ///
    /// - `number`: that of the member in the group.
    /// - `times`: how often the member joined or left.
    fn notify(
        &mut self,
        name: &Arc<str>,
        change: Change,
        (number, member): (u64, Pid),
        times: usize,
    ) {
        let members = || repeat_n(member, times);
        if let Some(journal) = &mut self.journal {
            journal.push(Membership {
                group: name.clone(),
                member,
                joined: change == Change::Joined,
                times: times as u32,
            });
        }
        let presentations = &self.presentations;
        // `None` if the monitor is not being told of this group.
        let hears = |monitor: &u64| {
            let presentation = presentations.get(monitor)?;
            (presentation.group == *name).then(|| presentation.hears_of(number))
        };
        let of_group = self.groups.get(name).map(|group| &group.monitors);
        let of_group = of_group.into_iter().flatten();
        let of_group = of_group.filter(|(id, _)| hears(id).unwrap_or(true));
        let of_scope = self.scope_monitors.iter();
        let of_scope = of_scope
            .filter(|(id, monitor)| hears(id).unwrap_or_else(|| monitor.told.includes(name)));
        let of_scope = of_scope.map(|(id, monitor)| (id, &monitor.watcher));
        let monitors = of_group.chain(of_scope);
        let mut monitors = monitors.peekable();
        if monitors.peek().is_none() {
            return;
        }
        let members: Arc<[Pid]> = members().collect();
        self.notices
            .extend(monitors.map(|(monitor, watcher)| {
                notice(*monitor, watcher, change, name, members.clone())
            }));
    }

    fn check_monitors(&self, watcher: Pid) -> Result<(), GroupError> {
        let record = self.records.get(&watcher);
        match record.is_some_and(|record| record.monitors.len() >= MAX_MONITORS) {
            true => Err(GroupError::TooManyMonitors),
            false => Ok(()),
        }
    }

    fn new_monitor(&mut self, watcher: Pid, group: Option<Arc<str>>) -> (u64, bool) {
        self.last_monitor += 1;
        let is_new = !self.records.contains_key(&watcher);
        let record = self.records.entry(watcher).or_default();
        record.monitors.insert(self.last_monitor, group);
        (self.last_monitor, is_new)
    }

    fn remove_monitor(&mut self, monitor: u64, group: Option<&str>) {
        if self.presentations.remove(&monitor).is_some() {
            let over = (monitor, PresentationEnd::GivenUp);
            self.presentations_over.push(over);
        }
        let Some(name) = group else {
            self.scope_monitors.remove(&monitor);
            return;
        };
        if let Some(group) = self.groups.get_mut(name) {
            group.monitors.remove(&monitor);
        }
        self.drop_if_unused(name);
    }
}

/// Checks the length of a name.
///
/// # Errors
///
/// [`GroupError::NameTooLong`].
pub(crate) fn check_name(name: &str) -> Result<(), GroupError> {
    match name.len() {
        0..=MAX_NAME_BYTES => Ok(()),
        length => Err(GroupError::NameTooLong { length }),
    }
}

/// Checks that a group or scope with so many monitors may have another one.
fn check_watchers(count: usize) -> Result<(), GroupError> {
    match count < MAX_WATCHERS {
        true => Ok(()),
        false => Err(GroupError::TooManyWatchers),
    }
}

fn notice(
    monitor: u64,
    watcher: &Watcher,
    change: Change,
    group: &Arc<str>,
    members: Arc<[Pid]>,
) -> Notice {
    Notice {
        watcher: watcher.process,
        tag: watcher.tag,
        event: GroupEvent {
            monitor,
            change,
            group: group.clone(),
            members,
        },
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupError::NameTooLong { length } => write!(
                f,
                "a name of {length} bytes is longer than the {MAX_NAME_BYTES} that the name of a \
                 group or a scope may have"
            ),
            GroupError::TooManyScopes => {
                let limit = crate::MAX_SCOPES;
                write!(f, "there are {limit} scopes, as many as may be")
            }
            GroupError::TooManyGroups => {
                write!(
                    f,
                    "there are {MAX_GROUPS} groups in the scope, as many as may be"
                )
            }
            GroupError::TooManyMemberships => write!(
                f,
                "the process has {MAX_MEMBERSHIPS} memberships in the scope, as many as may be"
            ),
            GroupError::TooManyMonitors => write!(
                f,
                "the process has {MAX_MONITORS} monitors in the scope, as many as may be"
            ),
            GroupError::TooManyWatchers => {
                write!(f, "there are {MAX_WATCHERS} monitors, as many as may be")
            }
            GroupError::Exceeded(exceeded) => exceeded.fmt(f),
            GroupError::NoProcess => f.write_str("there is no such process"),
        }
    }
}

impl Error for GroupError {}

impl fmt::Display for NotJoined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process is not in the group")
    }
}

impl Error for NotJoined {}
