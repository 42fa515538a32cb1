//! The loop of one worker thread.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use async_task::Runnable;
use crossbeam_deque::Worker as Queue;

use crate::queues::Own;
use crate::scheduler::Shared;

/// Every so many tasks the common queue is looked at first. A task that is busy
/// runs for a whole tick of preemption, so what a timer or a socket wakes waits for
/// one or two of those.
const COMMON_FIRST_EVERY: u32 = 2;

/// Runs tasks on this thread until the scheduler stops.
pub(crate) fn work(number: usize, queue: Queue<Runnable>, shared: Arc<Shared>) {
    let own = Own::install(queue, shared.clone());
    Worker {
        number,
        own,
        shared,
        turn: 0,
        searching: false,
    }
    .run();
    Own::uninstall();
}

struct Worker {
    number: usize,
    own: Rc<Own>,
    shared: Arc<Shared>,
    /// Counts tasks.
    turn: u32,
    searching: bool,
}

impl Worker {
    fn run(mut self) {
        self.shared.hooks.work();
        while !self.shared.is_stopped() {
            match self.find() {
                Some(task) => {
                    self.found();
                    task.run();
                }
                None => self.rest(),
            }
        }
        self.shared.hooks.rest();
    }

    fn find(&mut self) -> Option<Runnable> {
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(COMMON_FIRST_EVERY) {
            let task = self.own.pop_one_common();
            if task.is_some() {
                return task;
            }
        }
        self.own
            .pop()
            .or_else(|| self.own.pop_common())
            .or_else(|| self.search())
    }

    fn search(&mut self) -> Option<Runnable> {
        self.searching = self.searching || self.shared.idle.begin_search();
        match self.searching {
            true => self.own.steal(self.number + 1),
            false => None,
        }
    }

    /// There is something to run.
    fn found(&mut self) {
        if self.searching {
            self.searching = false;
            // Nobody else searches now; if there is more, somebody should.
            if self.shared.idle.end_search()
                && (self.own.has_more() || self.shared.queues.have_tasks())
            {
                self.shared.wake_someone();
            }
        }
    }

    /// There is nothing to run.
    fn rest(&mut self) {
        self.shared.idle.sleep(self.number, self.searching);
        self.searching = false;
        if self.shared.queues.have_tasks() || self.shared.is_stopped() {
            self.searching = self.shared.idle.stay_awake(self.number);
            return;
        }
        self.shared.hooks.rest();
        while self.shared.idle.is_asleep(self.number) && !self.shared.is_stopped() {
            thread::park();
        }
        self.shared.hooks.work();
        self.searching = self.shared.idle.stay_awake(self.number);
    }
}
