//! A thread of the program that waits for all others.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod limit;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::{block_on, poll_once};
use lunatic_reactor::{Driver, Source, Timer};

use limit::in_time;

/// There is one driver in the program.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_driver_that_is_woken_returns_also_if_it_was_woken_before() {
    in_time(|| {
        let _alone = ALONE
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let driver = Driver::attach().unwrap().unwrap();
        driver.wake();
        driver.wait(&mut || ());
        let returned = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !returned.load(Ordering::SeqCst) {
                    driver.wait(&mut || ());
                }
            });
            thread::sleep(Duration::from_millis(5));
            returned.store(true, Ordering::SeqCst);
            driver.wake();
        });
    });
}

#[test]
fn the_driver_does_not_wait_any_more_when_it_wakes_tasks() {
    in_time(|| {
        let _alone = ALONE
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let driver = Driver::attach().unwrap().unwrap();
        let mut timer = pin!(Timer::after(Duration::from_millis(5)));
        let awake = AtomicU32::new(0);
        let mut waits = 0;
        while block_on(poll_once(timer.as_mut())).is_none() {
            driver.wait(&mut || {
                awake.fetch_add(1, Ordering::SeqCst);
            });
            waits += 1;
            assert_eq!(awake.load(Ordering::SeqCst), waits);
        }
        assert!(waits > 0);
    });
}

#[test]
fn there_is_one_driver_and_a_thread_waits_when_it_is_gone() {
    in_time(|| {
        let _alone = ALONE
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let driver = Driver::attach().unwrap().unwrap();
        assert!(Driver::attach().unwrap().is_none());
        let (one, other) = UnixStream::pair().unwrap();
        let (one, other) = (Source::new(one).unwrap(), Source::new(other).unwrap());
        let mut buffer = [0; 1];
        let mut reading = pin!(other.read_with(|mut other| other.read(&mut buffer)));
        assert!(block_on(poll_once(reading.as_mut())).is_none());
        driver.detach();
        // It does not block any more.
        driver.wait(&mut || ());
        block_on(one.write_with(|mut one| one.write(b"x"))).unwrap();
        assert_eq!(block_on(reading).unwrap(), 1);
        drop(driver);
        for _ in 0..20 {
            let driver = Driver::attach().unwrap().unwrap();
            drop(driver);
            block_on(Timer::after(Duration::from_micros(100)));
        }
    });
}

#[test]
fn whoever_looks_without_waiting_sees_what_is_ready() {
    in_time(|| {
        let _alone = ALONE
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let driver = Driver::attach().unwrap().unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        let (one, other) = (Source::new(one).unwrap(), Source::new(other).unwrap());
        let mut buffer = [0; 1];
        let mut reading = pin!(other.read_with(|mut other| other.read(&mut buffer)));
        assert!(block_on(poll_once(reading.as_mut())).is_none());
        block_on(one.write_with(|mut one| one.write(b"x"))).unwrap();
        assert!(
            block_on(poll_once(reading.as_mut())).is_none(),
            "nobody has looked"
        );
        driver.poll();
        let read = block_on(poll_once(reading.as_mut())).unwrap();
        assert_eq!(read.unwrap(), 1);
    });
}

#[test]
fn a_thread_that_looks_takes_no_time_from_one_that_waits() {
    in_time(|| {
        let _alone = ALONE
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let driver = Driver::attach().unwrap().unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    driver.wait(&mut || ());
                }
            });
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    driver.poll();
                }
            });
            // More than are woken at once are due at the same time, then some later ones.
            let due = Instant::now() + Duration::from_millis(5);
            let mut timers: Vec<_> = (0..1000)
                .map(|number| Timer::at(due + Duration::from_millis(number / 500 * 5)))
                .collect();
            for timer in &mut timers {
                let _ = block_on(poll_once(timer));
            }
            for timer in timers {
                block_on(timer);
            }
            for _ in 0..200 {
                block_on(Timer::after(Duration::from_micros(50)));
            }
            is_over.store(true, Ordering::SeqCst);
            driver.wake();
        });
    });
}
