//! Groups of processes: who is in one is found through it.
//!
//! A process joins a [`Group`] by its name, and leaves it when it ends. Whoever
//! watches a group is told, by a [`Change`], of everyone who joins and leaves.

use std::fmt;
use std::time::Duration;

/// A group of processes; it is there while somebody is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    pub process: u64,
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

/// A watch over a group; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    scope: String,
    monitor: u64,
    tag: i64,
}

/// Why a process did not join or does not watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupError(String);

impl Group {
    /// A group of the default scope.
    pub fn new(name: impl Into<String>) -> Group {
        Group::in_scope("", name)
    }

    /// A group of another scope; groups of one name in two scopes are two groups.
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
    pub fn join(&self) -> Result<(), GroupError> {
        self.join_process(this())
    }

    /// Takes another process of this node in.
    ///
    /// # Errors
    ///
    /// As [`join`](Group::join), and if there is no such process.
    pub fn join_process(&self, process: u64) -> Result<(), GroupError> {
        let mut error = 0;
        let (scope, name) = self.names();
        let result = unsafe { host::join(scope.0, scope.1, name.0, name.1, process, &mut error) };
        GroupError::check(result, error)
    }

    /// Takes one membership of this process away. Whether it had any.
    pub fn leave(&self) -> bool {
        self.leave_process(this())
    }

    /// Takes one membership of another process away. Whether it had any.
    pub fn leave_process(&self, process: u64) -> bool {
        let (scope, name) = self.names();
        unsafe { host::leave(scope.0, scope.1, name.0, name.1, process) == 0 }
    }

    /// Who is in it, each as often as it joined, in no order.
    pub fn members(&self) -> Vec<Member> {
        let (scope, name) = self.names();
        list(|ptr, max| unsafe { host::members(scope.0, scope.1, name.0, name.1, ptr, max) })
    }

    /// The processes of this node that are in it, each as often as it joined.
    pub fn local_members(&self) -> Vec<Member> {
        let (scope, name) = self.names();
        list(|ptr, max| unsafe { host::local_members(scope.0, scope.1, name.0, name.1, ptr, max) })
    }

    /// One member, another one the next time: each has its turn.
    pub fn next(&self) -> Option<Member> {
        let mut member = Member {
            node: 0,
            process: 0,
        };
        let (scope, name) = self.names();
        let result = unsafe {
            let (node, process) = (&mut member.node, &mut member.process);
            host::next(scope.0, scope.1, name.0, name.1, node, process)
        };
        (result == 0).then_some(member)
    }

    /// Sends bytes to each process of the group once. To how many.
    ///
    /// - `tag`: of the message; 0 for none.
    pub fn broadcast(&self, tag: i64, bytes: &[u8]) -> usize {
        let (scope, name) = self.names();
        unsafe {
            host::create_data(tag, bytes.len() as u64);
            host::write_data(bytes.as_ptr(), bytes.len());
            host::broadcast(scope.0, scope.1, name.0, name.1) as usize
        }
    }

    /// Watches who joins and leaves.
    ///
    /// - `tag`: of the messages that tell of it; no others may have it.
    ///
    /// # Errors
    ///
    /// If the name is too long, or there are too many groups or watches.
    ///
    /// # Panics
    ///
    /// If the tag is 0.
    pub fn watch(&self, tag: i64) -> Result<Watch, GroupError> {
        assert_ne!(tag, 0, "0 is no tag");
        let mut monitor = 0;
        let (scope, name) = self.names();
        let result = unsafe { host::monitor(scope.0, scope.1, name.0, name.1, tag, &mut monitor) };
        GroupError::check(result, monitor)?;
        Ok(Watch::new(&self.scope, monitor, tag))
    }

    fn names(&self) -> ((*const u8, usize), (*const u8, usize)) {
        (parts(&self.scope), parts(&self.name))
    }
}

/// All groups of a scope that have members, in no order.
pub fn groups(scope: &str) -> Vec<Group> {
    let (ptr, len) = parts(scope);
    let mut list: Vec<u8> = Vec::new();
    loop {
        let size = unsafe { host::groups(ptr, len, list.as_mut_ptr(), list.len()) } as usize;
        if size <= list.len() {
            list.truncate(size);
            break;
        }
        list.resize(size, 0);
    }
    let mut groups = Vec::new();
    let mut rest = &list[..];
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (name, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
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
pub fn watch_scope(scope: &str, tag: i64) -> Result<Watch, GroupError> {
    assert_ne!(tag, 0, "0 is no tag");
    let mut monitor = 0;
    let (ptr, len) = parts(scope);
    let result = unsafe { host::monitor_scope(ptr, len, tag, &mut monitor) };
    GroupError::check(result, monitor)?;
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
            if let Some(change) = self.receive(u64::MAX) {
                return change;
            }
        }
    }

    /// As [`next`](Watch::next), but not for longer than this.
    pub fn next_within(&self, timeout: Duration) -> Option<(Group, Change)> {
        self.receive(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX - 1))
    }

    /// `None` after the timeout, or a message of an earlier watch.
    fn receive(&self, millis: u64) -> Option<(Group, Change)> {
        const DATA: u32 = 0;
        let message = unsafe {
            if host::receive(&self.tag, 1, millis) != DATA {
                return None;
            }
            let mut message = vec![0; host::data_size() as usize];
            host::read_data(message.as_mut_ptr(), message.len());
            message
        };
        self.read(&message)
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
        let (ptr, len) = parts(&self.scope);
        unsafe { host::stop_monitoring(ptr, len, self.monitor) };
    }
}

impl Member {
    fn read(bytes: &[u8]) -> Option<Member> {
        let (node, process) = bytes.split_first_chunk()?;
        Some(Member {
            node: u64::from_le_bytes(*node),
            process: u64::from_le_bytes(process.try_into().ok()?),
        })
    }
}

/// Asks again, with more room, until the list fits.
fn list(ask: impl Fn(*mut [u64; 2], usize) -> u32) -> Vec<Member> {
    let mut list: Vec<[u64; 2]> = Vec::new();
    loop {
        let count = ask(list.as_mut_ptr(), list.len()) as usize;
        if count <= list.len() {
            list.truncate(count);
            break;
        }
        list.resize(count, [0; 2]);
    }
    list.into_iter()
        .map(|[node, process]| Member { node, process })
        .collect()
}

fn parts(text: &str) -> (*const u8, usize) {
    (text.as_ptr(), text.len())
}

fn this() -> u64 {
    unsafe { host::process_id() }
}

impl GroupError {
    fn check(result: u32, error: u64) -> Result<(), GroupError> {
        if result == 0 {
            return Ok(());
        }
        let text = unsafe {
            let mut text = vec![0; host::string_size(error) as usize];
            host::to_string(error, text.as_mut_ptr());
            host::drop_error(error);
            text
        };
        Err(GroupError(String::from_utf8_lossy(&text).into_owned()))
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GroupError {}

/// The host functions.
mod host {
    #[link(wasm_import_module = "lunatic::group")]
    extern "C" {
        pub fn join(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            process: u64,
            error: *mut u64,
        ) -> u32;
        pub fn leave(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            process: u64,
        ) -> u32;
        pub fn members(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            list: *mut [u64; 2],
            max: usize,
        ) -> u32;
        pub fn local_members(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            list: *mut [u64; 2],
            max: usize,
        ) -> u32;
        pub fn groups(scope: *const u8, scope_len: usize, list: *mut u8, len: usize) -> u32;
        pub fn next(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            node: *mut u64,
            process: *mut u64,
        ) -> u32;
        pub fn broadcast(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
        ) -> u32;
        pub fn monitor(
            scope: *const u8,
            scope_len: usize,
            group: *const u8,
            group_len: usize,
            tag: i64,
            id: *mut u64,
        ) -> u32;
        pub fn monitor_scope(scope: *const u8, scope_len: usize, tag: i64, id: *mut u64) -> u32;
        pub fn stop_monitoring(scope: *const u8, scope_len: usize, monitor: u64) -> u32;
    }

    #[link(wasm_import_module = "lunatic::message")]
    extern "C" {
        pub fn create_data(tag: i64, capacity: u64);
        pub fn write_data(data: *const u8, len: usize) -> usize;
        pub fn data_size() -> u64;
        pub fn read_data(data: *mut u8, len: usize) -> usize;
        pub fn receive(tags: *const i64, count: usize, timeout: u64) -> u32;
    }

    #[link(wasm_import_module = "lunatic::process")]
    extern "C" {
        pub fn process_id() -> u64;
    }

    #[link(wasm_import_module = "lunatic::error")]
    extern "C" {
        pub fn string_size(error: u64) -> u32;
        pub fn to_string(error: u64, text: *mut u8);
        #[link_name = "drop"]
        pub fn drop_error(error: u64);
    }
}
