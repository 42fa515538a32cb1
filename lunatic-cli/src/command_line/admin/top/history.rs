//! What a runtime did in the last minutes, as a strip.

use std::collections::VecDeque;
use std::time::Instant;

use lunatic_admin::Stats;

/// So many values are kept of each.
const MAX: usize = 240;

/// What is shown over time.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    last: Option<Last>,
    /// The part of the time of all workers in which they ran, from 0 to 1.
    pub(super) scheduler: Strip,
    /// Tasks that wait for a worker.
    pub(super) run_queue: Strip,
    /// Bytes of the program.
    pub(super) memory: Strip,
    /// Processes spawned in a second.
    pub(super) spawns: Strip,
    /// Messages that arrived in a second.
    pub(super) messages: Strip,
}

/// The values of one thing, the last one behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Strip(VecDeque<f64>);

/// What was counted when it was last looked at.
#[derive(Debug, Clone)]
struct Last {
    at: Instant,
    worker_cpu_us: u64,
    spawned: u64,
    messages: u64,
}

impl History {
    /// Takes in what there is now.
    pub(super) fn add(&mut self, stats: &Stats, at: Instant) {
        let now = Last {
            at,
            worker_cpu_us: stats.worker_cpu_us.iter().sum(),
            spawned: stats.environments.iter().map(|it| it.spawned).sum(),
            messages: stats.messages,
        };
        self.run_queue.push(stats.run_queue as f64);
        self.memory.push(stats.resident_memory.unwrap_or(0) as f64);
        if let Some(last) = &self.last {
            let seconds = at
                .saturating_duration_since(last.at)
                .as_secs_f64()
                .max(1e-3);
            let rate = |now: u64, last: u64| now.saturating_sub(last) as f64 / seconds;
            let busy = rate(now.worker_cpu_us, last.worker_cpu_us) / 1e6;
            let workers = stats.workers.max(1) as f64;
            self.scheduler.push((busy / workers).clamp(0.0, 1.0));
            self.spawns.push(rate(now.spawned, last.spawned));
            self.messages.push(rate(now.messages, last.messages));
        }
        self.last = Some(now);
    }
}

impl Strip {
    fn push(&mut self, value: f64) {
        if self.0.len() == MAX {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The value now.
    pub(super) fn last(&self) -> f64 {
        self.0.back().copied().unwrap_or(0.0)
    }

    /// The last values as marks of different heights.
    ///
    /// - `most`: the value of the highest mark; `None` for the highest of the values.
    /// - `marks`: from the lowest to the highest.
    pub(super) fn drawn(&self, width: usize, most: Option<f64>, marks: &[char]) -> String {
        let shown = self.0.iter().skip(self.0.len().saturating_sub(width));
        let highest = shown.clone().copied().fold(0.0, f64::max);
        let most = most.unwrap_or(highest).max(f64::MIN_POSITIVE);
        let top = marks.len().saturating_sub(1);
        let mark = |value: &f64| {
            let height = (value / most * top as f64).ceil() as usize;
            marks.get(height.min(top)).copied().unwrap_or(' ')
        };
        shown.map(mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lunatic_admin::{EnvironmentStats, RuntimeInfo};

    use super::*;

    fn stats(spawned: u64, messages: u64, cpu_us: u64) -> Stats {
        Stats {
            runtime: RuntimeInfo {
                version: String::new(),
                protocol: 1,
                pid: 1,
                uptime_ms: 0,
            },
            workers: 2,
            resident_memory: Some(1 << 20),
            cpu_ms: 0,
            environments: vec![EnvironmentStats {
                id: 1,
                processes: 0,
                spawned,
            }],
            account: Vec::new(),
            timers: 0,
            run_queue: 3,
            worker_cpu_us: vec![cpu_us, cpu_us],
            messages,
        }
    }

    #[test]
    fn rates_are_those_between_two_looks() {
        let (mut history, start) = (History::default(), Instant::now());
        history.add(&stats(10, 100, 0), start);
        assert_eq!(history.spawns.last(), 0.0);
        history.add(&stats(30, 300, 500_000), start + Duration::from_secs(2));
        assert_eq!(history.spawns.last(), 10.0);
        assert_eq!(history.messages.last(), 100.0);
        assert_eq!(history.scheduler.last(), 0.25);
        assert_eq!(history.run_queue.last(), 3.0);
    }

    #[test]
    fn a_strip_is_drawn_to_its_highest_value_and_forgets_the_oldest() {
        let mut strip = Strip::default();
        for value in 0..1000 {
            strip.push(f64::from(value % 5));
        }
        assert_eq!(strip.drawn(5, None, &['0', '1', '2', '3', '4']), "01234");
        assert_eq!(strip.drawn(10_000, None, &['.']).len(), MAX);
        assert_eq!(strip.drawn(5, Some(8.0), &['0', '1', '2']), "01111");
    }
}
