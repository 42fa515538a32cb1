//! Every way in which a task can begin to wait while a descriptor becomes ready, and a thread can begin
//! to wait while it is woken, checked by loom: `cargo xtask loom`.
#![cfg(lunatic_loom)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread::{self, Thread};
use lunatic_reactor::parking::Parking;
use lunatic_reactor::readiness::Direction;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Unpark>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A socket: bytes that have arrived, and whether there may be some.
struct Socket {
    bytes: AtomicUsize,
    direction: Direction,
}

impl Socket {
    fn new() -> Arc<Socket> {
        Arc::new(Socket {
            bytes: AtomicUsize::new(0),
            direction: Direction::new(),
        })
    }

    fn arrive(&self) {
        self.bytes.fetch_add(1, Ordering::SeqCst);
        self.direction.set();
    }

    /// Reads one byte: it is tried at once, then whenever there may be one.
    fn read(&self) {
        let mut seen = self.direction.seen();
        loop {
            let take = |bytes: usize| bytes.checked_sub(1);
            let read = self
                .bytes
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
            if read.is_ok() {
                return;
            }
            self.direction.clear(seen);
            seen = block_on(self.direction.ready());
        }
    }
}

fn check(run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

#[test]
fn a_reader_sees_each_byte_that_arrives() {
    check(|| {
        let socket = Socket::new();
        let reader = {
            let socket = socket.clone();
            thread::spawn(move || {
                socket.read();
                socket.read();
            })
        };
        socket.arrive();
        socket.arrive();
        reader.join().expect("it does not panic");
    });
}

#[test]
fn two_that_accept_see_both_connections() {
    check(|| {
        let socket = Socket::new();
        let other = {
            let socket = socket.clone();
            thread::spawn(move || socket.read())
        };
        let events = {
            let socket = socket.clone();
            thread::spawn(move || {
                socket.arrive();
                socket.arrive();
            })
        };
        socket.read();
        other.join().expect("it does not panic");
        events.join().expect("it does not panic");
    });
}

#[test]
fn a_wait_that_is_dropped_takes_no_wake_up_from_another_one() {
    check(|| {
        let socket = Socket::new();
        socket.direction.clear(socket.direction.seen());
        let dropped = {
            let socket = socket.clone();
            thread::spawn(move || {
                let mut wait = pin!(socket.direction.ready());
                let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            })
        };
        let events = {
            let socket = socket.clone();
            thread::spawn(move || socket.arrive())
        };
        socket.read();
        dropped.join().expect("it does not panic");
        events.join().expect("it does not panic");
    });
}

/// What a thread blocks in until it is written to.
#[derive(Default)]
struct Written {
    is_written: Mutex<bool>,
    changed: Condvar,
}

#[test]
fn a_thread_that_is_woken_before_it_waits_does_not_block() {
    check(|| {
        let parking = Arc::new(Parking::new());
        let (written, wanted) = (Arc::new(Written::default()), Arc::new(AtomicUsize::new(0)));
        let waiter = {
            let (parking, written, wanted) = (parking.clone(), written.clone(), wanted.clone());
            thread::spawn(move || {
                while wanted.load(Ordering::SeqCst) < 2 {
                    if parking.begin() {
                        let mut is_written = written.is_written.lock().expect("no panic");
                        while !*is_written {
                            is_written = written.changed.wait(is_written).expect("no panic");
                        }
                        *is_written = false;
                    }
                    parking.end();
                }
            })
        };
        for _ in 0..2 {
            wanted.fetch_add(1, Ordering::SeqCst);
            if parking.unpark() {
                *written.is_written.lock().expect("no panic") = true;
                written.changed.notify_one();
            }
        }
        waiter.join().expect("it does not panic");
    });
}

/// A clock is set by whoever adds the earliest time while a thread waits, else by the thread.
#[test]
fn a_time_that_is_added_while_a_thread_begins_to_wait_is_set_by_one_of_both() {
    check(|| {
        let parking = Arc::new(Parking::new());
        // Whether there is a time, and whether the clock is set.
        let times = Arc::new(Mutex::new((false, false)));
        let adder = {
            let (parking, times) = (parking.clone(), times.clone());
            thread::spawn(move || {
                let mut times = times.lock().expect("no panic");
                times.0 = true;
                times.1 |= parking.is_waiting();
            })
        };
        assert!(parking.begin());
        {
            let mut times = times.lock().expect("no panic");
            times.1 |= times.0;
        }
        // It blocks here.
        adder.join().expect("it does not panic");
        assert_eq!(*times.lock().expect("no panic"), (true, true));
    });
}
