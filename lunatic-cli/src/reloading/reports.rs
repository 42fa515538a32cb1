//! What a reload tells of processes that have not moved by themselves.

use std::collections::BTreeSet;

use lunatic_mailbox::Pid;
use lunatic_process::Process;
use lunatic_reload::{Outcome, ProcessReport, Report};

/// Adds what became of processes. One that has declined may have been seen to after that.
pub(super) fn add(report: &mut Report, more: Vec<ProcessReport>) {
    let pids: BTreeSet<Pid> = more.iter().map(|process| process.pid).collect();
    let processes = &mut report.processes;
    processes.retain(|process| !pids.contains(&process.pid));
    processes.extend(more);
    processes.sort_by_key(|process| process.pid);
}

pub(super) fn killed(process: &Process) -> ProcessReport {
    ProcessReport {
        pid: process.id(),
        kind: String::new(),
        outcome: Outcome::Killed,
    }
}

/// What would become of a process.
pub(super) fn planned(process: &Process, what: &str) -> ProcessReport {
    ProcessReport {
        pid: process.id(),
        kind: String::new(),
        outcome: Outcome::Planned {
            what: what.to_owned(),
        },
    }
}

/// A process that was to be seen to and goes on as the old version.
pub(super) fn kept(process: &Process, why: &str) -> ProcessReport {
    ProcessReport {
        pid: process.id(),
        kind: String::new(),
        outcome: Outcome::Kept {
            why: why.to_owned(),
        },
    }
}
