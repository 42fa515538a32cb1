//! The statistics of a scheduler.

use std::time::Duration;

/// The statistics of a [`Scheduler`](crate::Scheduler).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerStats {
    /// The statistics of each worker.
    pub workers: Vec<WorkerStats>,
    /// The number of tasks in the queue of all workers: those that a timer, a socket or another
    /// thread has woken.
    pub queued: usize,
    /// How long the scheduler has run.
    pub uptime: Duration,
}

/// The statistics of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// How many times it has begun to run a task.
    pub tasks: u64,
    /// How long it has had something to do.
    pub busy: Duration,
    /// The number of tasks in its queue. The task that it runs next is not counted.
    pub queued: usize,
}
