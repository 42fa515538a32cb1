//! What happens when a process ends, and in which order.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::num::NonZeroUsize;
use std::panic::panic_any;
use std::sync::{Arc, mpsc};

use futures_lite::future::{self, block_on, poll_once};
use lunatic_account::{Account, AccountLimits};
use lunatic_mailbox::{DataMessage, Message, MessageResource, Wanted};
use lunatic_process::{Environment, ExitReason, Failure, FailureKind, Process, SpawnOptions};
use lunatic_scheduler::Scheduler;
use lunatic_testkit::{end_of, ends, environment, idle, open, spawn, tag, wait, wait_until, wake};

/// A resource that is gone when it is dropped.
struct Held(
    #[expect(dead_code, reason = "it is dropped with the message")] async_channel::Sender<()>,
);

impl MessageResource for Held {
    fn kind(&self) -> &'static str {
        "held"
    }
}

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A resource that calls a function when it is dropped.
struct Wakes(
    #[expect(dead_code, reason = "it is dropped with the message")] OnDrop<Box<dyn FnMut() + Send>>,
);

impl MessageResource for Wakes {
    fn kind(&self) -> &'static str {
        "wakes"
    }
}

/// Links and monitors a process.
fn watcher(environment: &Environment, process: &Process) -> Process {
    let watcher = idle(environment);
    watcher.link(process.id(), tag(5));
    watcher.monitor(process.id());
    watcher
}

#[test]
fn out_of_the_table_then_body_then_hooks_then_links_and_monitors() {
    let environment = environment();
    let (seen, order) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let (in_drop, lookup) = (seen.clone(), environment.clone());
    let process = spawn(&environment, move |own| async move {
        let (id, process) = (own.process.id(), own.process.clone());
        let _guard = OnDrop(move || {
            in_drop
                .send(("body", lookup.exists(id), process.is_alive()))
                .unwrap();
        });
        begun.send(()).unwrap();
        let _kept = own;
        future::pending().await
    });
    let watcher = watcher(&environment, &process);
    let (dying, unaware) = (process.clone(), watcher.clone());
    process.at_exit(move |reason| {
        assert!(matches!(reason, ExitReason::Killed));
        // Neither signals nor messages are accepted any more.
        assert!(dying.send(DataMessage::default().into()).is_err());
        let told = unaware.queued_messages() > 0;
        seen.send(("hook", told, dying.is_alive())).unwrap();
    });
    has_begun.recv().unwrap();
    process.kill();
    end_of(&process);
    assert_eq!(watcher.queued_messages(), 2);
    // It is out of the table before its body is dropped; nobody has been told
    // before the hooks are called.
    let order: Vec<_> = order.try_iter().collect();
    assert_eq!(order, [("body", false, true), ("hook", false, false)]);
}

#[test]
fn links_are_told_before_monitors() {
    let environment = environment();
    let (sender, told) = async_channel::unbounded();
    let process = ends(&environment, Err("it broke"));
    let watcher = spawn(&environment, |mut own| async move {
        own.process.die_when_link_dies(false);
        sender.send(None).await.ok();
        loop {
            let message = own.mailbox.receive(Wanted::Any).await;
            sender.send(Some(message)).await.ok();
        }
    });
    let next = || wait("a message", told.recv()).unwrap();
    assert!(next().is_none());
    watcher.monitor(process.id());
    watcher.link(process.id(), tag(5));
    wake(&process);
    assert!(matches!(next(), Some(Message::LinkDied { tag: told }) if told == tag(5)));
    assert!(matches!(next(), Some(Message::ProcessDied { process: told }) if told == process.id()));
}

#[test]
fn who_waits_is_told_last() {
    let environment = environment();
    let (entered, in_hook) = mpsc::channel();
    let (resume, resumed) = mpsc::channel::<()>();
    let process = ends(&environment, Ok(()));
    process.at_exit(move |_| {
        entered.send(()).unwrap();
        resumed.recv().ok();
    });
    wake(&process);
    in_hook.recv().unwrap();
    // The hook has not returned, so the death is not over.
    let early = block_on(poll_once(process.wait()));
    assert!(early.is_none(), "{early:?}");
    drop(resume);
    assert!(end_of(&process).is_normal());
}

#[test]
fn a_hook_for_the_dead_is_called_at_once() {
    let environment = environment();
    let process = ends(&environment, Ok(()));
    wake(&process);
    end_of(&process);
    let (seen, called) = mpsc::channel();
    process.at_exit(move |reason| seen.send(reason.is_normal()).unwrap());
    assert_eq!(called.try_recv(), Ok(true));
}

/// It fails with this panic, and that is told.
#[track_caller]
fn panicked(environment: &Environment, process: &Process, watcher: &Process, message: &str) {
    let reason = end_of(process);
    let message = message.to_string();
    let panic = Failure::with_message(FailureKind::Panicked, message);
    assert_eq!(reason, ExitReason::Failed(panic));
    wait_until("the death to be told", || watcher.queued_messages() == 2);
    assert!(!environment.exists(process.id()));
}

#[test]
fn a_panic_in_a_body_is_a_failure() {
    let environment = environment();
    for (panic, message) in [
        ((|| panic!("as text")) as fn(), "as text"),
        (|| panic!("as {}", "format"), "as format"),
        (|| panic_any(42), "without a message"),
    ] {
        let process = spawn(&environment, move |mut own| async move {
            own.mailbox.receive(Wanted::Any).await;
            panic();
            Ok(())
        });
        let watcher = watcher(&environment, &process);
        wake(&process);
        panicked(&environment, &process, &watcher, message);
    }
}

#[test]
fn a_panic_before_the_first_await_is_a_failure_too() {
    let environment = environment();
    let process = environment
        .spawn(SpawnOptions::default(), |_| -> future::Pending<_> {
            panic!("too early")
        })
        .unwrap();
    let reason = end_of(&process);
    let message = "too early".to_string();
    let panic = Failure::with_message(FailureKind::Panicked, message);
    assert_eq!(reason, ExitReason::Failed(panic));
    assert!(!environment.exists(process.id()));
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn a_panic_while_a_body_is_dropped_keeps_nothing_from_being_told() {
    let environment = environment();
    let process = spawn(&environment, |mut own| async move {
        let _guard = OnDrop(|| panic!("in drop"));
        own.mailbox.receive(Wanted::Any).await;
        future::pending().await
    });
    let watcher = watcher(&environment, &process);
    // So that it is inside of its body.
    wake(&process);
    wait_until("the message to be taken", || process.queued_messages() == 0);
    process.kill();
    assert!(matches!(end_of(&process), ExitReason::Killed));
    wait_until("the death to be told", || watcher.queued_messages() == 2);
    assert!(!environment.exists(process.id()));
}

#[test]
fn a_panic_in_a_hook_keeps_nothing_from_being_told() {
    let environment = environment();
    let process = ends(&environment, Err("it broke"));
    let (seen, called) = mpsc::channel();
    process.at_exit(|_| panic!("in a hook"));
    process.at_exit(move |_| seen.send(()).unwrap());
    let watcher = watcher(&environment, &process);
    wake(&process);
    assert_eq!(end_of(&process).to_string(), "it broke");
    assert_eq!(called.try_recv(), Ok(()));
    wait_until("the death to be told", || watcher.queued_messages() == 2);
}

#[test]
fn what_a_body_holds_is_dropped_before_who_waits_is_told() {
    let environment = environment();
    let (held, open) = async_channel::bounded::<()>(1);
    let process = spawn(&environment, |own| async move {
        let _held = (held, own);
        future::pending().await
    });
    process.kill();
    end_of(&process);
    assert!(open.is_closed());
}

#[test]
fn messages_that_nobody_received_are_dropped_with_the_process() {
    let environment = environment();
    let process = idle(&environment);
    let (held, open) = async_channel::bounded::<()>(1);
    let mut message = DataMessage::default();
    message.push(Held(held));
    process.send(message.into()).unwrap();
    process.kill();
    end_of(&process);
    assert!(open.is_closed());
}

/// A process that waits at its second message; it has begun to.
fn waits(environment: &Environment) -> Process {
    let process = spawn(environment, |mut own| async move {
        own.mailbox.receive(Wanted::Any).await;
        own.mailbox.receive(Wanted::Any).await;
        Ok(())
    });
    process.die_when_link_dies(false);
    wake(&process);
    wait_until("the first to be taken", || process.queued_messages() == 0);
    process
}

#[test]
fn a_task_that_a_stopped_scheduler_throws_away_is_a_process_that_is_killed() {
    let environment = environment();
    let process = waits(&environment);
    let (seen, called) = mpsc::channel();
    process.at_exit(move |reason| seen.send(reason.to_string()).unwrap());
    environment.scheduler().stop();
    process.kill();
    assert!(matches!(end_of(&process), ExitReason::Killed));
    assert_eq!(called.try_recv().as_deref(), Ok("killed"));
    assert!(!environment.exists(process.id()));
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn a_process_that_is_spawned_on_a_stopped_scheduler_ends_without_having_run() {
    let environment = environment();
    environment.scheduler().stop();
    let process = spawn(&environment, |_| async { unreachable!() });
    assert!(matches!(end_of(&process), ExitReason::Killed));
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn a_message_to_a_process_that_a_stopped_scheduler_throws_away_returns() {
    let environment = environment();
    let process = waits(&environment);
    environment.scheduler().stop();
    let (returned, has_returned) = async_channel::bounded(1);
    let id = process.id();
    std::thread::spawn(move || {
        environment
            .send(None, id, DataMessage::default().into())
            .ok();
        returned.try_send(()).unwrap();
    });
    assert_eq!(wait("send to return", has_returned.recv()), Ok(()));
    end_of(&process);
}

#[test]
fn many_monitors_are_told_in_pieces_and_other_processes_run_between() {
    const MANY: usize = 2000;
    let scheduler = Scheduler::builder().workers(NonZeroUsize::MIN).start();
    let environment = Environment::new(1, scheduler.unwrap());
    let dying = idle(&environment);
    let watchers: Arc<[Process]> = (0..MANY).map(|_| idle(&environment)).collect();
    for watcher in &*watchers {
        watcher.monitor(dying.id());
    }
    let count = |watchers: &[Process]| {
        let told = watchers
            .iter()
            .filter(|watcher| watcher.info().queued_messages > 0);
        told.count()
    };
    let (report, reported) = mpsc::channel();
    let seen = watchers.clone();
    let (ready, is_ready) = mpsc::channel();
    let other = spawn(&environment, move |mut own| async move {
        ready.send(()).unwrap();
        own.mailbox.receive(Wanted::Any).await;
        report.send(count(&seen)).unwrap();
        Ok(())
    });
    // All processes wait by now.
    is_ready.recv().unwrap();
    dying.at_exit(move |_| wake(&other));
    dying.kill();
    assert_eq!(end_of(&dying), ExitReason::Killed);
    assert_eq!(count(&watchers), MANY);
    let meanwhile = reported.recv().unwrap();
    assert!(meanwhile < MANY, "{meanwhile}");
}

#[test]
fn monitors_are_told_even_if_the_scheduler_stops() {
    const MANY: usize = 2000;
    let environment = environment();
    let dying = idle(&environment);
    let watchers: Vec<_> = (0..MANY).map(|_| open(&environment)).collect();
    for (watcher, _) in &watchers {
        watcher.monitor(dying.id());
    }
    let scheduler = environment.scheduler().clone();
    dying.at_exit(move |_| scheduler.stop());
    dying.kill();
    assert_eq!(end_of(&dying), ExitReason::Killed);
}

#[test]
fn many_messages_are_dropped_before_anybody_is_told_and_other_processes_run_between() {
    const MANY: usize = 5000;
    let scheduler = Scheduler::builder().workers(NonZeroUsize::MIN).start();
    let environment = Environment::new(1, scheduler.unwrap());
    let (held, is_held) = async_channel::unbounded::<()>();
    let (report, reported) = mpsc::channel();
    let (ready, is_ready) = mpsc::channel();
    let dying = spawn(&environment, |own| async move {
        let _kept = own;
        future::pending().await
    });
    let left = is_held.clone();
    let other = spawn(&environment, move |mut own| async move {
        ready.send(()).unwrap();
        own.mailbox.receive(Wanted::Any).await;
        report.send(left.sender_count()).unwrap();
        Ok(())
    });
    // Both wait by now.
    is_ready.recv().unwrap();
    let mut first = DataMessage::default();
    first.push(Wakes(OnDrop(Box::new(move || wake(&other)))));
    dying.send(first.into()).unwrap();
    for _ in 0..MANY {
        let mut message = DataMessage::default();
        message.push(Held(held.clone()));
        dying.send(message.into()).unwrap();
    }
    let at_exit = is_held.clone();
    let (hook, hooked) = mpsc::channel();
    dying.at_exit(move |_| hook.send(at_exit.sender_count()).unwrap());
    dying.kill();
    assert_eq!(end_of(&dying), ExitReason::Killed);
    // One is the test's own.
    assert_eq!(hooked.recv(), Ok(1));
    let meanwhile = reported.recv().unwrap();
    assert!(meanwhile > 1, "{meanwhile}");
}

#[test]
fn the_processes_of_an_environment_cause_no_more_lines_of_the_log_than_they_may() {
    let (noisy, quiet) = (environment(), environment());
    let account = noisy.account();
    let admitted = |lines| {
        let lines = 0..lines;
        lines.filter(|_| noisy.admits_log_line(account)).count()
    };
    assert_eq!(admitted(1500), 1000);
    assert!(quiet.admits_log_line(quiet.account()));
    // What was left out is told, and others are admitted again.
    noisy.flush_log();
    assert_eq!(admitted(1), 1);
}

#[test]
fn a_branch_that_causes_many_lines_of_the_log_hides_no_other() {
    let environment = environment();
    let branch = |account: &Account| account.branch(AccountLimits::UNLIMITED).unwrap();
    let (noisy, quiet) = (branch(environment.account()), branch(environment.account()));
    let admitted = |account: &Account, lines| {
        let lines = 0..lines;
        lines
            .filter(|_| environment.admits_log_line(account))
            .count()
    };
    assert_eq!(admitted(&noisy, 2000), 1000);
    // Branches below it are no others.
    assert_eq!(admitted(&branch(&noisy), 100), 0);
    assert_eq!(admitted(&quiet, 100), 50);
    assert_eq!(admitted(environment.account(), 100), 50);
    // There is no end of lines for an end of branches.
    let branches: Vec<_> = (0..1000).map(|_| branch(environment.account())).collect();
    let written: usize = branches.iter().map(|branch| admitted(branch, 51)).sum();
    assert!((250 * 50..256 * 50).contains(&written), "{written}");
}

#[test]
fn a_branch_causes_no_more_lines_of_the_log_than_its_limit_allows() {
    let environment = environment();
    let limits = AccountLimits {
        log_lines: 3,
        ..AccountLimits::UNLIMITED
    };
    let limited = environment.account().branch(limits).unwrap();
    let below = limited.branch(AccountLimits::UNLIMITED).unwrap();
    let admits = |account: &Account| environment.admits_log_line(account);
    assert!(admits(&below) && admits(&limited) && admits(&below));
    assert!(!admits(&below) && !admits(&limited));
    assert!(admits(environment.account()));
}
