//! What there is to say of a process.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future::{self, block_on};
use lunatic_mailbox::{DataMessage, Wanted};
use lunatic_process::{
    Environment, EnvironmentConfig, ExitReason, Failure, Process, Request, Role, SpawnOptions,
};
use lunatic_testkit::{environment, wait_until};

#[test]
fn a_process_is_described_by_what_it_was_spawned_with_and_what_it_has() {
    let environment = environment();
    let parent = environment
        .spawn(SpawnOptions::default(), |_| future::pending())
        .unwrap();
    let options = SpawnOptions {
        parent: Some(parent.id()),
        role: Role::Supervisor,
        label: Some("root".into()),
        ..SpawnOptions::default()
    };
    let process = environment
        .spawn(options, |own| async move {
            let _kept = own;
            future::pending().await
        })
        .unwrap();
    process.link(parent.id(), None);
    parent.monitor(process.id());
    process.send(DataMessage::default().into()).unwrap();

    let info = process.info();
    assert_eq!(info.id, process.id());
    assert_eq!(info.parent, Some(parent.id()));
    assert_eq!(info.role, Role::Supervisor);
    assert_eq!(info.label.as_deref(), Some("root"));
    assert_eq!((info.links, info.watchers), (1, 1));
    assert_eq!(info.queued_messages, 1);
    assert_eq!(info.exit_reason, None);
    assert_eq!(process.links(), [parent.id()]);
    assert_eq!(process.watchers(), [parent.id()]);

    process.kill();
    block_on(process.wait());
    let info = process.info();
    assert_eq!(info.exit_reason, Some(ExitReason::Killed));
    assert_eq!((info.links, info.watchers, info.queued_messages), (0, 0, 0));
}

#[test]
fn cpu_time_is_measured_if_that_is_asked_for() {
    let environment = environment();
    let process = environment
        .spawn(SpawnOptions::default(), |mut own| async move {
            loop {
                own.mailbox.receive(Wanted::Any).await;
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(5) {
                    std::hint::spin_loop();
                }
                // It is counted at the end of a poll, which may take several messages.
                future::yield_now().await;
            }
        })
        .unwrap();
    let work = || {
        process.send(DataMessage::default().into()).unwrap();
        // Once it has taken this one, it is done with the first.
        process.send(DataMessage::default().into()).unwrap();
        while process.queued_messages() > 0 {
            std::thread::yield_now();
        }
    };
    work();
    assert_eq!(process.info().cpu_time, Duration::ZERO);
    process.measure_cpu_time(true);
    while process.info().cpu_time == Duration::ZERO {
        work();
    }
    process.measure_cpu_time(false);
    process.kill();
    block_on(process.wait());
}

/// A process that computes until it is told to stop, and then waits for ever.
fn spinner(environment: &Environment, stop: &Arc<AtomicBool>) -> Process {
    let stop = stop.clone();
    let spinner = environment
        .spawn(SpawnOptions::default(), |_| async move {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            future::pending::<Result<(), Failure>>().await
        })
        .unwrap();
    wait_until("it to run", || environment.running() == [spinner.id()]);
    spinner
}

#[test]
fn who_runs_is_known_and_its_time_is_sampled() {
    let environment = environment();
    let config = EnvironmentConfig {
        counters: environment.counters().clone(),
        ..EnvironmentConfig::default()
    };
    let other = Environment::with_config(2, environment.scheduler().clone(), config);
    let stop = Arc::new(AtomicBool::new(false));
    let spinner = spinner(&environment, &stop);
    assert_eq!(other.running(), []);
    assert_eq!(spinner.info().cpu_time, Duration::ZERO);
    for sampled in [&environment, &other, &environment] {
        sampled.sample_cpu_time(Duration::from_millis(3));
    }
    assert_eq!(spinner.info().cpu_time, Duration::from_millis(6));

    stop.store(true, Ordering::Relaxed);
    wait_until("it to rest", || environment.running().is_empty());
    environment.sample_cpu_time(Duration::from_millis(3));
    assert_eq!(spinner.info().cpu_time, Duration::from_millis(6));
    spinner.kill();
    block_on(spinner.wait());
}

#[test]
fn time_that_is_measured_is_not_sampled_beside() {
    let environment = environment();
    let stop = Arc::new(AtomicBool::new(false));
    let spinner = spinner(&environment, &stop);
    spinner.measure_cpu_time(true);
    environment.sample_cpu_time(Duration::from_secs(1000));
    stop.store(true, Ordering::Relaxed);
    wait_until("it to rest", || environment.running().is_empty());
    assert!(spinner.info().cpu_time < Duration::from_secs(1000));
    spinner.kill();
    block_on(spinner.wait());
}

#[test]
fn requests_are_seen_to_by_bodies_that_do_and_handed_back_at_a_limit() {
    let environment = environment();
    let process = environment
        .spawn(SpawnOptions::default(), |_| future::pending())
        .unwrap();
    let request = || Request::Inspect(async_channel::bounded(1).0);
    let accepted = (0..1000)
        .take_while(|_| process.request(request()).is_ok())
        .count();
    assert_eq!(accepted, 64);
    assert!(process.has_requests());
    assert_eq!(process.take_requests().count(), 64);
    assert!(!process.has_requests());
    process.request(request()).unwrap();

    let asked = process.inspect();
    process.kill();
    assert_eq!(block_on(asked), None);
    assert!(process.request(request()).is_err());
}
