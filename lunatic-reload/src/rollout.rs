//! The order in which processes move to another version: a state machine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_mailbox::Pid;

use crate::report::{Outcome, ReloadOptions, ReloadResult};

/// So many processes are asked at a time, beside those that have not come for longer
/// than [`PATIENCE`].
const BATCH: usize = 64;

/// A process that has been asked for so long is not waited for before others are asked.
const PATIENCE: Duration = Duration::from_millis(100);

/// A reload as it goes on. It decides which processes are asked to move and when, and
/// whether they have to go back. It does nothing itself: it is told what happens, with
/// the time, and says what is to be done.
///
/// Of each kind one process goes first. When these have moved, or have not come for a
/// while, the others follow in batches. If an attempt fails, or a process fails that has
/// moved, all go back, unless they are to stay.
#[derive(Debug)]
pub struct Rollout {
    options: ReloadOptions,
    began: Instant,
    phase: Phase,
    members: BTreeMap<Pid, Member>,
    /// How many members have no outcome yet.
    open: usize,
    kinds: BTreeMap<Arc<str>, Kind>,
    /// Those that may be asked when there is room, in order.
    queue: VecDeque<Pid>,
    /// Those that have been asked last.
    recent: VecDeque<(Instant, Pid)>,
    /// When the last process has moved.
    last_move: Instant,
}

/// What is known of the processes of one kind.
#[derive(Debug, Default)]
struct Kind {
    /// Whether one has moved.
    is_proven: bool,
    /// When one was asked to go first; `None` if none is on its way.
    first_asked: Option<Instant>,
    /// Those that wait until one has moved.
    waiting: VecDeque<Pid>,
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
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Waiting,
    Asked,
    GoingBack,
    Done(Outcome),
}

/// What happens to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It offers itself, and does not run the version that is to become current.
    Offered(Arc<str>),
    /// It runs another version now: the new one, or, if it was to go back, the old one.
    Moved(Duration),
    /// An attempt has failed.
    Failed(String),
    /// It has declined.
    Declined(String),
    /// It has ended; whether by a failure.
    Ended(bool),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
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
    ) -> (Rollout, Vec<Action>) {
        let mut rollout = Rollout {
            options,
            began: now,
            phase: Phase::Forward,
            members: BTreeMap::new(),
            open: 0,
            kinds: BTreeMap::new(),
            queue: VecDeque::new(),
            recent: VecDeque::new(),
            last_move: now,
        };
        for (pid, kind) in members {
            rollout.add(pid, kind);
        }
        let actions = rollout.advance(now);
        (rollout, actions)
    }

    /// Tells what has happened to a process.
    pub fn handle(&mut self, now: Instant, pid: Pid, event: Event) -> Vec<Action> {
        if let Event::Offered(kind) = event {
            if self.phase == Phase::Forward && !self.members.contains_key(&pid) {
                self.add(pid, kind);
            }
            return self.advance(now);
        }
        let Some(member) = self.members.get(&pid) else {
            return self.advance(now);
        };
        let kind = member.kind.clone();
        let (progress, must_go_back) = member.progress.clone().after(event);
        match progress {
            Progress::Done(Outcome::Moved { .. }) => {
                self.last_move = now;
                self.prove(&kind);
            }
            _ => self.kinds.entry(kind).or_default().first_asked = None,
        }
        self.set(pid, progress);
        let is_forward = matches!(self.phase, Phase::Forward | Phase::Trial { .. });
        if must_go_back && is_forward && !self.options.keep_going {
            return self.go_back(now);
        }
        self.advance(now)
    }

    /// Looks at the time; to be called some ten times in a second.
    pub fn tick(&mut self, now: Instant) -> Vec<Action> {
        self.advance(now)
    }

    /// Whether the processes go back to the old version.
    pub fn goes_back(&self) -> bool {
        matches!(self.phase, Phase::Back { .. })
    }

    /// Whether the new version has to be given up, though the reload is over.
    pub fn result(&self) -> ReloadResult {
        let count = |is: fn(&Outcome) -> bool| {
            let outcomes = self.members.values().filter_map(|member| member.outcome());
            outcomes.filter(|outcome| is(outcome)).count()
        };
        let moved =
            count(|outcome| matches!(outcome, Outcome::Moved { .. } | Outcome::Stuck { .. }));
        let stayed = count(|outcome| {
            matches!(
                outcome,
                Outcome::NotAsked
                    | Outcome::WentBack
                    | Outcome::Late
                    | Outcome::Failed { .. }
                    | Outcome::Declined { .. }
            )
        });
        let went_back = count(|outcome| matches!(outcome, Outcome::WentBack)) > 0
            || count(|outcome| matches!(outcome, Outcome::Failed { .. })) > 0;
        match (moved, stayed) {
            (0, 0) => ReloadResult::Moved,
            (_, 0) => ReloadResult::Moved,
            (0, _) if went_back => ReloadResult::Unchanged,
            _ => ReloadResult::Partly,
        }
    }

    /// What has become of each process.
    pub fn outcomes(&self) -> impl Iterator<Item = (Pid, &Arc<str>, Outcome)> {
        self.members.iter().map(|(pid, member)| {
            let outcome = member.outcome().cloned();
            (*pid, &member.kind, outcome.unwrap_or(Outcome::NotAsked))
        })
    }

    fn add(&mut self, pid: Pid, kind: Arc<str>) {
        let of_kind = self.kinds.entry(kind.clone()).or_default();
        match of_kind.is_proven {
            true => self.queue.push_back(pid),
            false => of_kind.waiting.push_back(pid),
        }
        let progress = Progress::Waiting;
        self.members.insert(pid, Member { kind, progress });
        self.open += 1;
    }

    fn set(&mut self, pid: Pid, progress: Progress) {
        if let Some(member) = self.members.get_mut(&pid) {
            self.open -= usize::from(member.outcome().is_none());
            member.progress = progress;
            self.open += usize::from(member.outcome().is_none());
        }
    }

    /// A process of this kind has moved: the others may.
    fn prove(&mut self, kind: &Arc<str>) {
        if let Some(kind) = self.kinds.get_mut(kind) {
            kind.is_proven = true;
            self.queue.append(&mut kind.waiting);
        }
    }

    /// Does what the time allows.
    fn advance(&mut self, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Forward => self.go_forward(now),
            Phase::Trial { until } if now >= until => self.finish(),
            Phase::Back { until } => {
                if now >= until {
                    self.give_up(|| Outcome::Stuck {
                        why: "it has not reached a safe point in time".to_owned(),
                    });
                }
                match self.open {
                    0 => self.finish(),
                    _ => Vec::new(),
                }
            }
            Phase::Trial { .. } | Phase::Over => Vec::new(),
        }
    }

    fn go_forward(&mut self, now: Instant) -> Vec<Action> {
        if now.duration_since(self.began) >= self.options.timeout {
            self.give_up(|| Outcome::Late);
        }
        while self.is_stale(now) {
            self.recent.pop_front();
        }
        let mut asked = Vec::new();
        self.ask_first_ones(now, &mut asked);
        let all_proven = self.kinds.values().all(|kind| kind.is_proven);
        let may_follow = all_proven || now.duration_since(self.began) >= PATIENCE;
        while may_follow && self.recent.len() < BATCH {
            let Some(pid) = self.queue.pop_front() else {
                break;
            };
            self.ask(now, pid, &mut asked);
        }
        if self.open > 0 {
            return asked;
        }
        match self.options.trial {
            Duration::ZERO => self.finish(),
            trial => {
                let until = self.last_move + trial;
                self.phase = Phase::Trial { until };
                self.advance(now)
            }
        }
    }

    /// Whether the process that was asked first of the recent ones has moved, or is not
    /// waited for any more.
    fn is_stale(&self, now: Instant) -> bool {
        let Some((asked, pid)) = self.recent.front() else {
            return false;
        };
        let member = self.members.get(pid);
        let is_asked = member.is_some_and(|member| member.progress == Progress::Asked);
        !is_asked || now.duration_since(*asked) >= PATIENCE
    }

    /// Asks one process of each kind of which none has moved or is on its way.
    fn ask_first_ones(&mut self, now: Instant, asked: &mut Vec<Action>) {
        let mut next = Vec::new();
        for kind in self.kinds.values_mut().filter(|kind| !kind.is_proven) {
            let is_on_its_way = kind
                .first_asked
                .is_some_and(|asked| now.duration_since(asked) < PATIENCE);
            if let (false, Some(pid)) = (is_on_its_way, kind.waiting.pop_front()) {
                kind.first_asked = Some(now);
                next.push(pid);
            }
        }
        for pid in next {
            self.ask(now, pid, asked);
        }
    }

    fn ask(&mut self, now: Instant, pid: Pid, asked: &mut Vec<Action>) {
        let member = self.members.get(&pid);
        if member.is_some_and(|member| member.progress == Progress::Waiting) {
            self.set(pid, Progress::Asked);
            self.recent.push_back((now, pid));
            asked.push(Action::Ask(pid));
        }
    }

    fn go_back(&mut self, now: Instant) -> Vec<Action> {
        let until = now + self.options.timeout;
        self.phase = Phase::Back { until };
        self.queue.clear();
        self.open = 0;
        for member in self.members.values_mut() {
            member.progress = match &member.progress {
                Progress::Done(Outcome::Moved { .. }) => Progress::GoingBack,
                Progress::Waiting | Progress::Asked => Progress::Done(Outcome::NotAsked),
                other => other.clone(),
            };
            self.open += usize::from(member.outcome().is_none());
        }
        let mut actions = vec![Action::GoBack];
        actions.extend(self.advance(now));
        actions
    }

    /// Gives all members an outcome that have none.
    fn give_up(&mut self, outcome: impl Fn() -> Outcome) {
        self.queue.clear();
        self.kinds.clear();
        self.open = 0;
        for member in self.members.values_mut() {
            if member.outcome().is_none() {
                member.progress = Progress::Done(outcome());
            }
        }
    }

    fn finish(&mut self) -> Vec<Action> {
        self.phase = Phase::Over;
        vec![Action::Finish]
    }
}

impl Member {
    fn outcome(&self) -> Option<&Outcome> {
        match &self.progress {
            Progress::Done(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl Progress {
    /// What comes after an event, and whether all have to go back because of it.
    fn after(self, event: Event) -> (Progress, bool) {
        let was_moved = matches!(self, Progress::Done(Outcome::Moved { .. }));
        let done = |outcome| Progress::Done(outcome);
        match (self, event) {
            (Progress::GoingBack, Event::Moved(_)) => (done(Outcome::WentBack), false),
            (Progress::GoingBack, Event::Failed(why) | Event::Declined(why)) => {
                (done(Outcome::Stuck { why }), false)
            }
            (Progress::GoingBack, Event::Ended(_)) => (done(Outcome::Ended), false),
            (
                Progress::Waiting | Progress::Asked | Progress::Done(Outcome::Late),
                Event::Moved(pause),
            ) => {
                let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
                (done(Outcome::Moved { pause_us }), false)
            }
            (Progress::Waiting | Progress::Asked, Event::Failed(why)) => {
                (done(Outcome::Failed { why }), true)
            }
            (Progress::Waiting | Progress::Asked, Event::Declined(why)) => {
                (done(Outcome::Declined { why }), false)
            }
            (Progress::Waiting | Progress::Asked, Event::Ended(_)) => (done(Outcome::Ended), false),
            (Progress::Done(Outcome::Moved { .. }), Event::Ended(failed)) => {
                (done(Outcome::Ended), was_moved && failed)
            }
            (unchanged, _) => (unchanged, false),
        }
    }
}
