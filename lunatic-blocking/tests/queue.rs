//! What becomes of an operation.

mod gate;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use futures_lite::future::{block_on, poll_once};
use gate::Gate;
use lunatic_account::{Account, AccountLimits, Kind, Share};
use lunatic_blocking::Queue;

fn queue(threads: usize) -> Queue {
    Queue::new(NonZeroUsize::new(threads).expect("some threads"))
}

/// Sets a flag when it is dropped.
struct SetsWhenDropped(Arc<AtomicBool>);

impl Drop for SetsWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn an_operation_runs_on_another_thread_and_gives_its_result() {
    let ran_on = block_on(queue(1).run(|| thread::current().id()));
    assert_ne!(ran_on, thread::current().id());
}

#[test]
fn no_more_run_at_once_than_there_are_threads() {
    let queue = queue(3);
    let (running, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let gate = Gate::closed();
    for _ in 0..10 {
        let (running, most, passes) = (running.clone(), most.clone(), gate.passes());
        queue.run_detached(move || {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            passes.wait();
            running.fetch_sub(1, Ordering::SeqCst);
        });
    }
    gate.wait_for_arrivals(3);
    assert_eq!(queue.waiting(), 7);
    gate.open();
    gate.wait_for_arrivals(10);
    block_on(queue.run(|| ()));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn operations_begin_in_the_order_in_which_they_came() {
    let queue = queue(1);
    let (sender, order) = channel();
    for number in 0..1000 {
        let sender = sender.clone();
        queue.run_detached(move || sender.send(number).expect("the test waits"));
    }
    drop(sender);
    assert!(order.iter().eq(0..1000));
}

#[test]
fn a_queue_is_idle_before_and_after_its_operations() {
    let queue = queue(1);
    assert!(queue.is_idle());
    let gate = Gate::closed();
    gate.occupy(&queue);
    assert!(!queue.is_idle());
    queue.run_detached(|| ());
    gate.open();
    while !queue.is_idle() {
        thread::yield_now();
    }
}

#[test]
fn who_drops_the_future_before_it_has_begun_drops_the_operation() {
    let queue = queue(1);
    let gate = Gate::closed();
    gate.occupy(&queue);
    let (ran, dropped) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (runs, guard) = (ran.clone(), SetsWhenDropped(dropped.clone()));
    let mut waiting = Box::pin(queue.run(move || {
        runs.store(true, Ordering::SeqCst);
        drop(guard);
    }));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    assert_eq!(queue.waiting(), 1);
    drop(waiting);
    // At once: the thread of the queue is still busy.
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!(queue.waiting(), 0);
    gate.open();
    block_on(queue.run(|| ()));
    assert!(!ran.load(Ordering::SeqCst));
}

#[test]
fn an_operation_that_has_begun_goes_on_and_its_result_is_dropped() {
    let queue = queue(1);
    let gate = Gate::closed();
    let dropped = Arc::<AtomicBool>::default();
    let (passes, result) = (gate.passes(), SetsWhenDropped(dropped.clone()));
    let mut waiting = Box::pin(queue.run(move || {
        passes.wait();
        result
    }));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    gate.wait_for_arrivals(1);
    drop(waiting);
    assert!(!dropped.load(Ordering::SeqCst));
    gate.open();
    block_on(queue.run(|| ()));
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn what_is_dropped_with_an_operation_may_use_the_queue() {
    struct RunsAnother(Queue);
    impl Drop for RunsAnother {
        fn drop(&mut self) {
            self.0.run_detached(|| ());
        }
    }

    let queue = queue(1);
    let gate = Gate::closed();
    gate.occupy(&queue);
    let guard = RunsAnother(queue.clone());
    let mut waiting = Box::pin(queue.run(move || drop(guard)));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    drop(waiting);
    assert_eq!(queue.waiting(), 1);
    gate.open();
    block_on(queue.run(|| ()));
}

#[test]
fn a_panic_is_given_to_who_waits_and_the_queue_goes_on() {
    let queue = queue(1);
    for _ in 0..100 {
        let waits = || block_on(queue.run(|| -> () { panic!("the operation broke") }));
        let panic = catch_unwind(AssertUnwindSafe(waits)).expect_err("it panics");
        assert_eq!(panic.downcast_ref(), Some(&"the operation broke"));
    }
    assert_eq!(block_on(queue.run(|| 1)), 1);
}

#[test]
fn a_panic_that_nobody_waits_for_is_harmless() {
    let queue = queue(1);
    for _ in 0..100 {
        queue.run_detached(|| panic!("the operation broke"));
    }
    assert_eq!(block_on(queue.run(|| 1)), 1);
}

#[test]
fn a_result_that_panics_when_it_is_dropped_is_harmless() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("the result broke");
        }
    }

    let queue = queue(1);
    let gate = Gate::closed();
    let passes = gate.passes();
    let mut waiting = Box::pin(queue.run(move || {
        passes.wait();
        Panics
    }));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    gate.wait_for_arrivals(1);
    drop(waiting);
    gate.open();
    assert_eq!(block_on(queue.run(|| 1)), 1);
}

#[test]
fn dropped_operations_keep_no_place() {
    let queue = queue(1);
    let gate = Gate::closed();
    gate.occupy(&queue);
    for _ in 0..1000 {
        let mut waiting = Box::pin(queue.run(|| ()));
        assert!(block_on(poll_once(&mut waiting)).is_none());
    }
    assert_eq!(queue.waiting(), 0);
    gate.open();
    block_on(queue.run(|| ()));
}

#[test]
fn no_more_operations_that_need_memory_run_at_once_than_there_is_memory_for() {
    let queue = queue(3);
    let root = Account::root(AccountLimits {
        memory: 100,
        ..AccountLimits::UNLIMITED
    });
    let (running, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let gate = Gate::closed();
    let (ended, ends) = channel();
    thread::scope(|scope| {
        for _ in 0..6 {
            let (running, most, passes) = (running.clone(), most.clone(), gate.passes());
            let (queue, root, ended) = (&queue, &root, ended.clone());
            scope.spawn(move || {
                let run = queue.compile(40, Some(root.clone()), move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    passes.wait();
                    running.fetch_sub(1, Ordering::SeqCst);
                });
                ended.send(block_on(run)).expect("somebody listens");
            });
        }
        gate.wait_for_arrivals(2);
        assert_eq!(root.used(Kind::Memory), 80);
        gate.open();
        gate.wait_for_arrivals(6);
    });
    assert_eq!(ends.try_iter().filter(Result::is_ok).count(), 6);
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(root.used(Kind::Memory), 0);
}

#[test]
fn an_operation_that_is_refused_memory_never_runs() {
    let queue = queue(1);
    let root = Account::default();
    let poor = AccountLimits {
        memory: 10,
        ..AccountLimits::UNLIMITED
    };
    let branch = root.branch(poor).expect("there is memory");
    let (ran, its) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let sets = SetsWhenDropped(its.clone());
    let flag = ran.clone();
    let refused = block_on(queue.compile(20, Some(branch), move || {
        let _sets = sets;
        flag.store(true, Ordering::SeqCst);
    }));
    assert_eq!(refused.map_err(|exceeded| exceeded.limit), Err(10));
    // Its thread drops it after it has told so.
    while !its.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    assert!(!ran.load(Ordering::SeqCst));
}

/// An account whose modules may be compiled for so many microseconds in each second.
fn with_compile_time(root: &Account, microseconds: u64) -> Account {
    root.branch(AccountLimits {
        compile_time: microseconds,
        ..AccountLimits::UNLIMITED
    })
    .expect("a branch")
}

#[test]
fn who_has_used_up_its_time_for_compilers_waits() {
    let root = Account::root(AccountLimits::UNLIMITED);
    let branch = with_compile_time(&root, 1_000_000);
    let queue = Queue::new(NonZeroUsize::MIN);
    let begin = Instant::now();
    branch.use_compile_time(begin, Duration::from_millis(400));
    assert!(block_on(queue.compile(1, Some(root.clone()), || ())).is_ok());
    assert!(block_on(queue.compile(1, Some(branch), || ())).is_ok());
    // A tenth of a second is given in advance.
    assert!(begin.elapsed() >= Duration::from_millis(299));
}

#[test]
fn the_time_of_a_compiler_is_counted_also_if_it_panics() {
    let root = Account::root(AccountLimits::UNLIMITED);
    let queue = Queue::new(NonZeroUsize::MIN);
    let spin = || {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(300) {}
    };
    let delay = |branch: &Account| branch.compile_delay(Instant::now());
    let branch = with_compile_time(&root, 1000);
    assert!(block_on(queue.compile(1, Some(branch.clone()), spin)).is_ok());
    assert!(!delay(&branch).is_zero() && delay(&root).is_zero());

    let branch = with_compile_time(&root, 1000);
    let begin = Instant::now();
    let panics = queue.compile(1, Some(branch.clone()), move || {
        spin();
        assert!(begin.elapsed().is_zero(), "as expected");
    });
    let caught = AssertUnwindSafe(panics).catch_unwind();
    assert!(block_on(caught).is_err());
    assert!(!delay(&branch).is_zero());
}

#[test]
fn what_an_operation_asks_for_counts_as_asked_by_who_has_asked_for_it() {
    let account = Account::root(AccountLimits::UNLIMITED);
    let branch = account.branch(AccountLimits::UNLIMITED).expect("one level");
    let share = branch.share().expect("a branch has one").clone();
    let queue = queue(1);
    let current = || block_on(queue.run(|| Share::current().map(|share| share.address())));
    share.clone().enter();
    let within = current();
    Share::leave();
    assert_eq!(within, Some(share.address()));
    assert_eq!(current(), None);
}
