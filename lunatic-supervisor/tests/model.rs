//! The state machine does what a simple model does that is written as OTP's
//! `supervisor.erl` is: without a queue and without waiting, as a recursion over
//! a list.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod rig;

use std::time::Duration;

use lunatic_process::ExitReason;
use lunatic_supervisor::core::Request;
use lunatic_supervisor::{
    AutoShutdown, ChildSpec, ChildStatus, Flags, Intensity, Restart, Strategy as Supervision,
};
use proptest::prelude::*;
use rig::Rig;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Debug, Clone)]
enum Step {
    Exit(usize, Reason),
    /// From now on this child does not start, or does again.
    Break(usize, bool),
    Add(usize, Restart, bool),
    Restart(usize),
    Terminate(usize),
    Delete(usize),
    /// Milliseconds.
    Pass(u64),
}

#[derive(Debug, Clone, Copy)]
enum Reason {
    Normal,
    Shutdown,
    Failed,
    Killed,
}

#[derive(Debug, Clone)]
struct ModelChild {
    name: &'static str,
    restart: Restart,
    significant: bool,
    runs: bool,
}

struct Model {
    strategy: Supervision,
    auto_shutdown: AutoShutdown,
    restarts: usize,
    period: u64,
    children: Vec<ModelChild>,
    broken: Vec<&'static str>,
    now: u64,
    history: Vec<u64>,
    log: Vec<String>,
    ended: bool,
}

impl Model {
    fn position(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.name == name)
    }

    fn start(&mut self, name: &'static str) -> bool {
        self.log.push(format!("start {name}"));
        let starts = !self.broken.contains(&name);
        let position = self.position(name).unwrap();
        self.children[position].runs = starts;
        starts
    }

    fn stop_from(&mut self, first: usize) {
        for child in self.children[first..].iter_mut().rev() {
            if std::mem::take(&mut child.runs) {
                self.log.push(format!("stop {}", child.name));
            }
        }
    }

    fn end(&mut self) {
        self.stop_from(0);
        self.log.push("end".into());
        self.ended = true;
    }

    fn restart(&mut self, name: &'static str) {
        self.history.push(self.now);
        let recent = |time: &&u64| self.now - **time <= self.period;
        if self.history.iter().filter(recent).count() > self.restarts {
            return self.end();
        }
        let first = match self.strategy {
            Supervision::OneForAll => 0,
            _ => self.position(name).unwrap(),
        };
        let mut group = vec![name];
        if self.strategy != Supervision::OneForOne {
            self.stop_from(first);
            let mut place = 0;
            self.children.retain(|child| {
                place += 1;
                place <= first || child.restart != Restart::Temporary
            });
            group = self.children[first..]
                .iter()
                .map(|child| child.name)
                .collect();
        }
        for name in group {
            if !self.start(name) {
                return self.restart(name);
            }
        }
    }

    fn exit(&mut self, name: &'static str, reason: Reason) {
        let Some(position) = self.position(name) else {
            return;
        };
        if !self.children[position].runs {
            return;
        }
        self.children[position].runs = false;
        let orderly = matches!(reason, Reason::Normal | Reason::Shutdown);
        let child = self.children[position].clone();
        match child.restart {
            Restart::Permanent => return self.restart(name),
            Restart::Transient if !orderly => return self.restart(name),
            Restart::Transient => {}
            Restart::Temporary => drop(self.children.remove(position)),
        }
        let others = self
            .children
            .iter()
            .any(|child| child.significant && child.runs);
        let ends = match self.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !others,
        };
        if child.significant && ends {
            self.end();
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Exit(index, reason) => self.exit(NAMES[index], reason),
            Step::Break(index, true) => self.broken.push(NAMES[index]),
            Step::Break(index, false) => self.broken.retain(|name| *name != NAMES[index]),
            Step::Add(index, restart, significant) => {
                let name = NAMES[index];
                let is_sensible = !significant
                    || (restart != Restart::Permanent && self.auto_shutdown != AutoShutdown::Never);
                if self.position(name).is_none() && is_sensible {
                    self.children.push(ModelChild {
                        name,
                        restart,
                        significant,
                        runs: false,
                    });
                    if !self.start(name) {
                        self.children.pop();
                    }
                }
            }
            Step::Restart(index) => {
                let position = self.position(NAMES[index]);
                if position.is_some_and(|position| !self.children[position].runs) {
                    self.start(NAMES[index]);
                }
            }
            Step::Terminate(index) => {
                if let Some(position) = self.position(NAMES[index]) {
                    if std::mem::take(&mut self.children[position].runs) {
                        self.log.push(format!("stop {}", NAMES[index]));
                    }
                    if self.children[position].restart == Restart::Temporary {
                        self.children.remove(position);
                    }
                }
            }
            Step::Delete(index) => {
                let position = self.position(NAMES[index]);
                if let Some(position) = position.filter(|position| !self.children[*position].runs) {
                    self.children.remove(position);
                }
            }
            Step::Pass(millis) => self.now += millis,
        }
    }
}

fn apply(rig: &mut Rig, step: &Step) {
    let request = |rig: &mut Rig, index: usize, request: fn(_) -> Request<()>| {
        if let Some(key) = rig.machine.find(NAMES[index]) {
            rig.request(request(key));
        }
    };
    match *step {
        Step::Exit(index, reason) => {
            let reason = match reason {
                Reason::Normal => ExitReason::Normal,
                Reason::Shutdown => ExitReason::Shutdown,
                Reason::Failed => rig::failed(),
                Reason::Killed => ExitReason::Killed,
            };
            if let Some(key) = rig.machine.find(NAMES[index]) {
                rig.feed(lunatic_supervisor::core::Input::Exited(key, reason));
            }
        }
        Step::Break(index, true) => drop(rig.broken.insert(NAMES[index].into())),
        Step::Break(index, false) => drop(rig.broken.remove(NAMES[index])),
        Step::Add(index, restart, significant) => {
            let mut child = ChildSpec::new(NAMES[index], ()).restart(restart);
            child.significant = significant;
            rig.request(Request::Add(child));
        }
        Step::Restart(index) => request(rig, index, Request::Restart),
        Step::Terminate(index) => request(rig, index, Request::Terminate),
        Step::Delete(index) => request(rig, index, Request::Delete),
        Step::Pass(millis) => rig.pass(Duration::from_millis(millis)),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let child = 0..NAMES.len();
    let reason = prop_oneof![
        Just(Reason::Normal),
        Just(Reason::Shutdown),
        Just(Reason::Failed),
        Just(Reason::Killed),
    ];
    let restart = prop_oneof![
        Just(Restart::Permanent),
        Just(Restart::Transient),
        Just(Restart::Temporary),
    ];
    let step = prop_oneof![
        8 => (child.clone(), reason).prop_map(|(child, reason)| Step::Exit(child, reason)),
        1 => (child.clone(), any::<bool>()).prop_map(|(child, broken)| Step::Break(child, broken)),
        4 => (child.clone(), restart, any::<bool>())
            .prop_map(|(child, restart, significant)| Step::Add(child, restart, significant)),
        1 => child.clone().prop_map(Step::Restart),
        1 => child.clone().prop_map(Step::Terminate),
        1 => child.prop_map(Step::Delete),
        3 => (0..2000_u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..80)
}

fn flags() -> impl Strategy<Value = (Supervision, AutoShutdown, u32)> {
    let strategy = prop_oneof![
        Just(Supervision::OneForOne),
        Just(Supervision::OneForAll),
        Just(Supervision::RestForOne),
    ];
    let auto_shutdown = prop_oneof![
        2 => Just(AutoShutdown::Never),
        1 => Just(AutoShutdown::AnySignificant),
        1 => Just(AutoShutdown::AllSignificant),
    ];
    (strategy, auto_shutdown, 0..8_u32)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn the_machine_does_what_the_model_does(
        (strategy, auto_shutdown, restarts) in flags(),
        steps in steps(),
    ) {
        const PERIOD: u64 = 1000;
        let mut model = Model {
            strategy,
            auto_shutdown,
            restarts: restarts as usize,
            period: PERIOD,
            children: Vec::new(),
            broken: Vec::new(),
            now: 0,
            history: Vec::new(),
            log: Vec::new(),
            ended: false,
        };
        let flags = Flags {
            strategy,
            auto_shutdown,
            intensity: Intensity { restarts, period: Duration::from_millis(PERIOD) },
            backoff: None,
        };
        let mut rig = Rig::started(flags, Vec::new());
        for step in &steps {
            model.step(step);
            apply(&mut rig, step);
            prop_assert_eq!(rig.done(), model.log.join(", "), "after {:?}", step);
            model.log.clear();
            prop_assert_eq!(rig.end.is_some(), model.ended);
            if model.ended {
                break;
            }
            let children: Vec<_> = rig
                .machine
                .children()
                .map(|child| (child.name.to_string(), child.status == ChildStatus::Running))
                .collect();
            let expected: Vec<_> = model
                .children
                .iter()
                .map(|child| (child.name.to_owned(), child.runs))
                .collect();
            prop_assert_eq!(&children, &expected);
            let active = expected.iter().filter(|(_, runs)| *runs).count() as u64;
            prop_assert_eq!(rig.machine.counts().active, active);
        }
    }

    /// Children that do not start or end when they are told to, and delays: the
    /// rig panics if a child is started twice.
    #[test]
    fn whatever_children_do_none_is_started_twice_and_all_are_stopped_in_the_end(
        (strategy, auto_shutdown, restarts) in flags(),
        steps in steps(),
        stubborn in proptest::collection::vec(0..NAMES.len(), 0..3),
        slow in proptest::collection::vec(0..NAMES.len(), 0..2),
    ) {
        let flags = Flags {
            strategy,
            auto_shutdown,
            intensity: Intensity { restarts: restarts * 10, period: Duration::from_secs(1) },
            backoff: Some(lunatic_supervisor::Backoff::new(
                Duration::from_millis(1),
                Duration::from_millis(50),
            )),
        };
        let mut rig = Rig::started(flags, Vec::new());
        rig.stubborn.extend(stubborn.iter().map(|index| NAMES[*index].to_owned()));
        rig.slow.extend(slow.iter().map(|index| NAMES[*index].to_owned()));
        for step in &steps {
            apply(&mut rig, step);
        }
        rig.feed(lunatic_supervisor::core::Input::ShutDown(
            lunatic_supervisor::core::End::Asked(ExitReason::Shutdown),
        ));
        // Five seconds for each child that is stubborn, one after the other.
        rig.pass(Duration::from_secs(60));
        prop_assert!(rig.end.is_some());
        prop_assert_eq!(rig.machine.counts().active, 0);
        prop_assert_eq!(rig.machine.next_timeout(), None);
    }
}
