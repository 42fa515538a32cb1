//! What a scheduler counts.

use std::time::Duration;

/// What a [`Scheduler`](crate::Scheduler) has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerStats {
    /// What each worker has done.
    pub workers: Vec<WorkerStats>,
    /// How many tasks wait for any worker: those that a timer, a socket or another thread
    /// has woken.
    pub queued: usize,
    /// How long the scheduler has run.
    pub uptime: Duration,
}

/// What a worker has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// How many times it has begun to run a task.
    pub tasks: u64,
    /// How long it has had something to do.
    pub busy: Duration,
    /// How many tasks wait in its queue. The one that it runs next is not counted.
    pub queued: usize,
}
