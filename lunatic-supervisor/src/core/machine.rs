//! The state machine of a supervisor.
//!
//! At any time it does one [`Task`] or none. Events that are not part of that task wait
//! in [`Machine::pending`], except for the order to end. Deadlines and delays of
//! children are entries in [`Machine::timers`].

mod requests;
mod restarting;
mod starting;
mod stopping;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_process::ExitReason;

use crate::core::action::Action;
use crate::core::backoff::Chance;
use crate::core::child::{Child, ChildCounts, ChildInfo, ChildKey, Shared, State};
use crate::core::end::End;
use crate::core::event::{ChildRef, SupervisorEvent};
use crate::core::input::{Input, Request, RequestError, RequestId};
use crate::core::intensity::Window;
use crate::core::spec::{ChildKind, ChildSpec, Flags, Strategy};
use crate::core::spec_error::{MAX_CHILDREN, SpecError};

/// The decisions of a supervisor, without its processes.
///
/// It is given [`Input`]s, and returns the [`Action`]s that have to be carried out, in
/// this order.
///
/// - `S`: how a child is started, which the machine only keeps.
///
/// # Examples
///
/// A child that fails is started again:
///
/// ```
/// use std::time::Instant;
///
/// use lunatic_process::{ExitReason, Failure};
/// use lunatic_supervisor::core::{Action, Input, Machine};
/// use lunatic_supervisor::{ChildSpec, Flags};
///
/// let children = vec![ChildSpec::new("database", "how it is started")];
/// let mut machine = Machine::new(Flags::default(), children, 0)?;
/// let mut starts = |machine: &mut Machine<&str>, input| {
///     machine.handle(input, Instant::now());
///     let mut started = Vec::new();
///     while let Some(action) = machine.next_action() {
///         if let Action::Start(child) = action {
///             started.push(child);
///         }
///     }
///     started
/// };
///
/// let started = starts(&mut machine, Input::Begin);
/// let [child] = started[..] else { panic!("there is one child") };
/// assert!(starts(&mut machine, Input::Started(child)).is_empty());
/// let reason = ExitReason::Failed(Failure::new("on purpose"));
/// assert_eq!(starts(&mut machine, Input::Exited(child, reason)), [child]);
/// # Ok::<(), lunatic_supervisor::SpecError>(())
/// ```
#[derive(Debug)]
pub struct Machine<S> {
    flags: Flags,
    /// In the order in which they were added, and in which they are started.
    children: BTreeMap<ChildKey, Child<S>>,
    /// Empty if children are made from a template. With a random seed, as guests choose
    /// the names.
    names: HashMap<Arc<str>, ChildKey>,
    template: Option<Arc<Shared<S>>>,
    next_key: u64,
    window: Window,
    chance: Chance,
    task: Task,
    pending: VecDeque<Pending<S>>,
    timers: BTreeSet<(Instant, ChildKey)>,
    /// The number of significant children that are not stopped.
    significant: usize,
    /// The number of children that have a process.
    active: usize,
    actions: VecDeque<Action>,
}

/// The state of the machine.
#[derive(Debug)]
enum Task {
    None,
    Start {
        /// The children after the one that is being started, in reverse order.
        rest: Vec<ChildKey>,
        why: Why,
    },
    Stop {
        /// The number of children that were asked to end and have not yet.
        waiting: usize,
        /// The other children, in reverse order.
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

/// The next step when children are stopped.
#[derive(Debug)]
enum Then {
    /// The children are started again after a delay, because this child has ended.
    Restart(ChildKey, Duration),
    Reply(RequestId, ChildKey),
    End(End),
}

/// An event that waits for the end of a task.
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
    /// Returns the machine of a supervisor that has not begun.
    ///
    /// - `children`: in the order in which they are started, or only the template for
    ///   [`Strategy::SimpleOneForOne`].
    /// - `seed`: a random number, for the jitter of a [`Backoff`](crate::Backoff).
    ///
    /// # Errors
    ///
    /// [`SpecError`] if the settings or the children are not valid.
    pub fn new(
        flags: Flags,
        children: Vec<ChildSpec<S>>,
        seed: u64,
    ) -> Result<Machine<S>, SpecError> {
        let mut machine = Machine::without_children(flags, children.len(), seed)?;
        for child in children {
            machine.specify(Shared::new(child))?;
        }
        Ok(machine)
    }

    /// Returns the machine of a supervisor that has not begun, and whose children are still to
    /// be [specified](Machine::specify).
    ///
    /// - `count`: their number.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if the settings are not valid, or there have to be more or fewer children.
    pub(crate) fn without_children(
        flags: Flags,
        count: usize,
        seed: u64,
    ) -> Result<Machine<S>, SpecError> {
        flags.check()?;
        if flags.strategy == Strategy::SimpleOneForOne && count != 1 {
            return Err(SpecError::NotOneTemplate(count));
        }
        Ok(Machine {
            flags,
            children: BTreeMap::new(),
            names: HashMap::new(),
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
        })
    }

    /// Adds a child, or the template, before the supervisor begins.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if it is not valid.
    pub(crate) fn specify(&mut self, child: Arc<Shared<S>>) -> Result<(), SpecError> {
        self.flags.check_child(&child.spec)?;
        if self.flags.strategy == Strategy::SimpleOneForOne {
            self.template = Some(child);
            return Ok(());
        }
        self.check_room()?;
        if self.names.contains_key(&child.name) {
            return Err(SpecError::DuplicateName(child.spec.name.clone()));
        }
        self.insert(child, None);
        Ok(())
    }

    /// Returns the number of children.
    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    /// Decides what follows from an input.
    ///
    /// - `now`: the time, which must not go back from one call to the next.
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

    /// Returns the next action, if there is one.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns when [`Input::Timeout`] has to be given.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Returns how a child is started, or `None` if it was removed.
    pub fn start(&self, key: ChildKey) -> Option<&S> {
        self.children.get(&key).map(Child::start)
    }

    /// Returns a child as events name it, or `None` if it was removed.
    pub fn child(&self, key: ChildKey) -> Option<ChildRef> {
        self.children
            .contains_key(&key)
            .then(|| self.child_ref(key))
    }

    /// Returns the child with this name.
    pub fn find(&self, name: &str) -> Option<ChildKey> {
        self.names.get(name).copied()
    }

    /// Returns how the children are started that are made from the template.
    pub fn template(&self) -> Option<&S> {
        self.template.as_ref().map(|shared| &shared.spec.start)
    }

    /// Returns all children, in the order in which they were added.
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

    /// Returns the numbers of children.
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

    /// Handles the events that wait, as long as there is no task.
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

    /// Removes a child that has no process.
    fn remove(&mut self, key: ChildKey) {
        self.set_state(key, State::Stopped);
        let removed = self.children.remove(&key);
        if let (Some(child), None) = (removed, &self.template) {
            self.names.remove(&child.shared.name);
        }
    }

    /// Changes the state of a child, and what is counted over all children. States are
    /// changed nowhere else. Returns the old state.
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
