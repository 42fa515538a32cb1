//! Guests call host functions in any order and with any arguments: nobody else is hurt, the
//! host does not panic, the guests can be killed, and nothing is charged in the end.
//!
//! Each seed is a module with some dozens of calls. The ordinary run tries the first few;
//! `LUNATIC_SEEDS=1000..2000 cargo nextest run --workspace --test any_calls` tries others, and
//! a failure tells its seed.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

#[path = "any_calls/calls.rs"]
mod calls;

use std::env;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, Root, Runtime};
use lunatic_mailbox::{DataMessage, Message, Wanted};
use lunatic_net::{NetConfig, Rules};
use lunatic_process::{Process, ProcessConfig, SpawnOptions};
use lunatic_testkit::{TIMEOUT, wait, wait_until};
use lunatic_wasi::Access;

/// Which seeds the ordinary run tries.
const SEEDS: Range<u64> = 0..24;

/// How many processes run the calls of a seed, beside each other.
const PROCESSES: usize = 3;

/// How long they have until they are killed.
const TIME: Duration = Duration::from_millis(250);

#[test]
fn host_functions_called_with_any_arguments_hurt_only_the_caller() {
    let panics: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = panics.clone();
    let reported = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        // A panic of the test itself is none of the host.
        match thread.name() == Some("test") {
            true => reported(panic),
            false => seen.lock().unwrap().push(panic.to_string()),
        }
    }));
    let test = thread::Builder::new().name("test".into());
    let test = test.spawn(move || try_all(seeds(), &panics)).unwrap();
    assert!(test.join().is_ok());
}

fn seeds() -> Range<u64> {
    let Ok(text) = env::var("LUNATIC_SEEDS") else {
        return SEEDS;
    };
    let (from, to) = text.split_once("..").expect("LUNATIC_SEEDS is FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

fn try_all(seeds: Range<u64>, panics: &Mutex<Vec<String>>) {
    let world = World::new();
    for seed in seeds {
        let text = calls::module(seed);
        world.try_calls(seed, &text);
        let panics = panics.lock().unwrap();
        assert!(panics.is_empty(), "seed {seed}: {panics:?}\n{text}");
    }
}

/// A runtime, a neighbour in it, and a directory for the guests.
struct World {
    runtime: Runtime,
    neighbour: Process,
    answers: Receiver<()>,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let runtime = Runtime::builder()
            .workers(NonZeroUsize::MIN.saturating_add(1))
            .max_memory(1 << 30)
            .start()
            .unwrap();
        let (answer, answers) = async_channel::unbounded();
        let neighbour = spawn_neighbour(&runtime, answer);
        World {
            runtime,
            neighbour,
            answers,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> Config {
        let mut config = Config {
            process: ProcessConfig {
                can_signal_outside: false,
                can_send_outside: false,
                can_be_sent_to_from_outside: false,
                can_use_outside_names: false,
                account: Some(AccountLimits {
                    memory: 64 << 20,
                    processes: 64,
                    descriptors: 64,
                    timers: 100,
                    names: 100,
                    threads: 2,
                    log_lines: 100,
                    ..AccountLimits::UNLIMITED
                }),
                ..ProcessConfig::trusted()
            },
            net: Arc::new(NetConfig::default().narrowed(Rules {
                allow: Some(vec!["127.0.0.1".parse().unwrap()]),
                deny: Vec::new(),
            })),
            ..Config::default()
        };
        let wasi = config.wasi_mut();
        wasi.add_arg("calls").unwrap();
        wasi.add_env("KEY", "value").unwrap();
        let directory = self.directory.path().to_owned();
        wasi.add_dir(directory, "/data", Access::ReadWrite).unwrap();
        config
    }

    fn try_calls(&self, seed: u64, text: &str) {
        let loaded = wait("compilation", self.runtime.load(text.into()));
        let module = loaded.unwrap_or_else(|error| panic!("seed {seed}: {error:?}\n{text}"));
        for _ in 0..PROCESSES {
            let root = Root::new("main").config(self.config());
            wait("the start", self.runtime.spawn(&module, root)).unwrap();
        }
        let begin = Instant::now();
        while begin.elapsed() < TIME && self.others().iter().any(Process::is_alive) {
            self.ask(seed);
            thread::sleep(Duration::from_millis(5));
        }
        drop(module);
        self.kill_others(seed);
        self.ask(seed);
        let account = self.runtime.environment().account();
        // What compiled modules and the neighbour have stays, and so do names of metrics.
        for kind in [Kind::Descriptors, Kind::Timers, Kind::Names] {
            let kept = || match kind {
                Kind::Names => self.runtime.metrics().names_together() as u64,
                _ => 0,
            };
            wait_until(&format!("seed {seed}: {kind} are released"), || {
                account.used(kind) == kept()
            });
        }
        wait_until(&format!("seed {seed}: processes are released"), || {
            account.used(Kind::Processes) == 1
        });
    }

    fn others(&self) -> Vec<Process> {
        let mut others = self.runtime.environment().processes();
        others.retain(|process| process.id() != self.neighbour.id());
        others
    }

    fn kill_others(&self, seed: u64) {
        let begin = Instant::now();
        loop {
            let others = self.others();
            if others.is_empty() {
                return;
            }
            others.iter().for_each(Process::kill);
            assert!(
                begin.elapsed() < TIMEOUT,
                "seed {seed}: these cannot be killed: {others:?}"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The neighbour answers.
    fn ask(&self, seed: u64) {
        assert!(self.neighbour.is_alive(), "seed {seed}");
        let question = Message::Data(DataMessage::new(None, Vec::new()));
        self.neighbour.send(question).unwrap();
        let answer = wait("an answer of the neighbour", self.answers.recv());
        assert!(answer.is_ok(), "seed {seed}");
    }
}

/// A native process that answers each message.
fn spawn_neighbour(runtime: &Runtime, answer: Sender<()>) -> Process {
    let body = |mut own: lunatic_process::Context| async move {
        loop {
            own.mailbox.receive(Wanted::Any).await;
            answer.send(()).await.ok();
        }
    };
    let environment = runtime.environment();
    environment.spawn(SpawnOptions::default(), body).unwrap()
}
