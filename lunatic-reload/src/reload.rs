//! The course of a reload.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use futures_lite::{StreamExt, future};
use lunatic_mailbox::Pid;

use crate::error::{ReloadError, no_entry};
use crate::member::{wake, without_entry};
use crate::named::{Meanwhile, Named, Ongoing, PIECE, Settled};
use crate::report::{Outcome, ProcessReport, ReloadOptions, ReloadResult, Report};
use crate::rollout::{Rollout, RolloutAction, RolloutEvent};
use crate::version::Version;

/// How often a reload looks at the time.
const TICK: Duration = Duration::from_millis(20);

impl<M: Clone + Send + Sync + 'static> Named<M> {
    /// Begins a reload: no other one can begin until its [`end`](Named::end).
    pub(crate) fn begin(&self, version: &Version<M>) -> Result<Report, ReloadError> {
        let mut state = self.state.lock();
        if state.is_reloading {
            return Err(ReloadError::InProgress(self.name.to_string()));
        }
        state.is_reloading = true;
        state.meanwhile = Some(BTreeMap::new());
        Ok(Report {
            name: self.name.to_string(),
            from: hex(&state.current.hash),
            to: hex(&version.hash),
            result: ReloadResult::Unchanged,
            processes: Vec::new(),
        })
    }

    /// No reload goes on any more.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        state.is_reloading = false;
        let forgotten = state.meanwhile.take();
        drop(state);
        drop(forgotten);
    }

    /// Looks what each process would do, makes the version the current one, and moves the
    /// processes. What there is to do for each of them is done in pieces.
    pub(crate) async fn move_all(
        &self,
        mut report: Report,
        version: &Version<M>,
        options: ReloadOptions,
        left_out: &[[u8; 32]],
    ) -> Result<Report, ReloadError> {
        let is_current = report.from == report.to;
        let movable = match is_current {
            true => self.left_behind(version).await,
            false => self.movable(version, left_out).await?,
        };
        if is_current && movable.is_empty() {
            return Ok(report);
        }
        let options = ReloadOptions {
            // There is nothing to go back to.
            keep_going: options.keep_going || is_current,
            ..options
        };
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

    /// Makes the version the current one, and asks the first processes. Returns the versions
    /// that are not known any more.
    fn switch(
        &self,
        version: &Version<M>,
        mut rollout: Rollout,
        sender: Sender<RolloutAction>,
    ) -> Vec<Version<M>> {
        let mut state = self.state.lock();
        let previous = mem::replace(&mut state.current, version.clone());
        let dropped = match previous.hash == version.hash {
            true => Vec::new(),
            false => mem::replace(&mut state.old, vec![previous.clone()]),
        };
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

    /// The processes that would move to a version, in the order of their ids, with their
    /// kinds.
    ///
    /// - `left_out`: the hashes of versions whose processes are ended.
    ///
    /// # Errors
    ///
    /// [`ReloadError::NoEntry`].
    pub(crate) async fn movable(
        &self,
        version: &Version<M>,
        left_out: &[[u8; 32]],
    ) -> Result<Vec<(Pid, Arc<str>)>, ReloadError> {
        let mut missing: HashMap<(Arc<str>, i64), usize> = HashMap::new();
        let mut movable = Vec::new();
        self.for_each_piece(|members| {
            for member in members {
                let offered = member.state.lock();
                let Some((kind, written)) = &offered.offer else {
                    continue;
                };
                if offered.runs == version.hash || left_out.contains(&offered.runs) {
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

    /// The processes that do not run the current version although it has an entry for them, as
    /// [`movable`](Named::movable) returns them.
    async fn left_behind(&self, current: &Version<M>) -> Vec<(Pid, Arc<str>)> {
        let mut left_behind = Vec::new();
        self.for_each_piece(|members| {
            for member in members {
                let offered = member.state.lock();
                let Some((kind, written)) = &offered.offer else {
                    continue;
                };
                let has_entry = current.entries.best(kind, *written).is_some();
                if offered.runs != current.hash && has_entry {
                    left_behind.push((member.process.id(), kind.clone()));
                }
            }
        })
        .await;
        left_behind
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
                Outcome::Late | Outcome::NotAskedInTime if given_up.contains(&kind) => {
                    Outcome::NotAsked
                }
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
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
