//! Keeps the memory of the whole runtime below a limit.
//!
//! What guests make the host keep is charged to accounts, and refused there. The pages
//! of linear memory are not known before they are written, so a thread looks how much
//! memory the program takes, the more often the less is left. Shortly below the limit
//! every charge of memory is refused; if it rises on, processes are killed, those of the
//! branch that uses most before others, before the limit is reached: they go on until
//! their next tick.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lunatic_account::{Account, Kind};
use lunatic_process::{Environment, Process, WeakEnvironment};
use parking_lot::Mutex;

/// Watches the memory of the program until it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    stopped: Arc<AtomicBool>,
}

/// What is to be done about the memory that the program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    refuse: bool,
    kill: bool,
    /// How long to wait until the next look.
    pause: Duration,
}

impl MemoryWatch {
    /// Starts the thread that watches. It is not started where the memory of the program
    /// cannot be told.
    ///
    /// - `limit`: in bytes.
    /// - `account`: the root of the tree of accounts.
    /// - `environments`: those whose processes can be killed.
    ///
    /// # Errors
    ///
    /// Fails if there can be no thread.
    pub(crate) fn start(
        limit: u64,
        account: Account,
        environments: Arc<Mutex<Vec<WeakEnvironment>>>,
    ) -> io::Result<MemoryWatch> {
        let stopped = Arc::new(AtomicBool::new(false));
        let watch = MemoryWatch {
            stopped: stopped.clone(),
        };
        if resident().is_some() {
            let run = move || watch_until_stopped(limit, &account, &environments, &stopped);
            thread::Builder::new().name("memory".into()).spawn(run)?;
        }
        Ok(watch)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn watch_until_stopped(
    limit: u64,
    account: &Account,
    environments: &Mutex<Vec<WeakEnvironment>>,
    stopped: &AtomicBool,
) {
    let mut refuses = false;
    let mut killed = 0;
    while !stopped.load(Ordering::Relaxed) {
        let Some(resident) = resident() else { return };
        let verdict = judge(resident, limit, refuses);
        if verdict.refuse != refuses {
            refuses = verdict.refuse;
            account.set_out_of_memory(refuses);
            report(refuses, resident, limit, killed);
            killed = 0;
        }
        if verdict.kill {
            let environments: Vec<_> = environments.lock().clone();
            let living = environments.iter().filter_map(WeakEnvironment::upgrade);
            let processes = living.flat_map(|environment: Environment| environment.processes());
            let count = kill_some(processes);
            if killed == 0 && count > 0 {
                tracing::error!(resident, limit, "still out of memory: processes are killed");
            }
            killed += count;
        }
        thread::sleep(verdict.pause);
    }
}

/// What to do.
///
/// - `refuses`: whether memory is refused already. It is no longer when somewhat more
///   than a tenth of the limit is free again.
fn judge(resident: u64, limit: u64, refuses: bool) -> Verdict {
    /// Faster than two cores write to fresh pages, in bytes per second.
    const FASTEST: u64 = 4 << 30;
    let threshold = match refuses {
        true => limit / 20 * 17,
        false => limit / 10 * 9,
    };
    let left = threshold.saturating_sub(resident);
    let pause = Duration::from_micros(left / (FASTEST / 1_000_000));
    Verdict {
        refuse: resident > threshold,
        kill: resident > limit / 20 * 19,
        pause: pause.clamp(Duration::from_millis(1), Duration::from_millis(500)),
    }
}

/// Kills the processes of the branch that uses most, or, if all processes share the
/// account of the root, the younger half of them. Those that are about to end are left
/// out. Returns how many were killed.
fn kill_some(processes: impl Iterator<Item = Process>) -> usize {
    let mut branches: HashMap<_, (u64, Vec<Process>)> = HashMap::new();
    for process in processes.filter(|process| !process.info().is_exiting) {
        let account = process.account();
        let used = match account.parent() {
            Some(_) => account.used(Kind::Memory),
            None => 0,
        };
        let branch = branches.entry(account.id()).or_insert((used, Vec::new()));
        branch.1.push(process);
    }
    let Some((used, mut victims)) = branches.into_values().max_by_key(|(used, _)| *used) else {
        return 0;
    };
    if used == 0 {
        victims.sort_by_key(|process| Reverse(process.id()));
        victims.truncate(victims.len().div_ceil(2));
    }
    victims.iter().for_each(Process::kill);
    victims.len()
}

fn report(refuses: bool, resident: u64, limit: u64, killed: usize) {
    match refuses {
        true => tracing::error!(
            resident,
            limit,
            "out of memory: more is refused from now on"
        ),
        false => tracing::warn!(resident, limit, killed, "there is memory again"),
    }
}

/// The bytes of memory that the program takes; `None` where that cannot be told.
pub(crate) fn resident() -> Option<u64> {
    kibibytes("/proc/self/status", "VmRSS:")
}

/// The value of a line of a file in `/proc` that is given in kB, in bytes.
fn kibibytes(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The memory of the machine, or of the control group of the program if that has less, in
/// bytes; `None` where that cannot be told.
pub(crate) fn available() -> Option<u64> {
    let machine = kibibytes("/proc/meminfo", "MemTotal:")?;
    Some(machine.min(control_group_limit().unwrap_or(u64::MAX)))
}

/// The lowest limit of the control groups (version 2) that the program is in.
fn control_group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path);
    let folders = folder
        .ancestors()
        .take_while(|folder| folder.starts_with("/sys/fs/cgroup"));
    folders
        .filter_map(|folder| fs::read_to_string(folder.join("memory.max")).ok())
        .filter_map(|limit| limit.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn far_below_the_limit_nothing_is_done_and_nobody_looks_often() {
        let verdict = judge(100 * MIB, 4096 * MIB, false);
        assert!(!verdict.refuse && !verdict.kill);
        assert_eq!(verdict.pause, Duration::from_millis(500));
    }

    #[test]
    fn shortly_below_the_limit_memory_is_refused_until_a_tenth_is_free() {
        assert!(judge(470 * MIB, 512 * MIB, false).refuse);
        assert!(!judge(450 * MIB, 512 * MIB, false).refuse);
        assert!(judge(450 * MIB, 512 * MIB, true).refuse);
        assert!(!judge(430 * MIB, 512 * MIB, true).refuse);
        assert!(!judge(470 * MIB, 512 * MIB, false).kill);
    }

    #[test]
    fn so_shortly_below_the_limit_that_it_would_be_exceeded_processes_are_killed() {
        let verdict = judge(490 * MIB, 512 * MIB, true);
        assert!(verdict.refuse && verdict.kill);
        assert_eq!(verdict.pause, Duration::from_millis(1));
    }
}
