//! A runtime in which one attack runs beside neighbours.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_lite::future::block_on;
use lunatic_account::Kind;
use lunatic_cli::{Config, Root, Runtime, State, Value};
use lunatic_engine::Module;
use lunatic_net::{NetConfig, Rules};
use lunatic_process::Process;
use lunatic_wasi::Access;
use tempfile::TempDir;

use crate::attack::probe::{FUNCTIONS, Probe};
use crate::attack::{Attack, Findings, Rights};

/// A runtime in which one attack runs beside neighbours.
#[derive(Debug)]
pub struct Trial {
    runtime: Runtime,
    /// The module of the trusted program.
    host: Module<State>,
    probe: Probe,
    /// What the culprit can be given.
    directory: TempDir,
    /// The rights of all culprits are those of the first at most.
    rights: Rights,
    /// The trusted processes and what they are called.
    trusted: Vec<(&'static str, Process)>,
}

/// The program that spawns neighbours and culprit.
const HOST: &str = include_str!("host.wat");

/// The trusted processes, in the order of their ids.
const TRUSTED: [&str; 4] = ["the host", "pong", NEIGHBOUR, "the sleeper"];

/// The process whose id culprits get.
const NEIGHBOUR: &str = "the neighbour";

/// The most memory of the runtime, in bytes.
const MAX_MEMORY: u64 = 512 << 20;

/// How long anything may take that has to happen in the end.
const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

const POLL_INTERVAL: Duration = Duration::from_millis(1);

impl Trial {
    /// Starts a runtime with two workers, the neighbours and the culprit.
    ///
    /// # Errors
    ///
    /// Fails if one of them does not start.
    pub fn start(attack: Attack) -> Result<Trial> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().to_str().context("a path of text")?;
        let rights = attack.rights;
        let probe = Probe::new(attack, path);
        let register = probe.clone();
        let runtime = Runtime::builder()
            .max_memory(MAX_MEMORY)
            .workers(NonZeroUsize::MIN.saturating_add(1))
            .host_functions(FUNCTIONS, move |linker| register.add_to_linker(linker))
            .start()?;
        let module = block_on(runtime.load(HOST.into()))?;
        let root = Root::new("main").config(trusted(rights, &directory)?);
        let host = block_on(runtime.spawn(&module, root))?;
        let mut trial = Trial {
            runtime,
            host: module,
            probe,
            directory,
            rights,
            trusted: Vec::new(),
        };
        trial.trusted = trial.wait_for_trusted(&host)?;
        Ok(trial)
    }

    /// Starts another culprit in a branch of its own, beside the existing ones.
    ///
    /// # Errors
    ///
    /// Fails if the process that is to spawn it does not start.
    pub fn add(&self, attack: Attack) -> Result<()> {
        let culprits = || self.probe.with(|seen| seen.culprits);
        // The previous one has got its attack by then.
        soon(|| culprits() > 0);
        let before = culprits();
        self.probe.set_attack(attack);
        let neighbour = self.trusted.iter().find(|(name, _)| *name == NEIGHBOUR);
        let neighbour = neighbour.context("there is no neighbour")?.1.id();
        let params = [Value::I64(neighbour.to_bits() as i64)];
        let config = self.trusted_config()?;
        let root = Root::new("more").params(params).config(config);
        let host = block_on(self.runtime.spawn(&self.host, root))?;
        // The other culprits can end it.
        soon(|| culprits() > before || !host.is_alive());
        Ok(())
    }

    /// Waits until the neighbours are there; they have the first ids.
    fn wait_for_trusted(&self, host: &Process) -> Result<Vec<(&'static str, Process)>> {
        let mut processes = Vec::new();
        soon(|| {
            processes = self.runtime.environment().processes();
            processes.len() >= TRUSTED.len() || !host.is_alive()
        });
        processes.sort_by_key(Process::id);
        if let Some(reason) = host.exit_reason() {
            anyhow::bail!("the host ended: {reason}");
        }
        (processes.len() >= TRUSTED.len())
            .then(|| TRUSTED.into_iter().zip(processes).collect())
            .context("the neighbours did not start")
    }

    /// Lets the culprit do what it does for some time, or longer if it has to end by
    /// itself; then kills its branch, and after that all.
    pub fn run(self, time: Duration, must_end: bool) -> Findings {
        thread::sleep(time);
        if must_end {
            soon(|| self.probe.with(|seen| seen.end.is_some()));
        }
        let end = self.probe.with(|seen| seen.end.take());
        let branch_gone = self.kill_branch();
        let rounds = self.rounds();
        let neighbours_go_on = soon(|| self.rounds() > rounds + 1);
        let casualties = self.casualties();
        let mut start_refused = None;
        soon(|| {
            let started = self.trusted_config().and_then(|config| {
                let root = Root::new("nap").config(config);
                Ok(block_on(self.runtime.spawn(&self.host, root))?)
            });
            start_refused = started.err().map(|refused| refused.to_string());
            start_refused.is_none()
        });
        block_on(self.runtime.environment().shut_down());
        soon(|| self.left().is_empty());
        let left = self.left();
        let mut delays = self.probe.with(|seen| std::mem::take(&mut seen.delays));
        delays.sort();
        block_on(self.runtime.shut_down());
        Findings {
            end,
            delays,
            casualties,
            neighbours_go_on,
            start_refused,
            branch_gone,
            left,
        }
    }

    /// Kills all processes but the trusted ones until there are none; in which time.
    fn kill_branch(&self) -> Option<Duration> {
        let start = Instant::now();
        let is_trusted = |process: &Process| {
            let mut trusted = self.trusted.iter();
            trusted.any(|(_, trusted)| trusted.id() == process.id())
        };
        let gone = soon(|| {
            let mut others = self.runtime.environment().processes();
            others.retain(|process| !is_trusted(process));
            others.iter().for_each(Process::kill);
            others.is_empty()
        });
        gone.then(|| start.elapsed())
    }

    fn trusted_config(&self) -> Result<Config> {
        trusted(self.rights, &self.directory)
    }

    fn rounds(&self) -> usize {
        self.probe.with(|seen| seen.delays.len())
    }

    fn casualties(&self) -> Vec<&'static str> {
        let mut casualties = self.trusted.clone();
        casualties.retain(|(_, process)| !process.is_alive());
        casualties.into_iter().map(|(name, _)| name).collect()
    }

    /// Returns the charges of the common account.
    fn left(&self) -> Vec<(Kind, u64)> {
        let account = self.runtime.environment().account();
        let mut left = Kind::ALL.map(|kind| (kind, account.used(kind))).to_vec();
        left.retain(|(_, used)| *used != 0);
        left
    }
}

/// All rights, but of the network and directories only what the culprits may have: they have as
/// much of the network as the host.
fn trusted(rights: Rights, directory: &TempDir) -> Result<Config> {
    let net = match rights.network {
        true => NetConfig::default().narrowed(Rules {
            allow: Some(vec!["127.0.0.0/8".parse()?]),
            deny: Vec::new(),
        }),
        false => NetConfig::nothing(),
    };
    let mut config = Config {
        net: Arc::new(net),
        ..Config::trusted()
    };
    if rights.directory {
        let path = directory.path().to_str().context("a path of text")?;
        let wasi = config.wasi_mut();
        wasi.add_dir_of_this_host(path, Access::ReadWrite)?;
    }
    Ok(config)
}

/// Waits until something holds. Whether it does.
fn soon(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < EVENT_TIMEOUT {
        if holds() {
            return true;
        }
        thread::sleep(POLL_INTERVAL);
    }
    false
}
