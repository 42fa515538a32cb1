//! The versions of modules, with native processes as members.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use lunatic_process::{Environment, Process};
use lunatic_reload::{
    Entries, Member, NotWanted, Outcome, ReloadError, ReloadOptions, ReloadPlan, ReloadResult,
    Report, Version, Versions,
};
use lunatic_testkit::{end_of, environment, idle, wait, wait_until};

/// A module that can be asked whether anybody has it still.
type Code = Arc<u8>;

const NAME: &str = "app";

fn hash(number: u8) -> [u8; 32] {
    [number; 32]
}

/// A version with these entries.
fn version(number: u8, entries: &[(&str, i64)]) -> Version<Code> {
    let exports: Vec<_> = entries
        .iter()
        .map(|(kind, version)| Entries::export(kind, *version))
        .collect();
    let exports = exports.iter().map(String::as_str);
    Version {
        hash: hash(number),
        module: Arc::new(number),
        entries: Arc::new(Entries::of(exports)),
    }
}

/// A version with the usual entries.
fn usual(number: u8) -> Version<Code> {
    version(number, &[("a", 1), ("b", 1)])
}

struct App {
    environment: Environment,
    versions: Versions<Code>,
}

impl App {
    fn new() -> App {
        let versions = Versions::new();
        assert!(versions.register(&NAME.into(), usual(1)).is_some());
        App {
            environment: environment(),
            versions,
        }
    }

    /// A process that runs version 1 and offers nothing yet.
    fn joins(&self) -> (Process, Arc<Member<Code>>) {
        let process = idle(&self.environment);
        let member = self.versions.join(&process, NAME, hash(1)).unwrap();
        (process, member)
    }

    fn offers(&self, kind: &str) -> (Process, Arc<Member<Code>>) {
        let (process, member) = self.joins();
        offer(&member, kind);
        (process, member)
    }

    /// Begins a reload, which goes on in a thread.
    fn begins(&self, version: Version<Code>, options: ReloadOptions) -> Reload {
        let versions = self.versions.clone();
        let reload =
            thread::spawn(move || wait("the reload", versions.reload(NAME, version, options, &[])));
        Reload(reload)
    }

    fn reload(
        &self,
        version: Version<Code>,
        options: ReloadOptions,
    ) -> Result<Report, ReloadError> {
        wait(
            "the reload",
            self.versions.reload(NAME, version, options, &[]),
        )
    }

    fn plan(&self, version: Version<Code>) -> Result<ReloadPlan<Code>, ReloadError> {
        wait("the plan", self.versions.plan(NAME, &version))
    }

    /// The hashes of the versions that a reload would drop.
    fn dropped(&self, version: Version<Code>) -> Vec<[u8; 32]> {
        let plan = self.plan(version).unwrap();
        plan.dropped.iter().map(|dropped| dropped.hash).collect()
    }

    /// Whether a reload moves processes.
    fn is_reloading(&self) -> bool {
        self.versions.list()[0].progress.is_some()
    }
}

struct Reload(thread::JoinHandle<Result<Report, ReloadError>>);

impl Reload {
    fn report(self) -> Report {
        self.0.join().unwrap().unwrap()
    }
}

fn offer(member: &Member<Code>, kind: &str) {
    member.offer(Some((kind.into(), 1)));
}

fn is_wanted(member: &Member<Code>) {
    wait_until("the process to be wanted", || member.is_wanted());
}

/// The process does what one does that moves.
fn moves(member: &Member<Code>) {
    is_wanted(member);
    let target = member.target().unwrap();
    member.accepts(&target.version.hash).unwrap();
    member.moved(Duration::ZERO);
    offer(member, &target.kind);
}

fn within(millis: u64) -> ReloadOptions {
    ReloadOptions {
        timeout: Duration::from_millis(millis),
        ..ReloadOptions::default()
    }
}

fn outcome(report: &Report, process: &Process) -> Outcome {
    let mut processes = report.processes.iter();
    let found = processes.find(|told| told.pid == process.id());
    found.unwrap().outcome.clone()
}

#[test]
fn processes_are_wanted_until_they_run_the_current_version() {
    let app = App::new();
    let (process, member) = app.offers("a");
    assert!(!member.is_wanted() && member.target().is_none());
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&member);
    assert_eq!(member.target().unwrap().version.hash, hash(2));
    moves(&member);
    let report = reload.report();
    assert_eq!(report.result, ReloadResult::Moved);
    assert!(matches!(outcome(&report, &process), Outcome::Moved { .. }));
    assert!(!member.is_wanted());
    // Nor does the same version change anything.
    let again = app.reload(usual(2), ReloadOptions::default()).unwrap();
    assert_eq!(again.result, ReloadResult::Unchanged);
}

#[test]
fn one_reload_of_a_module_goes_on_at_a_time() {
    let app = App::new();
    let (_process, member) = app.offers("a");
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&member);
    let in_progress = ReloadError::InProgress(NAME.to_owned());
    let other = app.reload(usual(3), ReloadOptions::default());
    assert_eq!(other.unwrap_err(), in_progress);
    // The versions that processes still run are not there to be ended.
    assert_eq!(app.plan(usual(3)).unwrap_err(), in_progress);
    // Another module is none of it.
    let other: Arc<str> = "other".into();
    app.versions.register(&other, usual(1)).unwrap();
    let report = wait("it", app.versions.reload(&other, usual(2), within(0), &[]));
    assert_eq!(report.unwrap().result, ReloadResult::Moved);
    moves(&member);
    assert_eq!(reload.report().result, ReloadResult::Moved);
}

#[test]
fn a_process_that_offers_itself_during_a_reload_moves_in_it() {
    let app = App::new();
    let (_first, first) = app.offers("a");
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&first);
    let (second_process, second) = app.offers("b");
    moves(&second);
    moves(&first);
    let report = reload.report();
    assert!(matches!(
        outcome(&report, &second_process),
        Outcome::Moved { .. }
    ));
}

#[test]
fn a_process_of_a_kind_without_an_entry_is_never_wanted() {
    let app = App::new();
    let (_first, first) = app.offers("a");
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&first);
    // It offers itself when it is too late to refuse the reload.
    let (_other, other) = app.offers("unknown");
    moves(&first);
    assert_eq!(reload.report().result, ReloadResult::Moved);
    assert!(!other.is_wanted());
    // A reload to another version is refused because of it, but not the way back: it runs
    // that one.
    let reload = app.begins(usual(1), ReloadOptions::default());
    moves(&first);
    assert_eq!(reload.report().result, ReloadResult::Moved);
    let error = app.reload(usual(2), ReloadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`unknown`"), "{error}");
}

#[test]
fn a_process_that_is_asked_and_changes_its_offer_is_not_waited_for() {
    let app = App::new();
    let (withdraws, first) = app.offers("a");
    let (changes, second) = app.offers("b");
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&first);
    is_wanted(&second);
    first.offer(None);
    offer(&second, "unknown");
    // A wait that ends early for what cannot be would be a loop without end.
    assert!(!first.is_wanted() && !second.is_wanted());
    let report = reload.report();
    assert_eq!(report.result, ReloadResult::Partly);
    for process in [&withdraws, &changes] {
        assert!(matches!(
            outcome(&report, process),
            Outcome::Declined { .. }
        ));
    }
    // When it can move again, it does.
    offer(&second, "a");
    assert!(second.is_wanted());
}

#[test]
fn who_ends_is_forgotten_with_all_it_had() {
    let app = App::new();
    let (process, member) = app.offers("a");
    let forgotten = Arc::downgrade(&member);
    drop(member);
    assert_eq!(app.versions.list()[0].offering, 1);
    process.kill();
    end_of(&process);
    wait_until("the member to be gone", || forgotten.strong_count() == 0);
    assert_eq!(app.versions.list()[0].offering, 0);
}

#[test]
fn only_processes_that_offer_themselves_are_counted() {
    let app = App::new();
    let (_joined, _member) = app.joins();
    let (_offers, _) = app.offers("a");
    let (_withdrew, withdrew) = app.offers("a");
    withdrew.offer(None);
    assert_eq!(app.versions.list()[0].offering, 1);
}

#[test]
fn who_ends_is_not_waited_for() {
    let app = App::new();
    let (process, member) = app.offers("a");
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&member);
    process.kill();
    let report = reload.report();
    assert_eq!(outcome(&report, &process), Outcome::Ended);
    assert_eq!(report.result, ReloadResult::Moved);
}

#[test]
fn nobody_takes_over_after_all_went_back() {
    let app = App::new();
    let (_first, first) = app.offers("a");
    let (_second, second) = app.offers("b");
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&first);
    is_wanted(&second);
    // The attempt of the second one goes on while that of the first one fails.
    let target = second.target().unwrap().version.hash;
    first.failed(&target, "it did not like it".to_owned());
    assert!(second.accepts(&target).is_err(), "at once");
    assert!(second.target().is_none());
    assert_eq!(reload.report().result, ReloadResult::Unchanged);
    assert_eq!(app.versions.current(NAME).unwrap().hash, hash(1));
    assert!(!first.is_wanted() && !second.is_wanted());
}

#[test]
fn who_cannot_go_back_is_told_of_at_once() {
    let app = App::new();
    // The first version has no entry for what the second one calls its processes.
    let (stuck, first) = app.offers("a");
    let (_second, second) = app.offers("b");
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&first);
    first.accepts(&hash(2)).unwrap();
    first.moved(Duration::ZERO);
    offer(&first, "new in 2");
    is_wanted(&second);
    second.failed(&hash(2), "why".to_owned());
    // Else it would be waited for, for 30 s.
    let report = reload.report();
    assert!(
        matches!(outcome(&report, &stuck), Outcome::Stuck { .. }),
        "{report:?}"
    );
    assert_eq!(report.result, ReloadResult::Partly);
}

#[test]
fn an_attempt_that_failed_is_not_repeated_until_there_is_another_version() {
    let app = App::new();
    let (_process, member) = app.offers("a");
    let keep_going = ReloadOptions {
        keep_going: true,
        ..ReloadOptions::default()
    };
    let reload = app.begins(usual(2), keep_going);
    is_wanted(&member);
    member.failed(&hash(2), "why".to_owned());
    let report = reload.report();
    // The new version is current, though nobody runs it.
    assert_eq!(report.result, ReloadResult::Partly);
    assert_eq!(app.versions.current(NAME).unwrap().hash, hash(2));
    offer(&member, "a");
    assert!(!member.is_wanted());
    let reload = app.begins(usual(3), ReloadOptions::default());
    is_wanted(&member);
    moves(&member);
    assert_eq!(reload.report().result, ReloadResult::Moved);
}

#[test]
fn who_is_late_moves_later() {
    let app = App::new();
    let (process, member) = app.offers("a");
    let report = app.reload(usual(2), within(50)).unwrap();
    assert_eq!(outcome(&report, &process), Outcome::Late);
    moves(&member);
    assert!(!member.is_wanted());
}

#[test]
fn an_attempt_of_a_reload_before_is_refused_in_the_next_one() {
    let app = App::new();
    let (_process, member) = app.offers("a");
    app.reload(usual(2), within(50)).unwrap();
    is_wanted(&member);
    // It is about to run version 2 when version 3 becomes current.
    let reload = app.begins(usual(3), ReloadOptions::default());
    wait_until("the reload", || app.is_reloading());
    assert!(member.accepts(&hash(2)).is_err());
    // That this has failed is nothing to the new reload.
    member.failed(&hash(2), "late".to_owned());
    moves(&member);
    assert_eq!(reload.report().result, ReloadResult::Moved);
}

#[test]
fn a_dry_run_changes_nothing() {
    let app = App::new();
    let (process, member) = app.offers("a");
    let options = ReloadOptions {
        dry_run: true,
        ..ReloadOptions::default()
    };
    let report = app.reload(usual(2), options).unwrap();
    assert_eq!(outcome(&report, &process), Outcome::NotAsked);
    assert!(!member.is_wanted() && app.versions.list()[0].old.is_empty());
    let missing = app.reload(version(3, &[("b", 1)]), options).unwrap_err();
    assert!(matches!(missing, ReloadError::NoEntry(missing) if missing.len() == 1));
}

#[test]
fn a_third_version_is_checked_before_anybody_is_ended_for_it() {
    let app = App::new();
    let (_keeps, _) = app.joins();
    let (_moves, member) = app.offers("a");
    let reload = app.begins(usual(2), ReloadOptions::default());
    moves(&member);
    reload.report();
    assert!(app.dropped(usual(1)).is_empty());
    assert!(app.dropped(usual(2)).is_empty());
    assert_eq!(app.dropped(usual(3)), [hash(1)]);
    let error = app.plan(version(3, &[])).unwrap_err();
    assert!(matches!(error, ReloadError::NoEntry(_)));
}

#[test]
fn a_version_that_was_dropped_for_nothing_is_kept_again() {
    let app = App::new();
    app.reload(usual(2), within(0)).unwrap();
    let first = app.versions.list()[0].old[0].clone();
    let old = || app.versions.old(NAME);
    // It is the current one.
    app.versions.keep_old(NAME, usual(2));
    assert_eq!(old(), [hash(1)]);
    // It is known.
    app.versions.keep_old(NAME, usual(1));
    assert_eq!(old(), [hash(1)]);
    app.versions.forget_old(NAME, &hash(1));
    assert!(old().is_empty());
    app.versions.keep_old(NAME, first);
    assert_eq!(old(), [hash(1)]);
}

#[test]
fn a_version_older_than_the_old_one_is_known_until_the_next_reload() {
    let app = App::new();
    let first = usual(1);
    app.reload(usual(2), within(0)).unwrap();
    app.reload(usual(3), within(0)).unwrap();
    assert_eq!(app.versions.old(NAME), [hash(2)]);
    app.versions.keep_old(NAME, first);
    assert_eq!(app.versions.old(NAME), [hash(2), hash(1)]);
    assert!(app.versions.find(NAME, &hash(1)).unwrap().is_some());
    assert_eq!(app.dropped(usual(4)), [hash(2), hash(1)]);
    assert_eq!(app.dropped(usual(2)), [hash(1)]);
    assert_eq!(app.dropped(usual(1)), [hash(2)]);
    app.reload(usual(4), within(0)).unwrap();
    assert_eq!(app.versions.old(NAME), [hash(3)]);
}

#[test]
fn a_reload_to_the_current_version_asks_those_again_that_have_declined() {
    let app = App::new();
    let (declines, member) = app.offers("a");
    let (_, moves_at_once) = app.offers("a");
    let reload = app.begins(usual(2), ReloadOptions::default());
    wait_until("the question", || member.is_wanted());
    member.declined("not now".to_owned());
    moves(&moves_at_once);
    assert_eq!(reload.report().result, ReloadResult::Partly);
    assert!(!member.is_wanted());
    let again = app.begins(usual(2), ReloadOptions::default());
    wait_until("the question", || member.is_wanted());
    member.declined("not yet".to_owned());
    let report = again.report();
    assert_eq!(report.result, ReloadResult::Partly);
    assert_eq!(report.processes.len(), 1);
    let why = "not yet".to_owned();
    assert_eq!(outcome(&report, &declines), Outcome::Declined { why });
    let again = app.begins(usual(2), ReloadOptions::default());
    moves(&member);
    let report = again.report();
    assert_eq!(report.result, ReloadResult::Moved);
    assert_eq!(
        (report.from, app.versions.old(NAME)),
        (report.to, vec![hash(1)])
    );
    // Nobody is left behind.
    let report = app.reload(usual(2), within(0)).unwrap();
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(report.processes, []);
}

#[test]
fn a_version_that_is_not_needed_is_dropped() {
    let app = App::new();
    let second = usual(2);
    let kept = Arc::downgrade(&second.module);
    assert_eq!(
        app.reload(second, within(0)).unwrap().result,
        ReloadResult::Moved
    );
    assert_eq!(
        app.reload(usual(3), within(0)).unwrap().result,
        ReloadResult::Moved
    );
    assert!(kept.upgrade().is_some(), "it is the old one");
    app.versions.forget_old(NAME, &hash(3));
    assert!(kept.upgrade().is_some(), "that is the current one");
    app.versions.forget_old(NAME, &hash(2));
    assert!(kept.upgrade().is_none());
    let third = usual(4);
    let kept = Arc::downgrade(&third.module);
    app.reload(third, within(0)).unwrap();
    app.reload(usual(5), within(0)).unwrap();
    app.reload(usual(6), within(0)).unwrap();
    assert!(kept.upgrade().is_none(), "two versions later");
}

#[test]
fn a_name_is_taken_once() {
    let app = App::new();
    let name: Arc<str> = NAME.into();
    assert!(app.versions.register(&name, usual(9)).is_none());
    assert_eq!(
        app.versions.register(&name, usual(1)).unwrap().hash,
        hash(1)
    );
    let error = wait("it", app.versions.reload("none", usual(2), within(0), &[]));
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "there is no module `none`; there are `app`");
    assert!(
        app.versions
            .join(&idle(&app.environment), "none", hash(1))
            .is_none()
    );
}

/// Runs something in a thread again and again until it is told to stop.
fn again(
    stop: &Arc<AtomicBool>,
    mut work: impl FnMut() + Send + 'static,
) -> thread::JoinHandle<()> {
    let stop = stop.clone();
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            work();
        }
    })
}

#[test]
fn reloads_end_whatever_many_processes_do_meanwhile() {
    const RELOADS: u8 = 24;
    let app = App::new();
    let stop = Arc::new(AtomicBool::new(false));
    let moved = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for number in 0..3_u64 {
        let (environment, versions) = (app.environment.clone(), app.versions.clone());
        let mut members: Vec<(Process, Arc<Member<Code>>)> = Vec::new();
        let (mut random, moved) = (number + 1, moved.clone());
        threads.push(again(&stop, move || {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let choice = (random >> 33) % 16;
            let who = (random >> 40) as usize % members.len().max(1);
            match (choice, members.get(who)) {
                (0, _) if members.len() < 50 => {
                    let process = idle(&environment);
                    let runs = versions.current(NAME).unwrap().hash;
                    let member = versions.join(&process, NAME, runs).unwrap();
                    offer(&member, "a");
                    members.push((process, member));
                }
                (1, Some(_)) if members.len() > 30 => {
                    let (process, _) = members.swap_remove(who);
                    process.kill();
                }
                (2, Some((_, member))) => member.offer(None),
                (3 | 4, Some((_, member))) => offer(member, ["a", "b"][who % 2]),
                (5, Some((_, member))) => {
                    offer(member, "unknown in 2");
                    offer(member, "a");
                }
                (6, Some((_, member))) => member.declined("no".to_owned()),
                (7, Some((_, member))) => {
                    if let (true, Some(target)) = (random % 64 < 2, member.target()) {
                        member.failed(&target.version.hash, "no".to_owned());
                    }
                }
                (_, Some((_, member))) => {
                    if let Some(target) = member.target() {
                        thread::yield_now();
                        if member.accepts(&target.version.hash).is_ok() {
                            member.moved(Duration::ZERO);
                            moved.fetch_add(1, Ordering::Relaxed);
                            offer(member, "a");
                        }
                    }
                }
                _ => {}
            }
        }));
    }
    // With nobody to move, a reload takes no time.
    wait_until("there are processes to move", || {
        app.versions.list()[0].offering >= 30
    });
    let mut results = Vec::new();
    for number in 0..RELOADS {
        let next = version(
            number % 2 + 1,
            &[("a", 1), ("b", 1), ("unknown in 2", 1)][..3 - usize::from(number % 2 == 1)],
        );
        let options = ReloadOptions {
            timeout: Duration::from_millis(100),
            trial: Duration::from_millis(u64::from(number % 3 == 0) * 20),
            keep_going: number % 5 == 0,
            ..ReloadOptions::default()
        };
        match app.reload(next, options) {
            Ok(report) => results.push(report.result),
            Err(ReloadError::NoEntry(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(!results.is_empty());
    assert!(moved.load(Ordering::Relaxed) > 0);
    assert!(!app.is_reloading());
}

/// What a thread does is a future too.
#[test]
fn a_reload_can_be_sent_to_a_task() {
    fn sent<T: Future + Send>(_: T) {}
    let versions = Versions::<Code>::new();
    sent(versions.reload(NAME, usual(1), ReloadOptions::default(), &[]));
}

#[test]
fn how_far_a_reload_has_come_is_told() {
    let app = App::new();
    let members: Vec<_> = (0..3).map(|_| app.offers("a")).collect();
    assert_eq!(app.versions.list()[0].offering, 3);
    let reload = app.begins(usual(2), ReloadOptions::default());
    let seen_to = || {
        let progress = app.versions.list()[0].progress;
        progress.map(|progress| (progress.seen_to, progress.all))
    };
    for (moved, (_, member)) in members.iter().enumerate() {
        is_wanted(member);
        assert_eq!(seen_to(), Some((moved, 3)));
        moves(member);
    }
    reload.report();
    assert_eq!((seen_to(), app.versions.list()[0].offering), (None, 3));
    drop(members);
    wait_until("nobody offers anything", || {
        app.environment.processes().iter().for_each(Process::kill);
        app.versions.list()[0].offering == 0
    });
}

#[test]
fn more_processes_than_are_seen_to_at_a_time_move_and_go_back() {
    const NUMBER: usize = 1000;
    let app = App::new();
    let members: Vec<_> = (0..NUMBER).map(|_| app.offers("a")).collect();
    let all_move = |failing: Option<usize>| {
        let mut left: Vec<_> = (0..NUMBER).collect();
        wait_until("all have moved", || {
            left.retain(|number| {
                let member = &members[*number].1;
                match member.target() {
                    Some(target) if failing == Some(*number) => {
                        member.failed(&target.version.hash, "why".to_owned());
                        true
                    }
                    Some(_) => {
                        moves(member);
                        failing.is_some()
                    }
                    None => true,
                }
            });
            left.is_empty() || (failing.is_some() && !app.is_reloading())
        });
    };
    let reload = app.begins(usual(2), ReloadOptions::default());
    all_move(None);
    let report = reload.report();
    assert_eq!(
        (report.result, report.moved()),
        (ReloadResult::Moved, NUMBER)
    );
    let reload = app.begins(usual(3), ReloadOptions::default());
    wait_until("the reload", || app.is_reloading());
    all_move(Some(NUMBER - 1));
    let report = reload.report();
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert_eq!(report.processes.len(), NUMBER);
    assert_eq!(app.versions.current(NAME).unwrap().hash, hash(2));
    assert!(members.iter().all(|(_, member)| !member.is_wanted()));
}

#[test]
fn an_attempt_is_to_end_when_all_go_back_and_the_reload_waits_for_that() {
    let app = App::new();
    let (first_process, first) = app.offers("a");
    let (_second, second) = app.offers("b");
    let reload = app.begins(usual(2), within(50));
    is_wanted(&first);
    is_wanted(&second);
    first.begins(&hash(2)).unwrap();
    second.begins(&hash(2)).unwrap();
    // It is not late, though its time is up.
    thread::sleep(Duration::from_millis(100));
    assert!(app.is_reloading());
    second.failed(&hash(2), "why".to_owned());
    wait_until("the end of the attempt", || !first.is_wanted());
    assert_eq!(first.accepts(&hash(2)), Err(NotWanted));
    assert_eq!(first.begins(&hash(2)), Err(NotWanted));
    thread::sleep(Duration::from_millis(100));
    assert!(app.is_reloading(), "an attempt goes on");
    first.failed(&hash(2), NotWanted.to_string());
    let report = reload.report();
    assert_eq!(report.result, ReloadResult::Unchanged);
    assert!(matches!(
        outcome(&report, &first_process),
        Outcome::Failed { .. }
    ));
    // It is none that has refused the version.
    let again = app.begins(usual(2), ReloadOptions::default());
    moves(&first);
    moves(&second);
    assert_eq!(again.report().result, ReloadResult::Moved);
}

#[test]
fn processes_that_are_left_out_are_not_asked_to_move() {
    let app = App::new();
    let (_late, late) = app.offers("a");
    app.reload(usual(2), within(0)).unwrap();
    assert!(late.is_wanted());
    let (moving_process, moving) = app.offers("b");
    moves(&moving);
    let versions = app.versions.clone();
    let third = version(3, &[("a", 1), ("b", 1)]);
    let reload = thread::spawn(move || {
        let options = ReloadOptions::default();
        wait("it", versions.reload(NAME, third, options, &[hash(1)]))
    });
    wait_until("the reload", || app.is_reloading());
    offer(&late, "a");
    moves(&moving);
    let report = Reload(reload).report();
    assert_eq!(report.result, ReloadResult::Moved);
    let pids: Vec<_> = report.processes.iter().map(|told| told.pid).collect();
    assert_eq!(pids, [moving_process.id()]);
    assert!(!late.is_wanted(), "it is to be ended");
}

#[test]
fn an_offer_just_before_a_version_becomes_current_asks_nobody() {
    let app = App::new();
    let (_late, late) = app.offers("a");
    app.reload(usual(2), within(0)).unwrap();
    let (_moved, moved) = app.offers("b");
    moves(&moved);
    assert!(late.is_wanted());
    // Back to what the late one runs; the other one does not come.
    let back = app
        .versions
        .reload(NAME, usual(1), ReloadOptions::default(), &[]);
    let mut back = pin!(back);
    loop {
        assert!(block_on(poll_once(&mut back)).is_none());
        if app.is_reloading() {
            break;
        }
        offer(&late, "a");
    }
    assert!(!late.is_wanted(), "it runs that version");
}

#[test]
fn who_has_moved_takes_part_before_it_offers_itself_again() {
    let app = App::new();
    let (moving_process, moving) = app.offers("a");
    let (quiet, _member) = app.joins();
    let reload = app.begins(usual(2), ReloadOptions::default());
    is_wanted(&moving);
    moving.begins(&hash(2)).unwrap();
    moving.accepts(&hash(2)).unwrap();
    let taking_part = app.versions.taking_part(NAME, &hash(2));
    assert!(taking_part.contains(&moving_process.id()));
    assert!(!taking_part.contains(&quiet.id()));
    assert!(app.versions.offering(NAME).is_empty());
    moving.moved(Duration::ZERO);
    assert_eq!(reload.report().result, ReloadResult::Moved);
}
