//! The queue with a clock.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::pin::pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use futures_lite::future::{self, block_on};
use lunatic_timer::Timers;

const DELAY: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(3600);

/// Runs the timers until so many have fired; what they sent.
fn fired(timers: &Timers, receiver: &Receiver<u32>, count: usize) -> Vec<u32> {
    let mut fired = Vec::new();
    let heard = async {
        while fired.len() < count {
            fired.extend(receiver.try_recv());
            future::yield_now().await;
        }
    };
    block_on(future::or(timers.run(), heard));
    fired
}

fn send(sender: &Sender<u32>, number: u32) -> impl FnOnce() + Send + 'static {
    let sender = sender.clone();
    move || sender.send(number).unwrap()
}

#[test]
fn what_is_due_earlier_fires_earlier_and_of_two_the_first() {
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    for (delay, number) in [
        (DELAY * 4, 3),
        (DELAY, 1),
        (Duration::ZERO, 0),
        (DELAY * 2, 2),
    ] {
        timers.after(delay, send(&sender, number)).unwrap();
    }
    assert_eq!(timers.len(), 4);
    assert_eq!(fired(&timers, &receiver, 4), [0, 1, 2, 3]);
    assert!(timers.is_empty());
}

#[test]
fn a_timer_that_is_started_while_others_wait_longer_fires_in_time() {
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    let late = timers.after(LATE, send(&sender, 2)).unwrap();
    let (inner, inner_sender) = (timers.clone(), sender.clone());
    let start_another = move || {
        inner.after(DELAY, send(&inner_sender, 1)).unwrap();
    };
    timers.after(DELAY, start_another).unwrap();
    assert_eq!(fired(&timers, &receiver, 1), [1]);
    assert!(late.is_pending());
}

// ABI §21 C6
#[test]
fn a_timer_fires_or_is_cancelled_and_whoever_cancels_is_told_which() {
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    let fires = timers.after(DELAY, send(&sender, 1)).unwrap();
    let cancelled = timers.after(DELAY, send(&sender, 2)).unwrap();
    assert!(cancelled.is_pending());
    assert!(cancelled.cancel());
    assert_eq!(fired(&timers, &receiver, 1), [1]);
    assert!(!fires.is_pending());
    assert!(!fires.cancel());
    assert!(receiver.try_recv().is_err());
}

#[test]
fn what_a_cancelled_timer_holds_is_dropped() {
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    let timer = timers.after(LATE, send(&sender, 1)).unwrap();
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
    timer.cancel();
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
}

#[test]
fn a_timer_goes_on_when_its_handle_is_dropped() {
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    drop(timers.after(DELAY, send(&sender, 1)).unwrap());
    assert_eq!(fired(&timers, &receiver, 1), [1]);
}

#[test]
fn a_delay_beyond_the_clock_is_pending_for_ever() {
    let timers = Timers::new();
    let timer = timers.after(Duration::MAX, || unreachable!()).unwrap();
    assert!(timer.is_pending());
    assert!(timer.cancel());
}

#[test]
fn many_timers_all_fire() {
    const COUNT: u32 = 10_000;
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    for number in 0..COUNT {
        let delay = Duration::from_micros(u64::from(number % 100));
        timers.after(delay, send(&sender, number)).unwrap();
    }
    let mut numbers = fired(&timers, &receiver, COUNT as usize);
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..COUNT));
}

#[test]
fn of_many_that_are_due_at_once_some_fire_before_other_tasks_run() {
    const COUNT: u32 = 10_000;
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    for number in 0..COUNT {
        timers.after(Duration::ZERO, send(&sender, number)).unwrap();
    }
    let mut running = std::pin::pin!(timers.run());
    assert!(block_on(future::poll_once(&mut running)).is_none());
    let fired = receiver.try_iter().count();
    assert!((1..1000).contains(&fired), "{fired}");
}

#[test]
fn others_may_run_after_a_few_actions_that_take_long() {
    /// The number of timers that are fired before the clock is read again.
    const CLOCK_INTERVAL: u32 = 16;
    let timers = Timers::new();
    let (sender, receiver) = mpsc::channel();
    for number in 0..3 * CLOCK_INTERVAL {
        let send = send(&sender, number);
        let slow = move || {
            send();
            thread::sleep(Duration::from_millis(1));
        };
        timers.after(Duration::ZERO, slow).unwrap();
    }
    let mut run = pin!(timers.run());
    for piece in 0..3 {
        assert!(block_on(future::poll_once(&mut run)).is_none());
        let fired: Vec<_> = receiver.try_iter().collect();
        assert!(
            fired
                .iter()
                .copied()
                .eq(piece * CLOCK_INTERVAL..(piece + 1) * CLOCK_INTERVAL),
            "{fired:?}"
        );
    }
}
