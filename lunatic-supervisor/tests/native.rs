//! A supervisor and its children as native processes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod event_log;

use std::future;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use async_channel::Receiver;
use event_log::{EventLog, worker};
use futures_lite::future::{block_on, poll_once};
use lunatic_account::{AccountLimits, Kind};
use lunatic_mailbox::{DataMessage, Message, Tag, Wanted};
use lunatic_process::{
    Environment, ExitReason, Failure, Process, SpawnError, SpawnLink, SpawnOptions,
};
use lunatic_supervisor::{
    ChildContext, ChildCounts, ChildSpec, ChildStart, ChildStatus, RequestError, Restart,
    ShutdownPolicy, Spec, SpecError, StartChild, Starting, Strategy, Supervisor, SupervisorError,
    SupervisorEvent, native,
};
use lunatic_testkit::{TIMEOUT, end_of, environment, idle, wait, wait_until, wake};

#[track_caller]
fn start(environment: &Environment, spec: &Spec) -> Supervisor {
    wait("the start", spec.start(environment, None)).expect("a supervisor")
}

#[track_caller]
fn child(supervisor: &Supervisor, name: &str) -> Process {
    let children = wait("the children", supervisor.which_children()).expect("it lives");
    let child = children.into_iter().find(|child| &*child.info.name == name);
    child
        .and_then(|child| child.process)
        .expect("a running child")
}

#[test]
fn children_are_started_in_order_and_stopped_in_reverse() {
    let (environment, log) = (environment(), EventLog::new());
    let spec = ["a", "b", "c"]
        .iter()
        .fold(Spec::new("root"), |spec, name| {
            spec.child(ChildSpec::new(*name, worker(name, &log)))
        });
    let supervisor = start(&environment, &spec);
    log.next_are(&["a starts", "b starts", "c starts"]);
    assert!(wait("the end", supervisor.shut_down()).is_normal());
    log.next_are(&["c ends", "b ends", "a ends"]);
    log.is_over();
}

#[test]
fn a_child_that_fails_is_restarted_and_another_is_left_alone() {
    let (environment, log) = (environment(), EventLog::new());
    let spec = Spec::new("root")
        .child(ChildSpec::new("a", worker("a", &log)))
        .child(ChildSpec::new("b", worker("b", &log)));
    let supervisor = start(&environment, &spec);
    log.next_are(&["a starts", "b starts"]);
    wake(&child(&supervisor, "a"));
    log.next_are(&["a ends", "a starts"]);
    log.is_over();
}

#[test]
fn too_many_restarts_end_the_supervisor_with_shutdown() {
    let (environment, log) = (environment(), EventLog::new());
    let spec = Spec::new("root").child(ChildSpec::new("a", worker("a", &log)));
    let supervisor = start(&environment, &spec);
    wake(&child(&supervisor, "a"));
    log.next_are(&["a starts", "a ends", "a starts"]);
    wait_until("the restart", || {
        wait("the children", supervisor.which_children())
            .is_ok_and(|children| children[0].process.as_ref().is_some_and(Process::is_alive))
    });
    wake(&child(&supervisor, "a"));
    assert!(matches!(end_of(supervisor.process()), ExitReason::Shutdown));
}

#[test]
fn a_killed_supervisor_takes_its_children_along() {
    let (environment, log) = (environment(), EventLog::new());
    let spec = Spec::new("root")
        .strategy(Strategy::OneForAll)
        .child(ChildSpec::new("a", worker("a", &log)).shutdown(ShutdownPolicy::Infinity))
        .child(
            Spec::new("inner")
                .child(ChildSpec::new("b", worker("b", &log)))
                .into_child(),
        );
    let supervisor = start(&environment, &spec);
    supervisor.process().kill();
    assert!(matches!(end_of(supervisor.process()), ExitReason::Killed));
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn a_supervisor_ends_with_its_parent() {
    let (environment, log) = (environment(), EventLog::new());
    let parent = idle(&environment);
    let link = SpawnLink {
        parent: parent.clone(),
        tag: None,
    };
    let spec = Spec::new("root").child(ChildSpec::new("a", worker("a", &log)));
    let supervisor = wait("the start", spec.start(&environment, Some(link))).expect("it starts");
    parent.kill();
    assert!(end_of(supervisor.process()).failure().is_some());
    wait_until("nobody to be left", || environment.process_count() == 0);
}

/// A child that says that it was told to end, and does not.
fn stubborn(log: &EventLog) -> ChildStart {
    let log = log.clone();
    native(move |mut own| {
        own.process.die_when_link_dies(false);
        let log = log.clone();
        async move {
            loop {
                let message = own.mailbox.receive(Wanted::Any).await;
                assert!(matches!(message, Message::LinkDied { tag: None }));
                log.add("told to end");
            }
        }
    })
}

/// A child that cannot be started.
fn broken() -> ChildStart {
    struct Broken;
    impl StartChild for Broken {
        fn start(&self, _: &ChildContext<'_>) -> Result<Starting, Failure> {
            Err(Failure::new("there is nothing to start"))
        }
    }
    Arc::new(Broken)
}

#[test]
fn a_child_that_ignores_its_order_to_end_is_killed_after_its_timeout() {
    let (environment, log) = (environment(), EventLog::new());
    let timeout = ShutdownPolicy::Timeout(Duration::from_millis(1));
    let spec = Spec::new("root").child(ChildSpec::new("a", stubborn(&log)).shutdown(timeout));
    let supervisor = start(&environment, &spec);
    let a = child(&supervisor, "a");
    assert!(wait("the end", supervisor.shut_down()).is_normal());
    assert!(matches!(end_of(&a), ExitReason::Killed));
}

#[test]
fn a_child_without_limit_keeps_nobody_from_killing_a_supervisor_that_stops_it() {
    let (environment, log) = (environment(), EventLog::new());
    for policy in [
        ShutdownPolicy::Infinity,
        ShutdownPolicy::Timeout(Duration::MAX),
    ] {
        let child = ChildSpec::new("a", stubborn(&log)).shutdown(policy);
        let supervisor = start(&environment, &Spec::new("root").child(child));
        supervisor.stop();
        log.next_are(&["told to end"]);
        supervisor.process().kill();
        assert!(matches!(end_of(supervisor.process()), ExitReason::Killed));
        log.next_are(&["told to end"]);
    }
}

#[test]
fn a_child_that_fails_at_start_ends_the_supervisor_of_any_strategy_and_those_before_it() {
    let (environment, log) = (environment(), EventLog::new());
    for strategy in [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ] {
        let spec = Spec::new("root")
            .strategy(strategy)
            .child(ChildSpec::new("a", worker("a", &log)))
            .child(ChildSpec::new("b", broken()))
            .child(ChildSpec::new("c", worker("c", &log)));
        let parent = idle(&environment);
        parent.die_when_link_dies(true);
        let link = SpawnLink {
            parent: parent.clone(),
            tag: None,
        };
        let error = wait("the start", spec.start(&environment, Some(link))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the child `b` did not start: there is nothing to start"
        );
        log.next_are(&["a starts", "a ends"]);
        log.is_over();
        wait_until("the supervisor to be gone", || {
            environment.process_count() == 1
        });
        assert!(parent.is_alive(), "no link is made to what did not start");
        parent.kill();
        end_of(&parent);
    }
}

#[test]
fn a_nested_supervisor_that_does_not_start_fails_the_outer_one_with_the_whole_story() {
    let environment = environment();
    let inner = Spec::new("inner").child(ChildSpec::new("a", broken()));
    let spec = Spec::new("root").child(inner.into_child());
    let error = wait("the start", spec.start(&environment, None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the child `inner` did not start: the child `a` did not start: there is nothing to start"
    );
}

#[test]
fn an_inner_supervisor_that_gives_up_is_restarted_by_the_outer_one() {
    let (environment, log) = (environment(), EventLog::new());
    let events = log.clone();
    let inner = Spec::new("inner")
        .intensity(0, Duration::from_secs(5))
        .child(ChildSpec::new("a", worker("a", &log)));
    let spec =
        Spec::new("root")
            .child(inner.into_child())
            .observer(move |path, event| match event {
                SupervisorEvent::Restarting {
                    child,
                    reason,
                    count,
                    ..
                } => events.add(format!(
                    "{path} restarts {child}: {reason}, {}",
                    count.count
                )),
                SupervisorEvent::GivingUp { child, reason, .. } => {
                    events.add(format!("{path} gives up {child}: {reason}"));
                }
                _ => {}
            });
    let root = start(&environment, &spec);
    log.next_are(&["a starts"]);
    let inner = Supervisor::of(child(&root, "inner")).expect("it is a supervisor");
    wake(&child(&inner, "a"));
    log.next_are(&[
        "a ends",
        "root/inner gives up a: as it was told",
        "root restarts inner: shutdown, 1",
        "a starts",
    ]);
    assert!(matches!(end_of(inner.process()), ExitReason::Shutdown));
    assert!(root.process().is_alive());
    wait("the end", root.shut_down());
    log.next_are(&["a ends"]);
}

#[test]
fn an_order_to_end_goes_down_the_tree_and_everybody_has_time() {
    let (environment, log) = (environment(), EventLog::new());
    let inner = Spec::new("inner")
        .child(ChildSpec::new("b", worker("b", &log)))
        .child(ChildSpec::new("c", worker("c", &log)));
    let spec = Spec::new("root")
        .child(ChildSpec::new("a", worker("a", &log)))
        .child(inner.into_child())
        .child(ChildSpec::new("d", worker("d", &log)));
    let root = start(&environment, &spec);
    log.next_are(&["a starts", "b starts", "c starts", "d starts"]);
    wait("the end", root.shut_down());
    log.next_are(&["d ends", "c ends", "b ends", "a ends"]);
}

#[test]
fn a_supervisor_without_children_runs_until_it_is_stopped() {
    let environment = environment();
    let supervisor = start(&environment, &Spec::new("root"));
    let counts = wait("the counts", supervisor.count_children()).unwrap();
    assert_eq!(counts, ChildCounts::default());
    assert!(wait("the end", supervisor.shut_down()).is_normal());
    let late = wait("an answer", supervisor.which_children());
    assert!(matches!(late, Err(RequestError::ShuttingDown)));
}

#[test]
fn two_children_of_one_name_are_refused_before_anything_is_started() {
    let (environment, log) = (environment(), EventLog::new());
    let spec = Spec::new("root")
        .child(ChildSpec::new("a", worker("a", &log)))
        .child(ChildSpec::new("a", worker("a", &log)));
    let error = wait("the start", spec.start(&environment, None)).unwrap_err();
    assert!(matches!(
        error,
        SupervisorError::Spec(SpecError::DuplicateName(name)) if name == "a"
    ));
    log.is_over();
    assert_eq!(environment.process_count(), 0);
}

#[test]
fn children_are_added_terminated_restarted_and_deleted_by_name_process_and_key() {
    let (environment, log) = (environment(), EventLog::new());
    let supervisor = start(&environment, &Spec::new("root"));
    let a = ChildSpec::new("a", worker("a", &log));
    let started = wait("a", supervisor.start_child(a.clone())).unwrap();
    assert!(matches!(
        wait("an answer", supervisor.start_child(a)),
        Err(RequestError::AlreadyStarted(key)) if key == started.key
    ));
    wait(
        "an answer",
        supervisor.terminate_child(started.process.id()),
    )
    .unwrap();
    assert!(matches!(end_of(&started.process), ExitReason::Shutdown));
    let again = wait("a", supervisor.restart_child(started.key)).unwrap();
    assert_ne!(again.process.id(), started.process.id());
    wait("an answer", supervisor.terminate_child("a")).unwrap();
    wait("an answer", supervisor.delete_child("a")).unwrap();
    assert!(matches!(
        wait("an answer", supervisor.delete_child("a")),
        Err(RequestError::NotFound)
    ));
    log.next_are(&["a starts", "a ends", "a starts", "a ends"]);
}

#[test]
fn a_transient_child_that_ends_normally_stays_stopped_and_one_that_fails_does_not() {
    let (environment, log) = (environment(), EventLog::new());
    let spec =
        Spec::new("root").child(ChildSpec::new("a", worker("a", &log)).restart(Restart::Transient));
    let supervisor = start(&environment, &spec);
    wake(&child(&supervisor, "a"));
    log.next_are(&["a starts", "a ends", "a starts"]);
    let status = || {
        let children = wait("the children", supervisor.which_children()).unwrap();
        (children[0].info.status, children[0].process.clone())
    };
    wait_until("the restart", || {
        status().1.is_some_and(|process| process.is_alive())
    });
    let normally = DataMessage::new(Tag::new(1), Vec::new());
    child(&supervisor, "a").send(normally.into()).unwrap();
    log.next_are(&["a ends"]);
    wait_until("the end to be heard", || status().0 == ChildStatus::Stopped);
}

#[test]
fn a_hundred_thousand_dynamic_children_start_come_back_and_stop() {
    const CHILDREN: usize = 100_000;
    const KILLED: usize = 10_000;
    let environment = environment();
    let idle = native(|own| async move {
        let _kept = own;
        futures_lite::future::pending().await
    });
    let spec = Spec::new("root")
        .strategy(Strategy::SimpleOneForOne)
        .intensity(KILLED as u32, Duration::from_secs(600))
        .child(ChildSpec::new("idle", idle));
    let supervisor = start(&environment, &spec);
    let children: Vec<Process> = (0..CHILDREN)
        .map(|_| {
            wait("a child", supervisor.start_from_template())
                .unwrap()
                .process
        })
        .collect();
    for child in children.iter().step_by(CHILDREN / KILLED) {
        child.kill();
    }
    wait_until("all to be back", || {
        let children = wait("the children", supervisor.which_children()).unwrap();
        let restarts: u64 = children.iter().map(|child| child.info.restarts).sum();
        restarts == KILLED as u64 && environment.process_count() == CHILDREN + 1
    });
    assert!(wait("the end", supervisor.shut_down()).is_normal());
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn a_child_that_unlinks_itself_is_linked_again() {
    let (environment, log) = (environment(), EventLog::new());
    let spec = Spec::new("root").child(ChildSpec::new("a", worker("a", &log)));
    let supervisor = start(&environment, &spec);
    let a = child(&supervisor, "a");
    a.unlink(supervisor.process().id());
    wake(&a);
    log.next_are(&["a starts", "a ends", "a starts"]);
}

#[test]
fn a_stranger_that_dies_linked_to_a_supervisor_does_not_end_it() {
    let environment = environment();
    let supervisor = start(&environment, &Spec::new("root"));
    let stranger = idle(&environment);
    stranger.link(supervisor.process().id(), None);
    stranger.kill();
    end_of(&stranger);
    assert!(wait("an answer", supervisor.which_children()).is_ok());
}

/// A child that is spawned when there is something in `gate`, and cannot be
/// started if that is closed.
fn prepared(log: &EventLog, gate: &Receiver<()>) -> ChildStart {
    struct Prepared(EventLog, Receiver<()>);
    impl StartChild for Prepared {
        fn start(&self, context: &ChildContext<'_>) -> Result<Starting, Failure> {
            let Prepared(log, gate) = self;
            let (log, gate) = (log.clone(), gate.clone());
            let (environment, options) = (context.environment().clone(), context.options());
            Ok(Starting::after(async move {
                log.add("prepares");
                gate.recv().await?;
                let process = environment.spawn(options, |own| async move {
                    log.add("starts");
                    let _kept = own;
                    future::pending().await
                })?;
                Ok(Starting::at_once(process))
            }))
        }
    }
    Arc::new(Prepared(log.clone(), gate.clone()))
}

#[test]
fn a_child_that_has_to_be_prepared_keeps_nobody_waiting_but_who_starts_it() {
    let (environment, log) = (environment(), EventLog::new());
    let (open, gate) = async_channel::unbounded();
    let supervisor = start(&environment, &Spec::new("root"));
    let mut adding = Box::pin(supervisor.start_child(ChildSpec::new("a", prepared(&log, &gate))));
    assert!(block_on(poll_once(&mut adding)).is_none());
    log.next_are(&["prepares"]);
    let children = wait("the children", supervisor.which_children()).unwrap();
    assert_eq!(&*children[0].info.name, "a");
    assert!(children[0].process.is_none());
    log.is_over();

    open.try_send(()).unwrap();
    let started = wait("the start", adding).unwrap();
    log.next_are(&["starts"]);
    assert_eq!(started.process.label().as_deref(), Some("a"));

    // Each start is prepared anew.
    started.process.kill();
    log.next_are(&["prepares"]);
    open.try_send(()).unwrap();
    log.next_are(&["starts"]);
    assert!(wait("the end", supervisor.shut_down()).is_normal());
}

#[test]
fn a_child_that_is_still_prepared_when_its_supervisor_ends_is_never_spawned() {
    let (environment, log) = (environment(), EventLog::new());
    let (_open, gate) = async_channel::unbounded();
    for policy in [
        ShutdownPolicy::BrutalKill,
        ShutdownPolicy::Infinity,
        ShutdownPolicy::Timeout(Duration::MAX),
    ] {
        let supervisor = start(&environment, &Spec::new("root"));
        let child = ChildSpec::new("a", prepared(&log, &gate)).shutdown(policy);
        let mut adding = Box::pin(supervisor.start_child(child));
        assert!(block_on(poll_once(&mut adding)).is_none());
        log.next_are(&["prepares"]);
        assert!(wait("the end", supervisor.shut_down()).is_normal());
        let refused = wait("an answer", adding);
        assert!(matches!(refused, Err(RequestError::ShuttingDown)));
        wait_until("nobody to be left", || environment.process_count() == 0);
    }
    log.is_over();
}

#[test]
fn a_preparation_that_fails_is_a_start_that_failed() {
    let (environment, log) = (environment(), EventLog::new());
    let (open, gate) = async_channel::unbounded();
    drop(open);
    let spec = Spec::new("root")
        .child(ChildSpec::new("a", worker("a", &log)))
        .child(ChildSpec::new("b", prepared(&log, &gate)));
    let error = wait("the start", spec.start(&environment, None)).unwrap_err();
    assert!(error.to_string().starts_with("the child `b` did not start"));
    log.next_are(&["a starts", "prepares", "a ends"]);
    wait_until("nobody to be left", || environment.process_count() == 0);

    let supervisor = start(&environment, &Spec::new("root"));
    let child = ChildSpec::new("b", prepared(&log, &gate));
    let refused = wait("an answer", supervisor.start_child(child));
    assert!(matches!(refused, Err(RequestError::StartFailed(_))));
}

#[test]
fn a_specification_with_many_children_is_dropped_on_another_thread() {
    struct TellsThread(Mutex<mpsc::Sender<ThreadId>>);
    impl Drop for TellsThread {
        fn drop(&mut self) {
            let tell = self.0.get_mut().unwrap();
            tell.send(thread::current().id()).unwrap();
        }
    }
    for (children, on_this_thread) in [(10, true), (5000, false)] {
        let (tell, told) = mpsc::channel();
        let held = TellsThread(Mutex::new(tell));
        let start = native(move |_own| {
            let _held = &held;
            async { Ok(()) }
        });
        let mut spec = Spec::new("many");
        for number in 0..children {
            let child = ChildSpec::new(number.to_string(), start.clone());
            spec.add(child).unwrap();
        }
        drop(start);
        drop(spec.into_child());
        let dropped_on = told.recv_timeout(TIMEOUT).unwrap();
        assert_eq!(dropped_on == thread::current().id(), on_this_thread);
    }
}

/// A link to a process whose account has so many bytes.
fn link_to_branch(environment: &Environment, memory: u64) -> SpawnLink {
    let limits = AccountLimits {
        memory,
        ..AccountLimits::UNLIMITED
    };
    let options = SpawnOptions {
        account: Some(environment.account().branch(limits).unwrap()),
        ..SpawnOptions::default()
    };
    let parent = environment.spawn(options, |_| future::pending()).unwrap();
    parent.die_when_link_dies(false);
    SpawnLink { parent, tag: None }
}

#[test]
fn children_are_charged_to_the_account_of_the_supervisor_as_long_as_it_has_them() {
    let environment = environment();
    let link = link_to_branch(&environment, 40_000);
    let parent = link.parent.clone();
    let used = || parent.account().used(Kind::Memory);
    let idle = || native(|_| future::pending());
    let spec = Spec::new("root").child(ChildSpec::new("first", idle()));
    let supervisor = wait("the start", spec.start(&environment, Some(link))).unwrap();
    let mut started = Vec::new();
    let refused = loop {
        let name = format!("child {}", started.len());
        let child = ChildSpec::new(name.clone(), idle());
        match wait("a child", supervisor.start_child(child)) {
            Ok(_) => started.push(name),
            Err(refused) => break refused,
        }
        assert!(started.len() < 1000);
    };
    assert!(matches!(refused, RequestError::Exceeded(_)), "{refused}");
    assert!(started.len() > 10 && used() > 20_000);
    // One that goes makes room for another.
    let first = started[0].clone();
    wait("the end", supervisor.terminate_child(first.clone())).unwrap();
    wait("the removal", supervisor.delete_child(first.clone())).unwrap();
    wait(
        "a child",
        supervisor.start_child(ChildSpec::new(first, idle())),
    )
    .unwrap();
    wait("the end", supervisor.shut_down());
    wait_until("all is released", || used() == 0);
    assert!(parent.is_alive());
}

#[test]
fn children_from_a_template_are_charged_too() {
    let environment = environment();
    let link = link_to_branch(&environment, 40_000);
    let parent = link.parent.clone();
    let spec = Spec::new("root")
        .strategy(Strategy::SimpleOneForOne)
        .child(ChildSpec::new("worker", native(|_| future::pending())).restart(Restart::Temporary));
    let supervisor = wait("the start", spec.start(&environment, Some(link))).unwrap();
    let mut started = Vec::new();
    let refused = loop {
        match wait("a child", supervisor.start_from_template()) {
            Ok(child) => started.push(child.process),
            Err(refused) => break refused,
        }
        assert!(started.len() < 1000);
    };
    // Where it is noticed first depends on what is charged for last.
    let refused = refused.to_string();
    assert!(refused.contains("limit of 40000 bytes"), "{refused}");
    assert!(started.len() > 10);
    started.iter().for_each(Process::kill);
    wait_until("there is room again", || {
        wait("a child", supervisor.start_from_template()).is_ok()
    });
    assert!(parent.is_alive());
}

#[test]
fn a_supervisor_whose_children_are_not_paid_for_is_not_started() {
    let environment = environment();
    let link = link_to_branch(&environment, 10_000);
    let spec = (0..100).fold(Spec::new("root"), |spec, number| {
        spec.child(ChildSpec::new(
            number.to_string(),
            native(|_| future::pending()),
        ))
    });
    let refused = wait("the answer", spec.start(&environment, Some(link))).unwrap_err();
    let is_exceeded = matches!(refused, SupervisorError::Spawn(SpawnError::Exceeded(_)));
    assert!(is_exceeded, "{refused}");
}

#[test]
fn a_supervisor_without_children_is_charged_until_it_has_ended() {
    let environment = environment();
    let link = link_to_branch(&environment, 100_000);
    let parent = link.parent.clone();
    let start = || {
        let link = SpawnLink {
            parent: parent.clone(),
            tag: None,
        };
        let spec = Spec::new("empty");
        wait("the answer", spec.start(&environment, Some(link)))
    };
    let mut started = Vec::new();
    let refused = loop {
        match start() {
            Ok(supervisor) => started.push(supervisor),
            Err(refused) => break refused,
        }
        assert!(started.len() < 100);
    };
    let is_exceeded = matches!(refused, SupervisorError::Spawn(SpawnError::Exceeded(_)));
    assert!(is_exceeded, "{refused}");
    for supervisor in started {
        wait("the end", supervisor.shut_down());
    }
    // Links and messages of the parent stay.
    wait_until("they are released", || {
        parent.account().used(Kind::Memory) < 8 << 10
    });
    start().unwrap();
}

#[test]
fn requests_are_charged_to_who_pays_for_them_until_they_are_answered() {
    let environment = environment();
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    // It hears nothing as long as the gate is closed.
    let spec = Spec::new("root").observer(move |_, _| {
        gate.lock().unwrap().recv().ok();
    });
    let started = spec.start(&environment, None);
    let supervisor = wait("the start", started).unwrap();
    let limits = AccountLimits {
        memory: 100_000,
        ..AccountLimits::UNLIMITED
    };
    let payer = environment.account().branch(limits).unwrap();
    let paid = supervisor.clone().paid_by(payer.clone());
    for _ in 0..10_000 {
        paid.stop();
    }
    let queued = supervisor.process().queued_messages();
    assert!((1..100).contains(&queued), "{queued}");
    let refused = block_on(paid.count_children()).unwrap_err();
    assert!(matches!(refused, RequestError::Exceeded(_)), "{refused}");
    drop(open);
    assert!(wait("the end", supervisor.wait()).is_normal());
    wait_until("nothing is charged", || payer.used(Kind::Memory) == 0);
}

#[test]
fn a_request_is_charged_with_the_arguments_that_are_in_it() {
    let environment = environment();
    let idle = native(|_| future::pending());
    let spec = Spec::new("root")
        .strategy(Strategy::SimpleOneForOne)
        .child(ChildSpec::new("idle", idle).restart(Restart::Temporary));
    let supervisor = start(&environment, &spec);
    let limits = AccountLimits {
        memory: 100_000,
        ..AccountLimits::UNLIMITED
    };
    let payer = environment.account().branch(limits).unwrap();
    let paid = supervisor.paid_by(payer.clone());
    let start = |bytes| {
        let starting = paid.start_like_template(bytes, |template| Ok(template.clone()));
        wait("the answer", starting)
    };
    let refused = start(100_000).unwrap_err();
    assert!(matches!(refused, RequestError::Exceeded(_)), "{refused}");
    start(10_000).unwrap();
    wait_until("nothing is charged", || payer.used(Kind::Memory) == 0);
}

#[test]
fn a_specification_with_many_children_is_copied_and_started_with_pauses() {
    const CHILDREN: usize = 3000;
    let environment = environment();
    let idle = native(|_| std::future::pending());
    let spec = (0..CHILDREN).fold(Spec::new("many"), |spec, number| {
        spec.child(ChildSpec::new(format!("child {number}"), idle.clone()))
    });
    let copy = spec.clone();
    let spec = spec.child(ChildSpec::new("one more", idle));
    let root = Spec::new("root").child(copy.into_child()).child(ChildSpec {
        name: "other".into(),
        ..spec.into_child()
    });
    let supervisor = start(&environment, &root);
    assert_eq!(environment.process_count(), 3 + 2 * CHILDREN + 1);
    let many = Supervisor::of(child(&supervisor, "other")).unwrap();
    let children = wait("the children", many.which_children()).unwrap();
    assert_eq!(children.len(), CHILDREN + 1);
    assert_eq!(&*children[CHILDREN].info.name, "one more");
    // Killed, so that what it has is dropped as it is.
    many.process().kill();
    assert!(wait("the end", supervisor.shut_down()).is_normal());
    wait_until("all have ended", || environment.process_count() == 0);
}
