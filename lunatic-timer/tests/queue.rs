//! What is due when, without a clock.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::time::{Duration, Instant};

use lunatic_timer::TimerQueue;

#[test]
fn nothing_is_due_before_its_time() {
    let now = Instant::now();
    let mut queue = TimerQueue::new();
    queue.insert(now + Duration::from_millis(10), "later");
    assert_eq!(queue.pop_due(now), None);
    assert_eq!(
        queue.pop_due(now + Duration::from_millis(10)),
        Some("later")
    );
    assert!(queue.is_empty());
}

#[test]
fn what_is_due_earlier_comes_first_and_ties_keep_their_order() {
    let now = Instant::now();
    let soon = now + Duration::from_millis(1);
    let mut queue = TimerQueue::new();
    for (due, name) in [(soon, "b"), (now, "a"), (soon, "c")] {
        queue.insert(due, name);
    }
    assert_eq!(queue.next_due(), Some(now));
    let order: Vec<_> = std::iter::from_fn(|| queue.pop_due(soon)).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

#[test]
fn what_was_removed_is_not_due() {
    let now = Instant::now();
    let mut queue = TimerQueue::new();
    let key = queue.insert(now, "gone");
    assert_eq!(queue.remove(key), Some("gone"));
    assert_eq!(queue.remove(key), None);
    assert_eq!(queue.pop_due(now), None);
}
