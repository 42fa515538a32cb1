//! As much of processes and messages as supervised programs need that do without
//! the `lunatic` crate.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error;
use crate::sys;

/// The id of a process on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId(pub u64);

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// Its function returned.
    Normal,
    /// It trapped, or somebody linked to it did.
    Failed(error::Error),
    /// Somebody killed it.
    Killed,
    /// It ended in good order because it was told to, or a supervisor gave up.
    Shutdown,
    /// There is no such process, perhaps no longer.
    NoProcess,
    /// There is no connection to its node.
    NoConnection,
}

/// Why a process has ended, as [`monitor_with_reason`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The process.
    pub process: ProcessId,
    /// Why.
    pub reason: ExitReason,
}

/// What a process finds in its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// What a process has sent.
    Data {
        /// Its tag; 0 for none.
        tag: i64,
        /// What it says.
        bytes: Vec<u8>,
    },
    /// A linked process has ended, or the supervisor wants this one to.
    LinkDied {
        /// The tag of the link; 0 for that to the supervisor.
        tag: i64,
    },
    /// A monitored process has ended.
    ProcessDied {
        /// Which one.
        process: ProcessId,
    },
}

/// The calling process.
pub fn this() -> ProcessId {
    ProcessId(sys::process_id())
}

/// Gives the calling process a name for people, which stands in the log and in what
/// the runtime tells of its processes.
///
/// # Panics
///
/// The process traps if the label has more than 255 bytes.
pub fn set_label(label: &str) {
    sys::set_label(label);
}

/// Ends a process.
pub fn kill(process: ProcessId) {
    sys::kill(process.0);
}

/// Whether a process lives.
pub fn exists(process: ProcessId) -> bool {
    sys::exists(process.0)
}

/// Asks to be told, by [`Message::ProcessDied`], when a process ends. If there is
/// none, nothing ever comes: look whether it [`exists`] afterwards.
pub fn monitor(process: ProcessId) {
    sys::monitor(process.0);
}

/// Asks to be told why a process ends, wherever it is, by a message with this tag that
/// [`Ended::of`] reads. It takes the place of an earlier monitor of the same process. If there is
/// none, or its node cannot be reached, that is told at once.
pub fn monitor_with_reason(tag: i64, process: ProcessId) {
    sys::monitor_with_reason(tag, process.0);
}

/// Asks a process, wherever it is, to end as if it had failed so. One that traps link deaths is
/// told of one instead.
///
/// # Panics
///
/// The process traps if the text has more than 4096 bytes.
pub fn fail(process: ProcessId, text: &str) {
    sys::exit(process.0, 1, text);
}

/// Asks a process, wherever it is, to end in good order. One that traps link deaths is told of
/// one instead.
pub fn shut_down(process: ProcessId) {
    sys::exit(process.0, 3, "");
}

/// Undoes [`monitor`] and [`monitor_with_reason`]; what was told before stays in the mailbox.
pub fn stop_monitoring(process: ProcessId) {
    sys::stop_monitoring(process.0);
}

/// Makes link deaths, and the order to end, messages: from now on this process
/// has to end by itself when it is told to.
pub fn trap_link_deaths() {
    sys::die_when_link_dies(false);
}

/// Sends bytes to a process; nothing happens if there is none.
///
/// - `tag`: what the receiver can wait for; 0 for none.
pub fn send(process: ProcessId, tag: i64, bytes: &[u8]) {
    sys::send(process.0, tag, bytes);
}

/// A negative tag at random, which nobody can guess. Who sends it with a request, and waits for a
/// message with it alone, takes no answer but that of whoever was told it.
///
/// ```no_run
/// use lunatic_guest::process::{self, Message, ProcessId};
///
/// # let server = ProcessId(1);
/// let tag = process::unique_tag();
/// let request = [process::this().0.to_le_bytes(), tag.to_le_bytes()].concat();
/// process::send(server, 1, &request);
/// let answer: Message = process::receive(&[tag]);
/// ```
pub fn unique_tag() -> i64 {
    sys::unique_tag()
}

/// Waits for the oldest message, or the oldest with one of these tags.
pub fn receive(tags: &[i64]) -> Message {
    loop {
        if let Some(message) = receive_timeout(tags, None) {
            return message;
        }
    }
}

/// Waits for the oldest message, or the oldest with one of these tags. `None` if there is
/// none after this time, or if the wait ends early after [`reload::point`].
///
/// - `timeout`: no limit if there is none.
///
/// [`reload::point`]: crate::reload::point
pub fn receive_timeout(tags: &[i64], timeout: Option<Duration>) -> Option<Message> {
    const DATA: u32 = 0;
    const LINK_DIED: u32 = 1;
    match sys::receive(tags, millis(timeout)) {
        sys::TIMED_OUT => None,
        DATA => Some(Message::Data {
            tag: sys::message_tag(),
            bytes: sys::message_bytes(),
        }),
        LINK_DIED => Some(Message::LinkDied {
            tag: sys::message_tag(),
        }),
        _ => Some(Message::ProcessDied {
            process: ProcessId(sys::message_process()),
        }),
    }
}

/// Waits until a process has ended; `None` if it still lives after this time.
///
/// - `timeout`: no limit if there is none.
pub fn wait(process: ProcessId, timeout: Option<Duration>) -> Option<ExitReason> {
    const NORMAL: u32 = 0;
    const FAILED: u32 = 1;
    const KILLED: u32 = 2;
    const SHUTDOWN: u32 = 3;
    let ended = sys::wait(process.0, millis(timeout));
    match ended.0 {
        sys::TIMED_OUT => None,
        NORMAL => Some(ExitReason::Normal),
        FAILED => error::check(ended).err().map(ExitReason::Failed),
        KILLED => Some(ExitReason::Killed),
        SHUTDOWN => Some(ExitReason::Shutdown),
        _ => Some(ExitReason::NoProcess),
    }
}

impl Message {
    /// The bytes of a data message with this tag.
    pub(crate) fn data_with_tag(&self, wanted: i64) -> Option<&[u8]> {
        match self {
            Message::Data { tag, bytes } if *tag == wanted => Some(bytes),
            _ => None,
        }
    }
}

impl Ended {
    /// Reads what a process is told that monitors another; `None` for other messages.
    pub fn of(message: &Message, tag: i64) -> Option<Ended> {
        let bytes = message.data_with_tag(tag)?;
        let (process, bytes) = bytes.split_first_chunk()?;
        let (reason, text) = bytes.split_first_chunk()?;
        let reason = match u32::from_le_bytes(*reason) {
            0 => ExitReason::Normal,
            1 => ExitReason::Failed(error::Error::from_text(text)),
            2 => ExitReason::Killed,
            3 => ExitReason::Shutdown,
            4 => ExitReason::NoProcess,
            5 => ExitReason::NoConnection,
            _ => return None,
        };
        Some(Ended {
            process: ProcessId(u64::from_le_bytes(*process)),
            reason,
        })
    }
}

/// A time limit as the host reads it.
fn millis(timeout: Option<Duration>) -> u64 {
    timeout.map_or(u64::MAX, |timeout| {
        u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)
    })
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
