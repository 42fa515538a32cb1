//! What a monitor is told, and its bytes.

use std::sync::Arc;

use lunatic_process::ProcessId;

use crate::members::Member;

/// What happened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: these are the members now that monitoring begins.
    Present,
    /// These joined.
    Joined,
    /// These left, or ended.
    Left,
}

/// One message to one monitor.
///
/// # Bytes
///
/// All numbers are little-endian: the change, a `u32` (0 present, 1 joined, 2
/// left); the length of the group's name, a `u32`; the id of the monitor, a
/// `u64`; the name; and to the end, for each member, node and process, a `u64`
/// each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEvent {
    /// The monitor that asked for it.
    pub monitor: u64,
    /// What happened.
    pub change: Change,
    /// The name of the group.
    pub group: Arc<str>,
    /// To whom; a process as often as it joined or left.
    pub members: Vec<Member>,
}

/// What a [`Member`] takes, in bytes.
pub const MEMBER_BYTES: usize = 16;

impl Member {
    /// Node and process, as the host interface writes them.
    pub fn to_bytes(self) -> [u8; MEMBER_BYTES] {
        let mut bytes = [0; MEMBER_BYTES];
        bytes[..8].copy_from_slice(&self.node.to_le_bytes());
        bytes[8..].copy_from_slice(&self.process.0.to_le_bytes());
        bytes
    }

    /// Node and process from what the host interface writes.
    pub fn from_bytes(bytes: &[u8; MEMBER_BYTES]) -> Member {
        let (words, _) = bytes.as_chunks::<8>();
        Member {
            node: u64::from_le_bytes(words[0]),
            process: ProcessId(u64::from_le_bytes(words[1])),
        }
    }
}

impl GroupEvent {
    /// The event as bytes of a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let members = self.members.len() * MEMBER_BYTES;
        let mut bytes = Vec::with_capacity(16 + self.group.len() + members);
        bytes.extend((self.change as u32).to_le_bytes());
        bytes.extend((self.group.len() as u32).to_le_bytes());
        bytes.extend(self.monitor.to_le_bytes());
        bytes.extend(self.group.as_bytes());
        bytes.extend(self.members.iter().flat_map(|member| member.to_bytes()));
        bytes
    }

    /// The event that a message holds; `None` if these bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<GroupEvent> {
        let (change, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (monitor, rest) = rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (members, []) = rest.as_chunks() else {
            return None;
        };
        Some(GroupEvent {
            monitor: u64::from_le_bytes(*monitor),
            change: Change::from_code(u32::from_le_bytes(*change))?,
            group: std::str::from_utf8(name).ok()?.into(),
            members: members.iter().map(Member::from_bytes).collect(),
        })
    }
}

impl Change {
    fn from_code(code: u32) -> Option<Change> {
        [Change::Present, Change::Joined, Change::Left]
            .into_iter()
            .find(|change| *change as u32 == code)
    }
}
