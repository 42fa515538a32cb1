//! What there is to say of a process.

use std::sync::Arc;
use std::time::Duration;

use lunatic_mailbox::Pid;

use crate::exit::ExitReason;

/// What a process is for. It is declared when the process is spawned and does not
/// change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Role {
    /// It does the work of a program.
    #[default]
    Worker,
    /// It starts and restarts other processes, and answers requests about them.
    Supervisor,
}

/// What is known of a process without asking it; see
/// [`Process::info`](crate::Process::info).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// The id.
    pub id: Pid,
    /// The process that spawned it, if one did.
    pub parent: Option<Pid>,
    /// What it is for.
    pub role: Role,
    /// The name for people.
    pub label: Option<Arc<str>>,
    /// Why it has ended; `None` while it lives.
    pub exit_reason: Option<ExitReason>,
    /// Whether it lives, but has to exit at its next suspension point.
    pub is_exiting: bool,
    /// How many messages wait in its mailbox.
    pub queued_messages: usize,
    /// How many processes it is linked to.
    pub links: usize,
    /// How many processes monitor it.
    pub watchers: usize,
    /// How long its body has run: measured, if
    /// [`Process::measure_cpu_time`](crate::Process::measure_cpu_time) was asked for, else
    /// [sampled](crate::Environment::sample_cpu_time).
    pub cpu_time: Duration,
}

/// What only the body of a process knows; see
/// [`Process::inspect`](crate::Process::inspect) and
/// [`Process::describe`](crate::Process::describe).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The name of its module, cut if it is long, or the beginning of the hash of a module
    /// without one.
    pub module: String,
    /// The hash of its module, in hexadecimal digits.
    pub module_hash: String,
    /// The name under which its module was loaded, of which it is a version; `None` if it has
    /// none.
    pub version_of: Option<Arc<str>>,
    /// The size of its linear memory, in bytes; 0 while its instance is being made,
    /// and if it was running and counts fuel.
    pub memory: u64,
    /// The host function it waits in, with its namespace: `lunatic::message::receive`
    /// for example. `None` if it was running, or its instance is being made.
    pub waiting_in: Option<&'static str>,
    /// The functions of the guest that are active, the innermost first, with their names as they
    /// stand in the source if they are symbols of Rust or C++, cut if they are long. Empty where `memory` is 0 for the reasons given there, and in a
    /// description.
    pub backtrace: Vec<String>,
    /// What the other parts of its state tell, in no order. Empty where `backtrace` is.
    pub details: Vec<Detail>,
}

/// Something that the state of a process tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// A name by which others find it.
    Name {
        /// What kind of name.
        kind: &'static str,
        /// The name, which a guest may have chosen.
        name: String,
    },
    /// How much it has of something.
    Count {
        /// Of what, in the plural.
        what: &'static str,
        /// So much.
        used: u64,
        /// How much it may have; `None` if nobody has set a limit.
        limit: Option<u64>,
    },
}

impl Inspection {
    /// An answer to [`Request::Inspect`](crate::Request::Inspect) or
    /// [`Request::Describe`](crate::Request::Describe).
    pub fn new(module: String, module_hash: String, memory: u64) -> Inspection {
        Inspection {
            module,
            module_hash,
            version_of: None,
            memory,
            waiting_in: None,
            backtrace: Vec::new(),
            details: Vec::new(),
        }
    }
}
