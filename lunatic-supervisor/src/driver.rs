//! The process that carries out what the state machine decides.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Instant;

use async_channel::Sender;
use async_io::Timer;
use futures_lite::future;
use lunatic_account::{Charge, Exceeded};
use lunatic_blocking::DropLater;
use lunatic_mailbox::{Mailbox, Message, Pid, PidMap, Wanted};
use lunatic_process::{Context, ExitReason, Failure, LinkNotice, Process, Shutdown};
use rustc_hash::FxHashMap;

use crate::core::{
    Action, ChildKey, ChildRef, End, Input, Machine, Request, RequestError, RequestId,
    SupervisorEvent,
};
use crate::log::Log;
use crate::restarts::count_restart;
use crate::spec::{DROP_LATER_CHILDREN, Observer};
use crate::start::{
    Charged, ChildContext, ChildStart, Preparation, Ready, Spawned, Stage, Starting,
};
use crate::supervisor::{Adapt, Answer, Call, ChildId, ChildList, ChildProcess, PaidCall};

/// After so many steps, other tasks may run on this core.
const STEPS: u32 = 64;

/// A supervisor as the body of a process.
pub(crate) struct Driver {
    own: Process,
    mailbox: Mailbox,
    machine: DropLater<Machine<ChildStart>>,
    /// The processes of children that may be alive, and the other way round.
    processes: DropLater<FxHashMap<ChildKey, Process>>,
    keys: PidMap<ChildKey>,
    /// The one child that has not started yet, and what it waits for.
    starting: Option<(ChildKey, Awaited)>,
    /// With what is charged for the requests.
    answers: FxHashMap<RequestId, (Answer, Option<Charge>)>,
    next_request: u64,
    parent: Option<Pid>,
    path: Arc<str>,
    observer: Option<Observer>,
    /// Told when all children are started, or that one could not be.
    report: Sender<Result<(), Failure>>,
    log: Log,
    steps: u32,
}

/// The failure of a supervisor whose children could not all be started.
#[derive(Debug)]
struct ChildNotStarted {
    child: ChildRef,
    reason: ExitReason,
}

/// The future that a starting child waits for.
enum Awaited {
    Process(Preparation),
    Ready(Ready),
}

/// The event that has woken a supervisor.
enum Woken {
    Message(Message),
    Prepared(ChildKey, Result<Starting, Failure>),
    Ready(ChildKey, Result<(), Failure>),
    Late,
}

/// Returns a random number.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Driver {
    pub(crate) fn new(
        own: Context,
        machine: DropLater<Machine<ChildStart>>,
        parent: Option<Pid>,
        path: Arc<str>,
        observer: Option<Observer>,
        report: Sender<Result<(), Failure>>,
    ) -> Driver {
        Driver {
            own: own.process,
            mailbox: own.mailbox,
            machine,
            processes: DropLater::new(FxHashMap::default(), |processes| {
                processes.len() > DROP_LATER_CHILDREN
            }),
            keys: PidMap::default(),
            starting: None,
            answers: FxHashMap::default(),
            next_request: 0,
            parent,
            log: Log::new(path.clone()),
            path,
            observer,
            report,
            steps: 0,
        }
    }

    /// Runs until the supervisor ends.
    pub(crate) async fn run(mut self) -> Result<(), Failure> {
        self.feed(Input::Begin);
        loop {
            while let Some(action) = self.machine.next_action() {
                if let Action::End(end) = action {
                    return self.finish(end);
                }
                self.act(action);
                self.yield_sometimes().await;
            }
            match self.next().await {
                Woken::Message(message) => self.hear(message).await,
                Woken::Prepared(key, starting) => self.go_on_starting(key, starting),
                Woken::Ready(key, Ok(())) => self.feed(Input::Started(key)),
                Woken::Ready(key, Err(failure)) => self.start_failed(key, failure),
                Woken::Late => self.feed(Input::Timeout),
            }
            self.yield_sometimes().await;
        }
    }

    fn feed(&mut self, input: Input<ChildStart>) {
        self.machine.handle(input, Instant::now());
    }

    /// Waits for what happens next. A message that is there already is taken at once,
    /// unless a timeout is due or a child is being started.
    async fn next(&mut self) -> Woken {
        let due = earlier(self.machine.next_timeout(), self.log.next_flush());
        if due.is_some_and(|due| due <= Instant::now()) {
            self.log.flush_if_due(Instant::now(), &self.own);
            return Woken::Late;
        }
        if self.starting.is_none()
            && let Some(message) = self.mailbox.try_receive(&Wanted::Any)
        {
            return Woken::Message(message);
        }
        let starting = &mut self.starting;
        let ready = async {
            match starting {
                Some((key, Awaited::Process(preparation))) => {
                    Woken::Prepared(*key, preparation.await)
                }
                Some((key, Awaited::Ready(ready))) => Woken::Ready(*key, ready.await),
                None => future::pending().await,
            }
        };
        let message = async { Woken::Message(self.mailbox.receive(Wanted::Any).await) };
        let late = async {
            match due {
                Some(due) => drop(Timer::at(due).await),
                None => future::pending().await,
            }
            Woken::Late
        };
        let event = future::or(ready, future::or(message, late)).await;
        match &event {
            Woken::Prepared(..) | Woken::Ready(..) => self.starting = None,
            Woken::Late => self.log.flush_if_due(Instant::now(), &self.own),
            Woken::Message(_) => {}
        }
        event
    }

    async fn hear(&mut self, mut message: Message) {
        match LinkNotice::take(&mut message) {
            Some(LinkNotice::Exit { from, reason }) => self.hear_exit(from, reason),
            // A child that removes its link to the supervisor is linked again.
            Some(LinkNotice::Unlinked { peer }) if self.keys.contains_key(&peer) => {
                self.own.link(peer, None);
            }
            Some(_) => {}
            None => {
                if let Message::Data(mut data) = message
                    && let Some(PaidCall { call, charge }) = data.take(0)
                {
                    self.answer(call, charge).await;
                }
            }
        }
    }

    fn hear_exit(&mut self, from: Pid, reason: ExitReason) {
        if let Some(key) = self.keys.get(&from).copied() {
            let process = self.processes.get(&key);
            // A child that is linked again after its end is reported as ended once more.
            let Some(reason) = process.and_then(Process::exit_reason) else {
                return;
            };
            self.forget_process(key);
            self.feed(Input::Exited(key, reason));
        } else if Some(from) == self.parent {
            let reason = match reason {
                ExitReason::Normal | ExitReason::Shutdown => reason,
                _ => ExitReason::link_death(from),
            };
            self.feed(Input::ShutDown(End::Asked(reason)));
        }
    }

    fn start_failed(&mut self, key: ChildKey, failure: Failure) {
        self.forget_process(key);
        self.feed(Input::StartFailed(key, failure.into()));
    }

    fn forget_process(&mut self, key: ChildKey) {
        if let Some(process) = self.processes.remove(&key) {
            self.keys.remove(&process.id());
        }
        if self
            .starting
            .as_ref()
            .is_some_and(|(starting, _)| *starting == key)
        {
            self.starting = None;
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(key) => self.start(key),
            Action::Kill(key) => match self.processes.get(&key) {
                Some(process) => process.kill(),
                None => self.give_up_start(key, ExitReason::Killed),
            },
            Action::AskToEnd(key) => match self.processes.get(&key) {
                Some(process) => self.own.exit(process.id(), ExitReason::Shutdown),
                None => self.give_up_start(key, ExitReason::Shutdown),
            },
            Action::Ready => drop(self.report.try_send(Ok(()))),
            Action::Reply(id, result) => self.reply(id, result),
            Action::Tell(event) => self.tell(&event),
            Action::End(_) => {}
        }
    }

    fn start(&mut self, key: ChildKey) {
        let (Some(start), Some(child)) = (self.machine.start(key), self.machine.child(key)) else {
            return;
        };
        let context = ChildContext {
            supervisor: &self.own,
            path: &self.path,
            child: &child,
            observer: self.observer.as_ref(),
        };
        let starting = start.start(&context);
        self.go_on_starting(key, starting);
    }

    fn go_on_starting(&mut self, key: ChildKey, starting: Result<Starting, Failure>) {
        match starting {
            Ok(Starting(Stage::Preparing(preparation))) => {
                self.starting = Some((key, Awaited::Process(preparation)));
            }
            Ok(Starting(Stage::Spawned(spawned))) => self.spawned(key, spawned),
            Err(failure) => self.feed(Input::StartFailed(key, failure.into())),
        }
    }

    fn spawned(&mut self, key: ChildKey, Spawned { process, ready }: Spawned) {
        if process.label().is_none()
            && let Some(child) = self.machine.child(key)
            && !child.from_template
        {
            process.set_label(&child.name);
        }
        self.keys.insert(process.id(), key);
        if !self.own.is_linked(process.id()) {
            self.own.link(process.id(), None);
        }
        self.processes.insert(key, process);
        match ready {
            Some(ready) => self.starting = Some((key, Awaited::Ready(ready))),
            None => self.feed(Input::Started(key)),
        }
    }

    /// Does not spawn a child that has no process yet.
    fn give_up_start(&mut self, key: ChildKey, reason: ExitReason) {
        if self
            .starting
            .take_if(|(starting, _)| *starting == key)
            .is_some()
        {
            self.feed(Input::StartFailed(key, reason));
        }
    }

    async fn answer(&mut self, call: Call, charge: Option<Charge>) {
        match call {
            Call::Add(mut spec, answer) => match self.charged(spec.start, spec.name.len()) {
                Ok(start) => {
                    spec.start = start;
                    self.request(Request::Add(spec), answer, charge);
                }
                Err(exceeded) => refuse(&answer, exceeded),
            },
            Call::AddFromTemplate(adapt, _, answer) => {
                self.add_from_template(adapt, answer, charge)
            }
            Call::Restart(child, answer) => {
                self.request_of(child, Request::Restart, answer, charge);
            }
            Call::Terminate(child, answer) => {
                self.request_of(child, Request::Terminate, answer, charge);
            }
            Call::Delete(child, answer) => self.request_of(child, Request::Delete, answer, charge),
            // The caller may have ended.
            Call::List(answer) => drop(answer.try_send(self.list(charge).await)),
            Call::Count(answer) => drop(answer.try_send(self.machine.counts())),
            Call::ShutDown => self.feed(Input::ShutDown(End::Asked(ExitReason::Normal))),
        }
    }

    fn request_of(
        &mut self,
        child: ChildId,
        request: impl FnOnce(ChildKey) -> Request<ChildStart>,
        answer: Answer,
        charge: Option<Charge>,
    ) {
        let key = match child {
            ChildId::Key(key) => Some(key),
            ChildId::Process(process) => self.keys.get(&process).copied(),
            ChildId::Name(name) => self.machine.find(&name),
        };
        match key {
            Some(key) => self.request(request(key), answer, charge),
            None => drop(answer.try_send(Err(RequestError::NotFound))),
        }
    }

    fn add_from_template(&mut self, adapt: Box<Adapt>, answer: Answer, charge: Option<Charge>) {
        let template = self.machine.template();
        let start = template.ok_or(RequestError::WrongStrategy).and_then(adapt);
        let charged =
            start.and_then(|start| self.charged(start, 0).map_err(RequestError::Exceeded));
        match charged {
            Ok(start) => self.request(Request::AddFromTemplate(Some(start)), answer, charge),
            Err(error) => drop(answer.try_send(Err(error))),
        }
    }

    /// Charges a new child to the account of the supervisor.
    fn charged(&self, start: ChildStart, name: usize) -> Result<ChildStart, Exceeded> {
        Charged::wrap(start, name, self.own.account())
    }

    fn request(&mut self, request: Request<ChildStart>, answer: Answer, charge: Option<Charge>) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.answers.insert(id, (answer, charge));
        self.feed(Input::Request(id, request));
    }

    fn reply(&mut self, id: RequestId, result: Result<ChildKey, RequestError>) {
        if let Some((answer, _charge)) = self.answers.remove(&id) {
            let result = result.map(|key| (key, self.processes.get(&key).cloned()));
            answer.try_send(result).ok();
        }
    }

    /// Lists the children, with pauses, in which nothing else happens here.
    ///
    /// - `charge`: what is charged for the request, and then for the list.
    async fn list(&mut self, mut charge: Option<Charge>) -> Result<ChildList, RequestError> {
        /// The number of children after which other tasks may run on this core.
        const CHILDREN_PER_STEP: usize = 256;
        let count = self.machine.len();
        if let Some(charge) = &mut charge {
            let bytes = count * size_of::<ChildProcess>();
            let charged = charge.set(charge.amount() + bytes as u64);
            charged.map_err(RequestError::Exceeded)?;
        }
        let mut children = Vec::with_capacity(count);
        for info in self.machine.children() {
            let process = self.processes.get(&info.key).cloned();
            children.push(ChildProcess { info, process });
            if children.len().is_multiple_of(CHILDREN_PER_STEP) {
                future::yield_now().await;
            }
        }
        Ok(ChildList {
            children,
            _charge: charge,
        })
    }

    fn tell(&mut self, event: &SupervisorEvent) {
        if let SupervisorEvent::Restarting { .. } = event {
            count_restart();
        }
        self.log.tell(event, Instant::now(), &self.own);
        if let Some(observer) = &self.observer {
            observer.tell(&self.path, event);
        }
    }

    /// Returns what the process ends with, after all children are stopped.
    fn finish(&mut self, end: End) -> Result<(), Failure> {
        self.log.flush(Instant::now(), &self.own);
        let failure = match end {
            End::Asked(ExitReason::Normal) => return Ok(()),
            End::Asked(ExitReason::Failed(failure)) => failure,
            End::StartFailed(child, reason) => {
                let failure = Failure::new(ChildNotStarted { child, reason });
                self.report.try_send(Err(failure.clone())).ok();
                // The link to the parent is only for a supervisor that has started.
                if let Some(parent) = self.parent {
                    self.own.unlink(parent);
                }
                failure
            }
            _ => Failure::new(Shutdown),
        };
        Err(failure)
    }

    /// Lets other tasks run after some steps.
    async fn yield_sometimes(&mut self) {
        self.steps += 1;
        if self.steps >= STEPS {
            self.steps = 0;
            future::yield_now().await;
        }
    }
}

fn refuse(answer: &Answer, exceeded: Exceeded) {
    // The caller may have ended.
    answer.try_send(Err(RequestError::Exceeded(exceeded))).ok();
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl fmt::Display for ChildNotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the child `{}` did not start: {}",
            self.child, self.reason
        )
    }
}

impl Error for ChildNotStarted {}
