//! What is counted: messages, ends of processes, lengths of mailboxes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::thread;

use lunatic_mailbox::{DataMessage, Pid};
use lunatic_process::{
    END_REASONS, Environment, EnvironmentConfig, ExitReason, Failure, Role, Signal, SpawnOptions,
};
use lunatic_testkit::{end_of, ends, environment, idle, open, spawn, wait, wait_until};

/// How many processes have ended, by reason; only those of which there are some.
fn ended(environment: &Environment) -> Vec<(&'static str, u64)> {
    let ended = environment.counters().get().ended;
    let counts = END_REASONS.into_iter().zip(ended);
    counts.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn each_end_is_counted_once_by_its_reason() {
    let environment = environment();
    let normal = ends(&environment, Ok(()));
    let failed = ends(&environment, Err("broken"));
    for process in [&normal, &failed] {
        lunatic_testkit::wake(process);
    }
    let killed = idle(&environment);
    killed.kill();
    let shut_down = spawn(&environment, |own| async move {
        let _kept = own;
        std::future::pending().await
    });
    let signal = Signal::Exit {
        from: Pid::from_bits(0),
        tag: None,
        reason: ExitReason::Shutdown,
    };
    shut_down.signal(signal).unwrap();
    let linked = spawn(&environment, |own| async move {
        let _kept = own;
        std::future::pending().await
    });
    let panics = spawn(&environment, |_| async { panic!("as it is to") });
    let signal = Signal::LinkDied {
        peer: failed.id(),
        tag: None,
        reason: ExitReason::Failed(Failure::new("broken")),
    };
    let link = Signal::Link {
        peer: failed.id(),
        tag: None,
    };
    linked.signal(link).unwrap();
    linked.signal(signal).unwrap();
    for process in [&normal, &failed, &killed, &shut_down, &linked, &panics] {
        end_of(process);
    }
    assert_eq!(
        ended(&environment),
        [
            ("normal", 1),
            ("failed", 2),
            ("killed", 1),
            ("shutdown", 1),
            ("link_died", 1)
        ]
    );
    assert_eq!(environment.spawned_count(), 6);
}

#[test]
fn no_message_is_lost_between_threads_and_environments_that_count_together() {
    const THREADS: u64 = 40;
    const EACH: u64 = 1000;
    let first = environment();
    let config = EnvironmentConfig {
        counters: first.counters().clone(),
        ..EnvironmentConfig::default()
    };
    let second = Environment::with_config(2, first.scheduler().clone(), config);
    let receivers = [&first, &second].map(|environment| open(environment).0.id());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (environment, receiver) in [&first, &second].into_iter().zip(receivers) {
                    for _ in 0..EACH {
                        let message = DataMessage::default().into();
                        environment.send(None, receiver, message).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(first.counters().get().messages, 2 * THREADS * EACH);
    // What an environment has counted stays when it is gone.
    wait("the end of the second", second.shut_down());
    drop(second);
    assert_eq!(ended(&first), [("killed", 1)]);
}

#[test]
fn mailboxes_are_measured_and_no_more_than_are_asked_for() {
    let environment = environment();
    let processes: Vec<_> = (0..1000).map(|_| open(&environment)).collect();
    for _ in 0..5 {
        lunatic_testkit::wake(&processes[500].0);
    }
    lunatic_testkit::wake(&processes[501].0);
    let lengths = environment.mailbox_lengths(usize::MAX);
    assert_eq!(
        (lengths.mailboxes, lengths.messages, lengths.longest),
        (1000, 6, 5)
    );
    let some = environment.mailbox_lengths(128).mailboxes;
    assert_eq!(some, 128);
    wait_until("their ends", || {
        processes.iter().for_each(|(process, _)| process.kill());
        environment.process_count() == 0
    });
    assert_eq!(environment.mailbox_lengths(10), Default::default());
}

#[test]
fn processes_are_found_by_their_role() {
    let environment = environment();
    idle(&environment);
    let options = || SpawnOptions {
        role: Role::Supervisor,
        ..SpawnOptions::default()
    };
    let supervisors: Vec<_> = (0..3)
        .map(|_| {
            let body = |_| std::future::pending();
            environment.spawn(options(), body).unwrap().id()
        })
        .collect();
    let mut found: Vec<_> = environment
        .processes_with_role(Role::Supervisor, 10)
        .iter()
        .map(|process| process.id())
        .collect();
    found.sort_unstable();
    assert_eq!(found, supervisors);
    let some = environment.processes_with_role(Role::Supervisor, 2);
    assert_eq!(some.len(), 2);
}
