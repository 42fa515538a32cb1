//! What is true of all nodes at once, and what was found to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lunatic_mailbox::{NodeId, Pid};
use lunatic_process::ExitReason;
use parking_lot::Mutex;

/// What is true, which no node knows.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) now: Duration,
    /// The processes that live, and the node that each is on.
    pub(crate) alive: BTreeMap<Pid, NodeId>,
    pub(crate) dead: BTreeMap<Pid, ExitReason>,
    /// Watcher and watched, once the watched one knows.
    pub(crate) monitors: BTreeSet<(Pid, Pid)>,
    /// How many numbered messages and signals left in a connection for a pair, and came.
    pub(crate) sent: BTreeMap<(u64, Pid, Pid), u64>,
    pub(crate) received: BTreeMap<(u64, Pid, Pid), u64>,
    /// When a process has got a name.
    pub(crate) named: BTreeMap<(String, Pid), Duration>,
    pub(crate) counts: Counts,
    pub(crate) failure: Option<String>,
    /// Everything is written to standard error.
    pub(crate) is_traced: bool,
    /// Of all that was observable, in order: two runs of a seed have the same.
    pub(crate) digest: u64,
}

/// How often something happened: a simulation in which nothing does shows nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) sessions: u64,
    pub(crate) messages: u64,
    pub(crate) link_deaths: u64,
    pub(crate) monitor_notices: u64,
    pub(crate) unlinks: u64,
    pub(crate) names: u64,
    pub(crate) names_lost: u64,
    pub(crate) memberships: u64,
    pub(crate) responses: u64,
    pub(crate) responses_lost: u64,
    pub(crate) held: u64,
    /// Requests to a node without a runtime, which wait for that.
    pub(crate) early: u64,
    /// Memberships that were there before the runtime.
    pub(crate) memberships_before: u64,
    /// Changes of groups while much was queued for a node.
    pub(crate) untold: u64,
    /// Ends for a reason with a failure, told to another node.
    pub(crate) failures: u64,
    /// Processes were told of a node.
    pub(crate) node_notices: u64,
    /// Nodes whose clocks have stood still for a while.
    pub(crate) clocks_behind: u64,
    /// Nodes that end, as others have their names or numbers.
    pub(crate) expelled: u64,
    /// Registrations of a name by who wants it, or has it, already.
    pub(crate) names_again: u64,
}

pub(crate) type Shared = Arc<Mutex<Truth>>;

impl Truth {
    /// Something is not as promised; the first counts.
    pub(crate) fn fail(&mut self, what: String) {
        self.trace(|| format!("WRONG: {what}"));
        let now = self.now;
        self.failure
            .get_or_insert_with(|| format!("at {:.6} s: {what}", now.as_secs_f64()));
    }

    pub(crate) fn trace(&mut self, what: impl FnOnce() -> String) {
        if self.is_traced {
            eprintln!("{:12.6} {}", self.now.as_secs_f64(), what());
        }
    }

    /// Notes something observable.
    pub(crate) fn observe(&mut self, what: u64) {
        let now = self.now.as_nanos() as u64;
        for part in [now, what] {
            self.digest = (self.digest.rotate_left(5) ^ part).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}
