//! The order in which processes move, compared with a world of processes that do at random
//! what processes can do.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_mailbox::Pid;
use lunatic_reload::{Outcome, ReloadOptions, ReloadResult, Rollout, RolloutAction, RolloutEvent};
use proptest::prelude::*;

/// A process that was asked for so long is not waited for.
const PATIENCE: Duration = Duration::from_millis(100);

/// So many are asked at a time, beside those of each kind that go first.
const BATCH: usize = 16;

const KINDS: usize = 4;

fn kind(number: usize) -> Arc<str> {
    format!("kind {number}").into()
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    Time(u64),
    /// A process that is wanted moves, fails or declines.
    Moves(usize),
    /// It hands over, and what comes of that is seen later.
    Begins(usize),
    /// It moves in two steps, between which others do something.
    Accepts(usize),
    Arrives(usize),
    Fails(usize),
    Declines(usize),
    /// All that are wanted move.
    AllMove,
    /// A process ends; whether by a failure.
    Ends(usize, bool),
    /// One that is wanted fails as it writes its state.
    FailsMoving(usize),
    /// Another process offers itself, or one that has not moved does so again, or as another kind.
    Offers(usize),
    OffersAgain(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..150_u64).prop_map(Step::Time),
        6 => any::<usize>().prop_map(Step::Moves),
        4 => any::<usize>().prop_map(Step::Begins),
        3 => any::<usize>().prop_map(Step::Accepts),
        3 => any::<usize>().prop_map(Step::Arrives),
        2 => Just(Step::AllMove),
        1 => any::<usize>().prop_map(Step::Fails),
        1 => any::<usize>().prop_map(Step::Declines),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(who, failed)| Step::Ends(who, failed)),
        1 => any::<usize>().prop_map(Step::FailsMoving),
        2 => (0..KINDS).prop_map(Step::Offers),
        2 => (any::<usize>(), 0..KINDS).prop_map(|(who, kind)| Step::OffersAgain(who, kind)),
    ]
}

fn options() -> impl Strategy<Value = ReloadOptions> {
    let times = (0..600_u64, prop_oneof![Just(0), 1..400_u64]);
    (times, any::<bool>()).prop_map(|((timeout, trial), keep_going)| ReloadOptions {
        timeout: Duration::from_millis(timeout),
        trial: Duration::from_millis(trial),
        keep_going,
        dry_run: false,
    })
}

#[derive(Debug, Clone)]
struct Process {
    kind: usize,
    is_initial: bool,
    is_alive: bool,
    runs_new: bool,
    is_wanted: bool,
    asked: Option<Instant>,
    has_failed: bool,
    has_declined: bool,
    /// While an attempt goes on: whether to the new version.
    attempting: Option<bool>,
    /// While it has accepted and not arrived: whether the new version.
    arriving: Option<bool>,
    moved: Option<Instant>,
}

impl Process {
    fn can_move(&self) -> bool {
        self.is_wanted && self.arriving.is_none()
    }

    /// Whether an attempt goes on that may still succeed.
    fn can_begin(&self) -> bool {
        self.can_move() && self.attempting.is_none()
    }

    /// Whether an attempt goes on that has to end, as all go back.
    fn is_called_off(&self) -> bool {
        !self.is_wanted && self.attempting.is_some()
    }

    /// Whether it may offer itself to the new version.
    fn can_offer(&self) -> bool {
        let is_on_its_way = self.attempting.is_some() || self.arriving.is_some();
        self.is_alive && !self.runs_new && !is_on_its_way && !self.has_failed
    }

    fn is_arriving(&self) -> bool {
        self.is_alive && self.arriving.is_some()
    }
}

/// What the versions and the processes would do.
struct World {
    began: Instant,
    now: Instant,
    options: ReloadOptions,
    rollout: Rollout,
    processes: BTreeMap<Pid, Process>,
    has_gone_back: bool,
    /// Whether attempts went on for as long as is waited for them.
    waited_for_attempts: bool,
    is_over: bool,
}

impl World {
    fn begin(options: ReloadOptions, kinds: &[usize]) -> World {
        let now = Instant::now();
        let pids = (1..).map(Pid::from_bits);
        let processes: BTreeMap<_, _> = pids
            .zip(kinds)
            .map(|(pid, kind)| (pid, process(*kind, true)))
            .collect();
        let members = processes.iter();
        let members = members.map(|(pid, process)| (*pid, kind(process.kind)));
        let (rollout, actions) = Rollout::begin(now, options, members);
        let mut world = World {
            began: now,
            now,
            options,
            rollout,
            processes,
            has_gone_back: false,
            waited_for_attempts: false,
            is_over: false,
        };
        world.obey(actions);
        world
    }

    /// Does what the rollout says, and checks that it may say that.
    fn obey(&mut self, actions: Vec<RolloutAction>) {
        for action in actions {
            assert!(!self.is_over, "{action:?} after the end");
            match action {
                RolloutAction::Ask(pid) => {
                    assert!(
                        !self.has_gone_back,
                        "{pid} is asked forward after all go back"
                    );
                    let process = self.processes.get_mut(&pid).unwrap();
                    assert_eq!(process.asked, None, "{pid} is asked twice");
                    assert!(process.is_alive, "{pid} is dead and is asked");
                    let kind = process.kind;
                    self.check_turn(pid, kind);
                    let process = self.processes.get_mut(&pid).unwrap();
                    process.asked = Some(self.now);
                    process.is_wanted = true;
                }
                RolloutAction::GoBack => {
                    assert!(!self.has_gone_back);
                    self.has_gone_back = true;
                    for process in self.processes.values_mut() {
                        process.is_wanted = process.is_alive && process.runs_new;
                    }
                }
                RolloutAction::Finish => {
                    let attempting = |own: &Process| own.attempting.is_some() || own.is_arriving();
                    let left = self.pick(0, attempting);
                    assert!(
                        left.is_none() || self.waited_for_attempts,
                        "{left:?} attempts still"
                    );
                    self.is_over = true;
                }
            }
        }
        self.check_pace();
    }

    /// One of each kind goes first, or twice as many each time that none has come for a while; and
    /// then not too many at a time.
    fn check_pace(&self) {
        if self.has_gone_back || self.is_over {
            return;
        }
        let whiles = (self.now - self.began).as_millis() / PATIENCE.as_millis();
        // One more when those that were asked have all come and have not moved.
        let most_first_ones = (1_usize << whiles.min(10)) + 1;
        let mut awaited = 0;
        for kind in 0..KINDS {
            let of_kind = || {
                let processes = self.processes.values();
                processes.filter(move |process| process.kind == kind)
            };
            let on_their_way = of_kind().filter(|process| {
                let asked = process
                    .asked
                    .is_some_and(|asked| self.now - asked < PATIENCE);
                asked && process.is_wanted && process.is_alive
            });
            let on_their_way = on_their_way.count();
            awaited += on_their_way;
            let is_proven = of_kind().any(|process| process.moved.is_some());
            assert!(
                is_proven || on_their_way <= most_first_ones,
                "{on_their_way} first ones"
            );
        }
        let most = BATCH + KINDS * most_first_ones;
        assert!(awaited <= most, "{awaited} at a time");
    }

    /// Nobody is asked while the first one of its kind attempts to move, or too many do.
    fn check_turn(&self, pid: Pid, kind: usize) {
        let attempting = |own: &&Process| own.attempting.is_some();
        let of_kind = self.processes.values().filter(|own| own.kind == kind);
        let is_proven = of_kind.clone().any(|own| own.moved.is_some());
        let first_ones = of_kind.filter(attempting).count();
        assert!(
            is_proven || first_ones == 0,
            "{pid} does not wait for the first"
        );
        let attempts = self.processes.values().filter(attempting).count();
        assert!(!is_proven || attempts < BATCH, "{pid} beside {attempts}");
    }

    fn tell(&mut self, pid: Pid, event: RolloutEvent) {
        let actions = self.rollout.handle(self.now, pid, event);
        self.obey(actions);
    }

    fn pick(&self, who: usize, is: impl Fn(&Process) -> bool) -> Option<Pid> {
        let those: Vec<_> = self.processes.iter().filter(|(_, own)| is(own)).collect();
        let chosen = those.get(who % those.len().max(1));
        chosen.map(|(pid, _)| **pid)
    }

    fn wanted(&self, who: usize) -> Option<Pid> {
        self.pick(who, Process::can_move)
    }

    fn accepts(&mut self, pid: Pid) {
        let new = !self.has_gone_back;
        let process = self.processes.get_mut(&pid).unwrap();
        process.is_wanted = false;
        process.attempting = None;
        process.runs_new = new;
        process.arriving = Some(new);
        self.tell(pid, RolloutEvent::Accepted);
    }

    fn arrives(&mut self, pid: Pid) {
        let process = self.processes.get_mut(&pid).unwrap();
        if process.arriving.take() == Some(true) {
            process.moved = Some(self.now);
        }
        self.tell(pid, RolloutEvent::Moved(Duration::from_micros(1)));
    }

    fn moves(&mut self, pid: Pid) {
        self.accepts(pid);
        self.arrives(pid);
    }

    /// What has failed takes all back at once.
    fn failed(&mut self, could_go_back: bool) {
        let must = could_go_back && !self.options.keep_going;
        assert!(!must || self.has_gone_back, "nobody goes back");
    }

    fn does(&mut self, step: Step) {
        match step {
            Step::Time(millis) => {
                self.now += Duration::from_millis(millis);
                let actions = self.rollout.tick(self.now);
                self.obey(actions);
            }
            Step::Moves(who) => {
                if let Some(pid) = self.wanted(who) {
                    self.moves(pid);
                }
            }
            Step::Begins(who) => {
                if let Some(pid) = self.pick(who, Process::can_begin) {
                    let forward = !self.has_gone_back;
                    self.processes.get_mut(&pid).unwrap().attempting = Some(forward);
                    self.tell(pid, RolloutEvent::Began);
                }
            }
            Step::Accepts(who) => {
                if let Some(pid) = self.wanted(who) {
                    self.accepts(pid);
                }
            }
            Step::Arrives(who) => {
                if let Some(pid) = self.pick(who, Process::is_arriving) {
                    self.arrives(pid);
                }
            }
            Step::AllMove => {
                let wanted = self.processes.iter().filter(|(_, own)| own.can_move());
                let wanted: Vec<_> = wanted.map(|(pid, _)| *pid).collect();
                for pid in wanted {
                    // The one before may have been the last that was waited for.
                    if self.processes[&pid].can_move() {
                        self.moves(pid);
                    }
                }
            }
            Step::Fails(who) => {
                let fails = |own: &Process| own.can_move() || own.is_called_off();
                if let Some(pid) = self.pick(who, fails) {
                    let is_forward = !self.has_gone_back && !self.is_over;
                    let process = self.processes.get_mut(&pid).unwrap();
                    (process.is_wanted, process.attempting) = (false, None);
                    process.has_failed = true;
                    self.tell(pid, RolloutEvent::Failed("why".to_owned()));
                    self.failed(is_forward);
                }
            }
            Step::Declines(who) => {
                if let Some(pid) = self.pick(who, Process::can_begin) {
                    let process = self.processes.get_mut(&pid).unwrap();
                    (process.is_wanted, process.has_declined) = (false, true);
                    let had_gone_back = self.has_gone_back;
                    self.tell(pid, RolloutEvent::Declined("why".to_owned()));
                    assert_eq!(self.has_gone_back, had_gone_back);
                }
            }
            Step::Ends(who, failed) => {
                if let Some(pid) = self.pick(who, |process| process.is_alive) {
                    let process = self.processes.get_mut(&pid).unwrap();
                    let within = |moved| moved + self.options.trial >= self.now;
                    let on_trial = process.runs_new
                        && !self.options.trial.is_zero()
                        && process.moved.is_some_and(within);
                    process.is_alive = false;
                    process.is_wanted = false;
                    process.attempting = None;
                    let (was_back, was_over) = (self.has_gone_back, self.is_over);
                    self.tell(pid, RolloutEvent::Ended(failed));
                    self.failed(failed && on_trial && !was_over);
                    if !(failed && on_trial) {
                        assert_eq!(self.has_gone_back, was_back, "an end is no failure");
                    }
                }
            }
            Step::FailsMoving(who) => {
                if let Some(pid) = self.pick(who, Process::can_move) {
                    let is_forward = !self.has_gone_back && !self.is_over;
                    let process = self.processes.get_mut(&pid).unwrap();
                    (process.is_alive, process.is_wanted) = (false, false);
                    process.attempting = None;
                    self.tell(pid, RolloutEvent::FailedMoving);
                    self.failed(is_forward);
                }
            }
            Step::Offers(of_kind) => {
                let number = self.processes.len() as u64 + 1;
                let pid = Pid::from_bits(number);
                self.processes.insert(pid, process(of_kind, false));
                self.tell(pid, RolloutEvent::Offered(kind(of_kind)));
            }
            Step::OffersAgain(who, of_kind) => {
                if let Some(pid) = self.pick(who, Process::can_offer) {
                    let process = self.processes.get_mut(&pid).unwrap();
                    let is_other = process.kind != of_kind || process.has_declined;
                    if is_other && !self.has_gone_back {
                        // It is asked anew.
                        process.asked = None;
                    }
                    (process.kind, process.has_declined) = (of_kind, false);
                    self.tell(pid, RolloutEvent::Offered(kind(of_kind)));
                }
            }
        }
    }

    /// The end comes by time alone, and tells the truth.
    fn ends(mut self) {
        while let Some(pid) = self.pick(0, Process::is_arriving) {
            self.arrives(pid);
        }
        let longest = self.options.timeout * 2 + self.options.trial * 2;
        let end = self.now + longest + Duration::from_millis(40);
        while self.now <= end && !self.is_over {
            self.does(Step::Time(20));
        }
        if self.pick(0, |own| own.attempting.is_some()).is_some() {
            assert!(!self.is_over, "attempts go on");
            self.waited_for_attempts = true;
            for _ in 0..3 {
                if !self.is_over {
                    self.does(Step::Time(60_000));
                }
            }
        }
        assert!(self.is_over, "{:?}", self.rollout);
        let outcomes: Vec<_> = self.rollout.outcomes().collect();
        let mut told = BTreeMap::new();
        for (pid, _, outcome) in outcomes {
            assert_eq!(told.insert(pid, outcome), None, "{pid} has two outcomes");
        }
        for (pid, process) in &self.processes {
            let Some(outcome) = told.remove(pid) else {
                // Who has come meanwhile and gone is not told of, nor who came too late.
                assert!(!process.is_initial, "{pid} has no outcome");
                continue;
            };
            let (alive, runs_new) = (process.is_alive, process.runs_new);
            match outcome {
                Outcome::Ended => assert!(!alive),
                Outcome::Moved { .. } => assert!(alive && runs_new && !self.has_gone_back),
                Outcome::Stuck { .. } => assert!(alive && runs_new && self.has_gone_back),
                Outcome::WentBack => assert!(!runs_new && process.moved.is_some()),
                Outcome::Replaced
                | Outcome::Restarted
                | Outcome::Killed
                | Outcome::Kept { .. }
                | Outcome::Planned { .. } => {
                    panic!("a rollout sees to nobody else")
                }
                Outcome::NotAsked => {
                    assert!(self.has_gone_back && !runs_new && process.asked.is_none());
                }
                Outcome::CalledOff => {
                    assert!(self.has_gone_back && !runs_new && process.attempting.is_none());
                    assert!(process.asked.is_some());
                }
                Outcome::NotAskedInTime => {
                    assert!(!self.has_gone_back && !runs_new && process.asked.is_none());
                }
                Outcome::Late | Outcome::Failed { .. } | Outcome::Declined { .. } => {
                    assert!(!runs_new);
                }
            }
        }
        assert!(told.is_empty());
        self.checks_result();
    }

    fn checks_result(&self) {
        let outcomes: Vec<_> = self.rollout.outcomes().collect();
        let stayed = |outcome: &Outcome| {
            !matches!(
                outcome,
                Outcome::Moved { .. } | Outcome::Stuck { .. } | Outcome::Ended
            )
        };
        let stayed = outcomes.iter().filter(|(_, _, outcome)| stayed(outcome));
        let stayed = stayed.count();
        let stuck = outcomes
            .iter()
            .any(|(_, _, outcome)| matches!(outcome, Outcome::Stuck { .. }));
        let expected = match self.has_gone_back {
            true if stuck => ReloadResult::Partly,
            true => ReloadResult::Unchanged,
            false if stayed == 0 => ReloadResult::Moved,
            false => ReloadResult::Partly,
        };
        assert_eq!(self.rollout.result(!self.has_gone_back), expected);
    }
}

fn process(kind: usize, is_initial: bool) -> Process {
    Process {
        kind,
        is_initial,
        is_alive: true,
        runs_new: false,
        is_wanted: false,
        attempting: None,
        arriving: None,
        asked: None,
        has_failed: false,
        has_declined: false,
        moved: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_member_has_one_outcome_whatever_happens(
        options in options(),
        kinds in prop::collection::vec(0..KINDS, 0..150),
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut world = World::begin(options, &kinds);
        for step in steps {
            // After the end nothing is told any more.
            if !world.is_over {
                world.does(step);
            }
        }
        world.ends();
    }
}

fn of_one_kind(count: usize) -> World {
    World::begin(ReloadOptions::default(), &vec![0; count])
}

#[test]
fn without_members_it_is_over_at_once() {
    assert!(of_one_kind(0).is_over);
}

#[test]
fn processes_that_have_ended_before_they_were_asked_hold_up_nobody() {
    let mut world = of_one_kind(1000);
    // The first one was asked. Of the others only the last one lives.
    for number in 2..1000 {
        let pid = Pid::from_bits(number);
        world.processes.get_mut(&pid).unwrap().is_alive = false;
        world.tell(pid, RolloutEvent::Ended(false));
    }
    let is_asked = |world: &World, number| world.processes[&Pid::from_bits(number)].asked;
    assert_eq!(is_asked(&world, 1000), None, "the first one is on its way");
    world.does(Step::Time(100));
    assert!(is_asked(&world, 1000).is_some());
}

#[test]
fn of_those_that_do_not_come_twice_as_many_are_asked_each_time() {
    let mut world = of_one_kind(1000);
    let asked = |world: &World| {
        let processes = world.processes.values();
        processes.filter(|own| own.asked.is_some()).count()
    };
    let mut counts = vec![asked(&world)];
    for _ in 0..5 {
        world.does(Step::Time(100));
        counts.push(asked(&world));
    }
    assert_eq!(counts, [1, 3, 7, 15, 31, 63]);
    // When one has come and declined, the next ones are few again.
    for pid in 32..=63 {
        world.tell(Pid::from_bits(pid), RolloutEvent::Declined(String::new()));
    }
    assert_eq!(asked(&world), 64);
    world.does(Step::Time(100));
    assert_eq!(asked(&world), 66);
}

#[test]
fn what_was_not_asked_in_time_is_not_said_to_be_late() {
    let mut world = of_one_kind(1000);
    for _ in 0..4 {
        world.does(Step::Time(100));
    }
    world.does(Step::Time(60_000));
    assert!(world.is_over);
    let outcomes: Vec<_> = world.rollout.outcomes().map(|(.., told)| told).collect();
    let count = |is: &Outcome| outcomes.iter().filter(|told| *told == is).count();
    assert_eq!(count(&Outcome::Late), 31);
    assert_eq!(count(&Outcome::NotAskedInTime), 1000 - 31);
}

#[test]
fn the_slow_ones_of_a_batch_do_not_hold_up_the_others() {
    let mut world = of_one_kind(1000);
    world.moves(Pid::from_bits(1));
    // The oldest one of the batch never comes, the others do at once.
    let slow = Pid::from_bits(2);
    loop {
        let comes = |(pid, own): &(&Pid, &Process)| **pid != slow && own.is_wanted;
        let Some((pid, _)) = world.processes.iter().find(comes) else {
            break;
        };
        world.moves(*pid);
    }
    let moved = world.processes.values().filter(|own| own.runs_new).count();
    assert_eq!(moved, 999);
}

#[test]
fn without_a_trial_the_failure_of_a_process_that_has_moved_is_its_own() {
    let mut world = of_one_kind(3);
    world.moves(Pid::from_bits(1));
    world.tell(Pid::from_bits(1), RolloutEvent::Ended(true));
    assert!(!world.has_gone_back);
}

#[test]
fn a_failure_after_the_trial_of_a_process_is_its_own_too() {
    let options = ReloadOptions {
        trial: Duration::from_millis(50),
        ..ReloadOptions::default()
    };
    let mut world = World::begin(options, &[0, 0]);
    world.moves(Pid::from_bits(1));
    // The other one has not come yet.
    world.does(Step::Time(60));
    world.tell(Pid::from_bits(1), RolloutEvent::Ended(true));
    assert!(!world.has_gone_back);
}

#[test]
fn one_that_is_late_and_fails_during_the_trial_takes_the_others_back() {
    let options = ReloadOptions {
        trial: Duration::from_secs(10),
        timeout: Duration::from_millis(200),
        ..ReloadOptions::default()
    };
    let mut world = World::begin(options, &[0, 0]);
    world.moves(Pid::from_bits(1));
    world.does(Step::Time(200));
    assert!(!world.is_over && world.processes[&Pid::from_bits(2)].is_wanted);
    world.does(Step::Fails(0));
    assert!(world.has_gone_back);
    world.does(Step::AllMove);
    assert!(world.is_over);
}

#[test]
fn times_without_end_are_none() {
    let options = ReloadOptions {
        timeout: Duration::MAX,
        trial: Duration::MAX,
        ..ReloadOptions::default()
    };
    let mut world = World::begin(options, &[0, 1]);
    world.moves(Pid::from_bits(1));
    world.does(Step::Fails(0));
    assert!(world.has_gone_back && !world.is_over);
    world.does(Step::AllMove);
    assert!(world.is_over);
    let mut world = World::begin(options, &[0]);
    world.moves(Pid::from_bits(1));
    assert!(!world.is_over);
}

#[test]
fn processes_that_come_and_go_meanwhile_are_forgotten() {
    let mut world = of_one_kind(1);
    for _ in 0..1000 {
        world.does(Step::Offers(0));
        let (newest, _) = world.processes.last_key_value().unwrap();
        let newest = *newest;
        world.processes.get_mut(&newest).unwrap().is_alive = false;
        world.tell(newest, RolloutEvent::Ended(true));
    }
    assert_eq!(world.rollout.outcomes().count(), 1);
}

#[test]
fn an_attempt_that_takes_longer_than_the_others_are_waited_for_is_not_late() {
    let options = ReloadOptions {
        timeout: Duration::from_millis(200),
        ..ReloadOptions::default()
    };
    let mut world = World::begin(options, &[0; 100]);
    world.does(Step::Begins(0));
    for _ in 0..50 {
        world.does(Step::Time(100));
    }
    // Nobody else was asked while it is not known whether the first one moves.
    let asked = world.processes.values().filter(|own| own.asked.is_some());
    assert_eq!(asked.count(), 1);
    world.does(Step::Fails(0));
    assert!(world.has_gone_back && world.is_over);
    assert_eq!(world.rollout.result(false), ReloadResult::Unchanged);
}

#[test]
fn the_way_back_is_over_when_all_attempts_are() {
    let mut world = World::begin(ReloadOptions::default(), &[0, 0, 1]);
    // Nobody has come, so the second one of a kind is asked too.
    world.does(Step::Time(100));
    for _ in 0..3 {
        world.does(Step::Begins(0));
    }
    world.does(Step::Fails(0));
    assert!(world.has_gone_back && !world.is_over);
    world.does(Step::Fails(0));
    assert!(!world.is_over);
    world.does(Step::Fails(0));
    assert!(world.is_over);
    let mut outcomes = world.rollout.outcomes();
    assert!(outcomes.all(|(_, _, outcome)| matches!(outcome, Outcome::Failed { .. })));
}

#[test]
fn a_process_that_offers_itself_during_the_trial_moves_and_is_on_trial() {
    let options = ReloadOptions {
        trial: Duration::from_secs(10),
        ..ReloadOptions::default()
    };
    let mut world = World::begin(options, &[0]);
    world.moves(Pid::from_bits(1));
    world.does(Step::Time(100));
    world.does(Step::Offers(0));
    let newest = Pid::from_bits(2);
    assert!(world.processes[&newest].is_wanted);
    world.moves(newest);
    world.tell(newest, RolloutEvent::Ended(true));
    assert!(world.has_gone_back);
}

#[test]
fn without_one_that_has_moved_there_is_no_trial() {
    let options = ReloadOptions {
        trial: Duration::from_secs(10),
        ..ReloadOptions::default()
    };
    assert!(World::begin(options, &[]).is_over);
    let mut world = World::begin(options, &[0]);
    world.does(Step::Declines(0));
    assert!(world.is_over);
}

#[test]
fn one_that_fails_as_it_writes_its_state_takes_all_back() {
    let mut world = of_one_kind(10);
    world.does(Step::FailsMoving(0));
    assert!(world.has_gone_back && world.is_over);
    let ended = |(_, _, outcome): &(Pid, &Arc<str>, Outcome)| *outcome == Outcome::Ended;
    assert_eq!(world.rollout.outcomes().filter(ended).count(), 1);
    // To be killed is no failure: the next one goes first then.
    let mut world = of_one_kind(10);
    world.does(Step::Ends(0, false));
    assert!(!world.has_gone_back && world.processes[&Pid::from_bits(2)].is_wanted);
}

#[test]
fn one_that_offers_itself_again_is_asked_again() {
    let mut world = of_one_kind(2);
    world.does(Step::Declines(0));
    let first = Pid::from_bits(1);
    world.does(Step::OffersAgain(0, 0));
    assert!(!world.is_over && !world.processes[&first].is_wanted);
    // The other one has become the first of its kind.
    world.moves(Pid::from_bits(2));
    assert!(world.processes[&first].is_wanted);
    world.moves(first);
    assert!(world.is_over);
    assert_eq!(world.rollout.result(true), ReloadResult::Moved);
}

#[test]
fn one_that_was_asked_and_offers_itself_as_another_kind_proves_that_kind() {
    let mut world = World::begin(ReloadOptions::default(), &[0, 0, 1]);
    world.does(Step::OffersAgain(0, 1));
    // The next one of the kind that it was goes first; of the other one is on its way.
    let is_asked = |world: &World, number| world.processes[&Pid::from_bits(number)].asked;
    assert!(is_asked(&world, 2).is_some() && is_asked(&world, 1).is_none());
    world.moves(Pid::from_bits(3));
    assert!(
        is_asked(&world, 1).is_none(),
        "of the other kind none has moved"
    );
    world.moves(Pid::from_bits(2));
    assert!(is_asked(&world, 1).is_some());
}
