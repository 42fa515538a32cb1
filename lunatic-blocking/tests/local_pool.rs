//! Tasks that stay on their threads.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use lunatic_account::{Account, AccountLimits, Share};
use lunatic_blocking::{LocalPool, ThreadLimits};

const TIMEOUT: Duration = Duration::from_secs(60);

fn pool(threads: usize) -> LocalPool {
    divided(threads, threads, 100)
}

fn divided(program: usize, guest: usize, all: usize) -> LocalPool {
    let [program, guest, all] = [program, guest, all].map(|n| NonZeroUsize::new(n).unwrap());
    let limits = ThreadLimits {
        program,
        guest,
        all,
    };
    LocalPool::new("test", limits)
}

/// Does something as a process of a guest does it.
fn in_the_name_of<R>(account: &Account, act: impl FnOnce() -> R) -> R {
    account.share().unwrap().clone().enter();
    let result = act();
    Share::leave();
    result
}

/// Spawns tasks that end when the sender is dropped, and tells on which threads they are.
fn spawn_pinned(pool: &LocalPool, number: usize) -> (HashSet<ThreadId>, async_channel::Sender<()>) {
    let (sender, threads) = mpsc::channel();
    let (hold, held) = async_channel::bounded::<()>(1);
    for _ in 0..number {
        let (sender, held) = (sender.clone(), held.clone());
        pool.spawn_pinned(move || async move {
            sender.send(thread::current().id()).unwrap();
            held.recv().await.ok();
        });
    }
    let threads = (0..number).map(|_| threads.recv_timeout(TIMEOUT).unwrap());
    (threads.collect(), hold)
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < TIMEOUT, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn guests_have_threads_of_their_own_and_no_more_than_their_part() {
    let root = Account::root(AccountLimits::UNLIMITED);
    let guest = || root.branch(AccountLimits::UNLIMITED).unwrap();
    let (one, other) = (guest(), guest());
    let below = one.branch(AccountLimits::UNLIMITED).unwrap();
    let pool = divided(3, 2, 100);
    let (of_one, _one) = in_the_name_of(&one, || spawn_pinned(&pool, 40));
    let (of_below, _below) = in_the_name_of(&below, || spawn_pinned(&pool, 40));
    let (of_other, _other) = in_the_name_of(&other, || spawn_pinned(&pool, 1));
    let (of_program, _program) = spawn_pinned(&pool, 40);
    assert_eq!(of_one.len(), 2);
    assert_eq!(of_below, of_one);
    assert!(of_other.is_disjoint(&of_one));
    assert_eq!(of_program.len(), 3);
    assert!(of_program.is_disjoint(&of_one) && of_program.is_disjoint(&of_other));
    assert_eq!(pool.count(), 121);
}

#[test]
fn threads_that_are_left_are_for_those_who_have_none_and_are_shared_in_the_end() {
    let root = Account::root(AccountLimits::UNLIMITED);
    let pool = divided(1, 3, 6);
    let mut taken = HashSet::new();
    let mut kept = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..5 {
        let guest = root.branch(AccountLimits::UNLIMITED).unwrap();
        let (threads, hold) = in_the_name_of(&guest, || spawn_pinned(&pool, 5));
        counts.push(threads.len());
        taken.extend(threads);
        kept.push((guest, hold));
    }
    // The last one has its tasks where the fewest are.
    assert_eq!(counts, [3, 1, 1, 1, 3]);
    assert_eq!(pool.threads(), 6);
    assert_eq!(taken.len(), 6);
}

#[test]
fn a_thread_without_tasks_is_given_to_others_or_ends() {
    let root = Account::root(AccountLimits::UNLIMITED);
    let guest = || root.branch(AccountLimits::UNLIMITED).unwrap();
    let (one, other) = (guest(), guest());
    let pool = divided(2, 4, 100);
    let (of_one, hold) = in_the_name_of(&one, || spawn_pinned(&pool, 9));
    assert_eq!(of_one.len(), 4);
    drop(hold);
    wait_until("surplus threads are there", || {
        pool.threads() == 2 && pool.count() == 0
    });
    let (of_other, _other) = in_the_name_of(&other, || spawn_pinned(&pool, 2));
    assert!(of_other.is_subset(&of_one));
    let (again, _one) = in_the_name_of(&one, || spawn_pinned(&pool, 9));
    assert_eq!(again.len(), 4);
    assert!(again.is_disjoint(&of_other));
}

#[test]
fn tasks_stay_on_as_many_threads_as_there_may_be() {
    let pool = pool(3);
    let (sender, threads) = mpsc::channel();
    for _ in 0..12 {
        let sender = sender.clone();
        pool.spawn_pinned(move || async move {
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
        .map(|_| threads.recv_timeout(TIMEOUT).unwrap())
        .collect();
    assert_eq!(threads.len(), 3);
    assert_eq!(pool.count(), 12);
}

#[test]
fn a_panic_ends_a_task_and_not_its_thread() {
    let pool = pool(1);
    pool.spawn_pinned(|| async { panic!("this panic is expected") });
    let (sender, receiver) = mpsc::channel();
    pool.spawn_pinned(move || async move { sender.send(1).unwrap() });
    assert_eq!(receiver.recv_timeout(TIMEOUT), Ok(1));
    wait_until("a task that has ended is counted", || pool.count() == 0);
}
