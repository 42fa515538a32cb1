//! Processes are spawned, linked, monitored, killed and sent to by chance; they take names, join
//! groups and set timers. In the end each link and monitor was told once, no message between the
//! living is lost, each timer has fired or was cancelled, names and groups have those who live, and
//! nothing is charged.
//!
//! `LUNATIC_SEEDS=100..200 cargo nextest run --workspace --test chaos` tries other seeds, and a
//! failure tells its seed.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

#[path = "chaos/supervisors.rs"]
mod supervisors;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::env;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::future::block_on;
use lunatic_account::{Account, AccountLimits, Charge, Kind};
use lunatic_groups::{Change, GroupEvent, Groups, Scope};
use lunatic_mailbox::{DataMessage, Message, Pid, Tag, Wanted};
use lunatic_process::{Environment, Process, SpawnLink, SpawnOptions};
use lunatic_registry::Registry;
use lunatic_testkit::{environment, wait, wait_until};
use lunatic_timer::{Timer, Timers};

/// Which seeds the ordinary run tries.
const SEEDS: Range<u64> = 0..8;

/// How much happens for each seed.
const STEPS: usize = 4_000;

/// How many processes live at most.
const MOST: u64 = 60;

/// Numbers by chance, the same for each seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// What a process was told.
#[derive(Debug, Default, Clone)]
struct Told {
    /// The numbers of messages, in the order in which they came.
    numbers: Vec<u64>,
    /// How often it was told of a link or monitor, by tag.
    deaths: BTreeMap<i64, u32>,
    /// The numbers of the messages of timers.
    timed: BTreeSet<u64>,
    /// Memberships in the groups that it monitors, as far as it was told, by tag.
    groups: BTreeMap<i64, BTreeMap<Pid, u32>>,
}

impl Told {
    /// Notes what has happened in a group.
    fn apply(&mut self, tag: i64, event: &GroupEvent) {
        let members = match event.change {
            Change::Present => {
                let before = self.groups.insert(tag, BTreeMap::new());
                assert_eq!(before, None, "a group is told twice");
                self.groups.get_mut(&tag)
            }
            _ => self.groups.get_mut(&tag),
        };
        let members = members.expect("a change is told before the members are");
        for member in event.members.iter() {
            let times = members.entry(*member).or_default();
            match event.change {
                Change::Left => *times -= 1,
                _ => *times += 1,
            }
        }
        members.retain(|_, times| *times > 0);
    }
}

type Log = Arc<Mutex<HashMap<Pid, Told>>>;

/// The tags of links are below this, those of monitors above.
const MONITORS: i64 = 1 << 40;

/// The tags of monitors of groups are above this.
const GROUPS: i64 = 1 << 41;

/// The tags of messages, and of those of timers.
const MESSAGE: i64 = 1;
const TIMED: i64 = 2;

/// How many names and groups there are.
const NAMES: usize = 20;

struct World {
    environment: Environment,
    account: Account,
    log: Log,
    chance: Chance,
    living: Vec<Process>,
    all: Vec<Process>,
    killed: HashSet<Pid>,
    related: HashSet<(Pid, Pid, bool)>,
    /// For whoever is told, by tag: whose end.
    links: Vec<(Pid, i64, Pid)>,
    monitors: Vec<(Pid, i64, Pid)>,
    sent: HashMap<Pid, Vec<u64>>,
    registry: Registry,
    /// Who was given a name last, unless it was removed.
    names: BTreeMap<String, Pid>,
    groups: Scope,
    /// How often each is in a group, by group.
    members: BTreeMap<String, BTreeMap<Pid, u32>>,
    /// For whoever is told, by tag: which group.
    watches: Vec<(Pid, i64, String)>,
    timers: Timers,
    started: Vec<(Timer, Pid, u64)>,
    /// What timers send.
    timed: HashMap<Pid, BTreeSet<u64>>,
    next: i64,
}

impl World {
    fn new(seed: u64) -> World {
        let environment = environment();
        let account = environment.account().branch(AccountLimits::UNLIMITED);
        let timers = Timers::new();
        let clock = timers.clone();
        environment
            .scheduler()
            .spawn(async move { clock.run().await });
        World {
            groups: Groups::new(&environment).scope("chaos").unwrap(),
            account: account.unwrap(),
            environment,
            log: Log::default(),
            chance: Chance(seed),
            living: Vec::new(),
            all: Vec::new(),
            killed: HashSet::new(),
            related: HashSet::new(),
            links: Vec::new(),
            monitors: Vec::new(),
            sent: HashMap::new(),
            registry: Registry::new(),
            names: BTreeMap::new(),
            members: BTreeMap::new(),
            watches: Vec::new(),
            timers,
            started: Vec::new(),
            timed: HashMap::new(),
            next: TIMED,
        }
    }

    fn any(&mut self) -> Process {
        let index = self.chance.below(self.living.len());
        self.living[index].clone()
    }

    fn number(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// Whether two are not related in this way yet, and are from now on.
    fn relate(&mut self, one: Pid, other: Pid, is_link: bool) -> bool {
        let pair = match is_link {
            true => (one.min(other), one.max(other), true),
            false => (one, other, false),
        };
        one != other && self.related.insert(pair)
    }

    fn spawn(&mut self) {
        let log = self.log.clone();
        let parent = (self.living.len() > 3 && self.chance.below(2) == 0).then(|| self.any());
        let tag = self.number();
        let options = SpawnOptions {
            account: Some(self.account.clone()),
            link: parent.clone().map(|parent| SpawnLink {
                parent,
                tag: Tag::new(tag),
            }),
            at_birth: Some(lunatic_process::AtBirth::new(|process| {
                process.die_when_link_dies(false);
            })),
            ..SpawnOptions::default()
        };
        let spawned = self.environment.spawn(options, |mut own| async move {
            let id = own.process.id();
            loop {
                let message = own.mailbox.receive(Wanted::Any).await;
                let mut log = log.lock().unwrap();
                let told = log.entry(id).or_default();
                match message {
                    Message::Data(data) => {
                        let tag = data.tag().unwrap().get();
                        let number = || u64::from_le_bytes(data.bytes().try_into().unwrap());
                        match tag {
                            MESSAGE => told.numbers.push(number()),
                            TIMED => assert!(told.timed.insert(number()), "fired twice"),
                            GROUPS.. => {
                                told.apply(tag, &GroupEvent::from_bytes(data.bytes()).unwrap());
                            }
                            // The end of a process that is monitored, with its reason.
                            _ => *told.deaths.entry(tag).or_default() += 1,
                        }
                    }
                    Message::LinkDied { tag } => {
                        // Of a child that dies the child is told no tag.
                        let tag = tag.map_or(0, Tag::get);
                        *told.deaths.entry(tag).or_default() += 1;
                    }
                    Message::ProcessDied { .. } => {}
                }
            }
        });
        let process = spawned.unwrap();
        if let Some(parent) = parent {
            self.related.insert((
                parent.id().min(process.id()),
                parent.id().max(process.id()),
                true,
            ));
            self.links.push((parent.id(), tag, process.id()));
        }
        self.living.push(process.clone());
        self.all.push(process);
    }

    fn step(&mut self) {
        if self.living.len() < 4 {
            return self.spawn();
        }
        let (one, other) = (self.any(), self.any());
        match self.chance.below(100) {
            0..6 if (self.living.len() as u64) < MOST => self.spawn(),
            6..9 => {
                one.kill();
                self.killed.insert(one.id());
                self.living.retain(|process| process.id() != one.id());
            }
            // Also of some that are being killed, or have ended.
            9..25 => {
                let index = self.chance.below(self.all.len());
                let other = self.all[index].clone();
                if self.relate(one.id(), other.id(), true) {
                    let tag = self.number();
                    one.try_link(other.id(), Tag::new(tag)).unwrap();
                    self.links.push((one.id(), tag, other.id()));
                    self.links.push((other.id(), tag, one.id()));
                }
            }
            25..40 => {
                let index = self.chance.below(self.all.len());
                let other = self.all[index].clone();
                if self.relate(one.id(), other.id(), false) {
                    let tag = MONITORS + self.number();
                    let monitored = one.try_monitor_with_reason(other.id(), Tag::new(tag));
                    monitored.unwrap();
                    self.monitors.push((one.id(), tag, other.id()));
                }
            }
            40..48 => self.name(&one),
            48..60 => self.group(&one),
            60..70 => self.timer(one, &other),
            _ => {
                let number = self.number() as u64;
                let message = DataMessage::new(Tag::new(MESSAGE), number.to_le_bytes());
                let sent = self
                    .environment
                    .send(Some(&one), other.id(), message.into());
                sent.unwrap();
                self.sent.entry(other.id()).or_default().push(number);
            }
        }
    }

    fn name(&mut self, one: &Process) {
        let name = format!("name {}", self.chance.below(NAMES));
        match self.chance.below(4) {
            0 => {
                self.registry.remove(&name);
                self.names.remove(&name);
            }
            _ => {
                self.registry.put_local(&name, one).unwrap();
                self.names.insert(name, one.id());
            }
        }
    }

    fn group(&mut self, one: &Process) {
        let group = format!("group {}", self.chance.below(NAMES));
        let members = self.members.entry(group.clone()).or_default();
        let times = members.entry(one.id()).or_default();
        match self.chance.below(10) {
            0..4 => {
                self.groups.join(&group, one).unwrap();
                *times += 1;
            }
            4..7 => {
                let left = self.groups.leave(&group, one);
                assert_eq!(left.is_ok(), *times > 0, "{group}");
                *times = times.saturating_sub(1);
            }
            7 => {
                let tag = GROUPS + self.number();
                block_on(self.groups.monitor(&group, one, Tag::new(tag))).unwrap();
                self.watches.push((one.id(), tag, group));
            }
            _ => {
                let members: Vec<_> = members.iter().filter(|(_, times)| **times > 0).collect();
                let members: Vec<_> = members.into_iter().map(|(member, _)| *member).collect();
                let number = self.number() as u64;
                let bytes = number.to_le_bytes();
                let tag = Tag::new(MESSAGE);
                block_on(self.groups.broadcast(Some(one), &group, tag, &bytes)).unwrap();
                for member in members {
                    self.sent.entry(member).or_default().push(number);
                }
            }
        }
    }

    /// Sets a timer that sends a message, or cancels one, which may have fired.
    fn timer(&mut self, one: Process, other: &Process) {
        if !self.started.is_empty() && self.chance.below(3) == 0 {
            let index = self.chance.below(self.started.len());
            let (timer, to, number) = self.started.swap_remove(index);
            if timer.cancel() {
                self.timed.get_mut(&to).unwrap().remove(&number);
            }
            return;
        }
        let (to, number) = (other.id(), self.number() as u64);
        let delay = Duration::from_millis(self.chance.below(30) as u64);
        let charge = Charge::new(&self.account, Kind::Timers, 1).unwrap();
        let environment = self.environment.clone();
        let send = move || {
            let message = DataMessage::new(Tag::new(TIMED), number.to_le_bytes());
            environment.send(Some(&one), to, message.into()).unwrap();
            drop(charge);
        };
        let timer = self.timers.after(delay, send).unwrap();
        self.started.push((timer, to, number));
        self.timed.entry(to).or_default().insert(number);
    }

    /// Names and groups have those who live, and whoever watches a group knows that.
    fn check_names_and_groups(&self, seed: u64) {
        let is_dead = |id: &Pid| self.killed.contains(id);
        let mut named = 0;
        for name in (0..NAMES).map(|number| format!("name {number}")) {
            let expected = self.names.get(&name).filter(|owner| !is_dead(owner));
            named += usize::from(expected.is_some());
            wait_until(&format!("seed {seed}: {name} has its owner"), || {
                self.registry.get(&name).as_ref() == expected
            });
        }
        assert!(named > 0, "seed {seed}: nobody has a name");
        let expected = |group: &str| -> BTreeMap<Pid, u32> {
            let mut members = self.members.get(group).cloned().unwrap_or_default();
            members.retain(|member, times| *times > 0 && !is_dead(member));
            members
        };
        for group in self.members.keys() {
            wait_until(&format!("seed {seed}: {group} has its members"), || {
                let mut members = BTreeMap::new();
                for member in self.groups.members(group) {
                    *members.entry(member).or_default() += 1;
                }
                members == expected(group)
            });
        }
        let mut watched = 0;
        for (watcher, tag, group) in self.watches.iter().filter(|(id, ..)| !is_dead(id)) {
            wait_until(
                &format!("seed {seed}: {group} is known by {watcher}"),
                || {
                    let log = self.log.lock().unwrap();
                    let told = log.get(watcher).and_then(|told| told.groups.get(tag));
                    told == Some(&expected(group))
                },
            );
            watched += 1;
        }
        // Most watchers are killed themselves with some seeds; in none are all of them.
        assert!(watched > 2, "seed {seed}: {watched} is too little");
    }

    fn check(&self, seed: u64) {
        let is_dead = |id: &Pid| self.killed.contains(id);
        for process in self.all.iter().filter(|process| is_dead(&process.id())) {
            wait("the end of what was killed", process.wait());
        }
        wait_until(&format!("seed {seed}: all timers have fired"), || {
            self.timers.is_empty()
        });
        self.check_names_and_groups(seed);
        let nothing = Vec::new();
        let no_timer = BTreeSet::new();
        let mut deaths_told = 0;
        for process in &self.living {
            let id = process.id();
            assert!(process.is_alive(), "seed {seed}: {id} has ended");
            let sent = self.sent.get(&id).unwrap_or(&nothing);
            let timed = self.timed.get(&id).unwrap_or(&no_timer);
            let of = |relations: &[(Pid, i64, Pid)]| -> Vec<i64> {
                let own = relations.iter().filter(|(told, ..)| *told == id);
                let ended = own.filter(|(_, _, ended)| is_dead(ended));
                ended.map(|(_, tag, _)| *tag).collect()
            };
            let mut expected = of(&self.links);
            expected.extend(of(&self.monitors));
            let expected: BTreeMap<_, _> = expected.into_iter().map(|tag| (tag, 1)).collect();
            let told = || {
                let log = self.log.lock().unwrap();
                let mut told = log.get(&id).cloned().unwrap_or_default();
                // The end of a parent.
                told.deaths.remove(&0);
                told
            };
            wait_until(&format!("seed {seed}: {id} has received all"), || {
                process.queued_messages() == 0
                    && told().numbers.len() >= sent.len()
                    && told().timed.len() >= timed.len()
                    && told().deaths.len() >= expected.len()
            });
            assert_eq!(&told().numbers, sent, "seed {seed}: messages to {id}");
            assert_eq!(&told().timed, timed, "seed {seed}: timers of {id}");
            assert_eq!(told().deaths, expected, "seed {seed}: deaths told to {id}");
            deaths_told += expected.len();
        }
        assert!(deaths_told > 20, "seed {seed}: {deaths_told} is too little");
    }

    fn end(self, seed: u64) {
        self.living.iter().for_each(Process::kill);
        for kind in Kind::ALL {
            wait_until(&format!("seed {seed}: no {kind} are charged"), || {
                self.account.used(kind) == 0
            });
        }
        wait_until("all are gone", || self.environment.process_count() == 0);
        self.environment.scheduler().stop();
    }
}

fn seeds() -> Range<u64> {
    let Ok(text) = env::var("LUNATIC_SEEDS") else {
        return SEEDS;
    };
    let (from, to) = text.split_once("..").expect("LUNATIC_SEEDS is FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn whatever_happens_each_end_is_told_once_and_nothing_is_lost_or_charged() {
    for seed in seeds() {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.check(seed);
        world.end(seed);
    }
}

#[test]
fn whatever_happens_to_supervised_children_each_lives_once_and_ends_with_its_supervisor() {
    for seed in seeds() {
        let mut tree = supervisors::Tree::new(seed);
        tree.run();
        tree.check();
        tree.end();
    }
}
