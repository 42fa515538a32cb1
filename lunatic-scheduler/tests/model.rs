//! Every way in which workers can fall asleep while tasks are queued, checked by
//! loom: `cargo xtask loom`.
#![cfg(lunatic_loom)]

use std::collections::HashMap;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread::{self, Thread};
use lunatic_scheduler::idle::{Idle, Rest, Woken};

/// The scheduler without its tasks: a queue is how many there are.
struct Model {
    idle: Idle,
    queued: AtomicUsize,
    done: AtomicUsize,
    tasks: usize,
    threads: Mutex<HashMap<usize, Thread>>,
    driver: Option<Driver>,
}

/// What a worker waits in: events that make a task ready each, and wake-ups that are kept.
#[derive(Default)]
struct Driver {
    state: Mutex<Waiting>,
    /// All are notified: in loom, a thread that is unparked for another reason stays in the list of those
    /// that wait, and would be notified in place of one that does.
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: usize,
    is_woken: bool,
}

impl Driver {
    fn happen(&self) {
        self.state.lock().expect("no panic").events += 1;
        self.changed.notify_all();
    }

    fn wake(&self) {
        self.state.lock().expect("no panic").is_woken = true;
        self.changed.notify_all();
    }

    /// Blocks until there is an event or a wake-up; returns how many events there were.
    fn wait(&self) -> usize {
        let mut state = self.state.lock().expect("no panic");
        while state.events == 0 && !state.is_woken {
            state = self.changed.wait(state).expect("no panic");
        }
        state.is_woken = false;
        std::mem::take(&mut state.events)
    }

    fn poll(&self) -> usize {
        std::mem::take(&mut self.state.lock().expect("no panic").events)
    }
}

impl Model {
    fn new(workers: usize, tasks: usize) -> Arc<Model> {
        Model::with(workers, tasks, None)
    }

    fn with(workers: usize, tasks: usize, driver: Option<Driver>) -> Arc<Model> {
        Arc::new(Model {
            driver,
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
        let Some(Woken { worker, is_driving }) = self.idle.someone_to_wake() else {
            return;
        };
        match &self.driver {
            Some(driver) if is_driving => driver.wake(),
            _ => self.unpark(worker),
        }
    }

    fn unpark(&self, worker: usize) {
        self.threads.lock().expect("no panic")[&worker].unpark();
    }

    /// What is done every millisecond while workers work: once.
    fn tick(&self) {
        let Some(driver) = &self.driver else {
            return;
        };
        if self.idle.is_driven() {
            return;
        }
        match self.idle.someone_to_drive() {
            Some(worker) => self.unpark(worker),
            None => (0..driver.poll()).for_each(|_| self.push()),
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
                let mut events = None;
                loop {
                    let rest = self.idle.rest(number, self.driver.is_some());
                    if self.done.load(Ordering::SeqCst) >= self.tasks {
                        break;
                    }
                    match (rest, &self.driver) {
                        (Rest::Over, _) => break,
                        (Rest::Drive, Some(driver)) => {
                            events = Some(driver.wait());
                            break;
                        }
                        _ => thread::park(),
                    }
                }
                searching = self.idle.stay_awake(number);
                (0..events.unwrap_or(0)).for_each(|_| self.push());
            } else {
                searching = self.idle.stay_awake(number);
            }
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
            if let Some(driver) = &self.driver {
                driver.wake();
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

/// Workers of which one drives, a thread that queues tasks, and one that makes events happen.
fn check_driven(workers: usize, tasks: usize, events: usize, ticks: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let model = Model::with(workers, tasks + events, Some(Driver::default()));
        let threads: Vec<_> = (0..workers)
            .map(|number| {
                let model = model.clone();
                thread::spawn(move || model.work(number))
            })
            .collect();
        for _ in 0..events {
            let driver = model.driver.as_ref().expect("a driver");
            driver.happen();
        }
        for _ in 0..tasks {
            model.push();
        }
        for _ in 0..ticks {
            model.tick();
        }
        for thread in threads {
            thread.join().expect("a worker does not panic");
        }
    });
}

#[test]
fn one_worker_that_drives_finds_every_task_and_every_event() {
    check_driven(1, 1, 1, 0);
    check_driven(1, 2, 0, 0);
}

#[test]
fn of_two_workers_one_drives_and_both_find_every_task_and_every_event() {
    check_driven(2, 1, 1, 0);
}

#[test]
fn a_sleeper_that_is_told_to_drive_loses_no_wake_up() {
    check_driven(2, 1, 0, 1);
    check_driven(2, 0, 1, 1);
}
