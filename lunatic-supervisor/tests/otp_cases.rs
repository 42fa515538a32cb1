//! What OTP's documentation of `supervisor` says, case by case.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod rig;

use std::time::Duration;

use lunatic_process::ExitReason;
use lunatic_supervisor::core::{End, Input, Request};
use lunatic_supervisor::{
    AutoShutdown, Backoff, ChildKind, ChildSpec, ChildStatus, Flags, Intensity, RequestError,
    Restart, ShutdownPolicy, SpecError, Strategy, SupervisorEvent,
};
use rig::{Rig, failed};

const SECOND: Duration = Duration::from_secs(1);

fn permanent(name: &str) -> ChildSpec<()> {
    ChildSpec::new(name, ())
}

fn transient(name: &str) -> ChildSpec<()> {
    permanent(name).restart(Restart::Transient)
}

fn temporary(name: &str) -> ChildSpec<()> {
    permanent(name).restart(Restart::Temporary)
}

fn abc() -> Vec<ChildSpec<()>> {
    ["a", "b", "c"].map(permanent).to_vec()
}

fn strategy(strategy: Strategy) -> Flags {
    Flags {
        strategy,
        intensity: Intensity {
            restarts: 100,
            period: SECOND,
        },
        ..Flags::default()
    }
}

fn intensity(restarts: u32, period: Duration) -> Flags {
    Flags {
        intensity: Intensity { restarts, period },
        ..Flags::default()
    }
}

// Starting and stopping.

#[test]
fn children_are_started_from_left_to_right_and_stopped_from_right_to_left() {
    let mut rig = Rig::new(strategy(Strategy::OneForOne), abc()).unwrap();
    rig.feed(Input::Begin);
    assert_eq!(rig.done(), "start a, start b, start c, ready");
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Shutdown)));
    assert_eq!(rig.done(), "stop c, stop b, stop a, end");
}

#[test]
fn a_supervisor_without_children_is_ready_and_ends() {
    let mut rig = Rig::new(Flags::default(), Vec::new()).unwrap();
    rig.feed(Input::Begin);
    assert_eq!(rig.done(), "ready");
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Normal)));
    assert_eq!(rig.done(), "end");
}

fn fails_at_start(strategy_: Strategy) {
    let mut rig = Rig::new(strategy(strategy_), abc()).unwrap();
    rig.broken.insert("c".into());
    rig.feed(Input::Begin);
    assert_eq!(rig.done(), "start a, start b, start c, stop b, stop a, end");
    assert!(matches!(&rig.end, Some(End::StartFailed(child, _)) if &*child.name == "c"));
}

#[test]
fn one_for_one_a_child_that_fails_at_start_ends_the_supervisor_after_those_before_it() {
    fails_at_start(Strategy::OneForOne);
}

#[test]
fn one_for_all_a_child_that_fails_at_start_ends_the_supervisor_after_those_before_it() {
    fails_at_start(Strategy::OneForAll);
}

#[test]
fn rest_for_one_a_child_that_fails_at_start_ends_the_supervisor_after_those_before_it() {
    fails_at_start(Strategy::RestForOne);
}

#[test]
fn simple_one_for_one_starts_no_child_and_one_that_fails_to_start_is_an_answer() {
    let mut rig = Rig::new(strategy(Strategy::SimpleOneForOne), vec![permanent("t")]).unwrap();
    rig.feed(Input::Begin);
    assert_eq!(rig.done(), "ready");
    rig.broken.insert("t #0".into());
    let answer = rig.request(Request::AddFromTemplate(None)).unwrap();
    assert!(matches!(answer, Err(RequestError::StartFailed(_))));
    assert_eq!(rig.done(), "start t #0");
    assert_eq!(rig.machine.counts().workers, 0);
}

#[test]
fn brutal_kill_kills_and_infinity_waits_for_ever() {
    let mut children = abc();
    children[0].shutdown = ShutdownPolicy::Infinity;
    children[1].shutdown = ShutdownPolicy::BrutalKill;
    let mut rig = Rig::started(strategy(Strategy::OneForOne), children);
    rig.stubborn.extend(["a".into(), "b".into(), "c".into()]);
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Shutdown)));
    assert_eq!(rig.done(), "stop c");
    rig.pass(Duration::from_millis(4999));
    assert_eq!(rig.done(), "");
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.done(), "kill c, kill b, stop a");
    rig.pass(1000 * SECOND);
    assert_eq!(rig.done(), "");
    rig.exit("a", ExitReason::Normal);
    assert_eq!(rig.done(), "end");
}

#[test]
fn a_child_that_is_killed_for_being_late_is_told_of() {
    let mut rig = Rig::started(strategy(Strategy::OneForOne), abc());
    rig.stubborn.insert("c".into());
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Shutdown)));
    rig.pass(5 * SECOND);
    let overdue = rig.events.iter().any(|event| {
        matches!(event, SupervisorEvent::Overdue { child, timeout } if &*child.name == "c" && *timeout == 5 * SECOND)
    });
    assert!(overdue);
}

#[test]
fn a_timeout_of_zero_kills_at_once_and_one_beyond_the_clock_never_does() {
    for (timeout, does) in [
        (Duration::ZERO, "stop a, kill a, end"),
        (Duration::MAX, "stop a"),
    ] {
        let child = permanent("a").shutdown(ShutdownPolicy::Timeout(timeout));
        let mut rig = Rig::started(Flags::default(), vec![child]);
        rig.stubborn.insert("a".into());
        rig.feed(Input::ShutDown(End::Asked(ExitReason::Shutdown)));
        rig.pass(Duration::ZERO);
        assert_eq!(rig.done(), does);
    }
}

#[test]
fn simple_one_for_one_stops_its_children_all_at_once() {
    let mut rig = Rig::started(strategy(Strategy::SimpleOneForOne), vec![permanent("t")]);
    for number in 0..3 {
        rig.request(Request::AddFromTemplate(None))
            .unwrap()
            .unwrap();
        rig.stubborn.insert(format!("t #{number}"));
    }
    rig.done();
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Shutdown)));
    assert_eq!(rig.done(), "stop t #2, stop t #1, stop t #0");
    rig.exit("t #1", ExitReason::Shutdown);
    assert_eq!(rig.done(), "");
    rig.pass(5 * SECOND);
    assert_eq!(rig.done(), "kill t #0, kill t #2, end");
}

// Restarting.

#[test]
fn by_default_one_restart_in_five_seconds_is_done() {
    let flags = Flags::default();
    assert_eq!(flags.intensity.restarts, 1);
    assert_eq!(flags.intensity.period, 5 * SECOND);
    let mut rig = Rig::started(flags, abc());
    rig.exit("a", failed());
    assert_eq!(rig.done(), "start a");
    rig.exit("a", failed());
    assert_eq!(rig.done(), "stop c, stop b, end");
    assert!(matches!(rig.end, Some(End::GaveUp(..))));
}

#[test]
fn no_restart_at_all_can_be_allowed() {
    let mut rig = Rig::started(intensity(0, SECOND), abc());
    rig.exit("c", failed());
    assert_eq!(rig.done(), "stop b, stop a, end");
}

#[test]
fn the_window_of_restarts_slides() {
    let mut rig = Rig::started(intensity(2, 10 * SECOND), abc());
    // At 0, 6, 12, 18 …: never more than 2 in 10 s.
    for _ in 0..10 {
        rig.exit("a", failed());
        assert_eq!(rig.done(), "start a");
        rig.pass(6 * SECOND);
    }
    rig.exit("a", failed());
    rig.exit("a", failed());
    assert_eq!(rig.done(), "start a, stop c, stop b, end");
}

#[test]
fn a_restart_exactly_as_old_as_the_period_still_counts() {
    let mut rig = Rig::started(intensity(1, 5 * SECOND), abc());
    rig.exit("a", failed());
    rig.pass(5 * SECOND);
    rig.exit("a", failed());
    assert!(rig.end.is_some());
}

#[test]
fn restarts_of_different_children_count_together() {
    let mut rig = Rig::started(intensity(2, SECOND), abc());
    for name in ["a", "b", "c"] {
        rig.exit(name, failed());
    }
    assert!(matches!(&rig.end, Some(End::GaveUp(child, _)) if &*child.name == "c"));
}

#[test]
fn a_temporary_or_orderly_end_does_not_count() {
    let children = vec![temporary("a"), transient("b"), permanent("c")];
    let mut rig = Rig::started(intensity(0, SECOND), children);
    rig.exit("a", failed());
    rig.exit("b", ExitReason::Normal);
    assert!(rig.end.is_none());
}

#[test]
fn an_event_tells_child_reason_count_and_the_time_to_the_limit() {
    let mut rig = Rig::started(intensity(3, 5 * SECOND), abc());
    rig.exit("a", failed());
    rig.pass(2 * SECOND);
    rig.exit("b", failed());
    let Some(SupervisorEvent::Restarting {
        child,
        reason,
        restarts,
        count,
        ..
    }) = rig.events.last()
    else {
        panic!("{:?}", rig.events);
    };
    assert_eq!(
        (child.to_string(), reason.to_string()),
        ("b".into(), "it broke".into())
    );
    assert_eq!((*restarts, count.count, count.limit.restarts), (1, 2, 3));
    assert_eq!(count.clears_in, 3 * SECOND);
}

#[test]
fn a_restart_that_fails_is_tried_again_and_counts_again() {
    let mut rig = Rig::started(intensity(3, SECOND), abc());
    rig.broken.insert("b".into());
    rig.exit("b", failed());
    assert_eq!(rig.done(), "start b, start b, start b, stop c, stop a, end");
}

#[test]
fn one_for_all_a_restart_that_fails_is_tried_again_with_all() {
    let mut flags = strategy(Strategy::OneForAll);
    flags.intensity.restarts = 2;
    let mut rig = Rig::started(flags, abc());
    rig.broken.insert("b".into());
    rig.exit("c", failed());
    assert_eq!(
        rig.done(),
        "stop b, stop a, start a, start b, stop a, start a, start b, stop a, end"
    );
}

#[test]
fn rest_for_one_a_restart_that_fails_is_tried_again_from_there_on() {
    let mut flags = strategy(Strategy::RestForOne);
    flags.intensity.restarts = 2;
    let mut rig = Rig::started(flags, abc());
    rig.broken.insert("b".into());
    rig.exit("a", failed());
    assert_eq!(
        rig.done(),
        "stop c, stop b, start a, start b, start b, stop a, end"
    );
}

#[test]
fn one_for_all_brings_back_a_transient_child_that_was_done() {
    let children = vec![transient("a"), permanent("b")];
    let mut rig = Rig::started(strategy(Strategy::OneForAll), children);
    rig.exit("a", ExitReason::Normal);
    rig.exit("b", failed());
    assert_eq!(rig.done(), "start a, start b");
}

#[test]
fn one_for_all_and_rest_for_one_stop_temporary_children_for_good() {
    for strategy_ in [Strategy::OneForAll, Strategy::RestForOne] {
        let children = vec![permanent("a"), temporary("b"), permanent("c")];
        let mut rig = Rig::started(strategy(strategy_), children);
        rig.exit("a", failed());
        assert_eq!(rig.done(), "stop c, stop b, start a, start c");
        assert_eq!(rig.status("b"), None);
    }
}

#[test]
fn two_children_that_end_before_one_for_all_is_done_are_one_restart() {
    let mut flags = strategy(Strategy::OneForAll);
    flags.intensity.restarts = 1;
    let mut rig = Rig::started(flags, abc());
    rig.stubborn.insert("c".into());
    rig.exit("a", failed());
    rig.exit("b", failed());
    rig.exit("c", ExitReason::Shutdown);
    assert_eq!(rig.done(), "stop c, start a, start b, start c");
    assert!(rig.end.is_none());
}

// Significant children.

fn auto(auto_shutdown: AutoShutdown) -> Flags {
    Flags {
        auto_shutdown,
        ..strategy(Strategy::OneForOne)
    }
}

#[test]
fn any_significant_ends_with_the_first() {
    let children = vec![
        permanent("a"),
        transient("b").significant(),
        temporary("c").significant(),
    ];
    let mut rig = Rig::started(auto(AutoShutdown::AnySignificant), children);
    rig.exit("b", ExitReason::Normal);
    assert_eq!(rig.done(), "stop c, stop a, end");
    assert!(matches!(&rig.end, Some(End::AutoShutdown(child)) if &*child.name == "b"));
}

#[test]
fn all_significant_ends_with_the_last() {
    let children = vec![
        permanent("a"),
        transient("b").significant(),
        temporary("c").significant(),
    ];
    let mut rig = Rig::started(auto(AutoShutdown::AllSignificant), children);
    rig.exit("c", failed());
    assert_eq!(rig.done(), "");
    rig.exit("b", failed());
    assert_eq!(rig.done(), "start b");
    rig.exit("b", ExitReason::Shutdown);
    assert_eq!(rig.done(), "stop a, end");
}

#[test]
fn an_insignificant_child_never_ends_the_supervisor() {
    for auto_shutdown in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let mut rig = Rig::started(auto(auto_shutdown), vec![transient("a")]);
        rig.exit("a", ExitReason::Normal);
        assert!(rig.end.is_none());
    }
}

#[test]
fn a_significant_child_that_is_terminated_on_request_does_not_end_the_supervisor() {
    let children = vec![transient("a").significant()];
    let mut rig = Rig::started(auto(AutoShutdown::AnySignificant), children);
    let key = rig.key("a");
    rig.request(Request::Terminate(key)).unwrap().unwrap();
    assert!(rig.end.is_none());
    assert_eq!(rig.status("a"), Some(ChildStatus::Stopped));
}

// Requests.

#[test]
fn a_child_is_added_under_a_name_that_is_free() {
    let mut rig = Rig::started(strategy(Strategy::OneForOne), vec![transient("a")]);
    rig.request(Request::Add(permanent("b"))).unwrap().unwrap();
    assert_eq!(rig.done(), "start b");
    let again = rig.request(Request::Add(permanent("b"))).unwrap();
    assert!(matches!(again, Err(RequestError::AlreadyStarted(key)) if key == rig.key("b")));
    rig.exit("a", ExitReason::Normal);
    let again = rig.request(Request::Add(permanent("a"))).unwrap();
    assert!(matches!(again, Err(RequestError::AlreadyPresent)));
}

#[test]
fn an_added_child_that_does_not_start_is_forgotten() {
    let mut rig = Rig::started(strategy(Strategy::OneForOne), Vec::new());
    rig.broken.insert("b".into());
    let answer = rig.request(Request::Add(permanent("b"))).unwrap();
    assert!(matches!(answer, Err(RequestError::StartFailed(_))));
    rig.broken.clear();
    rig.request(Request::Add(permanent("b"))).unwrap().unwrap();
}

#[test]
fn a_terminated_child_can_be_restarted_or_deleted_and_a_running_one_cannot() {
    let mut rig = Rig::started(strategy(Strategy::OneForAll), abc());
    let key = rig.key("b");
    for request in [Request::Restart(key), Request::Delete(key)] {
        let answer = rig.request(request).unwrap();
        assert!(matches!(answer, Err(RequestError::Running)));
    }
    rig.request(Request::Terminate(key)).unwrap().unwrap();
    assert_eq!(rig.done(), "stop b");
    rig.request(Request::Restart(key)).unwrap().unwrap();
    assert_eq!(rig.done(), "start b");
    rig.request(Request::Terminate(key)).unwrap().unwrap();
    rig.request(Request::Delete(key)).unwrap().unwrap();
    assert_eq!(rig.status("b"), None);
    let answer = rig.request(Request::Terminate(key)).unwrap();
    assert!(matches!(answer, Err(RequestError::NotFound)));
}

#[test]
fn a_terminated_temporary_child_is_forgotten() {
    let mut rig = Rig::started(Flags::default(), vec![temporary("a")]);
    let key = rig.key("a");
    rig.request(Request::Terminate(key)).unwrap().unwrap();
    assert_eq!(rig.status("a"), None);
}

#[test]
fn a_template_makes_children_that_can_only_be_terminated() {
    let mut rig = Rig::started(strategy(Strategy::SimpleOneForOne), vec![permanent("t")]);
    let key = rig
        .request(Request::AddFromTemplate(None))
        .unwrap()
        .unwrap();
    for request in [
        Request::Add(permanent("a")),
        Request::Restart(key),
        Request::Delete(key),
    ] {
        let answer = rig.request(request).unwrap();
        assert!(matches!(answer, Err(RequestError::WrongStrategy)));
    }
    rig.request(Request::Terminate(key)).unwrap().unwrap();
    assert_eq!(rig.machine.counts().workers, 0);

    let mut rig = Rig::started(strategy(Strategy::OneForOne), Vec::new());
    let answer = rig.request(Request::AddFromTemplate(None)).unwrap();
    assert!(matches!(answer, Err(RequestError::WrongStrategy)));
}

#[test]
fn a_request_waits_for_a_restart_and_not_for_the_end() {
    let mut rig = Rig::started(strategy(Strategy::OneForAll), abc());
    rig.stubborn.insert("c".into());
    rig.exit("a", failed());
    assert!(rig.request(Request::Add(permanent("d"))).is_none());
    rig.exit("c", ExitReason::Normal);
    assert!(matches!(rig.replies.pop(), Some(Ok(_))));
    assert_eq!(
        rig.done(),
        "stop c, stop b, start a, start b, start c, start d"
    );
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Normal)));
    let answer = rig.request(Request::Add(permanent("e"))).unwrap();
    assert!(matches!(answer, Err(RequestError::ShuttingDown)));
}

#[test]
fn children_are_counted_by_kind_and_by_whether_they_run() {
    let mut inner = temporary("inner");
    inner.kind = ChildKind::Supervisor;
    let mut rig = Rig::started(
        Flags::default(),
        vec![inner, transient("a"), permanent("b")],
    );
    rig.exit("a", ExitReason::Normal);
    let counts = rig.machine.counts();
    assert_eq!(
        (
            counts.specs,
            counts.active,
            counts.supervisors,
            counts.workers
        ),
        (3, 2, 1, 2)
    );
}

// The order to end.

#[test]
fn the_order_to_end_interrupts_a_start() {
    let mut rig = Rig::new(strategy(Strategy::OneForOne), abc()).unwrap();
    rig.slow.insert("b".into());
    rig.feed(Input::Begin);
    assert_eq!(rig.done(), "start a, start b");
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Shutdown)));
    assert_eq!(rig.done(), "stop b, stop a, end");
}

#[test]
fn the_order_to_end_interrupts_a_restart_of_all() {
    let mut rig = Rig::started(strategy(Strategy::OneForAll), abc());
    rig.stubborn.insert("b".into());
    rig.exit("a", failed());
    assert_eq!(rig.done(), "stop c, stop b");
    rig.feed(Input::ShutDown(End::Asked(ExitReason::Shutdown)));
    assert_eq!(rig.done(), "");
    rig.exit("b", ExitReason::Shutdown);
    assert_eq!(rig.done(), "end");
}

// Delays.

fn backoff() -> Flags {
    Flags {
        backoff: Some(Backoff {
            jitter: 0,
            ..Backoff::new(SECOND, 4 * SECOND)
        }),
        ..strategy(Strategy::OneForOne)
    }
}

#[test]
fn delays_double_until_a_child_has_lived_long() {
    let mut rig = Rig::started(backoff(), abc());
    for delay in [1, 2, 4, 4] {
        rig.exit("a", failed());
        assert_eq!(rig.status("a"), Some(ChildStatus::Restarting));
        rig.pass(delay * SECOND - Duration::from_millis(1));
        assert_eq!(rig.done(), "");
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.done(), "start a");
    }
    rig.pass(4 * SECOND);
    rig.exit("a", failed());
    rig.pass(SECOND);
    assert_eq!(rig.done(), "start a");
}

#[test]
fn a_delayed_child_holds_up_no_other_and_can_be_terminated() {
    let mut rig = Rig::started(backoff(), abc());
    rig.exit("a", failed());
    rig.pass(SECOND / 2);
    rig.exit("b", failed());
    rig.pass(SECOND / 2);
    assert_eq!(rig.done(), "start a");
    let key = rig.key("b");
    rig.request(Request::Terminate(key)).unwrap().unwrap();
    rig.pass(100 * SECOND);
    assert_eq!(rig.done(), "");
    assert_eq!(rig.status("b"), Some(ChildStatus::Stopped));
}

#[test]
fn one_for_all_stops_at_once_and_starts_after_the_delay() {
    let mut flags = backoff();
    flags.strategy = Strategy::OneForAll;
    let mut rig = Rig::started(flags, abc());
    rig.exit("b", failed());
    assert_eq!(rig.done(), "stop c, stop a");
    rig.pass(SECOND);
    assert_eq!(rig.done(), "start a, start b, start c");
}

// What cannot be.

#[test]
fn a_specification_that_makes_no_sense_is_refused() {
    let error = |flags, children| Rig::new(flags, children).err();
    let flags = Flags::default();
    assert_eq!(
        error(flags, vec![permanent("a"), temporary("a")]),
        Some(SpecError::DuplicateName("a".into()))
    );
    assert_eq!(
        error(flags, vec![permanent("")]),
        Some(SpecError::EmptyName)
    );
    assert_eq!(
        error(intensity(1, Duration::ZERO), Vec::new()),
        Some(SpecError::ZeroPeriod)
    );
    assert_eq!(
        error(intensity(u32::MAX, SECOND), Vec::new()),
        Some(SpecError::TooManyRestarts(u32::MAX))
    );
    assert_eq!(
        error(flags, vec![temporary("a").significant()]),
        Some(SpecError::SignificantForNothing("a".into()))
    );
    assert_eq!(
        error(
            auto(AutoShutdown::AnySignificant),
            vec![permanent("a").significant()]
        ),
        Some(SpecError::SignificantAndPermanent("a".into()))
    );
    assert_eq!(
        error(strategy(Strategy::SimpleOneForOne), abc()),
        Some(SpecError::NotOneTemplate(3))
    );
    let flags = Flags {
        backoff: Some(Backoff::new(2 * SECOND, SECOND)),
        ..flags
    };
    assert_eq!(
        error(flags, Vec::new()),
        Some(SpecError::BackoffBeyondMaximum)
    );
}

#[test]
fn the_longest_times_there_are_do_not_overflow() {
    let mut flags = intensity(1, Duration::MAX);
    flags.backoff = Some(Backoff::new(Duration::MAX, Duration::MAX));
    let mut rig = Rig::started(flags, abc());
    rig.exit("a", failed());
    rig.pass(1_000_000 * SECOND);
    assert_eq!(rig.done(), "");
    rig.exit("b", failed());
    assert_eq!(rig.done(), "stop c, end");
}
