//! A supervisor and its children as native processes.

mod harness;

use std::time::Duration;

use harness::{Tale, end_of, environment, wait, wait_until, wake, worker};
use lunatic_process::{Environment, ExitReason, Process, SpawnLink};
use lunatic_supervisor::{ChildSpec, ShutdownPolicy, Spec, Strategy, Supervisor};

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
    let (environment, tale) = (environment(), Tale::new());
    let spec = ["a", "b", "c"]
        .iter()
        .fold(Spec::new("root"), |spec, name| {
            spec.child(ChildSpec::new(*name, worker(name, &tale)))
        });
    let supervisor = start(&environment, &spec);
    tale.next_are(&["a starts", "b starts", "c starts"]);
    assert!(wait("the end", supervisor.shut_down()).is_normal());
    tale.next_are(&["c ends", "b ends", "a ends"]);
    tale.is_over();
}

#[test]
fn a_child_that_fails_is_restarted_and_another_is_left_alone() {
    let (environment, tale) = (environment(), Tale::new());
    let spec = Spec::new("root")
        .child(ChildSpec::new("a", worker("a", &tale)))
        .child(ChildSpec::new("b", worker("b", &tale)));
    let supervisor = start(&environment, &spec);
    tale.next_are(&["a starts", "b starts"]);
    wake(&child(&supervisor, "a"));
    tale.next_are(&["a ends", "a starts"]);
    tale.is_over();
}

#[test]
fn too_many_restarts_end_the_supervisor_with_shutdown() {
    let (environment, tale) = (environment(), Tale::new());
    let spec = Spec::new("root").child(ChildSpec::new("a", worker("a", &tale)));
    let supervisor = start(&environment, &spec);
    wake(&child(&supervisor, "a"));
    tale.next_are(&["a starts", "a ends", "a starts"]);
    wait_until("the restart", || {
        wait("the children", supervisor.which_children())
            .is_ok_and(|children| children[0].process.as_ref().is_some_and(Process::is_alive))
    });
    wake(&child(&supervisor, "a"));
    assert!(matches!(end_of(supervisor.process()), ExitReason::Shutdown));
}

#[test]
fn a_killed_supervisor_takes_its_children_along() {
    let (environment, tale) = (environment(), Tale::new());
    let spec = Spec::new("root")
        .strategy(Strategy::OneForAll)
        .child(ChildSpec::new("a", worker("a", &tale)).shutdown(ShutdownPolicy::Infinity))
        .child(
            Spec::new("inner")
                .child(ChildSpec::new("b", worker("b", &tale)))
                .into_child(),
        );
    let supervisor = start(&environment, &spec);
    supervisor.process().kill();
    assert!(matches!(end_of(supervisor.process()), ExitReason::Killed));
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn a_supervisor_ends_with_its_parent() {
    let (environment, tale) = (environment(), Tale::new());
    let parent = harness::idle(&environment);
    let link = SpawnLink {
        parent: parent.clone(),
        tag: None,
    };
    let spec = Spec::new("root").child(ChildSpec::new("a", worker("a", &tale)));
    let supervisor = wait("the start", spec.start(&environment, Some(link))).expect("it starts");
    parent.kill();
    assert!(end_of(supervisor.process()).failure().is_some());
    wait_until("nobody to be left", || environment.process_count() == 0);
}

#[test]
fn a_child_that_ignores_its_order_to_end_is_killed_after_its_timeout() {
    let (environment, tale) = (environment(), Tale::new());
    let timeout = ShutdownPolicy::Timeout(Duration::from_millis(1));
    let spec = Spec::new("root").child(ChildSpec::new("a", worker("a", &tale)).shutdown(timeout));
    let supervisor = start(&environment, &spec);
    let stubborn = harness::idle(&environment);
    let _ = stubborn;
    assert!(wait("the end", supervisor.shut_down()).is_normal());
}
