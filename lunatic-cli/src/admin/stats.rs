//! Tells what there is of the runtime as a whole.

use std::fs::{self, DirEntry};
use std::io;
use std::time::Duration;

use lunatic_admin::{EnvironmentStats, RuntimeInfo, Stats};
use lunatic_process::Environment;
use rustix::time::{ClockId, clock_gettime};

use crate::admin::detail;
use crate::memory_watch;
use crate::runtime::Runtime;

/// What there is now.
pub(super) fn of(runtime: &Runtime, info: RuntimeInfo) -> Stats {
    let environments = runtime.environments();
    let scheduler = runtime.environment().scheduler().stats();
    let queued = scheduler.workers.iter().map(|worker| worker.queued);
    Stats {
        runtime: info,
        workers: runtime.environment().scheduler().workers() as u64,
        resident_memory: memory_watch::resident(),
        cpu_ms: cpu_time().as_millis() as u64,
        environments: environments.iter().map(environment).collect(),
        account: detail::usage(runtime.environment().account()),
        timers: runtime.timers().len() as u64,
        run_queue: (scheduler.queued + queued.sum::<usize>()) as u64,
        worker_cpu_us: workers_cpu_us(),
        messages: runtime.main_environment().counters().get().messages,
    }
}

fn environment(environment: &Environment) -> EnvironmentStats {
    EnvironmentStats {
        id: environment.id(),
        processes: environment.process_count() as u64,
        spawned: environment.spawned_count(),
    }
}

/// The CPU time of each worker thread, in microseconds, as the system has it. The workers
/// are not asked, and count nothing for it.
fn workers_cpu_us() -> Vec<u64> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let of_worker = |thread: io::Result<DirEntry>| {
        let path = thread.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let number = name.trim_end().strip_prefix("lunatic-")?;
        let number: usize = number.parse().ok()?;
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        let nanos: u64 = times.split(' ').next()?.parse().ok()?;
        Some((number, nanos / 1000))
    };
    let mut workers: Vec<_> = threads.filter_map(of_worker).collect();
    workers.sort_unstable();
    workers.into_iter().map(|(_, time)| time).collect()
}

/// The CPU time that all threads of the program have used.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
