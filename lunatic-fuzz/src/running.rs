//! A runtime for untrusted modules.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, Root, Runtime};
use lunatic_net::{NetConfig, Rules};
use lunatic_process::{Process, ProcessConfig};
use lunatic_testkit::{TIMEOUT, wait, wait_until};
use lunatic_wasi::{Capture, Stdio};

/// How long a process has until it is killed.
const TIME: Duration = Duration::from_millis(20);

/// Of how many exports an input is called at most.
const CALLS: usize = 3;

/// How the processes of a module run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Whether they have a limit of fuel.
    pub(crate) with_fuel: bool,
    /// Whether they may spawn, compile and make configs.
    pub(crate) with_rights: bool,
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Runtime::builder()
        .workers(NonZeroUsize::MIN.saturating_add(1))
        .max_memory(1 << 30)
        .start()
        .unwrap()
});

/// Loads a module, and calls what it exports that takes nothing. All its processes can be
/// killed, and nothing is charged in the end but for compiled modules.
pub(crate) fn run(module: &[u8], how: How) {
    let Ok(module) = wait("compilation", RUNTIME.load(module.to_vec())) else {
        return;
    };
    let exports = module.exported_functions();
    let plain = exports
        .filter(|(_, is_plain)| *is_plain)
        .map(|(name, _)| name.to_owned());
    for export in plain.take(CALLS).collect::<Vec<_>>() {
        let root = Root::new(export)
            .config(config(how))
            .stdio(Stdio::captured(Capture::root()));
        // It may need more memory than there is, or trap at its start.
        let started = wait_while_killing(RUNTIME.spawn(&module, root));
        drop(started);
        let begin = Instant::now();
        while begin.elapsed() < TIME && !processes().is_empty() {
            thread::sleep(Duration::from_micros(200));
        }
        kill_all();
    }
    drop(module);
    let account = RUNTIME.environment().account();
    for kind in [
        Kind::Processes,
        Kind::Descriptors,
        Kind::Timers,
        Kind::LinearMemory,
    ] {
        wait_until(&format!("{kind} are released"), || account.used(kind) == 0);
    }
}

/// A start function may never end.
fn wait_while_killing<T>(starting: impl Future<Output = T> + Send) -> T
where
    T: Send,
{
    thread::scope(|scope| {
        let starting = scope.spawn(|| wait("the start", starting));
        let begin = Instant::now();
        while !starting.is_finished() {
            if begin.elapsed() > TIME {
                processes().iter().for_each(Process::kill);
            }
            thread::sleep(Duration::from_micros(200));
        }
        starting.join().unwrap()
    })
}

fn processes() -> Vec<Process> {
    RUNTIME.environment().processes()
}

fn kill_all() {
    let begin = Instant::now();
    loop {
        let left = processes();
        if left.is_empty() {
            return;
        }
        left.iter().for_each(Process::kill);
        assert!(begin.elapsed() < TIMEOUT, "cannot be killed: {left:?}");
        thread::sleep(Duration::from_micros(200));
    }
}

fn config(how: How) -> Config {
    let limits = AccountLimits {
        memory: 32 << 20,
        processes: 16,
        descriptors: 16,
        timers: 100,
        names: 100,
        threads: 2,
        log_lines: 100,
        ..AccountLimits::UNLIMITED
    };
    let process = ProcessConfig {
        can_signal_outside: false,
        can_send_outside: false,
        can_be_sent_to_from_outside: false,
        can_use_outside_names: false,
        can_spawn_processes: how.with_rights,
        can_compile_modules: how.with_rights,
        can_create_configs: how.with_rights,
        max_fuel: how.with_fuel.then_some(NonZeroU64::MIN.saturating_add(4)),
        account: Some(limits),
        ..ProcessConfig::trusted()
    };
    Config {
        process,
        net: Arc::new(NetConfig::default().narrowed(Rules {
            allow: Some(vec!["127.0.0.1".parse().unwrap()]),
            deny: Vec::new(),
        })),
        ..Config::default()
    }
}
