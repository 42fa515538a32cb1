//! The versions of modules, and the processes that offer to move between them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::mem;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::{StreamExt, future};
use lunatic_mailbox::Pid;
use lunatic_process::{ExitReason, Failure, FailureKind, Process};
use parking_lot::Mutex;

use crate::entries::Entries;
use crate::report::{Outcome, ProcessReport, ReloadOptions, ReloadResult, Report};
use crate::rollout::{ProgressCount, Rollout, RolloutAction, RolloutEvent};

/// One version of a module.
#[derive(Debug, Clone)]
pub struct Version<M> {
    /// The hash of its bytes, which tells it from others.
    pub hash: [u8; 32],
    /// The module itself.
    pub module: M,
    /// What it can take over.
    pub entries: Arc<Entries>,
}

/// The current version of each module that has a name, at most one old one of each, and
/// the processes that offer to move between them. All clones are the same.
pub struct Versions<M> {
    shared: Arc<Mutex<Modules<M>>>,
}

/// The modules that have a name, by that.
type Modules<M> = HashMap<Arc<str>, Arc<Named<M>>>;

/// A module with a name.
#[derive(Debug)]
struct Named<M> {
    name: Arc<str>,
    state: Mutex<State<M>>,
}

#[derive(Debug)]
struct State<M> {
    current: Version<M>,
    old: Option<Version<M>>,
    members: BTreeMap<Pid, Arc<Member<M>>>,
    /// How many of them offer themselves.
    offering: usize,
    /// Whether a reload goes on: no other one can begin.
    is_reloading: bool,
    /// While it moves processes.
    ongoing: Option<Ongoing<M>>,
    /// What has happened while it was looked who is to move.
    meanwhile: Option<BTreeMap<Pid, Meanwhile>>,
}

/// What has happened to a process before the reload could be told of it.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    /// It has offered itself, or does so no longer.
    Offered,
    /// It has ended; whether by a failure.
    Ended(bool),
}

/// A reload that goes on.
#[derive(Debug)]
struct Ongoing<M> {
    rollout: Rollout,
    /// What it is to be told to do.
    actions: Sender<RolloutAction>,
    /// The version that was current before.
    previous: Version<M>,
}

/// A process that has offered itself.
pub struct Member<M> {
    process: Process,
    named: Weak<Named<M>>,
    /// Whether it is wanted at its next safe point. It is read without the lock.
    is_wanted: AtomicBool,
    /// Whether it was told in which version to write its state, and nothing has come of that yet.
    is_moving: AtomicBool,
    state: Mutex<Offered>,
}

#[derive(Debug)]
struct Offered {
    /// What it runs.
    runs: [u8; 32],
    /// Its kind, and the version of its state; `None` if it does not offer itself.
    offer: Option<(Arc<str>, i64)>,
    /// The version to which it is not to be moved again, as that has failed.
    refused: Option<[u8; 32]>,
}

/// Where a process is to move.
#[derive(Debug, Clone)]
pub struct Target<M> {
    /// The version.
    pub version: Version<M>,
    /// The kind of the process.
    pub kind: Arc<str>,
    /// The version of the state that it is to write.
    pub state_version: i64,
}

/// What there is of a module with a name.
#[derive(Debug, Clone)]
pub struct NamedVersions<M> {
    /// The name.
    pub name: Arc<str>,
    /// The version that is current.
    pub current: Version<M>,
    /// The version before, if something may still use it.
    pub old: Option<Version<M>>,
    /// How many processes offer themselves.
    pub offering: usize,
    /// Whether a reload goes on.
    pub is_reloading: bool,
    /// How far it has come, while it moves processes.
    pub progress: Option<ProgressCount>,
}

/// What a reload would do.
#[derive(Debug, Clone)]
pub struct ReloadPlan<M> {
    /// The version that it would drop: the one before the current one, unless that is the new
    /// one.
    pub dropped: Option<Version<M>>,
    /// The processes that would move, in the order of their ids; not those that run the version
    /// that is dropped.
    pub movable: Vec<Pid>,
}

/// Why a reload did not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReloadError {
    /// There is no module of this name. These there are.
    UnknownName {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Another reload of the module goes on.
    InProgress(String),
    /// Processes of these kinds would have no entry in the new version.
    NoEntry(Vec<MissingEntry>),
    /// Processes still run the version before the current one.
    ThirdVersion {
        /// Which version.
        hash: String,
        /// Who runs it.
        processes: Vec<Pid>,
    },
}

/// A kind of process for which a version has no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEntry {
    /// The kind.
    pub kind: String,
    /// The version of the state that its processes write.
    pub version: i64,
    /// How many processes there are.
    pub processes: usize,
}

/// The error of an instance that takes over too late: the process is not to move any
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotWanted;

/// So many members are seen to at a time, before others run.
const PIECE: usize = 256;

/// How often a reload looks at the time.
const TICK: Duration = Duration::from_millis(20);

impl<M: Clone + Send + Sync + 'static> Versions<M> {
    /// Returns a table without modules.
    pub fn new() -> Versions<M> {
        Versions {
            shared: Arc::default(),
        }
    }

    /// Adds a module, if there is none of this name. Returns the version of this name
    /// that has the same hash, or `None` if there is another module of this name.
    pub fn register(&self, name: &Arc<str>, version: Version<M>) -> Option<Version<M>> {
        let mut modules = self.shared.lock();
        let Some(named) = modules.get(name) else {
            let state = State {
                current: version.clone(),
                old: None,
                members: BTreeMap::new(),
                offering: 0,
                is_reloading: false,
                ongoing: None,
                meanwhile: None,
            };
            let named = Named {
                name: name.clone(),
                state: Mutex::new(state),
            };
            modules.insert(name.clone(), Arc::new(named));
            return Some(version);
        };
        let state = named.state.lock();
        state.find(&version.hash).cloned()
    }

    /// The current version of a module.
    pub fn current(&self, name: &str) -> Option<Version<M>> {
        let named = self.shared.lock().get(name).cloned()?;
        let state = named.state.lock();
        Some(state.current.clone())
    }

    /// The version of a module that has a hash, if it is the current one or the old one.
    ///
    /// # Errors
    ///
    /// [`ReloadError::UnknownName`].
    pub fn find(&self, name: &str, hash: &[u8; 32]) -> Result<Option<Version<M>>, ReloadError> {
        let named = self.named(name)?;
        let state = named.state.lock();
        Ok(state.find(hash).cloned())
    }

    /// The version of any module that has a hash, if it is a current one or an old one; of
    /// several that of the module whose name is the first.
    pub fn by_hash(&self, hash: &[u8; 32]) -> Option<Version<M>> {
        let modules: Vec<_> = self.shared.lock().values().cloned().collect();
        let found = modules.iter().filter_map(|named| {
            let state = named.state.lock();
            let version = state.find(hash).cloned();
            version.map(|version| (&named.name, version))
        });
        let first = found.min_by(|(a, _), (b, _)| a.cmp(b));
        first.map(|(_, version)| version)
    }

    /// The hash of the old version of a module, if it has one.
    pub fn old(&self, name: &str) -> Option<[u8; 32]> {
        let named = self.named(name).ok()?;
        let state = named.state.lock();
        state.old.as_ref().map(|old| old.hash)
    }

    /// The processes of all versions of a module that offer themselves.
    pub fn offering(&self, name: &str) -> HashSet<Pid> {
        self.those(name, Member::offers)
    }

    /// The processes of a module that offer themselves, and those that have moved to a version
    /// of it and may not have offered themselves again yet.
    ///
    /// - `hash`: of the version.
    pub fn taking_part(&self, name: &str, hash: &[u8; 32]) -> HashSet<Pid> {
        self.those(name, |member| {
            let own = member.state.lock();
            own.offer.is_some() || own.runs == *hash
        })
    }

    /// Those processes of a module that have offered themselves once and are like this.
    fn those(&self, name: &str, are: impl Fn(&Member<M>) -> bool) -> HashSet<Pid> {
        let mut those = HashSet::new();
        let Ok(named) = self.named(name) else {
            return those;
        };
        let mut last = None;
        loop {
            let piece = named.state.lock().piece(last);
            let Some(member) = piece.last() else {
                return those;
            };
            last = Some(member.process.id());
            let piece = piece.iter().filter(|member| are(member));
            those.extend(piece.map(|member| member.process.id()));
        }
    }

    /// All modules, in the order of their names.
    pub fn list(&self) -> Vec<NamedVersions<M>> {
        let modules: Vec<_> = self.shared.lock().values().cloned().collect();
        let mut list: Vec<_> = modules.iter().map(|named| named.describe()).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }

    /// Forgets the old version of a module, if it has this hash and no reload goes on. To
    /// be called when nothing uses it any more.
    pub fn forget_old(&self, name: &str, hash: &[u8; 32]) {
        if let Ok(named) = self.named(name) {
            let mut state = named.state.lock();
            let is_old = state.old.as_ref().is_some_and(|old| old.hash == *hash);
            let forgotten = match is_old && !state.is_reloading {
                true => state.old.take(),
                false => None,
            };
            drop(state);
            // It may be the last handle of a module.
            drop(forgotten);
        }
    }

    /// The process offers itself for the first time.
    ///
    /// - `name`: the module that it runs a version of.
    /// - `runs`: the hash of that version.
    pub fn join(&self, process: &Process, name: &str, runs: [u8; 32]) -> Option<Arc<Member<M>>> {
        let named = self.shared.lock().get(name).cloned()?;
        let member = Arc::new(Member {
            process: process.clone(),
            named: Arc::downgrade(&named),
            is_wanted: AtomicBool::new(false),
            is_moving: AtomicBool::new(false),
            state: Mutex::new(Offered {
                runs,
                offer: None,
                refused: None,
            }),
        });
        named
            .state
            .lock()
            .members
            .insert(process.id(), member.clone());
        let pid = process.id();
        let named = Arc::downgrade(&named);
        process.at_exit(move |reason| {
            if let Some(named) = named.upgrade() {
                named.ended(pid, reason);
            }
        });
        Some(member)
    }

    /// Makes another version the current one, and moves the processes that offer
    /// themselves. What has become of them is in the report.
    ///
    /// The future may be dropped only if the runtime ends: until it is ready, no other
    /// reload of the module can begin.
    ///
    /// - `version`: if it is the old one, all go back to it.
    /// - `left_out`: the hash of a version whose processes do not move, as they are to be ended
    ///   when the others have moved.
    ///
    /// # Errors
    ///
    /// [`ReloadError`]; nothing has changed then.
    pub async fn reload(
        &self,
        name: &str,
        version: Version<M>,
        options: ReloadOptions,
        left_out: Option<[u8; 32]>,
    ) -> Result<Report, ReloadError> {
        let named = self.named(name)?;
        let report = named.begin(&version)?;
        if report.from == report.to {
            return Ok(report);
        }
        let report = named.move_all(report, &version, options, left_out).await;
        named.end();
        report
    }

    /// What a reload would do; to be asked before processes are ended for it.
    ///
    /// # Errors
    ///
    /// What the reload would fail with when nobody runs the version any more that it would
    /// drop.
    pub async fn plan(&self, name: &str, new: &Version<M>) -> Result<ReloadPlan<M>, ReloadError> {
        let named = self.named(name)?;
        let dropped = {
            let state = named.state.lock();
            if state.is_reloading {
                return Err(ReloadError::InProgress(named.name.to_string()));
            }
            if state.current.hash == new.hash {
                return Ok(ReloadPlan {
                    dropped: None,
                    movable: Vec::new(),
                });
            }
            let dropped = state.old.as_ref().filter(|old| old.hash != new.hash);
            dropped.cloned()
        };
        let ended = dropped.as_ref().map(|dropped| dropped.hash);
        let movable = named.movable(new, ended).await?;
        Ok(ReloadPlan {
            dropped,
            movable: movable.into_iter().map(|(pid, _)| pid).collect(),
        })
    }

    /// Keeps a version as the old one of a module, if it has none and no reload goes on: a
    /// reload that has dropped it has come to nothing, and processes still run it.
    pub fn keep_old(&self, name: &str, version: Version<M>) {
        if let Ok(named) = self.named(name) {
            let mut state = named.state.lock();
            let is_free = state.old.is_none() && state.current.hash != version.hash;
            if is_free && !state.is_reloading {
                state.old = Some(version);
            }
        }
    }

    fn named(&self, name: &str) -> Result<Arc<Named<M>>, ReloadError> {
        let modules = self.shared.lock();
        modules.get(name).cloned().ok_or_else(|| {
            let mut known: Vec<_> = modules.keys().map(|name| name.to_string()).collect();
            known.sort();
            ReloadError::UnknownName {
                name: name.to_owned(),
                known,
            }
        })
    }
}

impl<M: Clone + Send + Sync + 'static> Named<M> {
    fn describe(&self) -> NamedVersions<M> {
        let state = self.state.lock();
        let ongoing = state.ongoing.as_ref();
        NamedVersions {
            name: self.name.clone(),
            current: state.current.clone(),
            old: state.old.clone(),
            offering: state.offering,
            is_reloading: state.is_reloading,
            progress: ongoing.map(|ongoing| ongoing.rollout.progress()),
        }
    }

    /// Begins a reload: no other one can begin until its [`end`](Named::end). But if the
    /// version is the current one, none begins.
    fn begin(&self, version: &Version<M>) -> Result<Report, ReloadError> {
        let mut state = self.state.lock();
        if state.is_reloading {
            return Err(ReloadError::InProgress(self.name.to_string()));
        }
        if state.current.hash != version.hash {
            state.is_reloading = true;
            state.meanwhile = Some(BTreeMap::new());
        }
        Ok(Report {
            name: self.name.to_string(),
            from: hex(&state.current.hash),
            to: hex(&version.hash),
            result: ReloadResult::Unchanged,
            processes: Vec::new(),
        })
    }

    /// No reload goes on any more.
    fn end(&self) {
        let mut state = self.state.lock();
        state.is_reloading = false;
        let forgotten = state.meanwhile.take();
        drop(state);
        drop(forgotten);
    }

    /// Looks what each process would do, makes the version the current one, and moves the
    /// processes. What there is to do for each of them is done in pieces.
    async fn move_all(
        &self,
        mut report: Report,
        version: &Version<M>,
        options: ReloadOptions,
        left_out: Option<[u8; 32]>,
    ) -> Result<Report, ReloadError> {
        let movable = self.movable(version, left_out).await?;
        if options.dry_run {
            let movable = movable.into_iter();
            report.processes = movable
                .map(|(pid, kind)| ProcessReport {
                    pid,
                    kind: kind.to_string(),
                    outcome: Outcome::NotAsked,
                })
                .collect();
            return Ok(report);
        }
        self.for_each_piece(|members| {
            for member in members {
                member.begins_reload(version, left_out);
            }
        })
        .await;
        let mut rollout = Rollout::new(Instant::now(), options);
        for (number, (pid, kind)) in movable.into_iter().enumerate() {
            rollout.add_first(pid, kind);
            if number % PIECE == PIECE - 1 {
                future::yield_now().await;
            }
        }
        let (sender, actions) = async_channel::unbounded();
        let dropped = self.switch(version, rollout, sender);
        // It may be the last handle of a module.
        drop(dropped);
        self.drive(&actions).await;
        Ok(self.finish(report, &version.hash).await)
    }

    /// Makes the version the current one, and asks the first processes. Returns the version
    /// that is the old one no longer.
    fn switch(
        &self,
        version: &Version<M>,
        mut rollout: Rollout,
        sender: Sender<RolloutAction>,
    ) -> Option<Version<M>> {
        let mut state = self.state.lock();
        let previous = mem::replace(&mut state.current, version.clone());
        let dropped = state.old.replace(previous.clone());
        let now = Instant::now();
        let mut actions = rollout.start(now);
        let mut called_off = Vec::new();
        for (pid, meanwhile) in state.meanwhile.take().into_iter().flatten() {
            let member = state.members.get(&pid);
            let event = match meanwhile {
                Meanwhile::Offered => {
                    // It may be wanted as what was current until now.
                    called_off.extend(member.cloned());
                    member.and_then(|member| member.event_of_offer(version))
                }
                Meanwhile::Ended(failed) => Some(RolloutEvent::Ended(failed)),
            };
            if let Some(event) = event {
                actions.extend(rollout.handle(now, pid, event));
            }
        }
        state.ongoing = Some(Ongoing {
            rollout,
            actions: sender,
            previous,
        });
        for member in &called_off {
            member.is_wanted.store(false, Ordering::Release);
        }
        state.take_actions(actions);
        drop(state);
        for member in called_off {
            member.process.wake();
        }
        dropped
    }

    /// Does something with all members, a piece of them at a time, between which others run.
    async fn for_each_piece(&self, mut each: impl FnMut(&[Arc<Member<M>>])) {
        // Those that join meanwhile come last; they could go on joining.
        let end = self.state.lock().members.keys().next_back().copied();
        let mut last = None;
        while last < end {
            let piece = self.state.lock().piece(last);
            let Some(member) = piece.last() else {
                return;
            };
            last = Some(member.process.id());
            each(&piece);
            drop(piece);
            future::yield_now().await;
        }
    }

    /// The processes that would move to a version, in the order of their ids, with their
    /// kinds.
    ///
    /// - `left_out`: the hash of a version whose processes are ended.
    ///
    /// # Errors
    ///
    /// [`ReloadError::NoEntry`].
    async fn movable(
        &self,
        version: &Version<M>,
        left_out: Option<[u8; 32]>,
    ) -> Result<Vec<(Pid, Arc<str>)>, ReloadError> {
        let mut missing: HashMap<(Arc<str>, i64), usize> = HashMap::new();
        let mut movable = Vec::new();
        self.for_each_piece(|members| {
            for member in members {
                let offered = member.state.lock();
                let Some((kind, written)) = &offered.offer else {
                    continue;
                };
                if offered.runs == version.hash || Some(offered.runs) == left_out {
                    continue;
                }
                match version.entries.best(kind, *written) {
                    Some(_) => movable.push((member.process.id(), kind.clone())),
                    None => *missing.entry((kind.clone(), *written)).or_default() += 1,
                }
            }
        })
        .await;
        match missing.is_empty() {
            true => Ok(movable),
            false => Err(no_entry(missing)),
        }
    }

    /// Lets the reload go on until it is over.
    async fn drive(&self, actions: &Receiver<RolloutAction>) {
        // One for all: to set a timer wakes the thread of the timers.
        let mut ticks = Timer::interval(TICK);
        loop {
            let next = async { actions.recv().await.ok() };
            let tick = async {
                ticks.next().await;
                None
            };
            match future::or(next, tick).await {
                Some(RolloutAction::Finish) => return,
                Some(RolloutAction::GoBack) => self.go_back().await,
                Some(RolloutAction::Ask(pid)) => self.want(pid),
                None => self.tick(),
            }
        }
    }

    fn tick(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let ongoing = state.ongoing.as_mut();
        let actions = ongoing.map(|ongoing| ongoing.rollout.tick(now));
        state.take_actions(actions.unwrap_or_default());
    }

    /// The version before is the current one again: who runs another one is wanted.
    async fn go_back(&self) {
        self.for_each_piece(|members| {
            let mut called_off = Vec::new();
            let mut state = self.state.lock();
            for member in members {
                member.state.lock().refused = None;
                let was_wanted = member.is_wanted();
                if state.settle(member) == Settled::WithoutEntry {
                    state.tell(member.process.id(), without_entry());
                }
                if was_wanted && !member.is_wanted() {
                    called_off.push(member);
                }
            }
            drop(state);
            wake(members);
            // An attempt of theirs is to end.
            for member in called_off {
                member.process.wake();
            }
        })
        .await;
    }

    /// Lets a process move at its next safe point.
    fn want(&self, pid: Pid) {
        let state = self.state.lock();
        let Some(member) = state.members.get(&pid).cloned() else {
            return;
        };
        // It may have changed its offer since.
        state.settle(&member);
        drop(state);
        wake(&[member]);
    }

    /// Ends the reload: from now on everybody is wanted who does not run the current
    /// version.
    ///
    /// - `new`: the hash of the version that was to become current.
    async fn finish(&self, mut report: Report, new: &[u8; 32]) -> Report {
        let (ongoing, is_current) = {
            let mut state = self.state.lock();
            (state.ongoing.take(), state.current.hash == *new)
        };
        let Some(Ongoing { rollout, .. }) = ongoing else {
            return report;
        };
        report.result = rollout.result(is_current);
        let given_up = match is_current {
            true => rollout.kinds_given_up(),
            false => BTreeSet::new(),
        };
        for (pid, kind, outcome) in rollout.into_outcomes() {
            let outcome = match outcome {
                Outcome::Late if given_up.contains(&kind) => Outcome::NotAsked,
                outcome => outcome,
            };
            report.processes.push(ProcessReport {
                pid,
                kind: kind.to_string(),
                outcome,
            });
            if report.processes.len().is_multiple_of(PIECE) {
                future::yield_now().await;
            }
        }
        self.for_each_piece(|members| {
            let state = self.state.lock();
            for member in members {
                if !given_up.is_empty() {
                    member.give_up(&given_up, new);
                }
                state.settle(member);
            }
            drop(state);
            wake(members);
        })
        .await;
        report
    }

    fn ended(&self, pid: Pid, reason: &ExitReason) {
        let mut state = self.state.lock();
        let removed = state.members.remove(&pid);
        if removed.as_ref().is_some_and(|member| member.offers()) {
            state.offering -= 1;
        }
        // One that others take along through a link has not failed itself.
        let is_own = |failure: &Failure| !matches!(failure.kind(), FailureKind::LinkDied { .. });
        let failed = reason.failure().is_some_and(is_own);
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.insert(pid, Meanwhile::Ended(failed));
        }
        let is_moving = |member: &Arc<Member<M>>| member.is_moving.load(Ordering::Relaxed);
        let event = match failed && removed.as_ref().is_some_and(is_moving) {
            true => RolloutEvent::FailedMoving,
            false => RolloutEvent::Ended(failed),
        };
        state.tell(pid, event);
        drop(state);
        drop(removed);
    }
}

impl<M> State<M> {
    /// Whether a reload asks one process after the other to move.
    fn moves_one_by_one(&self) -> bool {
        self.ongoing.is_some() && !self.goes_back()
    }

    /// Whether a reload goes on whose processes go back.
    fn goes_back(&self) -> bool {
        let ongoing = self.ongoing.as_ref();
        ongoing.is_some_and(|ongoing| ongoing.rollout.goes_back())
    }

    fn find(&self, hash: &[u8; 32]) -> Option<&Version<M>> {
        let versions = [Some(&self.current), self.old.as_ref()];
        versions
            .into_iter()
            .flatten()
            .find(|version| version.hash == *hash)
    }

    /// The next members behind the last one that was seen to.
    fn piece(&self, last: Option<Pid>) -> Vec<Arc<Member<M>>> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.members.range((from, Bound::Unbounded));
        let piece = behind.take(PIECE).map(|(_, member)| member.clone());
        piece.collect()
    }

    /// Decides whether a process is wanted while no reload asks one after the other.
    fn settle(&self, member: &Member<M>) -> Settled {
        let offered = member.state.lock();
        let settled = match &offered.offer {
            _ if offered.runs == self.current.hash => Settled::Current,
            None => Settled::WithoutOffer,
            Some((kind, version)) => match self.current.entries.best(kind, *version) {
                None => Settled::WithoutEntry,
                Some(_) if offered.refused == Some(self.current.hash) => Settled::Refused,
                Some(_) => Settled::Wanted,
            },
        };
        let is_wanted = settled == Settled::Wanted;
        member.is_wanted.store(is_wanted, Ordering::Release);
        settled
    }
}

impl<M: Clone> State<M> {
    /// Tells the reload that goes on, if one does, what has happened.
    fn tell(&mut self, pid: Pid, event: RolloutEvent) {
        let now = Instant::now();
        let ongoing = self.ongoing.as_mut();
        let actions = ongoing.map(|ongoing| ongoing.rollout.handle(now, pid, event));
        self.take_actions(actions.unwrap_or_default());
    }

    fn take_actions(&mut self, actions: Vec<RolloutAction>) {
        let Some(ongoing) = &self.ongoing else {
            return;
        };
        for action in actions {
            if action == RolloutAction::GoBack {
                // At once: nobody is to move on to a version that was given up.
                let given_up = mem::replace(&mut self.current, ongoing.previous.clone());
                self.old = Some(given_up);
            }
            // Who receives them is the reload itself.
            ongoing.actions.try_send(action).ok();
        }
    }
}

/// Whether a process is wanted; or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Wanted,
    /// It runs the current version.
    Current,
    /// It does not offer itself.
    WithoutOffer,
    /// The current version has no entry for it.
    WithoutEntry,
    /// It was asked, and that has come to nothing.
    Refused,
}

impl<M> Member<M> {
    /// Whether the process offers itself.
    fn offers(&self) -> bool {
        self.state.lock().offer.is_some()
    }
}

impl<M: Clone + Send + Sync + 'static> Member<M> {
    /// Whether the process is to move at its next safe point.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// A reload to a version begins: the process is not wanted until it is asked, and if an
    /// attempt of its goes on, that ends.
    ///
    /// - `left_out`: the hash of a version whose processes do not move.
    fn begins_reload(&self, to: &Version<M>, left_out: Option<[u8; 32]>) {
        let mut own = self.state.lock();
        own.refused = (Some(own.runs) == left_out).then_some(to.hash);
        drop(own);
        if self.is_wanted.swap(false, Ordering::AcqRel) {
            self.process.wake();
        }
    }

    /// The process is of this kind, and writes this version of its state; or offers
    /// itself no longer.
    pub fn offer(&self, offer: Option<(Arc<str>, i64)>) {
        let Some(named) = self.named.upgrade() else {
            return;
        };
        let mut state = named.state.lock();
        let pid = self.process.id();
        let before = mem::replace(&mut self.state.lock().offer, offer.clone());
        state.offering += usize::from(offer.is_some());
        state.offering -= usize::from(before.is_some());
        if let Some(meanwhile) = &mut state.meanwhile {
            meanwhile.insert(pid, Meanwhile::Offered);
        }
        let was_wanted = self.is_wanted();
        let settled = state.settle(self);
        match (settled, offer) {
            (Settled::Wanted, Some((kind, _))) if state.moves_one_by_one() => {
                // It waits until it is asked, unless it was.
                self.is_wanted.store(was_wanted, Ordering::Release);
                state.tell(pid, RolloutEvent::Offered(kind));
            }
            (Settled::WithoutEntry, _) => state.tell(pid, without_entry()),
            (Settled::WithoutOffer, _) => state.tell(pid, without_offer()),
            _ => {}
        }
    }

    /// What a reload to a version is told that has not been told of an offer; nothing of one
    /// that runs it.
    fn event_of_offer(&self, version: &Version<M>) -> Option<RolloutEvent> {
        let own = self.state.lock();
        if own.runs == version.hash || own.refused == Some(version.hash) {
            return None;
        }
        Some(match &own.offer {
            None => without_offer(),
            Some((kind, written)) => match version.entries.best(kind, *written) {
                None => without_entry(),
                Some(_) => RolloutEvent::Offered(kind.clone()),
            },
        })
    }

    /// Where the process is to move; `None` if it is not.
    pub fn target(&self) -> Option<Target<M>> {
        if !self.is_wanted() {
            return None;
        }
        let named = self.named.upgrade()?;
        let state = named.state.lock();
        let own = self.state.lock();
        let (kind, offered) = own.offer.clone()?;
        let version = state.current.clone();
        let state_version = version.entries.best(&kind, offered)?;
        let is_other = own.runs != version.hash;
        is_other.then_some(Target {
            version,
            kind,
            state_version,
        })
    }

    /// The process is told where it is to move, or that it is not to.
    pub fn set_moving(&self, is_moving: bool) {
        // Most are told that they are not, again and again.
        if self.is_moving.load(Ordering::Relaxed) != is_moving {
            self.is_moving.store(is_moving, Ordering::Relaxed);
        }
    }

    /// The process hands over to a version: an attempt begins. That it has
    /// [accepted](Member::accepts) or [`failed`](Member::failed) has to follow, unless it ends.
    /// If it is [wanted](Member::is_wanted) no longer meanwhile, the attempt is to end.
    ///
    /// # Errors
    ///
    /// [`NotWanted`] if that version is not the current one any more; nothing has begun then.
    pub fn begins(&self, to: &[u8; 32]) -> Result<(), NotWanted> {
        let named = self.named.upgrade().ok_or(NotWanted)?;
        let mut state = named.state.lock();
        if state.current.hash != *to || !self.is_wanted() {
            return Err(NotWanted);
        }
        state.tell(self.process.id(), RolloutEvent::Began);
        Ok(())
    }

    /// An attempt to move has failed: the process is not asked again to move there.
    pub fn failed(&self, target: &[u8; 32], why: String) {
        self.refuse(target, RolloutEvent::Failed(why));
    }

    /// The process declines to move.
    pub fn declined(&self, why: String) {
        if let Some(target) = self.target() {
            self.refuse(&target.version.hash, RolloutEvent::Declined(why));
        }
    }

    fn refuse(&self, target: &[u8; 32], event: RolloutEvent) {
        self.set_moving(false);
        let Some(named) = self.named.upgrade() else {
            return;
        };
        let mut state = named.state.lock();
        if state.current.hash == *target {
            self.state.lock().refused = Some(*target);
            self.is_wanted.store(false, Ordering::Release);
        } else if !(matches!(event, RolloutEvent::Failed(_)) && state.goes_back()) {
            // Only who goes back waits for the end of an attempt to move forward.
            return;
        }
        state.tell(self.process.id(), event);
    }

    /// If the process is of one of these kinds, it is not asked to move to a version any more.
    fn give_up(&self, kinds: &BTreeSet<Arc<str>>, to: &[u8; 32]) {
        let mut own = self.state.lock();
        let is_of = |(kind, _): &(Arc<str>, i64)| kinds.contains(kind);
        if own.runs != *to && own.offer.as_ref().is_some_and(is_of) {
            own.refused = Some(*to);
        }
    }

    /// The process will run another version in a moment, and does not offer itself until it
    /// does so again. That it has [`moved`](Member::moved) has to follow.
    ///
    /// # Errors
    ///
    /// [`NotWanted`] if that version is not the current one any more.
    pub fn accepts(&self, to: &[u8; 32]) -> Result<(), NotWanted> {
        let named = self.named.upgrade().ok_or(NotWanted)?;
        let mut state = named.state.lock();
        if state.current.hash != *to || !self.is_wanted() {
            return Err(NotWanted);
        }
        self.set_moving(false);
        let mut own = self.state.lock();
        own.runs = *to;
        own.refused = None;
        state.offering -= usize::from(own.offer.take().is_some());
        drop(own);
        self.is_wanted.store(false, Ordering::Release);
        state.tell(self.process.id(), RolloutEvent::Accepted);
        Ok(())
    }

    /// The process runs the version that it has accepted.
    ///
    /// - `pause`: how long it ran neither the one nor the other.
    pub fn moved(&self, pause: Duration) {
        if let Some(named) = self.named.upgrade() {
            let mut state = named.state.lock();
            state.tell(self.process.id(), RolloutEvent::Moved(pause));
        }
    }
}

fn wake<M>(members: &[Arc<Member<M>>]) {
    for member in members {
        if member.is_wanted.load(Ordering::Acquire) {
            member.process.wake();
        }
    }
}

fn without_entry() -> RolloutEvent {
    RolloutEvent::Declined("the current version has no entry for its kind".to_owned())
}

fn without_offer() -> RolloutEvent {
    RolloutEvent::Declined("it offers itself no longer".to_owned())
}

fn no_entry(missing: HashMap<(Arc<str>, i64), usize>) -> ReloadError {
    let missing = missing.into_iter();
    let mut missing: Vec<_> = missing
        .map(|((kind, version), processes)| MissingEntry {
            kind: kind.to_string(),
            version,
            processes,
        })
        .collect();
    missing.sort_by(|a, b| (&a.kind, a.version).cmp(&(&b.kind, b.version)));
    ReloadError::NoEntry(missing)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadError::UnknownName { name, known } if known.is_empty() => {
                write!(
                    f,
                    "there is no module `{name}`, nor any other that has a name"
                )
            }
            ReloadError::UnknownName { name, known } => {
                write!(
                    f,
                    "there is no module `{name}`; there are `{}`",
                    known.join("`, `")
                )
            }
            ReloadError::InProgress(name) => {
                write!(f, "another reload of `{name}` has not ended yet")
            }
            ReloadError::NoEntry(missing) => {
                f.write_str("the new version cannot take over all processes:")?;
                for entry in missing {
                    let export = Entries::export(&entry.kind, entry.version);
                    write!(
                        f,
                        " {} of the kind `{}` write their state in version {}, and it exports neither `{export}` nor one of a lower version;",
                        entry.processes, entry.kind, entry.version
                    )?;
                }
                f.write_str(" nothing was changed")
            }
            ReloadError::ThirdVersion { hash, processes } => {
                let shown: Vec<_> = processes.iter().take(10).map(Pid::to_string).collect();
                let more = processes.len() - shown.len();
                write!(
                    f,
                    "processes still run the version {} before the current one: {}",
                    hash.get(..12).unwrap_or(hash),
                    shown.join(", ")
                )?;
                if more > 0 {
                    write!(f, " and {more} more")?;
                }
                f.write_str("; wait until they have moved or ended, or end them with --purge")
            }
        }
    }
}

impl Error for ReloadError {}

impl fmt::Display for NotWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reload was taken back meanwhile")
    }
}

impl Error for NotWanted {}

impl<M> Clone for Versions<M> {
    fn clone(&self) -> Versions<M> {
        Versions {
            shared: self.shared.clone(),
        }
    }
}

impl<M: Clone + Send + Sync + 'static> Default for Versions<M> {
    fn default() -> Versions<M> {
        Versions::new()
    }
}

impl<M> fmt::Debug for Versions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Versions")
    }
}

impl<M> fmt::Debug for Member<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("process", &self.process)
            .field("is_wanted", &self.is_wanted)
            .finish_non_exhaustive()
    }
}
