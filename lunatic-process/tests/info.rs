//! What there is to say of a process.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::time::{Duration, Instant};

use futures_lite::future::{self, block_on};
use lunatic_mailbox::{DataMessage, Wanted};
use lunatic_process::{ExitReason, Request, Role, SpawnOptions};
use lunatic_testkit::environment;

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
fn cpu_time_is_measured_only_while_that_is_asked_for() {
    let environment = environment();
    let process = environment
        .spawn(SpawnOptions::default(), |mut own| async move {
            loop {
                own.mailbox.receive(Wanted::Any).await;
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(5) {
                    std::hint::spin_loop();
                }
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
