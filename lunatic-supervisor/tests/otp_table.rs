//! OTP's table: what is done about the end of a child, by the strategy of the
//! supervisor, the restart type of the child, and its exit reason.
//!
//! The supervisor has the children `a`, `b` and `c`, started in this order; `a`
//! and `c` are permanent, and `b` ends. Where children are made from a template,
//! they are `t #0`, `t #1` and `t #2`, and the second ends.

mod rig;

use lunatic_process::ExitReason;
use lunatic_supervisor::core::Request;
use lunatic_supervisor::{ChildSpec, ChildStatus, Flags, Restart, Strategy};
use rig::Rig;

/// Where the child is after it has ended.
enum Then {
    Runs,
    /// Its specification stays.
    Stopped,
    Gone,
}

fn normal() -> ExitReason {
    ExitReason::Normal
}

fn shutdown() -> ExitReason {
    ExitReason::Shutdown
}

fn failure() -> ExitReason {
    rig::failed()
}

fn killed() -> ExitReason {
    ExitReason::Killed
}

fn noproc() -> ExitReason {
    ExitReason::NoProcess
}

fn check(strategy: Strategy, restart: Restart, reason: ExitReason, does: &str, then: Then) {
    let flags = Flags {
        strategy,
        ..Flags::default()
    };
    let (mut rig, child) = match strategy {
        Strategy::SimpleOneForOne => {
            let template = ChildSpec::new("t", ()).restart(restart);
            let mut rig = Rig::started(flags, vec![template]);
            for _ in 0..3 {
                let added = rig.request(Request::AddFromTemplate(None));
                added.expect("an answer").expect("a child");
            }
            rig.done();
            (rig, "t #1")
        }
        _ => {
            let children = vec![
                ChildSpec::new("a", ()),
                ChildSpec::new("b", ()).restart(restart),
                ChildSpec::new("c", ()),
            ];
            (Rig::started(flags, children), "b")
        }
    };
    rig.exit(child, reason);
    assert_eq!(rig.done(), does);
    let expected = match then {
        Then::Runs => Some(ChildStatus::Running),
        Then::Stopped => Some(ChildStatus::Stopped),
        Then::Gone => None,
    };
    assert_eq!(rig.status(child), expected);
    assert!(rig.end.is_none(), "one restart is within the limit");
}

macro_rules! table {
    ($($name:ident: $strategy:ident, $restart:ident, $reason:ident => $does:expr, $then:ident;)*) => {
        $(#[test]
        fn $name() {
            check(Strategy::$strategy, Restart::$restart, $reason(), $does, Then::$then);
        })*
    };
}

const ALL: &str = "stop c, stop a, start a, start b, start c";
const REST: &str = "stop c, start b, start c";

table! {
    one_for_one_permanent_normal_is_restarted: OneForOne, Permanent, normal => "start b", Runs;
    one_for_one_permanent_shutdown_is_restarted: OneForOne, Permanent, shutdown => "start b", Runs;
    one_for_one_permanent_failure_is_restarted: OneForOne, Permanent, failure => "start b", Runs;
    one_for_one_permanent_killed_is_restarted: OneForOne, Permanent, killed => "start b", Runs;
    one_for_one_permanent_noproc_is_restarted: OneForOne, Permanent, noproc => "start b", Runs;
    one_for_one_transient_normal_stays_stopped: OneForOne, Transient, normal => "", Stopped;
    one_for_one_transient_shutdown_stays_stopped: OneForOne, Transient, shutdown => "", Stopped;
    one_for_one_transient_failure_is_restarted: OneForOne, Transient, failure => "start b", Runs;
    one_for_one_transient_killed_is_restarted: OneForOne, Transient, killed => "start b", Runs;
    one_for_one_transient_noproc_is_restarted: OneForOne, Transient, noproc => "start b", Runs;
    one_for_one_temporary_normal_is_forgotten: OneForOne, Temporary, normal => "", Gone;
    one_for_one_temporary_shutdown_is_forgotten: OneForOne, Temporary, shutdown => "", Gone;
    one_for_one_temporary_failure_is_forgotten: OneForOne, Temporary, failure => "", Gone;
    one_for_one_temporary_killed_is_forgotten: OneForOne, Temporary, killed => "", Gone;
    one_for_one_temporary_noproc_is_forgotten: OneForOne, Temporary, noproc => "", Gone;

    one_for_all_permanent_normal_restarts_all: OneForAll, Permanent, normal => ALL, Runs;
    one_for_all_permanent_shutdown_restarts_all: OneForAll, Permanent, shutdown => ALL, Runs;
    one_for_all_permanent_failure_restarts_all: OneForAll, Permanent, failure => ALL, Runs;
    one_for_all_permanent_killed_restarts_all: OneForAll, Permanent, killed => ALL, Runs;
    one_for_all_permanent_noproc_restarts_all: OneForAll, Permanent, noproc => ALL, Runs;
    one_for_all_transient_normal_stays_stopped: OneForAll, Transient, normal => "", Stopped;
    one_for_all_transient_shutdown_stays_stopped: OneForAll, Transient, shutdown => "", Stopped;
    one_for_all_transient_failure_restarts_all: OneForAll, Transient, failure => ALL, Runs;
    one_for_all_transient_killed_restarts_all: OneForAll, Transient, killed => ALL, Runs;
    one_for_all_transient_noproc_restarts_all: OneForAll, Transient, noproc => ALL, Runs;
    one_for_all_temporary_normal_is_forgotten: OneForAll, Temporary, normal => "", Gone;
    one_for_all_temporary_shutdown_is_forgotten: OneForAll, Temporary, shutdown => "", Gone;
    one_for_all_temporary_failure_is_forgotten: OneForAll, Temporary, failure => "", Gone;
    one_for_all_temporary_killed_is_forgotten: OneForAll, Temporary, killed => "", Gone;
    one_for_all_temporary_noproc_is_forgotten: OneForAll, Temporary, noproc => "", Gone;

    rest_for_one_permanent_normal_restarts_the_rest: RestForOne, Permanent, normal => REST, Runs;
    rest_for_one_permanent_shutdown_restarts_the_rest: RestForOne, Permanent, shutdown => REST, Runs;
    rest_for_one_permanent_failure_restarts_the_rest: RestForOne, Permanent, failure => REST, Runs;
    rest_for_one_permanent_killed_restarts_the_rest: RestForOne, Permanent, killed => REST, Runs;
    rest_for_one_permanent_noproc_restarts_the_rest: RestForOne, Permanent, noproc => REST, Runs;
    rest_for_one_transient_normal_stays_stopped: RestForOne, Transient, normal => "", Stopped;
    rest_for_one_transient_shutdown_stays_stopped: RestForOne, Transient, shutdown => "", Stopped;
    rest_for_one_transient_failure_restarts_the_rest: RestForOne, Transient, failure => REST, Runs;
    rest_for_one_transient_killed_restarts_the_rest: RestForOne, Transient, killed => REST, Runs;
    rest_for_one_transient_noproc_restarts_the_rest: RestForOne, Transient, noproc => REST, Runs;
    rest_for_one_temporary_normal_is_forgotten: RestForOne, Temporary, normal => "", Gone;
    rest_for_one_temporary_shutdown_is_forgotten: RestForOne, Temporary, shutdown => "", Gone;
    rest_for_one_temporary_failure_is_forgotten: RestForOne, Temporary, failure => "", Gone;
    rest_for_one_temporary_killed_is_forgotten: RestForOne, Temporary, killed => "", Gone;
    rest_for_one_temporary_noproc_is_forgotten: RestForOne, Temporary, noproc => "", Gone;

    simple_one_for_one_permanent_normal_is_restarted: SimpleOneForOne, Permanent, normal => "start t #1", Runs;
    simple_one_for_one_permanent_shutdown_is_restarted: SimpleOneForOne, Permanent, shutdown => "start t #1", Runs;
    simple_one_for_one_permanent_failure_is_restarted: SimpleOneForOne, Permanent, failure => "start t #1", Runs;
    simple_one_for_one_permanent_killed_is_restarted: SimpleOneForOne, Permanent, killed => "start t #1", Runs;
    simple_one_for_one_permanent_noproc_is_restarted: SimpleOneForOne, Permanent, noproc => "start t #1", Runs;
    simple_one_for_one_transient_normal_is_forgotten: SimpleOneForOne, Transient, normal => "", Gone;
    simple_one_for_one_transient_shutdown_is_forgotten: SimpleOneForOne, Transient, shutdown => "", Gone;
    simple_one_for_one_transient_failure_is_restarted: SimpleOneForOne, Transient, failure => "start t #1", Runs;
    simple_one_for_one_transient_killed_is_restarted: SimpleOneForOne, Transient, killed => "start t #1", Runs;
    simple_one_for_one_transient_noproc_is_restarted: SimpleOneForOne, Transient, noproc => "start t #1", Runs;
    simple_one_for_one_temporary_normal_is_forgotten: SimpleOneForOne, Temporary, normal => "", Gone;
    simple_one_for_one_temporary_shutdown_is_forgotten: SimpleOneForOne, Temporary, shutdown => "", Gone;
    simple_one_for_one_temporary_failure_is_forgotten: SimpleOneForOne, Temporary, failure => "", Gone;
    simple_one_for_one_temporary_killed_is_forgotten: SimpleOneForOne, Temporary, killed => "", Gone;
    simple_one_for_one_temporary_noproc_is_forgotten: SimpleOneForOne, Temporary, noproc => "", Gone;
}
