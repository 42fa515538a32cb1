//! Waiting for times.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod limit;

use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::{self, block_on, poll_once};
use lunatic_reactor::Timer;

use limit::in_time;

#[test]
fn times_come_in_their_order_and_never_early() {
    in_time(|| {
        let threads: Vec<_> = [30, 10, 20, 0, 5]
            .map(|millis| {
                thread::spawn(move || {
                    let delay = Duration::from_millis(millis);
                    let begun = Instant::now();
                    block_on(Timer::after(delay));
                    assert!(begun.elapsed() >= delay);
                    (Instant::now(), delay)
                })
            })
            .into();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_time_that_is_over_is_ready_at_once() {
    in_time(|| {
        assert!(block_on(poll_once(Timer::at(Instant::now()))).is_some());
        assert!(block_on(poll_once(Timer::after(Duration::ZERO))).is_some());
    });
}

#[test]
fn an_earlier_time_is_not_held_up_by_a_later_one_that_waits() {
    in_time(|| {
        let mut late = pin!(Timer::after(Duration::from_secs(3600)));
        assert!(block_on(poll_once(late.as_mut())).is_none());
        thread::sleep(Duration::from_millis(5));
        block_on(Timer::after(Duration::from_millis(5)));
        assert!(block_on(poll_once(late.as_mut())).is_none());
    });
}

#[test]
fn a_time_comes_after_the_only_other_one_was_given_up() {
    in_time(|| {
        for _ in 0..20 {
            let mut given_up = Box::pin(Timer::after(Duration::from_millis(2)));
            assert!(block_on(poll_once(given_up.as_mut())).is_none());
            drop(given_up);
            // The clock is set for it, and goes off while nobody waits.
            thread::sleep(Duration::from_millis(4));
            block_on(Timer::after(Duration::from_millis(1)));
        }
    });
}

#[test]
fn a_time_beyond_the_clock_never_comes() {
    in_time(|| {
        let never = Timer::after(Duration::MAX);
        let soon = async {
            Timer::after(Duration::from_millis(2)).await;
            "soon"
        };
        let never = async {
            never.await;
            "never"
        };
        assert_eq!(block_on(future::or(never, soon)), "soon");
    });
}

#[test]
fn a_timer_that_is_dropped_wakes_nobody_and_keeps_no_waker() {
    in_time(|| {
        struct Counts;
        impl std::task::Wake for Counts {
            fn wake(self: std::sync::Arc<Counts>) {
                panic!("nobody waits");
            }
        }
        let counts = std::sync::Arc::new(Counts);
        let waker = Waker::from(counts.clone());
        let mut timer = Timer::after(Duration::from_millis(20));
        assert!(
            Pin::new(&mut timer)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(timer);
        drop(waker);
        assert_eq!(std::sync::Arc::strong_count(&counts), 1);
        block_on(Timer::after(Duration::from_millis(30)));
    });
}

#[test]
fn a_timer_that_another_task_polls_later_wakes_that_one() {
    in_time(|| {
        let mut timer = Timer::after(Duration::from_millis(20));
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut timer).poll(&mut context).is_pending());
        block_on(timer);
    });
}

#[test]
fn many_times_that_are_over_at_once_all_come() {
    in_time(|| {
        let due = Instant::now() + Duration::from_millis(10);
        let mut timers: Vec<_> = (0..2000).map(|_| Timer::at(due)).collect();
        for timer in &mut timers {
            let mut context = Context::from_waker(Waker::noop());
            let _ = Pin::new(timer).poll(&mut context);
        }
        for timer in timers {
            block_on(timer);
        }
        assert!(Instant::now() >= due);
    });
}
