//! Runs one test.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;
use lunatic_engine::Module;
use lunatic_error::{MAX_LOGGED_BYTES, on_one_line};
use lunatic_process::{Environment, ExitReason, Failure, Process};
use lunatic_wasi::{Capture, Stdio};

use crate::command_line::testing::harness;
use crate::command_line::testing::name::{START, TestCase};
use crate::command_line::testing::report::Finished;
use crate::command_line::testing::verdict::{Ended, judge, judge_by_harness};
use crate::{Config, Root, Runtime, State};

/// The id of every test's environment (ABI §15.1).
const ENVIRONMENT: u64 = 0;

/// How long the runner inside of a module has to list its tests.
const TIME_TO_LIST: Duration = Duration::from_secs(60);

/// What tests are run with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Execution<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) module: &'a Module<State>,
    /// What the first process of each test may do and is given.
    pub(super) config: &'a Config,
    /// Whether what tests print is kept, to be shown with the result.
    pub(super) captured: bool,
    /// How long a test may take.
    pub(super) time_limit: Option<Duration>,
}

impl Execution<'_> {
    /// Runs one test in an environment of its own. Its other processes end with
    /// the first one.
    pub(super) async fn run(&self, test: TestCase) -> Finished {
        let started = Instant::now();
        if test.by_harness {
            return self.run_by_harness(test, started).await;
        }
        let capture = match self.captured {
            true => Capture::root(),
            false => Capture::echoing_root(),
        };
        let root = Root::new(&test.export).config(self.config.clone());
        let ended = self.run_root(root, &capture, self.time_limit).await;
        let should_panic = test.should_panic.as_deref();
        let verdict = judge(should_panic, &ended, &capture.text(), self.captured);
        let output = match self.captured {
            true => capture.render(),
            false => String::new(),
        };
        Finished {
            test,
            verdict,
            output,
            took: started.elapsed(),
        }
    }

    /// Runs a test of the runner that is linked into the module. Without capture, what it
    /// prints is printed when it has ended.
    async fn run_by_harness(&self, test: TestCase, started: Instant) -> Finished {
        let capture = Capture::root();
        let ended = match self.harness_root(harness::arguments_to_run(&test)) {
            Ok(root) => self.run_root(root, &capture, self.time_limit).await,
            Err(reason) => Ended::NeverStarted(reason),
        };
        let (output, said) = harness::strip(&capture.text(), &test.name);
        let verdict = judge_by_harness(said, &ended, &output, self.captured);
        Finished {
            test,
            verdict,
            output,
            took: started.elapsed(),
        }
    }

    /// The tests of the runner that is linked into the module.
    ///
    /// # Errors
    ///
    /// Why it did not list them.
    pub(super) async fn list_harness(&self) -> Result<Vec<TestCase>, String> {
        let all = self.list_of_harness(false).await?;
        let ignored = self.list_of_harness(true).await?;
        Ok(harness::listed(&all, &ignored))
    }

    async fn list_of_harness(&self, ignored: bool) -> Result<String, String> {
        let capture = Capture::root();
        let root = self.harness_root(harness::arguments_to_list(ignored))?;
        match self.run_root(root, &capture, Some(TIME_TO_LIST)).await {
            Ended::Returned => Ok(capture.text()),
            Ended::Failed(reason) | Ended::NeverStarted(reason) | Ended::TimedOut(reason) => {
                Err(reason)
            }
        }
    }

    fn harness_root(&self, arguments: Vec<String>) -> Result<Root, String> {
        let mut config = self.config.clone();
        for argument in arguments {
            let added = config.wasi_mut().add_arg(&argument);
            added.map_err(|error| error.to_string())?;
        }
        Ok(Root::new(START).config(config))
    }

    async fn run_root(&self, root: Root, capture: &Capture, time_limit: Option<Duration>) -> Ended {
        let environment = self.runtime.new_environment(ENVIRONMENT);
        let root = root
            .stdio(Stdio::captured(capture.clone()))
            .environment(environment.clone());
        let ended = async {
            match self.runtime.spawn(self.module, root).await {
                Ok(process) => how_ended(&process.wait().await),
                Err(failure) => Ended::NeverStarted(failure.to_string()),
            }
        };
        let ended = match time_limit {
            Some(limit) => future::or(ended, time_is_up(limit, &environment)).await,
            None => ended.await,
        };
        environment.shut_down().await;
        ended
    }
}

/// Waits so long, and tells what the first process of the environment does then.
async fn time_is_up(limit: Duration, environment: &Environment) -> Ended {
    Timer::after(limit).await;
    let processes = environment.processes();
    let mut text = format!("it took longer than {limit:?}, and was ended");
    if let Some(first) = processes.iter().min_by_key(|process| process.id()) {
        text.push_str(&what_it_does(first).await);
    }
    Ended::TimedOut(text)
}

/// What a process waits in and its active functions, as lines behind a line end.
async fn what_it_does(process: &Process) -> String {
    /// A wasm process answers at its next point of preemption.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// So many functions are shown.
    const SHOWN: usize = 32;
    let silent = async {
        Timer::after(PATIENCE).await;
        None
    };
    let Some(inspection) = future::or(process.inspect(), silent).await else {
        return String::new();
    };
    let mut text = match inspection.waiting_in {
        Some(function) => format!("\nit was waiting in {function}"),
        None => "\nit was running".to_owned(),
    };
    for (number, name) in inspection.backtrace.iter().take(SHOWN).enumerate() {
        let name = on_one_line(name, MAX_LOGGED_BYTES);
        let _ = write!(text, "\n  {number:>2}: {name}");
    }
    let more = inspection.backtrace.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = write!(text, "\n  and {more} more");
    }
    text
}

/// How a process ended, in words.
fn how_ended(reason: &ExitReason) -> Ended {
    if reason.is_normal() {
        return Ended::Returned;
    }
    Ended::Failed(match reason.failure().and_then(Failure::backtrace) {
        Some(backtrace) => format!("{reason}\n{}", backtrace.trim_end()),
        None => reason.to_string(),
    })
}
