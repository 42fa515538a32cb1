//! Tasks that stay on their threads.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use lunatic_blocking::Residents;

const PATIENCE: Duration = Duration::from_secs(60);

fn residents(threads: usize) -> Residents {
    Residents::new("test", NonZeroUsize::new(threads).unwrap())
}

#[test]
fn tasks_stay_on_as_many_threads_as_there_may_be() {
    let residents = residents(3);
    let (sender, threads) = mpsc::channel();
    for _ in 0..12 {
        let sender = sender.clone();
        residents.settle(move || async move {
            let here = Rc::new(thread::current().id());
            for _ in 0..5 {
                futures_lite::future::yield_now().await;
                assert_eq!(*here, thread::current().id());
            }
            sender.send(*here).unwrap();
            std::future::pending::<()>().await;
        });
    }
    let threads: HashSet<_> = (0..12)
        .map(|_| threads.recv_timeout(PATIENCE).unwrap())
        .collect();
    assert_eq!(threads.len(), 3);
    assert_eq!(residents.count(), 12);
}

#[test]
fn a_panic_ends_a_task_and_not_its_thread() {
    let residents = residents(1);
    residents.settle(|| async { panic!("this panic is expected") });
    let (sender, receiver) = mpsc::channel();
    residents.settle(move || async move { sender.send(1).unwrap() });
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok(1));
    let begin = Instant::now();
    while residents.count() > 0 {
        assert!(
            begin.elapsed() < PATIENCE,
            "a task that has ended is counted"
        );
        thread::sleep(Duration::from_millis(1));
    }
}
