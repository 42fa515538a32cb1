//! A state machine whose children do at once what they are told, and a clock
//! that the test sets.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses another part of it"
)]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use lunatic_process::{ExitReason, Failure};
use lunatic_supervisor::core::{Action, End, Input, Machine, Request, RequestId};
use lunatic_supervisor::{
    ChildKey, ChildSpec, ChildStatus, Flags, RequestError, SpecError, SupervisorEvent,
};

pub struct Rig {
    pub machine: Machine<()>,
    now: Instant,
    /// Names of children that do not start.
    pub broken: HashSet<String>,
    /// Names of children that do not end when they are asked to.
    pub stubborn: HashSet<String>,
    /// Names of children that neither start nor fail to.
    pub slow: HashSet<String>,
    names: HashMap<ChildKey, String>,
    /// What was done since the last look.
    done: Vec<String>,
    pub events: Vec<SupervisorEvent>,
    pub replies: Vec<Result<ChildKey, RequestError>>,
    pub end: Option<End>,
    requests: u64,
    /// Children that have a process.
    alive: HashSet<ChildKey>,
}

pub fn failed() -> ExitReason {
    ExitReason::Failed(Failure::new("it broke"))
}

impl Rig {
    pub fn new(flags: Flags, children: Vec<ChildSpec<()>>) -> Result<Rig, SpecError> {
        let mut rig = Rig {
            machine: Machine::new(flags, children, 7)?,
            now: Instant::now(),
            broken: HashSet::new(),
            stubborn: HashSet::new(),
            slow: HashSet::new(),
            names: HashMap::new(),
            done: Vec::new(),
            events: Vec::new(),
            replies: Vec::new(),
            end: None,
            requests: 0,
            alive: HashSet::new(),
        };
        rig.learn_names();
        Ok(rig)
    }

    /// A rig that has begun.
    pub fn started(flags: Flags, children: Vec<ChildSpec<()>>) -> Rig {
        let mut rig = Rig::new(flags, children).expect("a good specification");
        rig.feed(Input::Begin);
        rig.done();
        rig
    }

    /// Takes something in, and does what follows.
    pub fn feed(&mut self, input: Input<()>) {
        if let Input::Exited(key, _) | Input::StartFailed(key, _) = &input {
            self.alive.remove(key);
        }
        self.machine.handle(input, self.now);
        while let Some(action) = self.machine.next_action() {
            self.act(action);
        }
        self.learn_names();
    }

    pub fn exit(&mut self, name: &str, reason: ExitReason) {
        let key = self.key(name);
        self.feed(Input::Exited(key, reason));
    }

    pub fn request(&mut self, request: Request<()>) -> Option<Result<ChildKey, RequestError>> {
        self.requests += 1;
        self.feed(Input::Request(RequestId(self.requests), request));
        self.replies.pop()
    }

    /// Lets time pass, and fires what is due meanwhile.
    pub fn pass(&mut self, time: Duration) {
        let then = self.now + time;
        while let Some(due) = self.machine.next_timeout().filter(|due| *due <= then) {
            self.now = self.now.max(due);
            self.feed(Input::Timeout);
        }
        self.now = then;
    }

    /// What was done since the last look, in one line.
    pub fn done(&mut self) -> String {
        std::mem::take(&mut self.done).join(", ")
    }

    pub fn status(&self, name: &str) -> Option<ChildStatus> {
        let mut children = self.machine.children();
        let child = children.find(|child| self.name(child.key) == name);
        child.map(|child| child.status)
    }

    pub fn key(&self, name: &str) -> ChildKey {
        let found = self.names.iter().find(|(_, known)| *known == name);
        *found.unwrap_or_else(|| panic!("no child {name}")).0
    }

    fn name(&self, key: ChildKey) -> String {
        self.machine.child(key).map_or_else(
            || self.names.get(&key).cloned().unwrap_or_default(),
            |child| child.to_string(),
        )
    }

    fn learn_names(&mut self) {
        for child in self.machine.children().collect::<Vec<_>>() {
            let name = self.name(child.key);
            self.names.insert(child.key, name);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(key) => {
                let name = self.name(key);
                self.done.push(format!("start {name}"));
                self.names.insert(key, name.clone());
                assert!(self.alive.insert(key), "{name} is started twice");
                if self.slow.contains(&name) {
                    return;
                }
                match self.broken.contains(&name) {
                    true => {
                        self.alive.remove(&key);
                        self.machine
                            .handle(Input::StartFailed(key, failed()), self.now);
                    }
                    false => self.machine.handle(Input::Started(key), self.now),
                }
            }
            Action::Kill(key) => {
                let name = self.name(key);
                self.done.push(format!("kill {name}"));
                assert!(self.alive.remove(&key), "{name} is killed and is not there");
                self.machine
                    .handle(Input::Exited(key, ExitReason::Killed), self.now);
            }
            Action::AskToEnd(key) => {
                let name = self.name(key);
                self.done.push(format!("stop {name}"));
                if !self.stubborn.contains(&name) {
                    assert!(
                        self.alive.remove(&key),
                        "{name} is stopped and is not there"
                    );
                    self.machine
                        .handle(Input::Exited(key, ExitReason::Shutdown), self.now);
                }
            }
            Action::Ready => self.done.push("ready".to_owned()),
            Action::Reply(_, result) => self.replies.push(result),
            Action::Tell(event) => self.events.push(event),
            Action::End(end) => {
                self.done.push("end".to_owned());
                self.end = Some(end);
            }
            other => panic!("unknown action {other:?}"),
        }
    }
}
