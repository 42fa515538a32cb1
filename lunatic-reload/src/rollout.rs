//! The order in which processes move to another version: a state machine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_mailbox::Pid;

use crate::report::{Outcome, ReloadOptions, ReloadResult};

use Progress::{
    Arriving, Asked, Attempting, Done, GivingUp, GoingBack, Returning, TryingBack, Waiting,
};

/// So many processes are asked at a time, beside those that have not come for longer
/// than [`PATIENCE`]. One whose thread the system has stopped while it moves runs on behind
/// the others that are asked, so these are few.
const BATCH: usize = 16;

/// A process that has been asked for so long is not waited for before others are asked.
const PATIENCE: Duration = Duration::from_millis(100);

/// The highest number of processes of one kind that are asked at a time while none of it has moved.
const MOST_FIRST_ONES: usize = 1024;

/// How much longer than for all else is waited for attempts that go on. They end by themselves
/// after some seconds, but not those of a process that may not run, as its account has used
/// its time.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);

/// Longer times than this are cut, so that a time can be added to them.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A reload as it goes on. It decides which processes are asked to move and when, and
/// whether they have to go back. It does nothing itself: it is told what happens, with
/// the time, and says what is to be done.
///
/// Of each kind one process goes first. While none of a kind has come for a while, more of it are
/// asked, twice as many each time; when one has moved, the others follow in batches. If an attempt fails, a process fails while it writes its
/// state for one, or within the trial after it has moved, all go back, unless they are to stay. A
/// process that offers itself during the trial moves too, and is on trial for what is left of it.
/// Without one that has moved there is no trial.
///
/// A reload is not over while attempts go on.
#[derive(Debug)]
pub struct Rollout {
    options: ReloadOptions,
    began: Instant,
    phase: Phase,
    members: BTreeMap<Pid, Member>,
    /// How many members have no outcome yet.
    open: usize,
    kinds: BTreeMap<Arc<str>, Kind>,
    /// The kinds of those that may be asked when there is room, each once; in turn.
    queue: VecDeque<Arc<str>>,
    /// Those that have been asked within [`PATIENCE`].
    recent: VecDeque<(Instant, Pid)>,
    /// How many members are waited for before others are asked.
    awaited: usize,
    /// For how many members an attempt goes on, or has ended well just now.
    underway: usize,
    /// When the last process has moved.
    last_move: Instant,
}

/// What is known of the processes of one kind.
#[derive(Debug, Default)]
struct Kind {
    /// Whether one has moved.
    is_proven: bool,
    /// Which were asked last to go first, and are on their way.
    first_ones: BTreeSet<Pid>,
    /// When those were asked.
    asked_first: Option<Instant>,
    /// How many those were when they were asked.
    first_count: usize,
    /// For how many of them an attempt goes on.
    attempts: usize,
    /// Those that have not been asked; the oldest processes are the first.
    waiting: BTreeSet<Pid>,
    /// Whether it is in the queue.
    is_queued: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Processes move.
    Forward,
    /// All have moved that will, and the trial goes on until then.
    Trial { until: Instant },
    /// Those that have moved go back, at the latest until then.
    Back { until: Instant },
    /// Nothing more happens.
    Over,
}

#[derive(Debug)]
struct Member {
    kind: Arc<str>,
    progress: Progress,
    /// When it has moved.
    moved: Option<Instant>,
    /// Whether it has offered itself while the reload went on.
    is_late_comer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Waiting,
    Asked {
        /// Whether it is waited for before others are asked.
        is_awaited: bool,
    },
    /// The new version runs beside the old one, and has not accepted.
    Attempting,
    /// It has accepted and is about to go on: that it has moved follows.
    Arriving,
    /// An attempt is about to end, since all go back.
    GivingUp,
    GoingBack {
        /// Whether that it has moved to the new version is still to follow.
        is_arriving: bool,
    },
    /// The old version runs beside the new one again, and has not accepted.
    TryingBack,
    /// It has accepted the old version again and is about to go on.
    Returning,
    Done(Outcome),
}

/// How far a reload has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressCount {
    /// Of so many processes it is known what becomes of them.
    pub seen_to: usize,
    /// Of so many in all.
    pub all: usize,
    /// Whether they go back to the old version.
    pub goes_back: bool,
}

/// What happens to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutEvent {
    /// It offers itself as one of this kind, and does not run the version that is to
    /// become current, which has an entry for it.
    Offered(Arc<str>),
    /// It hands over: an attempt goes on. That it has accepted follows, or that the attempt has
    /// failed, or that it has ended.
    Began,
    /// It will run another version in a moment. That it has moved follows, or that it has
    /// ended.
    Accepted,
    /// It runs another version now: the new one, or, if it was to go back, the old one. It
    /// has run neither for so long.
    Moved(Duration),
    /// An attempt has failed.
    Failed(String),
    /// It has declined, offers itself no longer, or is of a kind without an entry now.
    Declined(String),
    /// It has ended; whether by a failure.
    Ended(bool),
    /// It has ended by a failure while it was to move: since it was told in which version to write
    /// its state.
    FailedMoving,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutAction {
    /// Let this process move at its next safe point.
    Ask(Pid),
    /// Make the old version current again, and let those that run the new one move.
    GoBack,
    /// The reload is over.
    Finish,
}

impl Rollout {
    /// Begins a reload, and returns it with what is to be done first.
    ///
    /// - `now`: the time.
    /// - `members`: the processes that are to move, with their kinds.
    pub fn begin(
        now: Instant,
        options: ReloadOptions,
        members: impl IntoIterator<Item = (Pid, Arc<str>)>,
    ) -> (Rollout, Vec<RolloutAction>) {
        let mut rollout = Rollout::new(now, options);
        for (pid, kind) in members {
            rollout.add_first(pid, kind);
        }
        let actions = rollout.start(now);
        (rollout, actions)
    }

    /// A reload of no process.
    ///
    /// - `now`: the time.
    pub(crate) fn new(now: Instant, options: ReloadOptions) -> Rollout {
        Rollout {
            options,
            began: now,
            phase: Phase::Forward,
            members: BTreeMap::new(),
            open: 0,
            kinds: BTreeMap::new(),
            queue: VecDeque::new(),
            recent: VecDeque::new(),
            awaited: 0,
            underway: 0,
            last_move: now,
        }
    }

    /// Adds a process that is to move, before it is [started](Rollout::start).
    pub(crate) fn add_first(&mut self, pid: Pid, kind: Arc<str>) {
        self.add(pid, kind, false);
    }

    /// Returns what is to be done first.
    pub(crate) fn start(&mut self, now: Instant) -> Vec<RolloutAction> {
        (self.began, self.last_move) = (now, now);
        self.advance(now)
    }

    /// Tells what has happened to a process.
    pub fn handle(&mut self, now: Instant, pid: Pid, event: RolloutEvent) -> Vec<RolloutAction> {
        if let RolloutEvent::Offered(kind) = event {
            self.offered(pid, kind);
            return self.advance(now);
        }
        let Some(member) = self.members.get_mut(&pid) else {
            return self.advance(now);
        };
        let kind = member.kind.clone();
        let within_trial = member.moved.is_some_and(|moved| {
            !self.options.trial.is_zero() && now.duration_since(moved) <= self.options.trial
        });
        let (progress, must_go_back) = member.progress.clone().after(event, within_trial);
        if matches!(progress, Done(Outcome::Moved { .. })) && member.moved.is_none() {
            member.moved = Some(now);
            self.last_move = now;
            self.prove(&kind);
        }
        if !matches!(progress, Attempting | Arriving) {
            self.forget_first(pid, &kind);
        }
        self.set(pid, progress);
        let is_forward = matches!(self.phase, Phase::Forward | Phase::Trial { .. });
        if must_go_back && is_forward && !self.options.keep_going {
            return self.go_back(now);
        }
        self.advance(now)
    }

    /// Looks at the time; to be called some ten times in a second.
    pub fn tick(&mut self, now: Instant) -> Vec<RolloutAction> {
        self.advance(now)
    }

    /// How far it has come.
    pub fn progress(&self) -> ProgressCount {
        let all = self.members.len();
        ProgressCount {
            seen_to: all - self.open,
            all,
            goes_back: self.goes_back(),
        }
    }

    /// Whether the processes go back to the old version.
    pub fn goes_back(&self) -> bool {
        matches!(self.phase, Phase::Back { .. })
    }

    /// What it has come to.
    ///
    /// - `is_current`: whether the new version is the current one.
    pub fn result(&self, is_current: bool) -> ReloadResult {
        let (mut new, mut old) = (0, 0);
        for member in self.members.values() {
            match member.last_outcome() {
                Outcome::Moved { .. } | Outcome::Stuck { .. } => new += 1,
                Outcome::Ended => {}
                _ => old += 1,
            }
        }
        match (is_current, new, old) {
            (true, _, 0) => ReloadResult::Moved,
            (false, 0, _) => ReloadResult::Unchanged,
            _ => ReloadResult::Partly,
        }
    }

    /// The kinds of which an attempt has failed and none has ended well.
    pub(crate) fn kinds_given_up(&self) -> BTreeSet<Arc<str>> {
        let failed = |member: &&Member| matches!(member.progress, Done(Outcome::Failed { .. }));
        let failed = self.members.values().filter(failed);
        let is_unproven =
            |kind: &&Arc<str>| self.kinds.get(*kind).is_some_and(|kind| !kind.is_proven);
        let kinds = failed.map(|member| &member.kind).filter(is_unproven);
        kinds.cloned().collect()
    }

    /// What has become of each process; the rest of the reload is forgotten on the way.
    pub(crate) fn into_outcomes(self) -> impl Iterator<Item = (Pid, Arc<str>, Outcome)> {
        self.members.into_iter().map(|(pid, member)| {
            let outcome = member.last_outcome();
            (pid, member.kind, outcome)
        })
    }

    /// What has become of each process.
    pub fn outcomes(&self) -> impl Iterator<Item = (Pid, &Arc<str>, Outcome)> {
        let members = self.members.iter();
        members.map(|(pid, member)| (*pid, &member.kind, member.last_outcome()))
    }

    /// A process offers itself while the reload goes on.
    fn offered(&mut self, pid: Pid, kind: Arc<str>) {
        if !matches!(self.phase, Phase::Forward | Phase::Trial { .. }) {
            return;
        }
        let Some(member) = self.members.get(&pid) else {
            self.add(pid, kind, true);
            return;
        };
        let is_new = match &member.progress {
            Waiting | Asked { .. } => member.kind != kind,
            // It offered itself no longer, and does again.
            Done(Outcome::Declined { .. }) => true,
            _ => false,
        };
        if is_new {
            let (before, is_late_comer) = (member.kind.clone(), member.is_late_comer);
            self.forget_first(pid, &before);
            self.remove(pid);
            self.add(pid, kind, is_late_comer);
        }
    }

    fn add(&mut self, pid: Pid, kind: Arc<str>, is_late_comer: bool) {
        let of_kind = self.kinds.entry(kind.clone()).or_default();
        of_kind.waiting.insert(pid);
        if of_kind.is_proven {
            self.enqueue(&kind);
        }
        let member = Member {
            kind,
            progress: Waiting,
            moved: None,
            is_late_comer,
        };
        self.members.insert(pid, member);
        self.open += 1;
    }

    /// Forgets a process.
    fn remove(&mut self, pid: Pid) {
        self.set(pid, Done(Outcome::NotAsked));
        self.members.remove(&pid);
    }

    /// Changes how far a process has come, and keeps what is counted.
    fn set(&mut self, pid: Pid, progress: Progress) {
        let Some(member) = self.members.get_mut(&pid) else {
            return;
        };
        if member.progress == Waiting
            && progress != Waiting
            && let Some(kind) = self.kinds.get_mut(&member.kind)
        {
            kind.waiting.remove(&pid);
        }
        let has_come_and_gone = member.is_late_comer && progress == Done(Outcome::Ended);
        self.open -= usize::from(member.is_open());
        self.awaited -= usize::from(member.is_awaited());
        self.underway -= usize::from(member.is_underway());
        if let Some(kind) = self.kinds.get_mut(&member.kind) {
            kind.attempts -= usize::from(member.progress == Attempting);
            kind.attempts += usize::from(progress == Attempting);
        }
        member.progress = progress;
        self.open += usize::from(member.is_open());
        self.awaited += usize::from(member.is_awaited());
        self.underway += usize::from(member.is_underway());
        if has_come_and_gone {
            // Any number of these can come while a reload goes on.
            self.members.remove(&pid);
        }
    }

    /// A process is not on its way any more. If it was asked to go first of its kind and the others
    /// have not come, one follows at once.
    fn forget_first(&mut self, pid: Pid, kind: &Arc<str>) {
        if let Some(kind) = self.kinds.get_mut(kind)
            && kind.first_ones.remove(&pid)
            && kind.first_ones.is_empty()
        {
            (kind.asked_first, kind.first_count) = (None, 0);
        }
    }

    /// A process of this kind has moved: the others may.
    fn prove(&mut self, kind: &Arc<str>) {
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.is_proven = true;
        }
        self.enqueue(kind);
    }

    /// Those of a kind may be asked.
    fn enqueue(&mut self, name: &Arc<str>) {
        if let Some(kind) = self.kinds.get_mut(name)
            && !kind.is_queued
            && !kind.waiting.is_empty()
        {
            kind.is_queued = true;
            self.queue.push_back(name.clone());
        }
    }

    /// The next one that may be asked.
    fn next_in_turn(&mut self) -> Option<Pid> {
        while let Some(name) = self.queue.pop_front() {
            let Some(kind) = self.kinds.get_mut(&name) else {
                continue;
            };
            kind.is_queued = false;
            if let Some(pid) = kind.waiting.pop_first() {
                self.enqueue(&name);
                return Some(pid);
            }
        }
        None
    }

    /// Does what the time allows.
    fn advance(&mut self, now: Instant) -> Vec<RolloutAction> {
        match self.phase {
            Phase::Forward => self.go_forward(now),
            Phase::Trial { until } if now < until => self.ask_more(now),
            Phase::Trial { until } | Phase::Back { until } => self.end_in_time(now, until),
            Phase::Over => Vec::new(),
        }
    }

    fn go_forward(&mut self, now: Instant) -> Vec<RolloutAction> {
        let end = self.began + self.options.timeout.min(LONGEST);
        let is_late = now >= end;
        let asked = match is_late {
            true => Vec::new(),
            false => self.ask_more(now),
        };
        let may_end = match is_late {
            true => self.underway == 0 || now >= end + LONGEST_ATTEMPT,
            false => self.open == 0,
        };
        if !may_end {
            return asked;
        }
        let is_tried = self.members.values().any(|member| member.moved.is_some());
        match self.options.trial {
            trial if trial.is_zero() || !is_tried => self.finish(),
            trial => {
                let until = self.last_move + trial.min(LONGEST);
                self.phase = Phase::Trial { until };
                self.advance(now)
            }
        }
    }

    /// Lets those move whose turn it is.
    fn ask_more(&mut self, now: Instant) -> Vec<RolloutAction> {
        self.forget_stale(now);
        let mut asked = Vec::new();
        self.ask_first_ones(now, &mut asked);
        let all_proven = self.kinds.values().all(|kind| kind.is_proven);
        let may_follow = all_proven || now.duration_since(self.began) >= PATIENCE;
        while may_follow && self.awaited < BATCH {
            let Some(pid) = self.next_in_turn() else {
                break;
            };
            self.ask(now, pid, &mut asked);
        }
        asked
    }

    /// Ends the reload if nobody is left, or the time is up and no attempt goes on.
    fn end_in_time(&mut self, now: Instant, until: Instant) -> Vec<RolloutAction> {
        let is_late = now >= until && self.underway == 0;
        match self.open == 0 || is_late || now >= until + LONGEST_ATTEMPT {
            true => self.finish(),
            false => Vec::new(),
        }
    }

    /// Does not wait any more for processes that were asked too long ago.
    fn forget_stale(&mut self, now: Instant) {
        while let Some((asked, pid)) = self.recent.front().copied() {
            let member = self.members.get(&pid);
            let has_not_come = member.is_some_and(Member::has_not_come);
            if has_not_come && now.duration_since(asked) < PATIENCE {
                return;
            }
            self.recent.pop_front();
            if has_not_come {
                self.set(pid, Asked { is_awaited: false });
            }
        }
    }

    /// Asks processes of each kind of which none has moved or is on its way: one, and twice as many
    /// each time that none has come for a while.
    fn ask_first_ones(&mut self, now: Instant, asked: &mut Vec<RolloutAction>) {
        let mut next = Vec::new();
        for kind in self.kinds.values_mut().filter(|kind| !kind.is_proven) {
            let is_asked = kind
                .asked_first
                .is_some_and(|asked| now.duration_since(asked) < PATIENCE);
            if is_asked || kind.attempts > 0 || kind.waiting.is_empty() {
                continue;
            }
            kind.first_count = (2 * kind.first_count).clamp(1, MOST_FIRST_ONES);
            kind.asked_first = Some(now);
            kind.first_ones.clear();
            for _ in 0..kind.first_count {
                let Some(pid) = kind.waiting.pop_first() else {
                    break;
                };
                kind.first_ones.insert(pid);
                next.push(pid);
            }
        }
        for pid in next {
            self.ask(now, pid, asked);
        }
    }

    fn ask(&mut self, now: Instant, pid: Pid, asked: &mut Vec<RolloutAction>) {
        self.set(pid, Asked { is_awaited: true });
        self.recent.push_back((now, pid));
        asked.push(RolloutAction::Ask(pid));
    }

    fn go_back(&mut self, now: Instant) -> Vec<RolloutAction> {
        let until = now + self.options.timeout.min(LONGEST);
        self.phase = Phase::Back { until };
        self.queue.clear();
        self.kinds.clear();
        self.recent.clear();
        (self.open, self.awaited, self.underway) = (0, 0, 0);
        for member in self.members.values_mut() {
            match member.progress {
                Done(Outcome::Moved { .. }) => {
                    member.progress = GoingBack { is_arriving: false };
                }
                Arriving => member.progress = GoingBack { is_arriving: true },
                Attempting => member.progress = GivingUp,
                Waiting => member.progress = Done(Outcome::NotAsked),
                Asked { .. } => member.progress = Done(Outcome::CalledOff),
                GivingUp | GoingBack { .. } | TryingBack | Returning | Done(_) => {}
            }
            self.open += usize::from(member.is_open());
            self.underway += usize::from(member.is_underway());
        }
        let mut actions = vec![RolloutAction::GoBack];
        actions.extend(self.advance(now));
        actions
    }

    fn finish(&mut self) -> Vec<RolloutAction> {
        self.phase = Phase::Over;
        vec![RolloutAction::Finish]
    }
}

impl Member {
    /// Whether it is not known yet what becomes of it.
    fn is_open(&self) -> bool {
        !matches!(self.progress, Done(_))
    }

    /// Whether it was asked lately, and has done nothing yet.
    fn has_not_come(&self) -> bool {
        self.progress == Asked { is_awaited: true }
    }

    /// Whether it is waited for before others are asked.
    fn is_awaited(&self) -> bool {
        self.has_not_come() || self.progress == Attempting
    }

    /// Whether an attempt goes on, or what follows one that has ended well is to be told yet.
    fn is_underway(&self) -> bool {
        match self.progress {
            Attempting | Arriving | GivingUp | TryingBack | Returning => true,
            GoingBack { is_arriving } => is_arriving,
            Waiting | Asked { .. } | Done(_) => false,
        }
    }

    /// What becomes of it if the reload is over now.
    fn last_outcome(&self) -> Outcome {
        match &self.progress {
            Done(outcome) => outcome.clone(),
            Waiting => Outcome::NotAskedInTime,
            Asked { .. } | Attempting | Arriving => Outcome::Late,
            GivingUp => Outcome::Failed {
                why: "the attempt has not ended in time".to_owned(),
            },
            GoingBack { .. } | TryingBack | Returning => Outcome::Stuck {
                why: "it has not reached a safe point in time".to_owned(),
            },
        }
    }
}

impl Progress {
    /// What comes after an event, and whether all have to go back because of it.
    ///
    /// - `within_trial`: whether the process has moved and may not fail yet.
    fn after(self, event: RolloutEvent, within_trial: bool) -> (Progress, bool) {
        let is_ahead = matches!(self, Waiting | Asked { .. } | Attempting | Arriving);
        let next = match (self, event) {
            (_, RolloutEvent::Began) if is_ahead => return (Attempting, false),
            (_, RolloutEvent::Accepted) if is_ahead => return (Arriving, false),
            (_, RolloutEvent::FailedMoving) if is_ahead => return (Done(Outcome::Ended), true),
            (GoingBack { is_arriving: true }, RolloutEvent::Moved(_)) => {
                return (GoingBack { is_arriving: false }, false);
            }
            (GoingBack { .. }, RolloutEvent::Began) => return (TryingBack, false),
            (GoingBack { .. } | TryingBack, RolloutEvent::Accepted) => return (Returning, false),
            (GoingBack { .. } | TryingBack | Returning, RolloutEvent::Moved(_)) => {
                Outcome::WentBack
            }
            (
                GoingBack { .. } | TryingBack,
                RolloutEvent::Failed(why) | RolloutEvent::Declined(why),
            ) => Outcome::Stuck { why },
            (GivingUp, RolloutEvent::Failed(why)) => Outcome::Failed { why },
            (
                GivingUp | GoingBack { .. } | TryingBack | Returning,
                RolloutEvent::Ended(_) | RolloutEvent::FailedMoving,
            ) => Outcome::Ended,
            (Done(Outcome::Moved { .. } | Outcome::Stuck { .. }), RolloutEvent::Ended(failed)) => {
                return (Done(Outcome::Ended), failed && within_trial);
            }
            (Done(Outcome::Moved { .. } | Outcome::Stuck { .. }), RolloutEvent::FailedMoving) => {
                return (Done(Outcome::Ended), within_trial);
            }
            (_, RolloutEvent::Moved(pause)) if is_ahead => Outcome::Moved {
                pause_us: u64::try_from(pause.as_micros()).unwrap_or(u64::MAX),
            },
            (_, RolloutEvent::Failed(why)) if is_ahead => {
                return (Done(Outcome::Failed { why }), true);
            }
            (_, RolloutEvent::Declined(why)) if is_ahead => Outcome::Declined { why },
            (_, RolloutEvent::Ended(_)) if is_ahead => Outcome::Ended,
            (unchanged, _) => return (unchanged, false),
        };
        (Done(next), false)
    }
}
