//! The content of the messages to monitors.

use std::sync::Arc;

use lunatic_mailbox::{NodeId, Pid};

/// A change of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No change: this is the first event of a monitor, and has the members at that time.
    Present,
    /// Processes joined.
    Joined,
    /// Processes left or ended.
    Left,
}

/// The content of one message to one monitor.
///
/// # Bytes
///
/// All numbers are little-endian: the change, a `u32` (0 present, 1 joined, 2 left);
/// the length of the name of the group, a `u32`; the id of the monitor, a `u64`; the
/// name; and up to the end of the message two `u64` for each member, its node and its
/// process.
///
/// # Examples
///
/// ```
/// use lunatic_groups::{Change, GroupEvent};
/// use lunatic_mailbox::{NodeId, Pid};
///
/// let event = GroupEvent {
///     monitor: 1,
///     change: Change::Joined,
///     group: "workers".into(),
///     members: [Pid::from_bits(5)].into(),
/// };
/// let bytes = event.to_bytes(|_| NodeId::ALONE);
/// assert_eq!(GroupEvent::from_bytes(&bytes), Some(event));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEvent {
    /// The id of the monitor.
    pub monitor: u64,
    /// The change.
    pub change: Change,
    /// The name of the group.
    pub group: Arc<str>,
    /// The processes, each as often as it joined or left. All monitors share one list.
    pub members: Arc<[Pid]>,
}

/// The size of a member in a message, in bytes: its node and its process, a `u64` each.
pub const MEMBER_BYTES: usize = 16;

/// Returns a member as it is in a [`GroupEvent`].
///
/// - `node`: the node of the process.
pub(crate) fn member_bytes(member: Pid, node: NodeId) -> [u8; MEMBER_BYTES] {
    let mut bytes = [0; MEMBER_BYTES];
    bytes[..8].copy_from_slice(&node.to_bits().to_le_bytes());
    bytes[8..].copy_from_slice(&member.to_bits().to_le_bytes());
    bytes
}

/// Reads a member, whose id contains the number of its node.
fn member_from_bytes(bytes: &[u8; MEMBER_BYTES]) -> Pid {
    let (words, _) = bytes.as_chunks::<8>();
    Pid::from_bits(u64::from_le_bytes(words[1]))
}

impl GroupEvent {
    /// Returns the event as the bytes of a message.
    ///
    /// - `node_of`: returns the node of a process.
    pub fn to_bytes(&self, node_of: impl Fn(Pid) -> NodeId) -> Vec<u8> {
        let members = self.members.len() * MEMBER_BYTES;
        let mut bytes = Vec::with_capacity(16 + self.group.len() + members);
        bytes.extend((self.change as u32).to_le_bytes());
        bytes.extend((self.group.len() as u32).to_le_bytes());
        bytes.extend(self.monitor.to_le_bytes());
        bytes.extend(self.group.as_bytes());
        let members = self.members.iter();
        bytes.extend(members.flat_map(|member| member_bytes(*member, node_of(*member))));
        bytes
    }

    /// Reads an event from the bytes of a message. Returns `None` if they are not an event.
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
            members: members.iter().map(member_from_bytes).collect(),
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
