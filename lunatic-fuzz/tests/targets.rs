//! Each target, with what is stored for it and some random inputs.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::time::Duration;

use lunatic_fuzz::{Driver, TARGETS};

fn tries(name: &str, count: u64) {
    let target = TARGETS
        .into_iter()
        .find(|target| target.name == name)
        .unwrap();
    let mut driver = Driver::new(target, 1).unwrap();
    assert!(driver.try_corpus().unwrap() > 0, "nothing is stored");
    // It is to be short, and tries less on a slow machine.
    let tried = driver
        .try_some(count, Duration::from_secs(1), None)
        .unwrap();
    assert!(tried > 0);
}

#[test]
fn modules_run_or_are_refused() {
    tries("modules", 50);
}

#[test]
fn manifests_are_read_or_refused() {
    tries("manifest", 2000);
}

#[test]
fn lines_of_admin_clients_are_answered_or_refused() {
    tries("admin", 500);
}

#[test]
fn frames_of_other_nodes_are_taken_or_refused() {
    tries("wire", 2000);
}

#[test]
fn host_functions_may_be_called_with_anything() {
    tries("calls", 20);
}
