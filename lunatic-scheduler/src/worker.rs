//! The loop of one worker thread.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use lunatic_account::Share;

use crate::driver::Driving;
use crate::idle::Rest;
use crate::queues::{Arrivals, Own, OwnQueues};
use crate::scheduler::{Runnable, Shared};

/// Runs a task once. If it has a share, counts the time that this takes.
fn run(task: Runnable) {
    let Some(share) = task.metadata().share.clone() else {
        task.run();
        return;
    };
    share.enter();
    let begun = Instant::now();
    task.run();
    let time = begun.elapsed();
    if let Some(share) = Share::leave() {
        share.add_used(time);
    }
}

/// Runs tasks on this thread until the scheduler stops.
pub(crate) fn work(number: usize, queues: OwnQueues, shared: Arc<Shared>) {
    let own = Own::install(number, queues, shared.clone());
    Worker {
        number,
        own,
        shared,
        from_common: false,
        found: 0,
        since_look: 0,
        searching: false,
    }
    .run();
    Own::uninstall();
}

struct Worker {
    number: usize,
    own: Rc<Own>,
    shared: Arc<Shared>,
    /// Whether the previous task was from the common queue.
    from_common: bool,
    /// How often a task was looked for.
    found: u32,
    /// How often since it was last considered to look at the driver.
    since_look: u32,
    searching: bool,
}

impl Worker {
    fn run(mut self) {
        self.shared.hooks.work();
        while !self.shared.is_stopped() {
            self.look();
            match self.find() {
                Some(task) => {
                    self.found();
                    self.own.begin();
                    run(task);
                }
                None => self.rest(),
            }
        }
        self.shared.hooks.rest();
    }

    /// Looks at the driver if nobody drives and nobody has looked for a while.
    #[inline]
    fn look(&mut self) {
        let Some(driving) = &self.shared.driving else {
            return;
        };
        self.since_look += 1;
        if driving.may_be_due(self.since_look) {
            self.since_look = 0;
            if !self.shared.idle.is_driven() && driving.is_due(self.shared.now()) {
                self.own.drive(Arrivals::Common, || driving.driver().poll());
            }
        }
    }

    /// Finds the next task. Tasks whose share is behind are set aside while there are others.
    fn find(&mut self) -> Option<Runnable> {
        /// Each so many times, a task that was put aside comes first: it is never there for
        /// ever, however many others there are.
        const ONE_IN: u32 = 16;
        /// The highest number of tasks that are set aside in one search.
        const MAX_SET_ASIDE: u32 = 256;
        self.found = self.found.wrapping_add(1);
        if self.found.is_multiple_of(ONE_IN)
            && let Some(task) = self.own.pop_aside()
        {
            return Some(task);
        }
        for _ in 0..MAX_SET_ASIDE {
            let Some(task) = self.find_any() else {
                break;
            };
            if !self.own.waits_for_others(&task) {
                return Some(task);
            }
            self.own.put_aside(task);
        }
        self.own.pop_aside().or_else(|| self.search_aside())
    }

    /// Finds a task that was not set aside. Tasks from the common queue, which a timer or a socket
    /// has woken, alternate with the tasks of this worker, so that they wait for at most one of
    /// them.
    fn find_any(&mut self) -> Option<Runnable> {
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

    fn search_aside(&self) -> Option<Runnable> {
        match self.searching {
            true => self.own.steal_aside(self.number + 1),
            false => None,
        }
    }

    /// Prepares for running a task: if this worker searched, another may have to.
    fn found(&mut self) {
        if self.searching {
            self.searching = false;
            // No other worker searches now; if there are more tasks, one should.
            if self.shared.idle.end_search()
                && (self.own.has_more() || self.shared.queues.have_tasks())
            {
                self.shared.wake_someone();
            }
        }
    }

    /// Sleeps until this worker is woken.
    fn rest(&mut self) {
        self.shared.idle.sleep(self.number, self.searching);
        self.searching = false;
        if self.shared.queues.have_tasks() || self.shared.is_stopped() {
            self.searching = self.shared.idle.stay_awake(self.number);
            return;
        }
        self.shared.hooks.rest();
        self.shared.processors.rest(self.number);
        self.own.begin_rest(self.shared.now());
        let shared = self.shared.clone();
        loop {
            let rest = shared.idle.rest(self.number, shared.driving.is_some());
            // Whoever stops the scheduler later wakes this one, however it waits.
            if shared.is_stopped() {
                break;
            }
            match (rest, &shared.driving) {
                (Rest::Over, _) => break,
                (Rest::Drive, Some(driving)) => return self.drive(driving),
                (Rest::Park | Rest::Drive, _) => thread::park(),
            }
        }
        self.awake();
    }

    /// Waits in the driver, until something has happened or this worker is woken.
    fn drive(&mut self, driving: &Driving) {
        driving.begin_wait();
        let own = self.own.clone();
        own.drive(Arrivals::Own, || {
            driving.driver().wait(&mut || {
                let now = self.awake();
                driving.end_wait(now);
            });
        });
    }

    /// Ends the rest. Returns the time.
    fn awake(&mut self) -> u64 {
        let now = self.shared.now();
        self.own.end_rest(now);
        self.shared.processors.work(self.number, now);
        self.shared.hooks.work();
        self.searching = self.shared.idle.stay_awake(self.number);
        now
    }
}
