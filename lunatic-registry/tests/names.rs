//! Names of native processes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use futures_lite::future::block_on;
use lunatic_account::Account;
use lunatic_mailbox::Pid;
use lunatic_registry::{MAX_NAME_BYTES, MAX_NAMES, NameError, NameTable, Registry};
use lunatic_testkit::{end_of, environment, idle};

fn pid(process: u64) -> Pid {
    Pid::from_bits(process)
}

#[test]
fn a_name_has_one_process_and_a_process_many_names() {
    let mut names = NameTable::new();
    names.put("a", pid(1), &Account::default()).unwrap();
    names.put("b", pid(1), &Account::default()).unwrap();
    names.put("a", pid(2), &Account::default()).unwrap();
    assert_eq!(names.get("a"), Some(pid(2)));
    assert_eq!(names.get("b"), Some(pid(1)));
    names.forget(pid(1));
    assert_eq!(names.get("a"), Some(pid(2)));
    assert_eq!(names.get("b"), None);
    names.remove("a");
    names.remove("a");
    assert!(names.is_empty());
}

#[test]
fn a_process_is_new_until_it_is_forgotten() {
    let mut names = NameTable::new();
    assert_eq!(names.put("a", pid(1), &Account::default()), Ok(true));
    assert_eq!(names.put("b", pid(1), &Account::default()), Ok(false));
    names.remove("a");
    names.remove("b");
    assert_eq!(names.put("a", pid(1), &Account::default()), Ok(false));
    names.forget(pid(1));
    assert_eq!(names.put("a", pid(1), &Account::default()), Ok(true));
}

// ABI §21 A4
#[test]
fn names_are_limited_in_length_and_number() {
    let mut names = NameTable::new();
    let longest = "n".repeat(MAX_NAME_BYTES);
    names.put(&longest, pid(1), &Account::default()).unwrap();
    let longer = "n".repeat(MAX_NAME_BYTES + 1);
    let length = longer.len();
    assert_eq!(
        names.put(&longer, pid(1), &Account::default()),
        Err(NameError::TooLong { length })
    );
    for number in 1..MAX_NAMES {
        names
            .put(&number.to_string(), pid(1), &Account::default())
            .unwrap();
    }
    assert_eq!(names.len(), MAX_NAMES);
    assert_eq!(
        names.put("one more", pid(1), &Account::default()),
        Err(NameError::TooMany)
    );
    // What is there can still change hands, and be taken away.
    names.put("1", pid(2), &Account::default()).unwrap();
    names.remove("1");
    names.put("one more", pid(1), &Account::default()).unwrap();
}

#[test]
fn a_name_is_gone_when_who_waits_for_its_process_is_told() {
    let environment = environment();
    let registry = Registry::new();
    for _ in 0..200 {
        let process = idle(&environment);
        registry.put_local("name", &process).unwrap();
        process.kill();
        block_on(process.wait());
        assert_eq!(registry.get("name"), None);
    }
}

#[test]
fn the_death_of_who_had_a_name_before_takes_it_from_nobody() {
    let environment = environment();
    let registry = Registry::new();
    let (first, second) = (idle(&environment), idle(&environment));
    registry.put_local("name", &first).unwrap();
    registry.put_local("name", &second).unwrap();
    first.kill();
    block_on(first.wait());
    assert_eq!(registry.get("name"), Some(pid(second.id().to_bits())));
}

#[test]
fn the_dead_get_no_name() {
    let environment = environment();
    let registry = Registry::new();
    let process = idle(&environment);
    process.kill();
    block_on(process.wait());
    registry.put_local("name", &process).unwrap();
    assert_eq!(registry.get("name"), None);
}

#[test]
fn who_is_asked_for_is_spawned_once() {
    let environment = environment();
    let registry = Registry::new();
    let get_or_spawn = || {
        registry.get_or_put(
            "name",
            |process| environment.exists(process),
            || Ok::<_, NameError>(idle(&environment)),
        )
    };
    assert_eq!(get_or_spawn().unwrap(), None);
    let first = registry.get("name").unwrap();
    assert_eq!(get_or_spawn().unwrap(), Some(first));
    let process = environment.process(first).unwrap();
    process.kill();
    block_on(process.wait());
    assert_eq!(get_or_spawn().unwrap(), None);
}

// ABI §21 C4
#[test]
fn a_spawn_that_fails_leaves_the_name_free() {
    let registry = Registry::new();
    let failed = registry.get_or_put("name", |_| true, || Err(NameError::TooMany));
    assert_eq!(failed, Err(NameError::TooMany));
    assert_eq!(registry.get("name"), None);
}

#[test]
fn the_label_of_a_process_is_the_part_of_its_name_that_its_user_chose() {
    let environment = environment();
    let registry = Registry::new();
    for (name, label) in [("plain", "plain"), ("a/b/Process/my/name", "my/name")] {
        let process = idle(&environment);
        registry.put_local(name, &process).unwrap();
        assert_eq!(process.label().as_deref(), Some(label));
    }
}

#[test]
fn a_process_with_many_names_leaves_none_behind() {
    const NAMES: usize = 1000;
    let environment = environment();
    let registry = Registry::new();
    let (process, other) = (idle(&environment), idle(&environment));
    for number in 0..NAMES {
        registry.put_local(&number.to_string(), &process).unwrap();
    }
    registry.put_local("7", &other).unwrap();
    process.kill();
    end_of(&process);
    for number in (0..NAMES).filter(|number| *number != 7) {
        assert_eq!(registry.get(&number.to_string()), None);
    }
    assert_eq!(registry.get("7"), Some(other.id()));
}

#[test]
fn a_name_that_was_given_away_meanwhile_stays() {
    let mut names = NameTable::new();
    names.put("a", pid(1), &Account::default()).unwrap();
    names.put("b", pid(1), &Account::default()).unwrap();
    let rest: Vec<_> = names.forget_process(pid(1)).collect();
    names.put("a", pid(2), &Account::default()).unwrap();
    assert_eq!(names.remove_names_of(pid(1), rest), 2);
    assert_eq!((names.get("a"), names.get("b")), (Some(pid(2)), None));
}
