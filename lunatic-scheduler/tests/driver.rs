//! Workers that wait for sockets and times while they have no tasks.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_lite::future::{self, block_on};
use lunatic_reactor::{Driver, Source, Timer};
use lunatic_scheduler::Scheduler;

/// The reactor as the driver of a scheduler, which counts how often workers wait in it.
struct Reactor {
    driver: Driver,
    waits: Arc<AtomicUsize>,
}

impl lunatic_scheduler::Driver for Reactor {
    fn wait(&self, awake: &mut dyn FnMut()) {
        self.waits.fetch_add(1, Ordering::SeqCst);
        self.driver.wait(awake);
    }

    fn poll(&self) {
        self.driver.poll();
    }

    fn wake(&self) {
        self.driver.wake();
    }

    fn stop(&self) {
        self.driver.detach();
    }
}

struct Driven {
    scheduler: Scheduler,
    waits: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

/// A scheduler whose workers drive the reactor. A thread does what is to be done every millisecond.
fn driven(workers: usize) -> Driven {
    // In each test program there is one driver: nextest runs each test in one of its own, and other
    // runners have the next test wait until the driver of the previous one is gone.
    let driver = loop {
        match Driver::attach().unwrap() {
            Some(driver) => break driver,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    let waits = Arc::new(AtomicUsize::new(0));
    let reactor = Reactor {
        driver,
        waits: waits.clone(),
    };
    let scheduler = Scheduler::builder()
        .workers(NonZeroUsize::new(workers).unwrap())
        .driver(reactor)
        .start()
        .unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let (offer, ends) = (scheduler.offer_held_back_tasks(), is_over.clone());
    thread::spawn(move || {
        while !ends.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
            offer();
        }
    });
    Driven {
        scheduler,
        waits,
        is_over,
    }
}

impl Driven {
    /// Runs a task, and returns its output, which has to come in time.
    fn run<R: Send + 'static>(&self, task: impl Future<Output = R> + Send + 'static) -> R {
        let (sender, receiver) = async_channel::bounded(1);
        self.scheduler.spawn(async move {
            sender.send(task.await).await.ok();
        });
        in_time(&receiver)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.scheduler.stop();
    }
}

/// Without the reactor, which is what is tested.
fn in_time<R>(receiver: &async_channel::Receiver<R>) -> R {
    for _ in 0..60_000 {
        match receiver.try_recv() {
            Ok(output) => return output,
            Err(error) => assert!(error.is_empty(), "the task has failed"),
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("it took too long");
}

fn pair() -> (Source<UnixStream>, Source<UnixStream>) {
    let (one, other) = UnixStream::pair().unwrap();
    (Source::new(one).unwrap(), Source::new(other).unwrap())
}

async fn read_one(source: &Source<UnixStream>) -> usize {
    let read = source
        .read_with(|mut stream| stream.read(&mut [0; 1]))
        .await;
    read.unwrap()
}

async fn write_one(source: &Source<UnixStream>) -> usize {
    let written = source.write_with(|mut stream| stream.write(b"x")).await;
    written.unwrap()
}

#[test]
fn a_worker_without_tasks_waits_for_sockets_and_times() {
    for workers in [1, 2, 4] {
        let driven = driven(workers);
        let (one, other) = pair();
        let count = driven.run(async move {
            let reading = read_one(&other);
            let writing = async {
                Timer::after(Duration::from_millis(5)).await;
                write_one(&one).await
            };
            future::zip(reading, writing).await
        });
        assert_eq!(count, (1, 1));
        assert!(driven.waits.load(Ordering::SeqCst) > 0);
    }
}

#[test]
fn a_worker_that_waits_for_sockets_is_woken_for_a_task_of_another_thread() {
    for workers in [1, 2] {
        let driven = driven(workers);
        for number in 0..500 {
            if number % 50 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
            assert_eq!(driven.run(async move { number }), number);
        }
    }
}

#[test]
fn sockets_are_seen_while_every_worker_is_busy_with_tasks_that_yield() {
    for workers in [1, 2] {
        let driven = driven(workers);
        for _ in 0..workers * 3 {
            driven.scheduler.spawn(async {
                loop {
                    future::yield_now().await;
                }
            });
        }
        let (one, other) = pair();
        let (here, there) = pair();
        driven.scheduler.spawn(async move {
            loop {
                if read_one(&there).await == 0 {
                    return;
                }
                write_one(&other).await;
            }
        });
        let count = driven.run(async move {
            for _ in 0..20 {
                write_one(&here).await;
                assert_eq!(read_one(&one).await, 1);
                Timer::after(Duration::from_micros(300)).await;
            }
            20
        });
        assert_eq!(count, 20);
    }
}

#[test]
fn a_sleeping_worker_takes_over_from_one_that_is_busy_with_one_task() {
    let driven = driven(2);
    let (one, other) = pair();
    // Both workers have slept, and one of them drives.
    thread::sleep(Duration::from_millis(5));
    let (sender, receiver) = async_channel::bounded(1);
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    driven.scheduler.spawn(async move {
        read_one(&other).await;
        sender.send(()).await.ok();
        while !ends.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
    });
    block_on(write_one(&one));
    in_time(&receiver);
    // Now that worker is busy.
    let (one, other) = pair();
    let (sender, receiver) = async_channel::bounded(1);
    driven.scheduler.spawn(async move {
        for _ in 0..10 {
            read_one(&other).await;
            Timer::after(Duration::from_millis(1)).await;
            sender.send(()).await.ok();
        }
    });
    for _ in 0..10 {
        block_on(write_one(&one));
        in_time(&receiver);
    }
    is_over.store(true, Ordering::SeqCst);
}

#[test]
fn who_waits_on_another_thread_is_woken_while_every_worker_is_busy_with_one_task() {
    let driven = driven(2);
    let is_over = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let (ends, begun) = (is_over.clone(), begun.clone());
        driven.scheduler.spawn(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            while !ends.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
        });
    }
    while begun.load(Ordering::SeqCst) < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    let (sender, receiver) = async_channel::bounded(1);
    let (one, other) = pair();
    thread::spawn(move || {
        block_on(async {
            Timer::after(Duration::from_millis(2)).await;
            let reading = read_one(&other);
            let writing = async {
                future::yield_now().await;
                write_one(&one).await
            };
            future::zip(reading, writing).await;
        });
        sender.send_blocking(()).ok();
    });
    in_time(&receiver);
    is_over.store(true, Ordering::SeqCst);
}

#[test]
fn many_tasks_that_become_ready_at_once_all_run() {
    const TASKS: usize = 300;
    let driven = driven(2);
    let (sender, receiver) = async_channel::bounded(TASKS);
    let mut writers = Vec::new();
    for _ in 0..TASKS {
        let (one, other) = pair();
        writers.push(one);
        let sender = sender.clone();
        driven.scheduler.spawn(async move {
            read_one(&other).await;
            sender.send(()).await.ok();
        });
    }
    for writer in &writers {
        block_on(write_one(writer));
    }
    for _ in 0..TASKS {
        in_time(&receiver);
    }
}

#[test]
fn a_thread_of_the_reactor_waits_when_the_scheduler_has_stopped() {
    let driven = driven(2);
    let (one, other) = pair();
    driven.run(async {
        Timer::after(Duration::from_millis(1)).await;
    });
    drop(driven);
    let (sender, receiver) = async_channel::bounded(1);
    thread::spawn(move || {
        block_on(async {
            let writing = async {
                Timer::after(Duration::from_millis(2)).await;
                write_one(&one).await
            };
            future::zip(read_one(&other), writing).await;
        });
        sender.send_blocking(()).ok();
    });
    in_time(&receiver);
}
