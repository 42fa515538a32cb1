//! Processes are spawned, linked, monitored, killed and sent to by chance. In the end each link and
//! monitor was told once, no message between the living is lost, and nothing is charged.
//!
//! `LUNATIC_SEEDS=100..200 cargo nextest run --workspace --test chaos` tries other seeds, and a
//! failure tells its seed.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::env;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_mailbox::{DataMessage, Message, Pid, Tag, Wanted};
use lunatic_process::{Environment, Process, SpawnLink, SpawnOptions};
use lunatic_testkit::{environment, wait, wait_until};

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
}

type Log = Arc<Mutex<HashMap<Pid, Told>>>;

/// The tags of links are below this, those of monitors above, and that of messages is 1.
const MONITORS: i64 = 1 << 40;

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
    next: i64,
}

impl World {
    fn new(seed: u64) -> World {
        let environment = environment();
        let account = environment.account().branch(AccountLimits::UNLIMITED);
        World {
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
            next: 2,
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
                    Message::Data(data) if data.tag() == Tag::new(1) => {
                        let number = data.bytes().try_into().unwrap();
                        told.numbers.push(u64::from_le_bytes(number));
                    }
                    // The end of a process that is monitored, with its reason.
                    Message::Data(data) => {
                        let tag = data.tag().unwrap().get();
                        *told.deaths.entry(tag).or_default() += 1;
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
            _ => {
                let number = self.number() as u64;
                let message = DataMessage::new(Tag::new(1), number.to_le_bytes());
                let sent = self
                    .environment
                    .send(Some(&one), other.id(), message.into());
                sent.unwrap();
                self.sent.entry(other.id()).or_default().push(number);
            }
        }
    }

    fn check(&self, seed: u64) {
        let is_dead = |id: &Pid| self.killed.contains(id);
        for process in self.all.iter().filter(|process| is_dead(&process.id())) {
            wait("the end of what was killed", process.wait());
        }
        let nothing = Vec::new();
        let mut deaths_told = 0;
        for process in &self.living {
            let id = process.id();
            assert!(process.is_alive(), "seed {seed}: {id} has ended");
            let sent = self.sent.get(&id).unwrap_or(&nothing);
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
                    && told().deaths.len() >= expected.len()
            });
            assert_eq!(&told().numbers, sent, "seed {seed}: messages to {id}");
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
