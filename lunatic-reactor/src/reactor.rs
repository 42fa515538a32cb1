//! The one reactor of the program: what it waits for, and how a thread waits for all of it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use smallvec::SmallVec;

use crate::due_times::DueTimes;
use crate::parking::Parking;
use crate::sources::{NO_SOURCE, Readiness, Sources};

/// The highest number of events that are handled at once.
const MAX_EVENTS: usize = 256;

/// What is waited for, and the descriptors to wait with.
#[derive(Debug)]
pub(crate) struct Reactor {
    epoll: OwnedFd,
    /// Written to wake the thread that waits. It is never read: each write is an event.
    wake_fd: OwnedFd,
    /// The clock of the kernel, set for the earliest time while a thread waits.
    clock: OwnedFd,
    sources: Mutex<Sources>,
    times: Mutex<DueTimes>,
    parking: Parking,
    /// Held by the thread that waits.
    waiting: Mutex<()>,
    /// Whether a driver waits, and the thread of the reactor does not.
    has_driver: AtomicBool,
    /// Whether somebody waits: a driver, or the thread.
    is_driven: AtomicBool,
    /// The thread of the reactor, once it was started. It rests while there is a driver.
    thread: Mutex<Option<Thread>>,
}

static REACTOR: OnceLock<Reactor> = OnceLock::new();

impl Reactor {
    /// Returns the reactor, which is made by the first call.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no descriptors for it.
    pub(crate) fn get() -> io::Result<&'static Reactor> {
        match REACTOR.get() {
            Some(reactor) => Ok(reactor),
            None => {
                let reactor = Reactor::new()?;
                // If another thread was first, this one is closed.
                Ok(REACTOR.get_or_init(|| reactor))
            }
        }
    }

    fn new() -> io::Result<Reactor> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake_fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let clock = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        for own in [&wake_fd, &clock] {
            let data = EventData::new_u64(NO_SOURCE);
            epoll::add(&epoll, own, data, EventFlags::IN | EventFlags::ET)?;
        }
        Ok(Reactor {
            epoll,
            wake_fd,
            clock,
            sources: Mutex::default(),
            times: Mutex::default(),
            parking: Parking::new(),
            waiting: Mutex::new(()),
            has_driver: AtomicBool::new(false),
            is_driven: AtomicBool::new(false),
            thread: Mutex::new(None),
        })
    }

    /// Adds a descriptor, in both directions, once for as long as it is open. Returns its key.
    pub(crate) fn add(&self, fd: impl AsFd, readiness: Arc<Readiness>) -> io::Result<u64> {
        let key = self.sources.lock().insert(readiness);
        let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if let Err(error) = epoll::add(&self.epoll, fd, EventData::new_u64(key), both) {
            self.sources.lock().remove(key);
            return Err(error.into());
        }
        Ok(key)
    }

    /// Removes a descriptor, before it is closed.
    pub(crate) fn remove(&self, fd: impl AsFd, key: u64) {
        // It was added.
        let _ = epoll::delete(&self.epoll, fd);
        self.sources.lock().remove(key);
    }

    /// Adds a time at which a task is to be woken, and returns its number.
    pub(crate) fn add_time(&self, due: Instant, waker: Waker) -> u64 {
        let mut times = self.times.lock();
        let number = times.insert(due, waker);
        // A thread that begins to wait later sets the clock itself: it says that it waits before it
        // takes the lock.
        if self.parking.is_waiting() {
            self.set_clock(&mut times);
        }
        number
    }

    /// Replaces the waker of a time; returns whether the time was still awaited.
    pub(crate) fn replace_waker(&self, due: Instant, number: u64, waker: Waker) -> bool {
        let replaced = self.times.lock().replace(due, number, waker);
        replaced.is_ok()
    }

    /// Removes a time.
    pub(crate) fn remove_time(&self, due: Instant, number: u64) {
        let removed = self.times.lock().remove(due, number);
        drop(removed);
    }

    /// Sets the clock for the earliest time, unless it is set for that or an earlier one.
    fn set_clock(&self, times: &mut DueTimes) {
        let Some(due) = times.next_setting() else {
            return;
        };
        // Nought would stop the clock.
        let left = due.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_nanos(1));
        let setting = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            },
        };
        if timerfd_settime(&self.clock, TimerfdTimerFlags::empty(), &setting).is_err() {
            times.forget_setting();
        }
    }

    /// Waits until something is ready, a time is over, or [`wake`](Reactor::wake) is called. Then
    /// calls `awake`, and wakes the tasks.
    pub(crate) fn wait(&self, awake: &mut dyn FnMut()) {
        self.wait_alone(self.waiting.lock(), awake);
    }

    /// Like [`wait`](Reactor::wait), for the one that holds the lock.
    fn wait_alone(&self, waiting: MutexGuard<'_, ()>, awake: &mut dyn FnMut()) {
        let may_block = self.parking.begin();
        if may_block {
            self.set_clock(&mut self.times.lock());
        }
        let mut buffer = [const { MaybeUninit::uninit() }; MAX_EVENTS];
        let events = self.events(&mut buffer, may_block);
        self.parking.end();
        drop(waiting);
        awake();
        self.handle(events);
    }

    /// Wakes the tasks for which something is ready, without waiting.
    pub(crate) fn poll(&self) {
        let mut buffer = [const { MaybeUninit::uninit() }; MAX_EVENTS];
        let events = self.events(&mut buffer, false);
        self.handle(events);
    }

    fn events<'a>(
        &self,
        buffer: &'a mut [MaybeUninit<Event>; MAX_EVENTS],
        may_block: bool,
    ) -> &'a [Event] {
        let timeout = (!may_block).then(Timespec::default);
        match epoll::wait(&self.epoll, &mut buffer[..], timeout.as_ref()) {
            Ok((events, _)) => events,
            // A signal: whoever waits looks again.
            Err(_) => &[],
        }
    }

    /// Wakes the tasks that wait for these events, or for a time that is over.
    fn handle(&self, events: &[Event]) {
        let mut ready: SmallVec<[(Arc<Readiness>, EventFlags); 16]> = SmallVec::new();
        if events.iter().any(|event| event.data.u64() != NO_SOURCE) {
            let sources = self.sources.lock();
            for event in events {
                let (key, flags) = (event.data.u64(), event.flags);
                if let Some(readiness) = sources.get(key) {
                    ready.push((readiness.clone(), flags));
                }
            }
        }
        for (readiness, flags) in ready {
            readiness.handle(flags);
        }
        let mut times = self.times.lock();
        if times.is_idle() {
            return;
        }
        let due = times.take_due(Instant::now());
        // Another thread may have begun to wait, and this one has the event of the clock.
        if self.parking.is_waiting() {
            self.set_clock(&mut times);
        }
        drop(times);
        for waker in due {
            waker.wake();
        }
    }

    /// Makes [`wait`](Reactor::wait) return soon, or the next one if nobody waits.
    pub(crate) fn wake(&self) {
        if self.parking.unpark() {
            // It fails only if it has been written 2^64 times.
            let _ = rustix::io::write(&self.wake_fd, &1u64.to_ne_bytes());
        }
    }

    /// A driver waits from now on. Returns false if there is one already.
    pub(crate) fn attach(&self) -> bool {
        let thread = self.thread.lock();
        if self.has_driver.swap(true, Ordering::SeqCst) {
            return false;
        }
        self.is_driven.store(true, Ordering::SeqCst);
        if thread.is_some() {
            // The thread leaves, and sees that it is not to come back.
            self.wake();
            drop(self.waiting.lock());
        }
        true
    }

    /// The driver waits no more; the thread of the reactor does.
    pub(crate) fn detach(&'static self) {
        let mut thread = self.thread.lock();
        self.has_driver.store(false, Ordering::SeqCst);
        // Whoever waits for the driver leaves.
        self.wake();
        match &*thread {
            Some(thread) => thread.unpark(),
            None => match self.start_thread() {
                Ok(started) => *thread = Some(started),
                // It is tried again when somebody waits for something.
                Err(_) => self.is_driven.store(false, Ordering::SeqCst),
            },
        }
    }

    /// Starts the thread of the reactor if nobody waits for events.
    ///
    /// # Errors
    ///
    /// Fails if the system gives no thread.
    pub(crate) fn be_driven(&'static self) -> io::Result<()> {
        if self.is_driven.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut thread = self.thread.lock();
        if !self.is_driven.load(Ordering::SeqCst) {
            *thread = Some(self.start_thread()?);
            self.is_driven.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    fn start_thread(&'static self) -> io::Result<Thread> {
        let thread = thread::Builder::new()
            .name("lunatic-reactor".into())
            .spawn(|| self.run())?;
        Ok(thread.thread().clone())
    }

    /// The loop of the thread.
    fn run(&self) {
        loop {
            let waiting = self.waiting.lock();
            if self.has_driver.load(Ordering::SeqCst) {
                drop(waiting);
                thread::park();
            } else {
                self.wait_alone(waiting, &mut || ());
            }
        }
    }
}

impl Readiness {
    fn handle(&self, flags: EventFlags) {
        let is_broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        if is_broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP) {
            self.read.set();
        }
        if is_broken || flags.contains(EventFlags::OUT) {
            self.write.set();
        }
    }
}
