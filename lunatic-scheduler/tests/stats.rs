//! What a scheduler counts.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use lunatic_scheduler::Scheduler;

fn scheduler(workers: usize) -> Scheduler {
    let workers = NonZeroUsize::new(workers).unwrap();
    Scheduler::builder().workers(workers).start().unwrap()
}

#[test]
fn a_worker_is_busy_while_it_runs_a_task_and_not_while_it_rests() {
    const WORK: Duration = Duration::from_millis(200);
    let scheduler = scheduler(2);
    let (sender, receiver) = async_channel::bounded(1);
    scheduler.spawn(async move {
        let begun = Instant::now();
        while begun.elapsed() < WORK {
            std::hint::spin_loop();
        }
        sender.send(()).await.ok();
    });
    receiver.recv_blocking().unwrap();
    let stats = scheduler.stats();
    let busy = |stats: &lunatic_scheduler::SchedulerStats| -> Duration {
        stats.workers.iter().map(|worker| worker.busy).sum()
    };
    assert!(busy(&stats) >= WORK);
    assert_eq!(stats.workers.len(), 2);
    assert_eq!(
        stats.workers.iter().map(|worker| worker.tasks).sum::<u64>(),
        1
    );
    // When both rest, time passes and they are no longer busy.
    loop {
        let before = scheduler.stats();
        thread::sleep(Duration::from_millis(20));
        let after = scheduler.stats();
        assert!(after.uptime > before.uptime);
        if busy(&after) == busy(&before) {
            break;
        }
    }
    scheduler.stop();
}

#[test]
fn tasks_that_wait_are_counted() {
    let scheduler = scheduler(1);
    let (begun, is_begun) = async_channel::bounded(1);
    let (end, is_to_end) = std::sync::mpsc::channel::<()>();
    scheduler.spawn(async move {
        begun.send(()).await.ok();
        // A task must not block; this one has to, so that others wait.
        is_to_end.recv().ok();
    });
    is_begun.recv_blocking().unwrap();
    for _ in 0..5 {
        scheduler.spawn(async {});
    }
    assert_eq!(scheduler.stats().queued, 5);
    drop(end);
    while scheduler.stats().workers[0].tasks < 6 {
        thread::yield_now();
    }
    assert_eq!(scheduler.stats().queued, 0);
    scheduler.stop();
}
