//! What is charged for links and monitors, at both ends.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::future;

use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_process::{
    Environment, ExitReason, Failure, Process, SpawnError, SpawnLink, SpawnOptions,
};
use lunatic_testkit::{environment, idle, tag, wait, wait_until};

/// An account with so many bytes.
fn branch(environment: &Environment, memory: u64) -> Account {
    let limits = AccountLimits {
        memory,
        ..AccountLimits::UNLIMITED
    };
    environment.account().branch(limits).unwrap()
}

/// A process of an account, which does nothing and traps link deaths.
fn idle_of(environment: &Environment, account: &Account) -> Process {
    let options = SpawnOptions {
        account: Some(account.clone()),
        ..SpawnOptions::default()
    };
    let process = environment
        .spawn(options, |own| async move {
            let _kept = own;
            future::pending().await
        })
        .unwrap();
    process.die_when_link_dies(false);
    process
}

#[test]
fn a_few_links_and_monitors_cost_nothing_and_many_are_charged_to_who_has_them() {
    let environment = environment();
    let account = branch(&environment, u64::MAX);
    let process = idle_of(&environment, &account);
    let others: Vec<_> = (0..1000).map(|_| idle(&environment)).collect();
    for other in &others[..8] {
        process.try_link(other.id(), tag(1)).unwrap();
    }
    assert_eq!(account.used(Kind::Memory), 0);
    for other in &others {
        process.try_link(other.id(), tag(1)).unwrap();
        other.try_monitor(process.id()).unwrap();
    }
    let used = account.used(Kind::Memory);
    assert!((2000 * 32..2000 * 256).contains(&used), "{used}");
    for other in &others {
        process.unlink(other.id());
        other.stop_monitoring(process.id());
    }
    assert!(account.used(Kind::Memory) < 10_000);
    process.kill();
    wait("the end", process.wait());
    wait_until("it is released", || account.used(Kind::Memory) == 0);
}

#[test]
fn who_has_no_memory_left_for_a_link_is_refused_and_both_live_on() {
    let environment = environment();
    let poor = branch(&environment, 4096);
    let process = idle_of(&environment, &poor);
    let others: Vec<_> = (0..200).map(|_| idle(&environment)).collect();
    let linked = others
        .iter()
        .take_while(|other| process.try_link(other.id(), None).is_ok())
        .count();
    assert!((8..200).contains(&linked), "{linked}");
    assert_eq!(process.links().len(), linked);
    // From the other end, too.
    let refused = &others[linked];
    assert!(refused.try_link(process.id(), None).is_err());
    assert!(refused.try_monitor(process.id()).is_err());
    assert!(process.try_monitor_with_reason(refused.id(), None).is_err());
    assert!(!refused.is_linked(process.id()));
    assert!(process.is_alive() && refused.is_alive());
    assert_eq!(process.info().watchers, 0);
    process.unlink(others[0].id());
    drop(process);
    environment.processes().iter().for_each(Process::kill);
    wait_until("all is released", || {
        environment.account().used(Kind::Processes) == 0 && poor.used(Kind::Memory) == 0
    });
}

#[test]
fn nothing_is_spawned_with_a_link_that_is_not_paid_for() {
    let environment = environment();
    let poor = branch(&environment, 4096);
    let parent = idle_of(&environment, &poor);
    let mut spawned = 0;
    let refused = loop {
        let options = SpawnOptions {
            link: Some(SpawnLink {
                parent: parent.clone(),
                tag: tag(5),
            }),
            ..SpawnOptions::default()
        };
        match environment.spawn(options, |_| future::pending()) {
            Ok(_) => spawned += 1,
            Err(refused) => break refused,
        }
        assert!(spawned < 1000);
    };
    assert!(matches!(refused, SpawnError::Exceeded(_)), "{refused}");
    assert_eq!(parent.links().len(), spawned);
    assert!(parent.is_alive());
}

#[test]
fn what_is_told_why_is_charged_until_it_was_told() {
    let environment = environment();
    let account = branch(&environment, u64::MAX);
    let process = idle_of(&environment, &account);
    let others: Vec<_> = (0..500).map(|_| idle(&environment)).collect();
    for other in &others {
        process.try_monitor_with_reason(other.id(), tag(1)).unwrap();
    }
    let used = account.used(Kind::Memory);
    assert!(used >= 400 * 64, "{used}");
    for other in &others {
        process.stop_monitoring(other.id());
    }
    assert!(account.used(Kind::Memory) < 5000);
}

/// More than any of these processes can pay for.
const MANY: usize = 100_000;

#[test]
fn who_links_itself_to_the_dead_pays_for_what_it_is_told() {
    let environment = environment();
    let poor = branch(&environment, 64 << 10);
    let process = idle_of(&environment, &poor);
    let dead = idle(&environment);
    dead.kill();
    wait("the end", dead.wait());
    let told = (0..MANY)
        .take_while(|_| process.try_link(dead.id(), tag(7)).is_ok())
        .count();
    assert!((100..1000).contains(&told), "{told}");
    assert_eq!(process.queued_messages(), told);
    assert!(process.try_monitor(dead.id()).is_err());
    assert!(process.is_alive());
    process.kill();
    wait("the end", process.wait());
    wait_until("it is released", || poor.used(Kind::Memory) == 0);
}

#[test]
fn all_are_told_of_a_death_even_if_they_have_no_memory_left() {
    let environment = environment();
    let poor = branch(&environment, 64 << 10);
    let process = idle_of(&environment, &poor);
    let others: Vec<_> = (0..200).map(|_| idle(&environment)).collect();
    for other in &others {
        process.try_link(other.id(), tag(7)).unwrap();
    }
    let left = poor.limits().memory - poor.used(Kind::Memory);
    poor.charge(Kind::Memory, left).unwrap();
    others.iter().for_each(Process::kill);
    wait_until("it is told of all", || process.queued_messages() == 200);
    assert!(poor.used(Kind::Memory) > poor.limits().memory);
    assert!(process.is_alive());
    process.kill();
    wait("the end", process.wait());
    wait_until("it is released", || poor.used(Kind::Memory) == left);
    poor.release(Kind::Memory, left);
}

#[test]
fn who_asks_others_to_end_pays_for_what_they_are_told_and_for_its_text() {
    let environment = environment();
    let poor = branch(&environment, 256 << 10);
    let (asking, other) = (idle_of(&environment, &poor), idle(&environment));
    other.trap_exits();
    let text = "x".repeat(4000);
    let reason = || ExitReason::from(Failure::new(text.clone()));
    let told = (0..MANY)
        .take_while(|_| asking.try_exit(other.id(), reason()).is_ok())
        .count();
    assert!((10..65).contains(&told), "{told}");
    assert_eq!(other.queued_messages(), told);
    // A supervisor does not ask before: it is heard, and pays all the same.
    (0..20).for_each(|_| asking.exit(other.id(), reason()));
    assert_eq!(other.queued_messages(), told + 20);
    assert!(poor.used(Kind::Memory) > poor.limits().memory);
    assert!(asking.is_alive() && other.is_alive());
    other.kill();
    wait("the end", other.wait());
    wait_until("it is released", || poor.used(Kind::Memory) == 0);
}
