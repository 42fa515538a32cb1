//! Every way in which workers can fall asleep while tasks are queued, checked by
//! loom: `cargo xtask loom`.
#![cfg(lunatic_loom)]

use std::collections::HashMap;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, Thread};
use lunatic_scheduler::idle::Idle;

/// The scheduler without its tasks: a queue is how many there are.
struct Model {
    idle: Idle,
    queued: AtomicUsize,
    done: AtomicUsize,
    tasks: usize,
    threads: Mutex<HashMap<usize, Thread>>,
}

impl Model {
    fn new(workers: usize, tasks: usize) -> Arc<Model> {
        Arc::new(Model {
            idle: Idle::new(workers),
            queued: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            tasks,
            threads: Mutex::new(HashMap::new()),
        })
    }

    fn push(&self) {
        self.queued.fetch_add(1, Ordering::SeqCst);
        self.wake_someone();
    }

    fn wake_someone(&self) {
        if let Some(worker) = self.idle.someone_to_wake() {
            self.threads.lock().expect("no panic")[&worker].unpark();
        }
    }

    fn pop(&self) -> bool {
        let pop = |queued: usize| queued.checked_sub(1);
        self.queued
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, pop)
            .is_ok()
    }

    /// As `worker.rs` has it.
    fn work(&self, number: usize) {
        self.threads
            .lock()
            .expect("no panic")
            .insert(number, thread::current());
        let mut searching = false;
        while self.done.load(Ordering::SeqCst) < self.tasks {
            searching = searching || self.idle.begin_search();
            if self.pop() {
                if std::mem::take(&mut searching)
                    && self.idle.end_search()
                    && self.queued.load(Ordering::SeqCst) > 0
                {
                    self.wake_someone();
                }
                self.finish_one();
                continue;
            }
            self.idle.sleep(number, searching);
            let tasks_left = self.done.load(Ordering::SeqCst) < self.tasks;
            if self.queued.load(Ordering::SeqCst) == 0 && tasks_left {
                while self.idle.is_asleep(number) && self.done.load(Ordering::SeqCst) < self.tasks {
                    thread::park();
                }
            }
            searching = self.idle.stay_awake(number);
        }
    }

    /// The last task ends the workers, as `stop` would.
    fn finish_one(&self) {
        let done = self.done.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(done <= self.tasks, "a task was run twice");
        if done == self.tasks {
            for thread in self.threads.lock().expect("no panic").values() {
                thread.unpark();
            }
        }
    }
}

/// A lost wake-up is a deadlock, which loom reports.
fn check(workers: usize, producers: usize, tasks_each: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let model = Model::new(workers, producers * tasks_each);
        let workers: Vec<_> = (0..workers)
            .map(|number| {
                let model = model.clone();
                thread::spawn(move || model.work(number))
            })
            .collect();
        for _ in 0..producers * tasks_each {
            model.push();
        }
        for worker in workers {
            worker.join().expect("a worker does not panic");
        }
    });
}

#[test]
fn one_worker_finds_every_task() {
    check(1, 1, 2);
}

#[test]
fn two_workers_find_every_task() {
    check(2, 1, 2);
}

#[test]
fn a_task_that_is_moved_out_of_the_slot_of_a_busy_worker_is_run_once() {
    /// Takes the task out of the slot, if nobody has.
    fn take(slot: &AtomicUsize) -> bool {
        slot.swap(0, Ordering::SeqCst) == 1
    }
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let model = Model::new(1, 1);
        let slot = Arc::new(AtomicUsize::new(1));
        let idle = {
            let model = model.clone();
            thread::spawn(move || model.work(0))
        };
        // The worker of the slot is busy for a while, then runs what is in it.
        let busy = {
            let (model, slot) = (model.clone(), slot.clone());
            thread::spawn(move || {
                if take(&slot) {
                    model.finish_one();
                }
            })
        };
        if take(&slot) {
            model.push();
        }
        idle.join().expect("a worker does not panic");
        busy.join().expect("a worker does not panic");
    });
}
