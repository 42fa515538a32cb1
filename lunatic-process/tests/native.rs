//! Processes that are plain Rust futures.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_lite::future;
use lunatic_account::{AccountLimits, Kind};
use lunatic_mailbox::{DataMessage, Limits, Message, Pid, SendError, Wanted};
use lunatic_process::{
    Environment, EnvironmentConfig, ExitReason, SpawnError, SpawnLink, SpawnOptions,
};
use lunatic_testkit::{end_of, ends, environment, idle, spawn, tag, wait, wait_until, wake};

#[test]
fn a_process_receives_what_is_sent_to_it_and_ends() {
    let environment = environment();
    let (sender, received) = async_channel::bounded(1);
    let process = spawn(&environment, |mut own| async move {
        let message = own.mailbox.receive(Wanted::Any).await;
        sender.send(message).await.ok();
        Ok(())
    });
    process
        .send(DataMessage::new(tag(5), b"hello".to_vec()).into())
        .unwrap();
    let Ok(Message::Data(data)) = wait("a message", received.recv()) else {
        panic!("expected data");
    };
    assert_eq!((data.tag(), data.bytes()), (tag(5), &b"hello"[..]));
    assert!(end_of(&process).is_normal());
    assert!(!process.is_alive());
}

#[test]
fn ids_start_at_1_and_go_up() {
    let environment = environment();
    let ids: Vec<_> = (0..3).map(|_| idle(&environment).id().to_bits()).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn a_process_is_found_while_it_lives() {
    let environment = environment();
    let process = idle(&environment);
    let id = process.id();
    assert!(environment.exists(id));
    assert!(environment.process(id).is_some());
    assert_eq!(environment.processes().len(), 1);
    assert_eq!(environment.process_count(), 1);
    assert!(!environment.exists(Pid::from_bits(0)));
    process.kill();
    end_of(&process);
    assert!(!environment.exists(id));
    assert!(environment.process(id).is_none());
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn who_is_dead_accepts_no_message() {
    let environment = environment();
    let process = idle(&environment);
    process.kill();
    end_of(&process);
    let sent = process.send(DataMessage::new(tag(5), *b"lost").into());
    assert!(matches!(sent, Err(SendError::Closed)), "{sent:?}");
    // By id, it is silent.
    environment
        .send(None, process.id(), DataMessage::default().into())
        .unwrap();
}

#[test]
fn a_kill_ends_a_process_that_waits_and_one_that_yields_for_ever() {
    let environment = environment();
    let waits = idle(&environment);
    let yields = spawn(&environment, |_| async {
        loop {
            future::yield_now().await;
        }
    });
    for process in [waits, yields] {
        process.kill();
        assert!(matches!(end_of(&process), ExitReason::Killed));
    }
}

#[test]
fn a_process_can_kill_itself() {
    let environment = environment();
    let process = spawn(&environment, |own| async move {
        own.process.kill();
        future::yield_now().await;
        unreachable!("it has been suspended");
    });
    assert!(matches!(end_of(&process), ExitReason::Killed));
}

#[test]
fn of_two_reasons_to_die_the_first_counts() {
    let environment = environment();
    let process = idle(&environment);
    process.die_when_link_dies(true);
    process.link(Pid::from_bits(1_000_000), None);
    process.kill();
    let reason = end_of(&process);
    assert!(reason.failure().is_some(), "{reason}");
}

#[test]
fn a_failure_kills_who_is_linked_and_names_the_first_dead() {
    let environment = environment();
    let fails = ends(&environment, Err("it broke"));
    let linked = idle(&environment);
    linked.die_when_link_dies(true);
    linked.link(fails.id(), None);
    wake(&fails);
    assert_eq!(end_of(&fails).to_string(), "it broke");
    let reason = end_of(&linked);
    assert_eq!(reason, ExitReason::link_death(fails.id()));
}

#[test]
fn links_are_told_failures_only_and_monitors_every_end() {
    let environment = environment();
    for (outcome, expected) in [(Ok(()), 1), (Err("it broke"), 2)] {
        let watcher = idle(&environment);
        let process = ends(&environment, outcome);
        watcher.link(process.id(), tag(5));
        watcher.monitor(process.id());
        watcher.monitor(process.id());
        wake(&process);
        end_of(&process);
        wait_until("the end to be told", || {
            watcher.queued_messages() == expected
        });
    }
}

#[test]
fn a_link_that_was_undone_and_a_monitor_that_was_stopped_tell_nothing() {
    let environment = environment();
    let watcher = idle(&environment);
    let process = idle(&environment);
    watcher.link(process.id(), tag(5));
    watcher.monitor(process.id());
    process.unlink(watcher.id());
    watcher.stop_monitoring(process.id());
    process.kill();
    end_of(&process);
    wait_until("the death to be over", || environment.process_count() == 1);
    assert_eq!(watcher.queued_messages(), 0);
}

#[test]
fn linking_to_the_dead_is_told_as_no_process() {
    let environment = environment();
    let dead = ends(&environment, Ok(()));
    wake(&dead);
    end_of(&dead);
    let traps = idle(&environment);
    traps.link(dead.id(), tag(5));
    assert_eq!(traps.queued_messages(), 1);
    let dies = idle(&environment);
    dies.die_when_link_dies(true);
    dies.link(dead.id(), tag(5));
    assert!(end_of(&dies).failure().is_some());
}

#[test]
fn a_link_made_in_the_name_of_the_dead_tells_the_living() {
    let environment = environment();
    let dead = idle(&environment);
    dead.kill();
    end_of(&dead);
    let living = idle(&environment);
    dead.link(living.id(), tag(5));
    assert_eq!(living.queued_messages(), 1);
}

#[test]
fn a_child_is_linked_before_it_runs() {
    let environment = environment();
    let parent = idle(&environment);
    let options = SpawnOptions {
        link: Some(SpawnLink {
            parent: parent.clone(),
            tag: tag(5),
        }),
        ..SpawnOptions::default()
    };
    environment
        .spawn(options.clone(), |_| async { Err("at once".into()) })
        .unwrap();
    wait_until("the link to be told", || parent.queued_messages() == 1);
    // Of a parent that is dead, the child dies.
    parent.kill();
    end_of(&parent);
    let orphan = environment.spawn(options, |_| future::pending()).unwrap();
    assert!(end_of(&orphan).failure().is_some());
}

#[test]
fn a_full_mailbox_hands_the_message_back_and_harms_nobody() {
    let environment = environment();
    let options = SpawnOptions {
        mailbox: Limits {
            messages: 2,
            ..Limits::default()
        },
        ..SpawnOptions::default()
    };
    let process = environment
        .spawn(options, |own| async move {
            let _kept = own;
            future::pending().await
        })
        .unwrap();
    wake(&process);
    wake(&process);
    let third = process.send(DataMessage::default().into());
    assert!(matches!(third, Err(SendError::Full)));
    let mut kept = Some(DataMessage::new(tag(5), *b"kept").into());
    let refused = environment.send_taking(None, process.id(), &mut kept);
    assert!(matches!(refused, Err(SendError::Full)));
    let Some(Message::Data(kept)) = kept else {
        panic!("{kept:?}");
    };
    assert_eq!(kept.bytes(), b"kept");
    assert!(process.is_alive());
}

#[test]
fn a_flooder_reaches_its_own_limit_while_others_still_send() {
    let environment = environment();
    let receiver = idle(&environment);
    let limits = AccountLimits {
        memory: 64 << 10,
        ..AccountLimits::default()
    };
    let [flooder, other] = [(); 2].map(|()| {
        let options = SpawnOptions {
            account: Some(environment.account().branch(limits).unwrap()),
            ..SpawnOptions::default()
        };
        environment.spawn(options, |_| future::pending()).unwrap()
    });
    let send = |from| environment.send(Some(from), receiver.id(), DataMessage::default().into());
    let refused = (0..10_000).find_map(|_| send(&flooder).err());
    assert!(
        matches!(refused, Some(SendError::Refused(_))),
        "{refused:?}"
    );
    send(&other).unwrap();
    assert!(receiver.is_alive());
    receiver.kill();
    end_of(&receiver);
    assert_eq!(flooder.account().used(Kind::Memory), 0);
    assert_eq!(other.account().used(Kind::Memory), 0);
}

#[test]
fn an_environment_holds_so_many_processes_and_no_more() {
    let config = EnvironmentConfig {
        max_processes: 2,
        ..EnvironmentConfig::default()
    };
    let environment = Environment::with_config(1, lunatic_testkit::scheduler(), config);
    let first = idle(&environment);
    idle(&environment);
    let third = environment.spawn(SpawnOptions::default(), |_| future::pending());
    assert_eq!(
        third.unwrap_err(),
        SpawnError::TooManyProcesses { limit: 2 }
    );
    first.kill();
    wait_until("room", || environment.process_count() == 1);
    idle(&environment);
}

#[test]
fn two_environments_do_not_see_each_other() {
    let one = environment();
    let other = Environment::new(2, one.scheduler().clone());
    let process = idle(&one);
    assert!(!other.exists(process.id()));
    assert_eq!((one.id(), other.id()), (1, 2));
    assert_eq!(idle(&other).id(), process.id());
}

#[test]
fn shutting_down_kills_all_and_lets_nobody_in() {
    let environment = environment();
    let processes: Vec<_> = (0..100).map(|_| idle(&environment)).collect();
    wait("the end of all", environment.shut_down());
    assert_eq!(environment.process_count(), 0);
    for process in &processes {
        assert!(matches!(process.exit_reason(), Some(ExitReason::Killed)));
    }
    let late = environment.spawn(SpawnOptions::default(), |_| future::pending());
    assert_eq!(late.unwrap_err(), SpawnError::ShuttingDown);
    wait("the end of nobody", environment.shut_down());
}

#[test]
fn shutting_down_ends_processes_that_spawn_others_for_ever() {
    let environment = environment();
    for _ in 0..4 {
        let inner = environment.clone();
        spawn(&environment, |_| async move {
            loop {
                inner
                    .spawn(SpawnOptions::default(), |_| future::pending())
                    .ok();
                future::yield_now().await;
            }
        });
    }
    wait_until("a few processes", || environment.process_count() > 100);
    wait("the end of all", environment.shut_down());
    assert_eq!(environment.process_count(), 0);
}

#[test]
fn all_who_wait_for_an_end_are_told() {
    let environment = environment();
    let process = idle(&environment);
    let told = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let (process, told) = (process.clone(), told.clone());
        spawn(&environment, |_| async move {
            process.wait().await;
            told.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
    }
    process.kill();
    wait_until("all to be told", || told.load(Ordering::SeqCst) == 10);
}

#[test]
fn a_label_is_for_people() {
    let environment = environment();
    let process = idle(&environment);
    assert_eq!(process.label(), None);
    process.set_label("logger");
    assert_eq!(process.label().as_deref(), Some("logger"));
}
