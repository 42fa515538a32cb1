//! Tasks run, all of them, whatever the others do.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use lunatic_scheduler::Scheduler;

#[test]
fn every_task_runs() {
    let scheduler = Scheduler::builder().start().unwrap();
    let (sender, receiver) = async_channel::unbounded();
    for number in 0..10_000u64 {
        let sender = sender.clone();
        scheduler.spawn(async move {
            sender.send(number).await.unwrap();
        });
    }
    let sum: u64 = (0..10_000).map(|_| receiver.recv_blocking().unwrap()).sum();
    assert_eq!(sum, 9_999 * 10_000 / 2);
    scheduler.stop();
}

#[test]
fn a_panic_ends_only_its_own_task() {
    let workers = NonZeroUsize::MIN;
    let scheduler = Scheduler::builder().workers(workers).start().unwrap();
    scheduler.spawn(async { panic!("on purpose") });
    let (sender, receiver) = async_channel::bounded(1);
    scheduler.spawn(async move { sender.send(()).await.unwrap() });
    assert_eq!(receiver.recv_blocking(), Ok(()));
}

#[test]
fn a_task_that_keeps_waking_itself_does_not_starve_others() {
    let workers = NonZeroUsize::MIN;
    let scheduler = Scheduler::builder().workers(workers).start().unwrap();
    scheduler.spawn(async {
        loop {
            futures_lite::future::yield_now().await;
        }
    });
    let (sender, receiver) = async_channel::bounded(1);
    scheduler.spawn(async move { sender.send(()).await.unwrap() });
    assert_eq!(receiver.recv_blocking(), Ok(()));
    scheduler.stop();
}

#[test]
fn work_and_rest_come_in_pairs() {
    let busy = Arc::new(AtomicIsize::new(0));
    let (up, down) = (busy.clone(), busy.clone());
    let scheduler = Scheduler::builder()
        .on_work(move || {
            up.fetch_add(1, Ordering::SeqCst);
        })
        .on_rest(move || {
            down.fetch_sub(1, Ordering::SeqCst);
        })
        .start()
        .unwrap();
    let (sender, receiver) = async_channel::bounded(1);
    let seen = busy.clone();
    scheduler.spawn(async move { sender.send(seen.load(Ordering::SeqCst)).await.unwrap() });
    assert!(receiver.recv_blocking().unwrap() >= 1);
    while busy.load(Ordering::SeqCst) != 0 {
        std::thread::yield_now();
    }
}
