//! Who is in which group, and who watches. Pure data.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use lunatic_mailbox::{Pid, Tag};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::event::{Change, GroupEvent};
use crate::members::Members;

/// The longest name of a group or a scope, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The highest number of groups in a scope, those counted that are only
/// monitored.
pub const MAX_GROUPS: usize = 1 << 18;

/// The highest number of memberships of a process in a scope.
pub const MAX_MEMBERSHIPS: u32 = 1 << 16;

/// The highest number of monitors of a process in a scope.
pub const MAX_MONITORS: usize = 1 << 10;

/// Why a process did not join, or monitors nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// A name is longer than [`MAX_NAME_BYTES`].
    NameTooLong {
        /// So long, in bytes.
        length: usize,
    },
    /// There are [`MAX_SCOPES`](crate::MAX_SCOPES) scopes.
    TooManyScopes,
    /// There are [`MAX_GROUPS`] groups in the scope.
    TooManyGroups,
    /// The process has [`MAX_MEMBERSHIPS`] in the scope.
    TooManyMemberships,
    /// The process has [`MAX_MONITORS`] in the scope.
    TooManyMonitors,
    /// There is no such process.
    NoProcess,
}

/// A process leaves a group that it is not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJoined;

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// To whom.
    pub watcher: Pid,
    /// With this tag.
    pub tag: Option<Tag>,
    /// What it says.
    pub event: GroupEvent,
}

/// The groups of a scope.
#[derive(Debug, Default)]
pub struct GroupTable {
    groups: FxHashMap<Arc<str>, Group>,
    /// The bytes of the names of all groups that have members.
    name_bytes: usize,
    /// How many groups have members.
    inhabited: usize,
    records: FxHashMap<Pid, Record>,
    scope_monitors: BTreeMap<u64, Watcher>,
    last_monitor: u64,
    notices: Vec<Notice>,
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

/// What a process has to be taken out of when it ends.
#[derive(Debug, Default)]
struct Record {
    memberships: u32,
    groups: FxHashSet<Arc<str>>,
    /// The group of each of its monitors; `None` is the whole scope.
    monitors: FxHashMap<u64, Option<Arc<str>>>,
}

impl GroupTable {
    /// No groups.
    pub fn new() -> GroupTable {
        GroupTable::default()
    }

    /// Takes a process into a group, once more if it is there. Whether it is
    /// known here for the first time since it was [forgotten](GroupTable::forget).
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
        let entry = self.groups.entry(name.clone()).or_default();
        if entry.members.is_empty() {
            self.inhabited += 1;
            self.name_bytes += name.len();
        }
        entry.members.join(member);
        let is_new = !self.records.contains_key(&member);
        let record = self.records.entry(member).or_default();
        record.memberships += 1;
        record.groups.insert(name.clone());
        self.tell(&name, Change::Joined, &[member]);
        Ok(is_new)
    }

    /// Takes one membership of a process away.
    ///
    /// # Errors
    ///
    /// [`NotJoined`].
    pub fn leave(&mut self, group: &str, member: Pid) -> Result<(), NotJoined> {
        let (name, entry) = self.groups.get_key_value(group).ok_or(NotJoined)?;
        let name = name.clone();
        if entry.members.times(member) == 0 {
            return Err(NotJoined);
        }
        if let Some(record) = self.records.get_mut(&member) {
            record.memberships -= 1;
        }
        self.withdraw(&name, member, 1);
        Ok(())
    }

    /// Takes a process out of all groups, and its monitors away.
    pub fn forget(&mut self, member: Pid) {
        let Some(record) = self.records.remove(&member) else {
            return;
        };
        for (monitor, group) in record.monitors {
            self.remove_monitor(monitor, group.as_deref());
        }
        for name in record.groups {
            self.withdraw(&name, member, u32::MAX);
        }
    }

    /// The members of a group; `None` if there are none.
    pub fn members(&self, group: &str) -> Option<&Members> {
        let members = &self.groups.get(group)?.members;
        (!members.is_empty()).then_some(members)
    }

    /// The names of the groups that have members, in no order.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups
            .iter()
            .filter(|(_, group)| !group.members.is_empty())
            .map(|(name, _)| name)
    }

    /// How many groups have members.
    pub fn len(&self) -> usize {
        self.inhabited
    }

    /// Whether no group has members.
    pub fn is_empty(&self) -> bool {
        self.inhabited == 0
    }

    /// How long the names of the groups that have members are together.
    pub fn name_bytes(&self) -> usize {
        self.name_bytes
    }

    /// Lets a process be told of who is in a group, and of everyone who joins
    /// and leaves it from now on. The id of the monitor, and whether the process
    /// is known here for the first time.
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
        self.check_monitors(watcher)?;
        let name = self.name(group)?;
        let (monitor, is_new) = self.new_monitor(watcher, Some(name.clone()));
        let entry = self.groups.entry(name.clone()).or_default();
        let watcher = Watcher {
            process: watcher,
            tag,
        };
        entry.monitors.insert(monitor, watcher);
        let members = entry.members.iter().collect();
        let notice = notice(monitor, &watcher, Change::Present, &name, members);
        self.notices.push(notice);
        Ok((monitor, is_new))
    }

    /// As [`monitor`](GroupTable::monitor), for all groups of the scope, those to come
    /// too. The first messages tell of one group each.
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
        let (monitor, is_new) = self.new_monitor(watcher, None);
        let watcher = Watcher {
            process: watcher,
            tag,
        };
        self.scope_monitors.insert(monitor, watcher);
        for (name, group) in &self.groups {
            if !group.members.is_empty() {
                let members = group.members.iter().collect();
                let notice = notice(monitor, &watcher, Change::Present, name, members);
                self.notices.push(notice);
            }
        }
        Ok((monitor, is_new))
    }

    /// Takes a monitor of a process away. Whether it had that.
    pub fn stop_monitoring(&mut self, watcher: Pid, monitor: u64) -> bool {
        let record = self.records.get_mut(&watcher);
        let Some(group) = record.and_then(|record| record.monitors.remove(&monitor)) else {
            return false;
        };
        self.remove_monitor(monitor, group.as_deref());
        true
    }

    /// What is to be told since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The name of a group that is there, or may be added.
    fn name(&self, group: &str) -> Result<Arc<str>, GroupError> {
        check_name(group)?;
        match self.groups.get_key_value(group) {
            Some((name, _)) => Ok(name.clone()),
            None if self.groups.len() >= MAX_GROUPS => Err(GroupError::TooManyGroups),
            None => Ok(group.into()),
        }
    }

    /// Takes memberships, as many as there are but not more than `times`, out of
    /// a group.
    fn withdraw(&mut self, name: &Arc<str>, member: Pid, times: u32) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let had = group.members.times(member);
        let gone = match times {
            1 => u32::from(group.members.leave(member)),
            _ => group.members.remove(member),
        };
        if gone == had
            && let Some(record) = self.records.get_mut(&member)
        {
            record.groups.remove(name);
        }
        if group.members.is_empty() {
            self.inhabited -= 1;
            self.name_bytes -= name.len();
        }
        self.tell(name, Change::Left, &vec![member; gone as usize]);
        self.drop_if_unused(name);
    }

    fn drop_if_unused(&mut self, name: &str) {
        let is_used = |group: &Group| !group.members.is_empty() || !group.monitors.is_empty();
        if self.groups.get(name).is_some_and(|group| !is_used(group)) {
            self.groups.remove(name);
        }
    }

    fn tell(&mut self, name: &Arc<str>, change: Change, members: &[Pid]) {
        let of_group = self.groups.get(name).map(|group| &group.monitors);
        let monitors = of_group.into_iter().flatten().chain(&self.scope_monitors);
        self.notices.extend(
            monitors
                .map(|(monitor, watcher)| notice(*monitor, watcher, change, name, members.into())),
        );
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

fn notice(
    monitor: u64,
    watcher: &Watcher,
    change: Change,
    group: &Arc<str>,
    members: Vec<Pid>,
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
