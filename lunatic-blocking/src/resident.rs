//! Values that live on one thread, since they cannot leave it.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;

use async_channel::Sender;
use async_executor::LocalExecutor;
use futures_lite::FutureExt;
use futures_lite::future::block_on;
use lunatic_account::Share;
use parking_lot::Mutex;

/// A bounded number of threads on which tasks live that cannot be sent to another one.
///
/// A task is made on the thread on which it stays. It may block its thread: that holds up
/// the other tasks of this thread, and nobody else. New ones go to the thread that has the
/// fewest.
///
/// No two guests have tasks on the same thread, unless there are as many guests as there may be
/// threads. Who asks is told by the [share](Share::current) of the processors of the process
/// that asks: a guest and those that it has started are one, and the program itself is another.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::rc::Rc;
///
/// use lunatic_blocking::{Residents, Rooms};
///
/// let one = NonZeroUsize::MIN;
/// let rooms = Rooms { program: one, guest: one, all: one };
/// let residents = Residents::new("example", rooms);
/// let (ask, asked) = async_channel::bounded(1);
/// let (answer, answered) = async_channel::bounded(1);
/// residents.settle(move || async move {
///     // It never leaves its thread.
///     let number = Rc::new(20);
///     while let Ok(more) = asked.recv().await {
///         answer.send(*number + more).await.ok();
///     }
/// });
/// futures_lite::future::block_on(async {
///     ask.send(1).await.unwrap();
///     assert_eq!(answered.recv().await, Ok(21));
/// });
/// ```
pub struct Residents {
    shared: Arc<Shared>,
}

/// How many threads there may be.
#[derive(Debug, Clone, Copy)]
pub struct Rooms {
    /// For tasks of the program itself. So many are kept when they have no task.
    pub program: NonZeroUsize,
    /// For tasks of one guest and those that it has started.
    pub guest: NonZeroUsize,
    /// In all. From half of them on, nobody gets a second one.
    pub all: NonZeroUsize,
}

struct Shared {
    name: &'static str,
    rooms: Rooms,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    homes: Vec<Home>,
    next_number: u64,
}

/// A thread.
struct Home {
    number: u64,
    /// Whose tasks live there, if there are some. `None` is the program itself. Keeps the
    /// address of the share from being used again.
    owner: Option<Share>,
    residents: usize,
    sender: Sender<Settle>,
}

type Settle = Box<dyn FnOnce(&LocalExecutor<'static>) + Send>;

/// Counts a task as long as it lives.
struct Resident {
    shared: Arc<Shared>,
    /// The number of its thread.
    home: u64,
}

impl Residents {
    /// Returns a set of threads, of which none has been started.
    ///
    /// - `name`: what the threads are called.
    /// - `rooms`: how many there may be.
    pub fn new(name: &'static str, rooms: Rooms) -> Residents {
        Residents {
            shared: Arc::new(Shared {
                name,
                rooms,
                threads: Mutex::default(),
            }),
        }
    }

    /// Makes a task on one of the threads, which runs it to its end. A panic ends the task,
    /// and not its thread.
    ///
    /// If no thread can be started, and there is none, nothing is made.
    pub fn settle<F: Future<Output = ()> + 'static>(
        &self,
        make: impl FnOnce() -> F + Send + 'static,
    ) {
        let share = Share::current().map(|share| share.topmost().clone());
        let Shared { name, rooms, .. } = &*self.shared;
        let mut threads = self.shared.threads.lock();
        let Some(home) = threads.find(name, rooms, share.as_ref()) else {
            return;
        };
        if home.residents == 0 {
            home.owner = share;
        }
        home.residents += 1;
        let resident = Resident {
            shared: self.shared.clone(),
            home: home.number,
        };
        let settle: Settle = Box::new(move |executor| {
            let task = AssertUnwindSafe(async move {
                let _resident = resident;
                make().await;
            });
            // The panic hook has reported a panic.
            let task = async move { drop(task.catch_unwind().await) };
            executor.spawn(task).detach();
        });
        // A thread does not end before its last task, so it receives this.
        home.sender.try_send(settle).ok();
    }

    /// Returns how many tasks live.
    pub fn count(&self) -> usize {
        let threads = self.shared.threads.lock();
        threads.homes.iter().map(|home| home.residents).sum()
    }

    /// Returns how many threads there are.
    pub fn threads(&self) -> usize {
        self.shared.threads.lock().homes.len()
    }
}

impl Threads {
    /// The thread for a new task; one without tasks may have had any owner. Starts one if it may.
    fn find(&mut self, name: &str, rooms: &Rooms, share: Option<&Share>) -> Option<&mut Home> {
        let own = |home: &Home| home.residents > 0 && home.is_of(share);
        let busy = |home: &&Home| home.residents > 0;
        let own_count = self.homes.iter().filter(|home| own(home)).count();
        let busy_count = self.homes.iter().filter(busy).count();
        let most = match share {
            Some(_) => rooms.guest,
            None => rooms.program,
        };
        let may_have_one_more = match own_count {
            0 => busy_count < rooms.all.get(),
            _ => own_count < most.get() && busy_count < rooms.all.get() / 2,
        };
        if may_have_one_more {
            if busy_count == self.homes.len() {
                self.start(name);
            }
            if let Some(index) = self.homes.iter().position(|home| home.residents == 0) {
                return self.homes.get_mut(index);
            }
        }
        let has_own = own_count > 0;
        let possible = self.homes.iter_mut().filter(|home| !has_own || own(home));
        possible.min_by_key(|home| home.residents)
    }

    fn start(&mut self, name: &str) {
        let (sender, receiver) = async_channel::unbounded::<Settle>();
        let run = move || {
            let executor = LocalExecutor::new();
            block_on(executor.run(async {
                while let Ok(settle) = receiver.recv().await {
                    settle(&executor);
                }
            }));
        };
        let started = thread::Builder::new().name(name.to_owned()).spawn(run);
        if started.is_ok() {
            self.homes.push(Home {
                number: self.next_number,
                owner: None,
                residents: 0,
                sender,
            });
            self.next_number += 1;
        }
    }
}

impl Home {
    fn is_of(&self, share: Option<&Share>) -> bool {
        self.owner.as_ref().map(Share::address) == share.map(Share::address)
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let Shared { rooms, threads, .. } = &*self.shared;
        let mut threads = threads.lock();
        let is_surplus = threads.homes.len() > rooms.program.get();
        let mut homes = threads.homes.iter();
        let Some(index) = homes.position(|home| home.number == self.home) else {
            return;
        };
        let home = &mut threads.homes[index];
        home.residents -= 1;
        if home.residents > 0 {
            return;
        }
        let owner = home.owner.take();
        // A thread ends when nobody can send to it.
        let ended = is_surplus.then(|| threads.homes.swap_remove(index));
        drop(threads);
        drop((owner, ended));
    }
}

impl fmt::Debug for Residents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Residents")
            .field("name", &self.shared.name)
            .field("rooms", &self.shared.rooms)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}
