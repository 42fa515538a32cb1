//! What those are told who trace processes.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use lunatic_mailbox::{DataMessage, Tag};
use lunatic_process::{
    Environment, MAX_PRINTED_BYTES, Process, Signal, SpawnOptions, TooManyTraces, Trace,
    TraceEvent, TraceOptions, Traced,
};
use lunatic_testkit::{environment, idle, wait, wait_until};

fn trace(environment: &Environment, options: TraceOptions) -> Trace {
    environment.trace(options).unwrap()
}

fn of(process: &Process) -> TraceOptions {
    TraceOptions {
        processes: Some(vec![process.id()]),
        ..TraceOptions::default()
    }
}

#[track_caller]
fn next(trace: &mut Trace) -> Traced {
    wait("an event", trace.next()).unwrap()
}

#[track_caller]
fn event(trace: &mut Trace) -> TraceEvent {
    next(trace).event
}

fn send(environment: &Environment, from: Option<&Process>, to: &Process, tag: i64, data: &[u8]) {
    let message = DataMessage::new(Tag::new(tag), data.to_vec());
    environment.send(from, to.id(), message.into()).unwrap();
}

fn child_of(parent: &Process, environment: &Environment) -> Process {
    let options = SpawnOptions {
        parent: Some(parent.id()),
        label: Some("child".into()),
        ..SpawnOptions::default()
    };
    let body = |_| async { futures_lite::future::pending().await };
    environment.spawn(options, body).unwrap()
}

#[test]
fn messages_links_monitors_and_the_end_are_told_in_order() {
    let environment = environment();
    let (process, other) = (idle(&environment), idle(&environment));
    let mut trace = trace(&environment, of(&process));
    send(&environment, Some(&process), &other, 5, b"abc");
    send(&environment, Some(&other), &process, 0, b"");
    process.link(other.id(), None);
    other.monitor(process.id());
    process.kill();
    assert_eq!(
        event(&mut trace),
        TraceEvent::Sent {
            to: other.id(),
            tag: Tag::new(5),
            bytes: 3,
        }
    );
    assert_eq!(
        event(&mut trace),
        TraceEvent::Received {
            from: Some(other.id()),
            tag: None,
            bytes: 0,
        }
    );
    let peer = other.id();
    assert_eq!(
        event(&mut trace),
        TraceEvent::Signal(Signal::Link { peer, tag: None })
    );
    let watcher = other.id();
    assert_eq!(
        event(&mut trace),
        TraceEvent::Signal(Signal::Monitor { watcher })
    );
    assert_eq!(event(&mut trace), TraceEvent::Signal(Signal::Kill));
    assert!(matches!(event(&mut trace), TraceEvent::Ended(_)));
    assert!(!trace.has_processes() && trace.is_empty());
}

#[test]
fn nobody_else_is_traced_and_nobody_any_more_when_the_trace_is_dropped() {
    let environment = environment();
    let (process, other) = (idle(&environment), idle(&environment));
    let mut first = trace(&environment, of(&process));
    send(&environment, None, &other, 1, b"");
    send(&environment, None, &process, 2, b"");
    let told = next(&mut first);
    assert_eq!(told.process, process.id());
    assert!(matches!(told.event, TraceEvent::Received { tag, .. } if tag == Tag::new(2)));
    assert!(first.is_empty());

    let second = trace(&environment, of(&process));
    drop(first);
    send(&environment, None, &process, 3, b"");
    assert!(!second.is_empty(), "the other trace goes on");
    drop(second);
    send(&environment, None, &process, 4, b"");
    let late = trace(&environment, of(&process));
    assert!(late.is_empty());
    process.kill();
    other.kill();
}

#[test]
fn a_tree_is_traced_with_those_that_are_born_into_it() {
    let environment = environment();
    let (root, stranger) = (idle(&environment), idle(&environment));
    let mut trace = trace(
        &environment,
        TraceOptions {
            children: true,
            ..of(&root)
        },
    );
    let child = child_of(&root, &environment);
    let grandchild = child_of(&child, &environment);
    child_of(&stranger, &environment);
    for (parent, child) in [(&root, &child), (&child, &grandchild)] {
        let told = next(&mut trace);
        assert_eq!(told.process, parent.id());
        let spawned = TraceEvent::Spawned {
            child: child.id(),
            label: Some("child".into()),
        };
        assert_eq!(told.event, spawned);
    }
    assert!(trace.is_empty());
    for process in [&root, &child, &grandchild] {
        process.kill();
        wait("its end", process.wait());
    }
    assert!(!trace.has_processes());
}

#[test]
fn who_does_not_read_loses_events_and_is_told_how_many() {
    let environment = environment();
    let process = idle(&environment);
    let options = TraceOptions {
        queue: 2,
        ..of(&process)
    };
    let mut trace = trace(&environment, options);
    for tag in 1..=10 {
        send(&environment, None, &process, tag, b"");
    }
    assert_eq!(event(&mut trace), TraceEvent::Lost(8));
    for tag in [1, 2] {
        let received = event(&mut trace);
        assert!(matches!(received, TraceEvent::Received { tag: of, .. } if of == Tag::new(tag)));
    }
    process.kill();
}

#[test]
fn no_more_events_are_told_in_a_second_than_may_be() {
    let environment = environment();
    let process = idle(&environment);
    let options = TraceOptions {
        per_second: 3,
        ..of(&process)
    };
    let mut trace = trace(&environment, options);
    for tag in 1..=100 {
        send(&environment, None, &process, tag, b"");
    }
    let TraceEvent::Lost(lost) = event(&mut trace) else {
        panic!("nothing is lost");
    };
    // It may take longer than a second on a busy machine.
    assert!((50..=97).contains(&lost), "{lost}");
    process.kill();
}

#[test]
fn after_a_second_with_too_many_events_the_next_ones_are_told() {
    let environment = environment();
    let process = idle(&environment);
    let options = TraceOptions {
        per_second: 2,
        ..of(&process)
    };
    let mut trace = trace(&environment, options);
    for tag in 1..=5 {
        send(&environment, None, &process, tag, b"");
    }
    while !trace.is_empty() {
        next(&mut trace);
    }
    wait_until("the next second", || {
        send(&environment, None, &process, 9, b"");
        !trace.is_empty()
    });
    process.kill();
}

#[test]
fn output_is_told_in_pieces_and_messages_are_not() {
    let environment = environment();
    let process = idle(&environment);
    assert!(!process.is_output_traced());
    let options = TraceOptions {
        processes: None,
        output: true,
        ..TraceOptions::default()
    };
    let mut trace = trace(&environment, options);
    let newborn = idle(&environment);
    assert!(process.is_output_traced() && newborn.is_output_traced());
    send(&environment, None, &process, 1, b"");
    process.has_printed(true, b"hello");
    assert_eq!(
        event(&mut trace),
        TraceEvent::Printed {
            is_error: true,
            bytes: b"hello".to_vec(),
        }
    );
    newborn.has_printed(false, &vec![b'x'; 1 << 20]);
    let TraceEvent::Lost(lost) = event(&mut trace) else {
        panic!("a mebibyte is told");
    };
    assert_eq!(lost, (1 << 20) / MAX_PRINTED_BYTES as u64 - 16);
    for _ in 0..16 {
        assert!(
            matches!(event(&mut trace), TraceEvent::Printed { bytes, .. }
            if bytes.len() == MAX_PRINTED_BYTES)
        );
    }
    process.kill();
    newborn.kill();
    let ended = next(&mut trace).event;
    assert!(matches!(ended, TraceEvent::Ended(_)), "{ended:?}");
    drop(trace);
    assert!(!idle(&environment).is_output_traced());
}

#[test]
fn there_are_no_more_than_sixteen_traces() {
    let environment = environment();
    let process = idle(&environment);
    let mut traces: Vec<_> = (0..16).map(|_| trace(&environment, of(&process))).collect();
    assert_eq!(environment.trace(of(&process)).err(), Some(TooManyTraces));
    traces.pop();
    assert!(environment.trace(of(&process)).is_ok());
    process.kill();
}

#[test]
fn who_has_ended_already_is_not_waited_for() {
    let environment = environment();
    let process = idle(&environment);
    process.kill();
    wait("its end", process.wait());
    let trace = trace(&environment, of(&process));
    assert!(!trace.has_processes());
}

#[test]
fn processes_that_end_while_they_are_traced_leave_nothing() {
    let environment = environment();
    for _ in 0..200 {
        let process = idle(&environment);
        let ending = process.clone();
        let killer = std::thread::spawn(move || ending.kill());
        let trace = trace(&environment, of(&process));
        killer.join().unwrap();
        wait("its end", process.wait());
        wait_until("the trace to know it", || !trace.has_processes());
    }
}

#[test]
fn messages_are_counted_and_the_last_ones_told() {
    let environment = environment();
    let (one, other) = (idle(&environment), idle(&environment));
    for tag in 0..3 {
        send(&environment, None, &one, tag, b"");
    }
    send(&environment, None, &other, 1, b"four");
    assert_eq!(environment.counters().get().messages, 4);
    assert_eq!(other.last_messages(5), [(Tag::new(1), 4)]);
    let tags: Vec<_> = one
        .last_messages(2)
        .into_iter()
        .map(|(tag, _)| tag)
        .collect();
    assert_eq!(tags, [Tag::new(1), Tag::new(2)]);
    one.kill();
    wait("its end", one.wait());
    assert_eq!(environment.counters().get().messages, 4);
    other.kill();
}
