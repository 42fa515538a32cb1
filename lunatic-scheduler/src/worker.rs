//! The loop of one worker thread.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use async_task::Runnable;
use crossbeam_deque::Worker as Queue;

use crate::queues::Own;
use crate::scheduler::Shared;

/// Runs tasks on this thread until the scheduler stops.
pub(crate) fn work(number: usize, queue: Queue<Runnable>, shared: Arc<Shared>) {
    let own = Own::install(queue, shared.clone());
    Worker {
        number,
        own,
        shared,
        from_common: false,
        searching: false,
    }
    .run();
    Own::uninstall();
}

struct Worker {
    number: usize,
    own: Rc<Own>,
    shared: Arc<Shared>,
    /// The task before was from the common queue.
    from_common: bool,
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

    /// The next task. What a timer or a socket wakes is in the common queue, and
    /// alternates with the tasks of this worker: it waits for one of them, which
    /// is a tick of preemption if all are busy.
    fn find(&mut self) -> Option<Runnable> {
        if !self.from_common {
            let task = self.own.pop_one_common();
            self.from_common = task.is_some();
            if task.is_some() {
                return task;
            }
        }
        self.from_common = false;
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
