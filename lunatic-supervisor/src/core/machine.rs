//! The state machine: what follows from what.
//!
//! At any time it does one [`Task`] or none. What happens meanwhile and is not
//! part of the task waits in [`Machine::pending`]; only the order to end does
//! not. A child's deadline or delay is an entry in [`Machine::timers`].

mod requests;
mod restarting;
mod starting;
mod stopping;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_process::ExitReason;
use rustc_hash::FxHashMap;

use crate::core::action::{Action, End};
use crate::core::backoff::Chance;
use crate::core::child::{Child, ChildCounts, ChildInfo, ChildKey, Shared, State};
use crate::core::event::{ChildRef, SupervisorEvent};
use crate::core::input::{Input, Request, RequestError, RequestId};
use crate::core::intensity::Window;
use crate::core::spec::{ChildKind, ChildSpec, Flags, MAX_CHILDREN, SpecError, Strategy};

/// A supervisor without its processes.
///
/// Feed it with [`Input`]s, and do the [`Action`]s it asks for, in their order.
///
/// - `S`: how a child is started; handed through.
#[derive(Debug)]
pub struct Machine<S> {
    flags: Flags,
    /// In the order in which they were added, which is the order of starting.
    children: BTreeMap<ChildKey, Child<S>>,
    /// Empty where children are made from a template.
    names: FxHashMap<Arc<str>, ChildKey>,
    template: Option<Arc<Shared<S>>>,
    next_key: u64,
    window: Window,
    chance: Chance,
    task: Task,
    pending: VecDeque<Pending<S>>,
    timers: BTreeSet<(Instant, ChildKey)>,
    /// How many significant children are not stopped.
    significant: usize,
    /// How many children have a process.
    active: usize,
    actions: VecDeque<Action>,
}

/// What is being done.
#[derive(Debug)]
enum Task {
    None,
    Start {
        /// The next is the last.
        rest: Vec<ChildKey>,
        why: Why,
    },
    Stop {
        /// How many were told to end and have not yet.
        waiting: usize,
        /// The next is the last.
        rest: Vec<ChildKey>,
        then: Then,
    },
    Ended,
}

/// Why children are started.
#[derive(Debug)]
enum Why {
    Begin,
    Restart,
    Added(RequestId),
    Requested(RequestId),
}

/// What comes when children are stopped.
#[derive(Debug)]
enum Then {
    /// They are started again after a delay, because this one has ended.
    Restart(ChildKey, Duration),
    Reply(RequestId, ChildKey),
    End(End),
}

/// What waits for the end of a task.
#[derive(Debug)]
enum Pending<S> {
    /// A child has ended on its own.
    Exit(ChildKey),
    /// A restart has failed.
    Retry(ChildKey, ExitReason),
    /// The delay before a restart is over.
    Resume(ChildKey),
    Request(RequestId, Request<S>),
}

impl<S> Machine<S> {
    /// A supervisor that has not begun.
    ///
    /// - `children`: in the order in which they are to be started; only the
    ///   template for [`Strategy::SimpleOneForOne`].
    /// - `seed`: any number, for the jitter of a [`Backoff`](crate::Backoff).
    ///
    /// # Errors
    ///
    /// [`SpecError`].
    pub fn new(
        flags: Flags,
        children: Vec<ChildSpec<S>>,
        seed: u64,
    ) -> Result<Machine<S>, SpecError> {
        flags.check()?;
        let mut machine = Machine {
            flags,
            children: BTreeMap::new(),
            names: FxHashMap::default(),
            template: None,
            next_key: 0,
            window: Window::new(flags.intensity),
            chance: Chance::new(seed),
            task: Task::None,
            pending: VecDeque::new(),
            timers: BTreeSet::new(),
            significant: 0,
            active: 0,
            actions: VecDeque::new(),
        };
        match flags.strategy {
            Strategy::SimpleOneForOne => machine.set_template(children)?,
            _ => machine.set_children(children)?,
        }
        Ok(machine)
    }

    fn set_template(&mut self, children: Vec<ChildSpec<S>>) -> Result<(), SpecError> {
        let count = children.len();
        let mut children = children.into_iter();
        let (Some(template), None) = (children.next(), children.next()) else {
            return Err(SpecError::NotOneTemplate(count));
        };
        self.flags.check_child(&template)?;
        self.template = Some(Shared::new(template));
        Ok(())
    }

    fn set_children(&mut self, children: Vec<ChildSpec<S>>) -> Result<(), SpecError> {
        for child in children {
            self.flags.check_child(&child)?;
            self.check_room()?;
            if self.names.contains_key(child.name.as_str()) {
                return Err(SpecError::DuplicateName(child.name));
            }
            self.insert(Shared::new(child), None);
        }
        Ok(())
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, input: Input<S>, now: Instant) {
        match input {
            Input::Begin => self.start_all(self.all_keys(), Why::Begin),
            Input::Started(key) => self.started(key, now),
            Input::StartFailed(key, reason) => self.start_failed(key, reason, now),
            Input::Exited(key, reason) => self.exited(key, reason, now),
            Input::Timeout => self.time_has_come(now),
            Input::Request(id, request) => self.requested(id, request),
            Input::ShutDown(end) => self.end(end, now),
        }
        self.go_on(now);
    }

    /// The next thing to be done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to come back with [`Input::Timeout`], unless something happens before.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// How a child is started, while it is there.
    pub fn start(&self, key: ChildKey) -> Option<&S> {
        self.children.get(&key).map(Child::start)
    }

    /// A child as events name it, while it is there.
    pub fn child(&self, key: ChildKey) -> Option<ChildRef> {
        self.children
            .contains_key(&key)
            .then(|| self.child_ref(key))
    }

    /// The child of this name.
    pub fn find(&self, name: &str) -> Option<ChildKey> {
        self.names.get(name).copied()
    }

    /// How the children are started that are made from the template.
    pub fn template(&self) -> Option<&S> {
        self.template.as_ref().map(|shared| &shared.spec.start)
    }

    /// All children, in the order in which they were added.
    pub fn children(&self) -> impl Iterator<Item = ChildInfo> {
        self.children.iter().map(|(key, child)| ChildInfo {
            key: *key,
            name: child.shared.name.clone(),
            status: child.state.status(),
            kind: child.spec().kind,
            restart: child.spec().restart,
            restarts: child.restarts,
        })
    }

    /// How many children there are.
    pub fn counts(&self) -> ChildCounts {
        let all = self.children.len() as u64;
        let is_supervisor = |child: &&Child<S>| child.spec().kind == ChildKind::Supervisor;
        let supervisors = match &self.template {
            Some(template) if template.spec.kind == ChildKind::Supervisor => all,
            Some(_) => 0,
            None => self.children.values().filter(is_supervisor).count() as u64,
        };
        ChildCounts {
            specs: if self.template.is_some() { 1 } else { all },
            active: self.active as u64,
            supervisors,
            workers: all - supervisors,
        }
    }

    /// Does what waits, as long as nothing is being done.
    fn go_on(&mut self, now: Instant) {
        while let Task::None = self.task {
            match self.pending.pop_front() {
                None => return,
                Some(Pending::Exit(key)) => self.after_exit(key, now),
                Some(Pending::Retry(key, reason)) => self.retry(key, reason, now),
                Some(Pending::Resume(key)) => self.resume(key),
                Some(Pending::Request(id, request)) => self.begin_request(id, request, now),
            }
        }
    }

    /// The process of a child has ended.
    fn exited(&mut self, key: ChildKey, reason: ExitReason, now: Instant) {
        match self.children.get(&key).map(|child| &child.state) {
            Some(State::Starting) => self.start_failed(key, reason, now),
            Some(State::Running) => {
                self.set_state(key, State::Dead(reason));
                self.pending.push_back(Pending::Exit(key));
            }
            Some(State::Stopping(_)) => self.stopped(key, now),
            _ => {}
        }
    }

    fn time_has_come(&mut self, now: Instant) {
        while let Some((due, key)) = self.timers.first().copied() {
            if due > now {
                return;
            }
            match self.children.get(&key).map(|child| &child.state) {
                Some(State::Stopping(_)) => self.overdue(key),
                Some(State::Waiting(_)) => {
                    self.set_state(key, State::Waiting(None));
                    self.pending.push_back(Pending::Resume(key));
                }
                _ => unreachable!("a timer belongs to a child that waits for it"),
            }
        }
    }

    fn check_room(&self) -> Result<(), SpecError> {
        match self.children.len() < MAX_CHILDREN {
            true => Ok(()),
            false => Err(SpecError::TooManyChildren),
        }
    }

    fn insert(&mut self, shared: Arc<Shared<S>>, own_start: Option<S>) -> ChildKey {
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        if self.template.is_none() {
            self.names.insert(shared.name.clone(), key);
        }
        self.children.insert(key, Child::new(shared, own_start));
        key
    }

    /// Takes a stopped child out.
    fn remove(&mut self, key: ChildKey) {
        self.set_state(key, State::Stopped);
        let removed = self.children.remove(&key);
        if let (Some(child), None) = (removed, &self.template) {
            self.names.remove(&child.shared.name);
        }
    }

    /// The only place where states change: what is counted over all children
    /// changes with them.
    fn set_state(&mut self, key: ChildKey, state: State) -> Option<State> {
        let child = self.children.get_mut(&key)?;
        let is_significant = child.shared.spec.significant;
        let counts = |state: &State| {
            let significant = is_significant && !matches!(state, State::Stopped);
            (usize::from(significant), usize::from(state.has_process()))
        };
        let (old_counts, new_counts) = (counts(&child.state), counts(&state));
        let new_due = state.due();
        let old = std::mem::replace(&mut child.state, state);
        if let Some(due) = old.due() {
            self.timers.remove(&(due, key));
        }
        if let Some(due) = new_due {
            self.timers.insert((due, key));
        }
        self.significant = self.significant + new_counts.0 - old_counts.0;
        self.active = self.active + new_counts.1 - old_counts.1;
        Some(old)
    }

    fn all_keys(&self) -> Vec<ChildKey> {
        self.children.keys().copied().collect()
    }

    fn child_ref(&self, key: ChildKey) -> ChildRef {
        let name = self
            .children
            .get(&key)
            .map(|child| child.shared.name.clone());
        ChildRef {
            key,
            name: name.unwrap_or_default(),
            from_template: self.template.is_some(),
        }
    }

    fn tell(&mut self, event: SupervisorEvent) {
        self.actions.push_back(Action::Tell(event));
    }

    fn reply(&mut self, id: RequestId, result: Result<ChildKey, RequestError>) {
        self.actions.push_back(Action::Reply(id, result));
    }
}
