//! OTP's process groups (ABI §24).
//!
//! A process joins a [`Group`] by its name and is found through it, until it
//! leaves or ends. Whoever watches a group is told, by a [`Change`], of everyone
//! who joins and leaves.
//!
//! ```no_run
//! use lunatic_guest::group::Group;
//!
//! let workers = Group::new("workers");
//! workers.join().unwrap();
//! assert_eq!(workers.members().len(), 1);
//! workers.broadcast(0, b"to all of us");
//! ```

use crate::error::{check, Result};
use crate::process::{self, Message, ProcessId};
use crate::sys::group as sys;

/// A group of processes; it is there while somebody is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group {
    scope: String,
    name: String,
}

/// A process in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member {
    /// The node it is on.
    pub node: u64,
    /// Its id on that node.
    pub process: ProcessId,
}

/// What happened to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These are the members now that watching begins.
    Present(Vec<Member>),
    /// These joined.
    Joined(Vec<Member>),
    /// These left, or ended; one as often as it had joined.
    Left(Vec<Member>),
}

/// A watch over a group or a scope; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    scope: String,
    monitor: u64,
    tag: i64,
}

impl Group {
    /// A group of the default scope.
    pub fn new(name: impl Into<String>) -> Group {
        Group::in_scope("", name)
    }

    /// A group of another scope: two groups of one name in two scopes know
    /// nothing of each other.
    pub fn in_scope(scope: impl Into<String>, name: impl Into<String>) -> Group {
        Group {
            scope: scope.into(),
            name: name.into(),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes this process in, once more if it is there.
    ///
    /// # Errors
    ///
    /// If a name is too long, or there are too many groups or memberships.
    pub fn join(&self) -> Result<()> {
        self.join_process(process::this())
    }

    /// Takes another process of this node in.
    ///
    /// # Errors
    ///
    /// As [`join`](Group::join), and if there is no such process.
    pub fn join_process(&self, process: ProcessId) -> Result<()> {
        check(sys::join(self.names(), process.0)).map(|_| ())
    }

    /// Takes one membership of this process away. Whether it had any.
    pub fn leave(&self) -> bool {
        self.leave_process(process::this())
    }

    /// Takes one membership of another process away. Whether it had any.
    pub fn leave_process(&self, process: ProcessId) -> bool {
        sys::leave(self.names(), process.0) == 0
    }

    /// Who is in it, each as often as it joined, in no order.
    pub fn members(&self) -> Vec<Member> {
        let list = whole([0; 2], |room| sys::members(self.names(), room));
        list.into_iter().map(Member::from).collect()
    }

    /// The processes of this node that are in it, each as often as it joined, in
    /// no order.
    pub fn local_members(&self) -> Vec<Member> {
        let list = whole([0; 2], |room| sys::local_members(self.names(), room));
        list.into_iter().map(Member::from).collect()
    }

    /// One member, another one the next time, round robin.
    pub fn next(&self) -> Option<Member> {
        member(sys::next(self.names()))
    }

    /// Sends bytes to one member, to another one the next time. To whom; `None`
    /// if there are none.
    ///
    /// - `tag`: of the message; 0 for none.
    pub fn dispatch(&self, tag: i64, bytes: &[u8]) -> Option<Member> {
        member(sys::dispatch(self.names(), tag, bytes))
    }

    /// Sends bytes to each process of the group once. To how many.
    ///
    /// - `tag`: of the message; 0 for none.
    pub fn broadcast(&self, tag: i64, bytes: &[u8]) -> usize {
        sys::broadcast(self.names(), tag, bytes)
    }

    /// Watches who joins and leaves.
    ///
    /// - `tag`: of the messages that tell of it; no others should have it.
    ///
    /// # Errors
    ///
    /// If the name is too long, or there are too many groups or watches.
    ///
    /// # Panics
    ///
    /// If the tag is 0.
    pub fn watch(&self, tag: i64) -> Result<Watch> {
        assert_ne!(tag, 0, "0 is no tag");
        let monitor = check(sys::monitor(self.names(), tag))?;
        Ok(Watch::new(&self.scope, monitor, tag))
    }

    fn names(&self) -> sys::Names<'_> {
        (&self.scope, &self.name)
    }
}

/// All groups of a scope that have members, in no order; the default scope has
/// the empty name.
pub fn groups(scope: &str) -> Vec<Group> {
    let list = whole(0, |room| sys::groups(scope, room));
    let mut groups = Vec::new();
    let mut rest = &list[..];
    while let Some((name, behind)) = split_name(rest) {
        groups.push(Group::in_scope(scope, String::from_utf8_lossy(name)));
        rest = behind;
    }
    groups
}

/// Watches who joins and leaves any group of a scope, those to come too. The
/// first changes tell of one group each.
///
/// - `tag`: as for [`Group::watch`].
///
/// # Errors
///
/// As [`Group::watch`].
///
/// # Panics
///
/// If the tag is 0.
pub fn watch_scope(scope: &str, tag: i64) -> Result<Watch> {
    assert_ne!(tag, 0, "0 is no tag");
    let monitor = check(sys::monitor_scope(scope, tag))?;
    Ok(Watch::new(scope, monitor, tag))
}

impl Watch {
    fn new(scope: &str, monitor: u64, tag: i64) -> Watch {
        Watch {
            scope: scope.to_owned(),
            monitor,
            tag,
        }
    }

    /// Waits for the next change: in which group, and what.
    pub fn next(&self) -> (Group, Change) {
        loop {
            // Others may tell of an earlier watch with the same tag.
            if let Message::Data { bytes, .. } = process::receive(&[self.tag]) {
                if let Some(change) = self.read(&bytes) {
                    return change;
                }
            }
        }
    }

    fn read(&self, message: &[u8]) -> Option<(Group, Change)> {
        let (change, rest) = message.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (monitor, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        if u64::from_le_bytes(*monitor) != self.monitor {
            return None;
        }
        let members = rest.chunks_exact(16).filter_map(Member::read).collect();
        let change = match u32::from_le_bytes(*change) {
            0 => Change::Present(members),
            1 => Change::Joined(members),
            2 => Change::Left(members),
            _ => return None,
        };
        let group = Group::in_scope(self.scope.as_str(), String::from_utf8_lossy(name));
        Some((group, change))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        sys::stop_monitoring(&self.scope, self.monitor);
    }
}

impl Member {
    fn read(bytes: &[u8]) -> Option<Member> {
        let (node, process) = bytes.split_first_chunk()?;
        let process = process.try_into().ok()?;
        let words = [u64::from_le_bytes(*node), u64::from_le_bytes(process)];
        Some(Member::from(words))
    }
}

impl From<[u64; 2]> for Member {
    fn from([node, process]: [u64; 2]) -> Member {
        let process = ProcessId(process);
        Member { node, process }
    }
}

fn member((code, words): (u32, [u64; 2])) -> Option<Member> {
    (code == 0).then(|| words.into())
}

/// Asks again, with more room, until the list fits.
fn whole<T: Clone>(empty: T, ask: impl Fn(&mut [T]) -> usize) -> Vec<T> {
    let mut list = Vec::new();
    loop {
        let size = ask(&mut list);
        if size <= list.len() {
            list.truncate(size);
            return list;
        }
        list.resize(size, empty.clone());
    }
}

/// A length, so many bytes, and the rest.
fn split_name(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = list.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
