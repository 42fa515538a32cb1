//! Supervised children that are killed, fail, end, are added, stopped, started again and removed
//! by chance, some of them supervisors. In the end each child that there is to be lives once, no
//! other one does, and nothing is charged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_mailbox::{DataMessage, Message, Tag, Wanted};
use lunatic_process::{AtBirth, Environment, Failure, Process, SpawnLink, SpawnOptions};
use lunatic_supervisor::{ChildSpec, ChildStart, Restart, Spec, Strategy, Supervisor, native};
use lunatic_testkit::{environment, wait, wait_until};

use super::Chance;

/// How much happens for each seed.
const STEPS: usize = 600;

/// How many children a supervisor has at most.
const MOST: usize = 12;

/// Those of each supervisor that is a child.
const GRANDCHILDREN: [&str; 2] = ["a", "b"];

/// What a child does that gets a message with such a tag.
const ENDS: i64 = 1;
const FAILS: i64 = 2;

/// How many bodies of each child there are, and what must not be.
#[derive(Debug, Default)]
struct Bodies {
    living: BTreeMap<String, usize>,
    started: usize,
    /// Children of which there were two at once, though their supervisor lived on.
    doubled: Vec<String>,
}

type Log = Arc<Mutex<Bodies>>;

/// A body that lives.
struct Body {
    name: String,
    log: Log,
}

impl Body {
    /// - `is_alone`: whether its supervisor is never killed, so that there is only one at once.
    fn new(name: &str, is_alone: bool, log: &Log) -> Body {
        let mut bodies = log.lock().unwrap();
        bodies.started += 1;
        let living = bodies.living.entry(name.to_owned()).or_default();
        *living += 1;
        if is_alone && *living > 1 {
            bodies.doubled.push(name.to_owned());
        }
        Body {
            name: name.to_owned(),
            log: log.clone(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let mut bodies = self.log.lock().unwrap();
        *bodies.living.get_mut(&self.name).unwrap() -= 1;
    }
}

fn worker(name: &str, is_alone: bool, log: &Log) -> ChildStart {
    let (name, log) = (name.to_owned(), log.clone());
    native(move |mut own| {
        let body = Body::new(&name, is_alone, &log);
        async move {
            let _body = body;
            loop {
                let message = own.mailbox.receive(Wanted::Any).await;
                match message.tag().map(Tag::get) {
                    Some(ENDS) => return Ok(()),
                    Some(FAILS) => return Err(Failure::new("as it was told")),
                    _ => {}
                }
            }
        }
    })
}

/// So many restarts that no supervisor gives up.
fn supervisor(name: &str, strategy: Strategy) -> Spec {
    Spec::new(name)
        .strategy(strategy)
        .intensity(1_000_000, Duration::from_secs(1))
}

pub(super) struct Tree {
    seed: u64,
    environment: Environment,
    account: Account,
    parent: Process,
    supervisor: Supervisor,
    chance: Chance,
    log: Log,
    /// The names of the children that there are to be, and whether each is a supervisor.
    children: BTreeMap<String, bool>,
    next: usize,
}

impl Tree {
    pub(super) fn new(seed: u64) -> Tree {
        let mut chance = Chance(seed);
        let environment = environment();
        let account = environment.account().branch(AccountLimits::UNLIMITED);
        let account = account.unwrap();
        let options = SpawnOptions {
            account: Some(account.clone()),
            at_birth: Some(AtBirth::new(|process| process.die_when_link_dies(false))),
            ..SpawnOptions::default()
        };
        let parent = environment.spawn(options, |mut own| async move {
            loop {
                own.mailbox.receive(Wanted::Any).await;
            }
        });
        let parent = parent.unwrap();
        let link = SpawnLink {
            parent: parent.clone(),
            tag: None,
        };
        let strategies = [
            Strategy::OneForOne,
            Strategy::OneForAll,
            Strategy::RestForOne,
        ];
        let spec = supervisor("root", strategies[chance.below(3)]);
        let supervisor = wait("the start", spec.start(&environment, Some(link))).unwrap();
        Tree {
            seed,
            environment,
            account,
            parent,
            supervisor,
            chance,
            log: Log::default(),
            children: BTreeMap::new(),
            next: 0,
        }
    }

    pub(super) fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
    }

    fn step(&mut self) {
        if self.children.len() < 3 {
            return self.add();
        }
        match self.chance.below(20) {
            0 | 1 if self.children.len() < MOST => self.add(),
            2 => self.remove(),
            3 => self.stop_and_start(),
            number => self.disturb(number),
        }
    }

    fn any(&mut self) -> String {
        let index = self.chance.below(self.children.len());
        self.children.keys().nth(index).unwrap().clone()
    }

    fn add(&mut self) {
        self.next += 1;
        let name = format!("child {}", self.next);
        let is_supervisor = self.chance.below(4) == 0;
        let child = match is_supervisor {
            true => {
                let spec = supervisor(&name, Strategy::OneForOne);
                let children = GRANDCHILDREN.iter().map(|child| {
                    let full_name = format!("{name}/{child}");
                    ChildSpec::new(*child, worker(&full_name, false, &self.log))
                });
                children.fold(spec, Spec::child).into_child()
            }
            false => {
                let child = ChildSpec::new(name.as_str(), worker(&name, true, &self.log));
                // None of them ends for good by itself.
                child.restart(Restart::Permanent)
            }
        };
        let added = wait("a child", self.supervisor.start_child(child));
        added.unwrap_or_else(|error| panic!("seed {}: {name}: {error:?}", self.seed));
        self.children.insert(name, is_supervisor);
    }

    fn remove(&mut self) {
        let name = self.any();
        self.children.remove(&name);
        let supervisor = &self.supervisor;
        // Another child may be restarted between the two, and all others with it.
        let removed = (0..100).any(|_| {
            wait("its end", supervisor.terminate_child(name.as_str())).unwrap();
            wait("its removal", supervisor.delete_child(name.as_str())).is_ok()
        });
        assert!(
            removed,
            "seed {}: {name} is started again and again",
            self.seed
        );
    }

    fn stop_and_start(&mut self) {
        let name = self.any();
        let supervisor = &self.supervisor;
        wait("its end", supervisor.terminate_child(name.as_str())).unwrap();
        // It may have been started with others.
        wait("its start", supervisor.restart_child(name.as_str())).ok();
    }

    /// Kills a child or a grandchild, or has it end.
    fn disturb(&mut self, number: usize) {
        let name = self.any();
        let children = wait("the children", self.supervisor.which_children()).unwrap();
        let child = children.into_iter().find(|child| *child.info.name == *name);
        let Some(process) = child.unwrap().process else {
            return;
        };
        let process = match Supervisor::of(process.clone()) {
            Some(below) if !number.is_multiple_of(3) => {
                // It may have ended.
                let children = wait("the children", below.which_children()).unwrap_or_default();
                match children.into_iter().find_map(|child| child.process) {
                    Some(grandchild) => grandchild,
                    None => return,
                }
            }
            _ => process,
        };
        let tag = match number % 4 {
            0 => ENDS,
            1 => FAILS,
            _ => return process.kill(),
        };
        if Supervisor::of(process.clone()).is_none() {
            let message = Message::Data(DataMessage::new(Tag::new(tag), Vec::new()));
            // It may have ended.
            process.send(message).ok();
        }
    }

    /// Each child that there is to be lives once, and no other one does.
    pub(super) fn check(&self) {
        let seed = self.seed;
        let of = |(name, is_supervisor): (&String, &bool)| -> Vec<String> {
            match is_supervisor {
                true => GRANDCHILDREN.map(|child| format!("{name}/{child}")).into(),
                false => vec![name.clone()],
            }
        };
        let expected: BTreeSet<String> = self.children.iter().flat_map(of).collect();
        let bodies_are_expected = || {
            let bodies = self.log.lock().unwrap();
            let living = bodies.living.iter().filter(|(_, count)| **count > 0);
            living.clone().all(|(_, count)| *count == 1)
                && living.map(|(name, _)| name).eq(&expected)
        };
        // A supervisor that was killed may not be seen to have ended yet, with children that live.
        wait_until(&format!("seed {seed}: the children live, once"), || {
            let children = wait("the children", self.supervisor.which_children()).unwrap();
            let is_alive = |process: &Process| process.is_alive();
            let all_live = children
                .iter()
                .all(|child| child.process.as_ref().is_some_and(is_alive));
            let names: BTreeSet<_> = children
                .iter()
                .map(|child| child.info.name.to_string())
                .collect();
            all_live && names.iter().eq(self.children.keys()) && bodies_are_expected()
        });
        assert!(self.parent.is_alive() && self.supervisor.process().is_alive());
        let bodies = self.log.lock().unwrap();
        assert_eq!(bodies.doubled, [""; 0], "seed {seed}");
        assert!(bodies.started > STEPS / 4, "seed {seed}: {bodies:?}");
    }

    pub(super) fn end(self) {
        let seed = self.seed;
        match seed % 2 {
            0 => drop(wait("the end", self.supervisor.shut_down())),
            _ => self.supervisor.process().kill(),
        }
        wait_until(&format!("seed {seed}: all children have ended"), || {
            let bodies = self.log.lock().unwrap();
            bodies.living.values().all(|count| *count == 0)
        });
        self.parent.kill();
        for kind in Kind::ALL {
            wait_until(&format!("seed {seed}: no {kind} are charged"), || {
                self.account.used(kind) == 0
            });
        }
        wait_until("all are gone", || self.environment.process_count() == 0);
        self.environment.scheduler().stop();
    }
}
