//! A runtime whose guests tell the test what they see.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses another part of it"
)]

pub mod document;
mod guest;
pub mod interface;
pub mod pasted;
pub mod program;
pub mod reloaded;
pub mod runtimes;
pub mod shop;
pub mod watched;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_channel::{Receiver, Sender};
use lunatic_abi::Guest as _;
use lunatic_cli::{Config, Root, RootError, Runtime, State};
use lunatic_engine::{LoadError, Module};
use lunatic_mailbox::{DataMessage, Message, Tag, Wanted};
use lunatic_process::{ExitReason, Process, ProcessConfig, SpawnOptions};
use lunatic_testkit::{end_of, wait, wait_until};
use wasmtime::{Caller, Linker};

pub use guest::module;
use interface::TEST_FUNCTIONS;

/// A runtime with host functions for tests:
///
/// - `$report` sends a number to the test, `$say` a text.
/// - `$given` copies what the test gave to an address and returns its length.
/// - `$set` and `$setting` are a number that all processes share.
/// - `$panic` panics in the host.
pub struct World {
    pub runtime: Runtime,
    reports: Receiver<i64>,
    texts: Receiver<String>,
    probe: Probe,
}

#[derive(Clone)]
struct Probe {
    report: Sender<i64>,
    say: Sender<String>,
    given: Arc<Mutex<Vec<u8>>>,
    setting: Arc<AtomicI64>,
}

impl World {
    pub fn new() -> World {
        World::with_workers(NonZeroUsize::MIN.saturating_add(1))
    }

    pub fn with_workers(workers: NonZeroUsize) -> World {
        let (report, reports) = async_channel::unbounded();
        let (say, texts) = async_channel::unbounded();
        let probe = Probe {
            report,
            say,
            given: Arc::default(),
            setting: Arc::default(),
        };
        let registered = probe.clone();
        let runtime = Runtime::builder()
            .workers(workers)
            .host_functions(TEST_FUNCTIONS, move |linker| {
                registered.add_to_linker(linker)
            })
            .start()
            .expect("a runtime");
        World {
            runtime,
            reports,
            texts,
            probe,
        }
    }

    /// Loads a guest; see [`module`].
    #[track_caller]
    pub fn load(&self, body: &str) -> Module<State> {
        self.try_load(&module(body)).expect("a module")
    }

    /// Loads whole module text.
    #[track_caller]
    pub fn try_load(&self, text: &str) -> Result<Module<State>, LoadError> {
        wait("compilation", self.runtime.load(text.into()))
    }

    /// Starts a root process.
    #[track_caller]
    pub fn spawn(&self, module: &Module<State>, export: &str) -> Process {
        self.root(module, Root::new(export))
            .expect("a root process")
    }

    /// Starts a root process with these rights and limits.
    #[track_caller]
    pub fn spawn_with(
        &self,
        module: &Module<State>,
        export: &str,
        process: ProcessConfig,
    ) -> Process {
        let config = Config {
            process,
            ..Config::default()
        };
        let root = Root::new(export).config(config);
        self.root(module, root).expect("a root process")
    }

    /// Starts a root process.
    #[track_caller]
    pub fn root(&self, module: &Module<State>, root: Root) -> Result<Process, RootError> {
        wait("the start", self.runtime.spawn(module, root))
    }

    /// Runs an export to its end, which must be a normal one.
    #[track_caller]
    pub fn run(&self, module: &Module<State>, export: &str) {
        assert_normal(&self.spawn(module, export));
    }

    /// Loads a guest and runs its `main` to its normal end.
    #[track_caller]
    pub fn run_main(&self, body: &str) {
        self.run(&self.load(body), "main");
    }

    /// Runs an export to its end, which must be a failure with this cause.
    #[track_caller]
    pub fn fails(&self, module: &Module<State>, export: &str, cause: &str) {
        assert_failed(&self.spawn(module, export), cause);
    }

    /// The next number that a guest reports.
    #[track_caller]
    pub fn report(&self) -> i64 {
        wait("a report", self.reports.recv()).expect("the world holds a sender")
    }

    /// Waits for the next number that a guest reports.
    pub async fn next_report(&self) -> i64 {
        self.reports.recv().await.expect("the world holds a sender")
    }

    /// The next numbers that guests report.
    #[track_caller]
    pub fn reports<const N: usize>(&self) -> [i64; N] {
        std::array::from_fn(|_| self.report())
    }

    /// Whatever was to report has ended and has reported nothing more.
    #[track_caller]
    pub fn no_more_reports(&self) {
        assert_eq!(self.reports.try_recv().ok(), None, "one report too many");
    }

    /// The next text that a guest says.
    #[track_caller]
    pub fn text(&self) -> String {
        wait("a text", self.texts.recv()).expect("the world holds a sender")
    }

    /// What `$given` copies from now on.
    pub fn give(&self, bytes: impl Into<Vec<u8>>) {
        *self.probe.given.lock().expect("no panic") = bytes.into();
    }

    /// A native process that traps link deaths and tells what it receives.
    pub fn observer(&self) -> Observer {
        let (sender, told) = async_channel::unbounded();
        let process = self
            .runtime
            .environment()
            .spawn(SpawnOptions::default(), move |mut own| async move {
                loop {
                    let message = own.mailbox.receive(Wanted::Any).await;
                    sender.send(Told::from(message)).await?;
                }
            })
            .expect("a native process");
        process.die_when_link_dies(false);
        Observer { process, told }
    }

    /// Waits until no process is left.
    #[track_caller]
    pub fn wait_until_empty(&self) {
        self.wait_for_count(0);
    }

    /// Waits until so many processes are left.
    #[track_caller]
    pub fn wait_for_count(&self, count: usize) {
        wait_until(&format!("{count} processes to be left"), || {
            self.runtime.environment().process_count() == count
        });
    }
}

/// All processes of a world can be ended, whatever they do.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            wait("the end of all processes", self.runtime.shut_down());
        }
    }
}

impl Probe {
    #[expect(
        clippy::disallowed_methods,
        reason = "they work on what the test holds"
    )]
    fn add_to_linker(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        let Probe {
            report,
            say,
            given,
            setting,
        } = self.clone();
        linker.func_wrap("test", "report", move |value: i64| {
            report.try_send(value).ok();
        })?;
        linker.func_wrap(
            "test",
            "say",
            move |mut caller: Caller<'_, State>, ptr: u32, len: u32| {
                say.try_send(caller.text(ptr, len)?.to_owned()).ok();
                wasmtime::Result::Ok(())
            },
        )?;
        linker.func_wrap(
            "test",
            "given",
            move |mut caller: Caller<'_, State>, ptr: u32| {
                let given = given.lock().expect("no panic").clone();
                caller.write(ptr, &given)?;
                wasmtime::Result::Ok(given.len() as u32)
            },
        )?;
        let reader = setting.clone();
        linker.func_wrap("test", "setting", move || reader.load(Ordering::SeqCst))?;
        linker.func_wrap("test", "set", move |value: i64| {
            setting.store(value, Ordering::SeqCst);
        })?;
        linker.func_wrap("test", "panic", || -> () {
            panic!("a host function broke")
        })?;
        Ok(())
    }
}

/// A process of the test, which sees what links and monitors are told.
pub struct Observer {
    pub process: Process,
    told: Receiver<Told>,
}

/// What a process finds in its mailbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    LinkDied(i64),
    ProcessDied(u64),
    Data(i64, Vec<u8>),
}

impl From<Message> for Told {
    fn from(message: Message) -> Told {
        let tag = message.tag().map_or(0, Tag::get);
        match message {
            Message::Data(data) => Told::Data(tag, data.bytes().to_vec()),
            Message::LinkDied { .. } => Told::LinkDied(tag),
            Message::ProcessDied { process } => Told::ProcessDied(process.to_bits()),
        }
    }
}

impl Observer {
    /// Links the observer to a process.
    pub fn link(&self, process: &Process, tag: i64) {
        self.process.link(process.id(), Tag::new(tag));
    }

    /// Monitors a process.
    pub fn monitor(&self, process: &Process) {
        self.process.monitor(process.id());
    }

    /// Links and monitors.
    pub fn watch(&self, process: &Process, tag: i64) {
        self.link(process, tag);
        self.monitor(process);
    }

    /// What it is told next.
    #[track_caller]
    pub fn told(&self) -> Told {
        wait("a message to the observer", self.told.recv()).expect("the observer lives")
    }

    /// It is told of a failure, first as link, then as monitor.
    #[track_caller]
    pub fn is_told_of_failure(&self, process: &Process, tag: i64) {
        assert_eq!(self.told(), Told::LinkDied(tag));
        assert_eq!(self.told(), Told::ProcessDied(process.id().to_bits()));
    }

    /// It is told of a normal end, which is nothing to links.
    #[track_caller]
    pub fn is_told_of_normal_end(&self, process: &Process) {
        assert_eq!(self.told(), Told::ProcessDied(process.id().to_bits()));
    }

    /// All that it was told up to now has been looked at.
    #[track_caller]
    pub fn is_told_nothing_more(&self) {
        const MARK: i64 = i64::MIN;
        send(&self.process, MARK, b"");
        assert_eq!(self.told(), Told::Data(MARK, Vec::new()));
    }
}

/// Sends a message from nowhere.
#[track_caller]
pub fn send(to: &Process, tag: i64, bytes: &[u8]) {
    let message = DataMessage::new(Tag::new(tag), bytes.to_vec());
    to.send(message.into()).expect("a living process");
}

#[track_caller]
pub fn assert_normal(process: &Process) {
    let reason = end_of(process);
    assert!(reason.is_normal(), "ended: {reason}");
}

/// It failed, and the reason contains this text.
#[track_caller]
pub fn assert_failed(process: &Process, cause: &str) {
    let reason = end_of(process);
    let failure = reason.failure().map(ToString::to_string);
    let failure = failure.unwrap_or_else(|| panic!("did not fail but ended: {reason}"));
    assert!(failure.contains(cause), "no {cause:?} in {failure:?}");
}

#[track_caller]
pub fn assert_killed(process: &Process) {
    let reason = end_of(process);
    assert!(matches!(reason, ExitReason::Killed), "ended: {reason}");
}
