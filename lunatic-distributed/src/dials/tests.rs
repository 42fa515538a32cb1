//! Tests of whom is dialled, and when.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use super::*;

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 4000))
}

fn node(number: u64) -> NodeId {
    NodeId::from_bits(number)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A node with which there was a session, and that gossip knows to be down.
fn was_there(dials: &mut Dials, host: u8, now: Instant) {
    let node = node(u64::from(host));
    dials.session_begun(address(host), node, now);
    dials.session_ended(node, now, millis(0));
    dials.is_down(address(host), node);
}

#[test]
fn seeds_are_asked_again_and_again() {
    let mut dials = Dials::default();
    let mut now = Instant::now();
    dials.set_seeds(&[address(1)], now);
    for _ in 0..1000 {
        now = dials.deadline().unwrap();
        assert_eq!(dials.due(now), [address(1)]);
        assert_eq!(dials.due(now), [], "it is being dialled");
        dials.failed(address(1), now, 0.5);
        assert!(dials.deadline().unwrap() <= now + millis(2000));
    }
}

#[test]
fn a_node_that_is_down_is_asked_less_often() {
    let mut dials = Dials::default();
    let mut now = Instant::now();
    was_there(&mut dials, 1, now);
    for times in 0..OFTEN + 100 {
        dials.due(now);
        dials.failed(address(1), now, 1.0);
        let pause = dials.deadline().unwrap() - now;
        let limit = if times < OFTEN {
            millis(2500)
        } else {
            RARELY.mul_f64(1.25)
        };
        assert!(pause <= limit, "{pause:?} after {times}");
        now += pause;
    }
}

#[test]
fn only_so_many_are_dialled_at_once_and_nobody_waits_for_the_time_meanwhile() {
    let mut dials = Dials::default();
    let now = Instant::now();
    let all: Vec<_> = (0..100).map(address).collect();
    dials.set_seeds(&all, now);
    assert_eq!(dials.due(now).len(), MAX_DIALS);
    assert_eq!(dials.deadline(), None);
    dials.done(address(0));
    assert!(dials.deadline().is_some());
    assert_eq!(dials.due(now).len(), 1);
}

#[test]
fn nodes_that_are_down_do_not_hold_up_one_that_lives() {
    let mut dials = Dials::default();
    let now = Instant::now();
    for host in 0..100 {
        was_there(&mut dials, host, now);
    }
    dials.learn(address(200), node(200), now, millis(5));
    let due = dials.due(now + millis(10));
    assert_eq!((due.len(), due[0]), (MAX_DIALS, address(200)));
    // And each of them has its turn.
    for dialled in due {
        dials.failed(dialled, now + millis(10), 0.5);
    }
    let next = dials.due(now + millis(10));
    assert_eq!(next.len(), MAX_DIALS);
    assert_eq!(next[0], address(31));
}

#[test]
fn another_node_at_an_address_is_dialled_though_a_session_with_the_first_is_not_over() {
    let mut dials = Dials::default();
    let now = Instant::now();
    dials.session_begun(address(1), node(1), now);
    assert_eq!(dials.due(now), []);
    dials.learn(address(1), node(2), now, millis(0));
    assert_eq!(dials.due(now), [address(1)]);
    dials.session_begun(address(1), node(2), now);
    dials.session_ended(node(1), now, millis(0));
    dials.done(address(1));
    assert_eq!(dials.due(now), [], "the session with the second goes on");
    dials.session_ended(node(2), now, millis(0));
    assert_eq!(dials.due(now), [address(1)]);
}

#[test]
fn a_node_that_has_left_is_not_asked_at_any_of_its_addresses() {
    let mut dials = Dials::default();
    let now = Instant::now();
    for host in [1, 2] {
        dials.session_begun(address(host), node(1), now);
    }
    dials.session_ended(node(1), now, millis(0));
    dials.forget(node(1));
    assert_eq!(dials.due(now), []);
    assert_eq!(dials.deadline(), None);
    assert!(dials.targets.is_empty());
}

#[test]
fn a_seed_is_asked_though_its_node_has_left() {
    let mut dials = Dials::default();
    let now = Instant::now();
    dials.set_seeds(&[address(1)], now);
    dials.session_begun(address(1), node(1), now);
    dials.session_ended(node(1), now, millis(0));
    dials.forget(node(1));
    assert_eq!(dials.due(now), [address(1)]);
}

#[test]
fn a_node_that_is_down_for_very_long_is_forgotten_and_a_seed_is_not() {
    let mut dials = Dials::default();
    let now = Instant::now();
    dials.set_seeds(&[address(1)], now);
    for host in [1, 2] {
        was_there(&mut dials, host, now);
    }
    for _ in 1..FORGOTTEN {
        dials.failed(address(1), now, 0.5);
        dials.failed(address(2), now, 0.5);
    }
    assert_eq!(dials.targets.len(), 2);
    dials.failed(address(1), now, 0.5);
    dials.failed(address(2), now, 0.5);
    let left: Vec<_> = dials.targets.keys().copied().collect();
    assert_eq!(left, [address(1)]);
}

#[test]
fn addresses_where_nobody_ever_answers_are_few_at_once_asked_rarely_and_forgotten() {
    let mut dials = Dials::default();
    let now = Instant::now();
    for host in 0..100 {
        dials.learn(address(host), node(u64::from(host)), now, millis(0));
    }
    let due = dials.due(now);
    assert_eq!(due.len(), MAX_STRANGERS);
    assert_eq!(dials.due(now), []);
    assert_eq!(dials.deadline(), None);
    // There is room for others.
    was_there(&mut dials, 200, now);
    assert_eq!(dials.deadline(), Some(now));
    assert_eq!(dials.due(now), [address(200)]);
    for _ in 0..=STRANGE {
        dials.failed(due[0], now, 0.5);
    }
    assert_eq!(dials.targets[&due[0]].next, now + RARELY);
    // As long as gossip says that it lives, it is asked.
    for _ in 0..STRANGER_FORGOTTEN {
        dials.failed(due[0], now, 0.5);
    }
    assert!(dials.targets.contains_key(&due[0]));
    dials.is_down(due[0], node(0));
    dials.failed(due[0], now, 0.5);
    assert!(!dials.targets.contains_key(&due[0]));
}

#[test]
fn a_node_that_is_down_is_asked_for_two_days() {
    let mut dials = Dials::default();
    let begun = Instant::now();
    let mut now = begun;
    was_there(&mut dials, 1, now);
    while let Some(next) = dials.deadline() {
        now = next;
        assert_eq!(dials.due(now), [address(1)]);
        dials.failed(address(1), now, 0.5);
    }
    let hours = (now - begun).as_secs_f64() / 3600.0;
    assert!((47.9..48.1).contains(&hours), "{hours} hours");
}

#[test]
fn a_seed_that_is_this_node_is_asked_rarely_and_another_address_of_it_never() {
    let mut dials = Dials::default();
    let now = Instant::now();
    dials.set_seeds(&[address(1)], now);
    dials.learn(address(2), node(2), now, millis(0));
    assert_eq!(dials.due(now), [address(1), address(2)]);
    for host in [1, 2] {
        dials.is_itself(address(host));
        dials.failed(address(host), now, 0.5);
    }
    assert_eq!(dials.deadline(), Some(now + RARELY));
    assert_eq!(dials.due(now + RARELY), [address(1)]);
    // Another node is there meanwhile, and ends: it is asked for as others.
    dials.session_begun(address(1), node(3), now);
    dials.done(address(1));
    dials.session_ended(node(3), now, millis(50));
    assert_eq!(dials.deadline(), Some(now + millis(50)));
}
