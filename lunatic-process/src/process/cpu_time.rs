//! How long a process has run.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Process, attention};
use crate::counters::Running;

impl Process {
    /// Has the CPU time of the process, which [`info`](Process::info) tells, measured exactly from
    /// now on, or sampled again; see
    /// [`Environment::sample_cpu_time`](crate::Environment::sample_cpu_time). Nothing is measured
    /// unless this is asked for or the account of the process has a limit of CPU time, since
    /// reading the clock costs as much as a short message does.
    pub fn measure_cpu_time(&self, measure: bool) {
        let attention = &self.inner.attention;
        match measure {
            true => attention.fetch_or(attention::MEASURE, Ordering::Relaxed),
            // It is needed for the limit of the account.
            false if self.account().limits_cpu() => return,
            false => attention.fetch_and(!attention::MEASURE, Ordering::Relaxed),
        };
    }

    /// Notes that this thread polls the body, until the result is dropped.
    #[inline]
    pub(crate) fn run(&self) -> Running<'_> {
        let environment = self.environment();
        environment.counters().run(self.id(), environment.mark())
    }

    /// The body was seen to run for so long. If its time is measured, that is known already.
    pub(crate) fn add_sampled_time(&self, time: Duration) {
        if !self.is_measured() {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.inner.cpu_time.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Whether the CPU time is measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.inner.attention.load(Ordering::Relaxed) & attention::MEASURE != 0
    }

    /// The body has run since `started`.
    pub(crate) fn add_cpu_time(&self, started: Instant) {
        let now = Instant::now();
        let time = now.saturating_duration_since(started);
        self.account().use_cpu(now, time);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.inner.cpu_time.fetch_add(nanos, Ordering::Relaxed);
    }
}
