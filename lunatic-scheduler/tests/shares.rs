//! Tasks of a share that has used more than its part wait for those of others, and go on.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::future::yield_now;
use lunatic_account::{Account, AccountLimits};
use lunatic_scheduler::Scheduler;

/// One worker, and two accounts of which the first is behind.
struct World {
    scheduler: Scheduler,
    root: Account,
    behind: Account,
    other: Account,
}

impl World {
    fn new() -> World {
        let root = Account::root(AccountLimits::UNLIMITED);
        let branch = || root.branch(AccountLimits::UNLIMITED).unwrap();
        let (behind, other) = (branch(), branch());
        for _ in 0..100 {
            let share = behind.share().unwrap();
            share.add_used(Duration::from_millis(1));
            root.shares().divide(Duration::from_millis(1), 1);
        }
        assert!(behind.share().unwrap().is_behind());
        let workers = NonZeroUsize::MIN;
        let scheduler = Scheduler::builder().workers(workers).start().unwrap();
        World {
            scheduler,
            root,
            behind,
            other,
        }
    }

    /// Keeps the worker from running anything until the sender is dropped.
    fn occupy(&self) -> Sender<()> {
        let (release, released) = async_channel::bounded::<()>(1);
        let (begin, begun) = async_channel::bounded(1);
        self.scheduler.spawn(async move {
            begin.send(()).await.unwrap();
            released.recv_blocking().ok();
        });
        begun.recv_blocking().unwrap();
        release
    }

    /// Has a task of this account say its name when it runs.
    fn say(&self, account: &Account, name: &'static str, said: &Sender<&'static str>) {
        let said = said.clone();
        let share = account.share().cloned();
        self.scheduler.spawn_in(share, async move {
            said.send(name).await.unwrap();
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.scheduler.stop();
    }
}

fn heard(said: &Receiver<&'static str>, count: usize) -> Vec<&'static str> {
    (0..count).map(|_| said.recv_blocking().unwrap()).collect()
}

#[test]
fn tasks_of_others_come_before_those_that_are_behind() {
    let world = World::new();
    let (say, said) = async_channel::unbounded();
    let occupied = world.occupy();
    for _ in 0..5 {
        world.say(&world.behind, "behind", &say);
    }
    world.say(&world.other, "other", &say);
    world.say(&world.root, "root", &say);
    drop(occupied);
    let heard = heard(&said, 7);
    assert_eq!(heard[..2], ["other", "root"]);
    assert_eq!(heard[2..], ["behind"; 5]);
}

#[test]
fn a_task_that_is_behind_runs_if_there_are_no_others() {
    let world = World::new();
    let (say, said) = async_channel::unbounded();
    world.say(&world.behind, "behind", &say);
    assert_eq!(heard(&said, 1), ["behind"]);
}

#[test]
fn tasks_that_are_behind_are_not_starved_by_those_that_are_not() {
    let world = World::new();
    world.scheduler.spawn(async {
        loop {
            yield_now().await;
        }
    });
    let (say, said) = async_channel::unbounded();
    for _ in 0..10 {
        world.say(&world.behind, "behind", &say);
    }
    assert_eq!(heard(&said, 10), ["behind"; 10]);
}

#[test]
fn tasks_that_are_behind_are_stolen_by_a_worker_that_has_nothing_else() {
    let world = World::new();
    let two = NonZeroUsize::new(2).unwrap();
    let scheduler = Scheduler::builder().workers(two).start().unwrap();
    let (say, said) = async_channel::unbounded();
    let share = world.behind.share().cloned();
    let inner = scheduler.clone();
    let (release, released) = async_channel::bounded::<()>(1);
    scheduler.spawn(async move {
        // Both are queued at this worker, which then is busy.
        for _ in 0..2 {
            let say = say.clone();
            inner.spawn_in(share.clone(), async move {
                say.send("behind").await.unwrap();
            });
        }
        released.recv_blocking().ok();
    });
    // One may be in the slot of the busy worker, from which it is offered after a while.
    let offer = scheduler.offer_held_back_tasks();
    let mut heard = 0;
    while heard < 2 {
        offer();
        heard += usize::from(said.try_recv().is_ok());
        std::thread::yield_now();
    }
    drop(release);
    scheduler.stop();
}

#[test]
fn the_time_of_a_task_is_counted_in_its_share_and_those_above() {
    let world = World::new();
    let below = world.other.branch(AccountLimits::UNLIMITED).unwrap();
    let (say, said) = async_channel::unbounded();
    let share = below.share().cloned();
    world.scheduler.spawn_in(share, async move {
        std::thread::sleep(Duration::from_millis(50));
        say.send("done").await.unwrap();
        // What a task has used is counted when it ends or waits.
        yield_now().await;
        say.send("counted").await.unwrap();
    });
    assert_eq!(heard(&said, 2), ["done", "counted"]);
    world.root.shares().divide(Duration::from_millis(1), 1);
    assert!(below.share().unwrap().is_behind());
    assert!(world.other.share().unwrap().is_behind());
}

#[test]
fn a_running_task_knows_its_share_and_nobody_else_has_it() {
    let world = World::new();
    let (tell, told) = async_channel::unbounded();
    let seen = Arc::new(AtomicU64::new(0));
    for account in [&world.other, &world.root] {
        let own = account.share().cloned();
        let (tell, seen) = (tell.clone(), seen.clone());
        world.scheduler.spawn_in(own.clone(), async move {
            let current = lunatic_account::Share::current();
            let is_own = match (&current, &own) {
                (Some(current), Some(own)) => current.is(own),
                (None, None) => true,
                _ => false,
            };
            seen.fetch_add(u64::from(is_own), Ordering::SeqCst);
            tell.send("told").await.unwrap();
        });
    }
    heard(&told, 2);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert!(lunatic_account::Share::current().is_none());
}
