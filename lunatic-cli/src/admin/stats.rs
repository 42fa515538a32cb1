//! Tells what there is of the runtime as a whole.

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
    Stats {
        runtime: info,
        workers: runtime.environment().scheduler().workers() as u64,
        resident_memory: memory_watch::resident(),
        cpu_ms: cpu_time().as_millis() as u64,
        environments: environments.iter().map(environment).collect(),
        account: detail::usage(runtime.environment().account()),
        timers: runtime.timers().len() as u64,
    }
}

fn environment(environment: &Environment) -> EnvironmentStats {
    EnvironmentStats {
        id: environment.id(),
        processes: environment.process_count() as u64,
        spawned: environment.spawned_count(),
    }
}

/// The CPU time that all threads of the program have used.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
