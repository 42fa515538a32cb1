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

#[test]
fn a_task_that_a_busy_one_has_woken_is_run_by_another_worker() {
    let workers = NonZeroUsize::new(2).unwrap();
    let scheduler = Scheduler::builder().workers(workers).start().unwrap();
    let offer = scheduler.offer_held_back_tasks();
    let (wake, woken) = async_channel::bounded(1);
    let (answer, answered) = async_channel::bounded(1);
    let (waits, is_waiting) = async_channel::bounded(1);
    scheduler.spawn(async move {
        waits.send(()).await.unwrap();
        woken.recv().await.unwrap();
        answer.send(()).await.unwrap();
    });
    is_waiting.recv_blocking().unwrap();
    let (done, is_done) = async_channel::bounded(1);
    scheduler.spawn(async move {
        wake.send(()).await.unwrap();
        // It blocks its worker until the other one has run.
        answered.recv_blocking().unwrap();
        done.send(()).await.unwrap();
    });
    while is_done.try_recv().is_err() {
        offer();
        std::thread::yield_now();
    }
    scheduler.stop();
}

#[test]
fn tasks_that_wake_each_other_go_on_while_tasks_are_offered() {
    let workers = NonZeroUsize::new(2).unwrap();
    let scheduler = Scheduler::builder().workers(workers).start().unwrap();
    let offer = scheduler.offer_held_back_tasks();
    let (ping, pinged) = async_channel::bounded(1);
    let (pong, ponged) = async_channel::bounded(1);
    let (done, is_done) = async_channel::bounded(1);
    scheduler.spawn(async move {
        while pinged.recv().await.is_ok() {
            pong.send(()).await.unwrap();
        }
    });
    scheduler.spawn(async move {
        for _ in 0..10_000 {
            ping.send(()).await.unwrap();
            ponged.recv().await.unwrap();
        }
        done.send(()).await.unwrap();
    });
    while is_done.try_recv().is_err() {
        offer();
    }
    scheduler.stop();
}

#[test]
fn stopping_drops_what_waits_in_the_queues() {
    struct Dropped(Arc<AtomicIsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let workers = NonZeroUsize::MIN;
    let scheduler = Scheduler::builder().workers(workers).start().unwrap();
    let dropped = Arc::new(AtomicIsize::new(0));
    let (spawner, counter) = (scheduler.clone(), dropped.clone());
    let (stop, stopped) = async_channel::bounded::<()>(1);
    let (begins, has_begun) = async_channel::bounded(1);
    scheduler.spawn(async move {
        for _ in 0..10 {
            let value = Dropped(counter.clone());
            spawner.spawn(async move { drop(value) });
        }
        begins.send(()).await.unwrap();
        stopped.recv_blocking().ok();
    });
    has_begun.recv_blocking().unwrap();
    scheduler.stop();
    drop(stop);
    while dropped.load(Ordering::SeqCst) < 10 {
        std::thread::yield_now();
    }
}
