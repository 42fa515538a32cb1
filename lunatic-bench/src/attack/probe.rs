//! The host functions of the guests of a trial.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_abi::{Guest as _, HostFunction, Param, ValueType};
use lunatic_account::AccountLimits;
use lunatic_cli::State;
use parking_lot::Mutex;
use wasmtime::{Caller, Linker, Result};

use crate::attack::{Attack, End};

/// The state of a trial, which the guests and the measuring thread share.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// Which attack the next culprit makes.
    attack: Arc<Mutex<Arc<Attack>>>,
    /// The path of the directory that culprits can be given.
    directory: Arc<str>,
    start: Instant,
    seen: Arc<Mutex<Seen>>,
}

/// The reports of guests.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) end: Option<End>,
    pub(super) delays: Vec<Duration>,
    /// How many culprits were asked for.
    pub(super) culprits: usize,
}

/// The functions that [`Probe::add_to_linker`] registers.
pub(super) const FUNCTIONS: &[HostFunction] = &[
    function("culprit", &[PTR], Some(ValueType::I32)),
    function("limit", &[NUMBER], Some(ValueType::I64)),
    function("right", &[NUMBER], Some(ValueType::I32)),
    function("directory", &[PTR], Some(ValueType::I32)),
    function("now", &[], Some(ValueType::I64)),
    function("delayed", &[MICROSECONDS], None),
    function("ended", &[NUMBER, PTR, LENGTH], None),
];

const PTR: Param = parameter("ptr", ValueType::I32);
const LENGTH: Param = parameter("len", ValueType::I32);
const NUMBER: Param = parameter("number", ValueType::I32);
const MICROSECONDS: Param = parameter("microseconds", ValueType::I64);

const fn parameter(name: &'static str, ty: ValueType) -> Param {
    Param { name, ty }
}

const fn function(
    name: &'static str,
    params: &'static [Param],
    result: Option<ValueType>,
) -> HostFunction {
    HostFunction {
        namespace: "attack",
        name,
        params,
        result,
    }
}

impl Probe {
    /// - `directory`: the path of what culprits with the right to a directory get.
    pub(super) fn new(attack: Attack, directory: &str) -> Probe {
        Probe {
            attack: Arc::new(Mutex::new(Arc::new(attack))),
            directory: directory.into(),
            start: Instant::now(),
            seen: Arc::default(),
        }
    }

    /// Has the next culprit make another attack.
    pub(super) fn set_attack(&self, attack: Attack) {
        *self.attack.lock() = Arc::new(attack);
    }

    /// Calls a function with the reports of guests so far.
    pub(super) fn with<R>(&self, look: impl FnOnce(&mut Seen) -> R) -> R {
        look(&mut self.seen.lock())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "they work on what the trial holds"
    )]
    pub(super) fn add_to_linker(&self, linker: &mut Linker<State>) -> Result<()> {
        const MODULE: &str = "attack";
        let (attack, seen) = (self.attack.clone(), self.seen.clone());
        linker.func_wrap(
            MODULE,
            "culprit",
            move |mut caller: Caller<'_, State>, ptr: u32| {
                let attack = attack.lock().clone();
                let text = attack.module.as_bytes();
                caller.write(ptr, text)?;
                seen.lock().culprits += 1;
                Result::Ok(text.len() as u32)
            },
        )?;
        let attack = self.attack.clone();
        linker.func_wrap(MODULE, "limit", move |kind: u32| {
            limit(&attack.lock().limits, kind)
        })?;
        let attack = self.attack.clone();
        linker.func_wrap(MODULE, "right", move |right: u32| {
            let rights = attack.lock().rights;
            let rights = [rights.compile, rights.configs, rights.spawn, rights.names];
            u32::from(rights.get(right as usize).copied().unwrap_or_default())
        })?;
        let (attack, directory) = (self.attack.clone(), self.directory.clone());
        linker.func_wrap(
            MODULE,
            "directory",
            move |mut caller: Caller<'_, State>, ptr: u32| {
                if !attack.lock().rights.directory {
                    return Result::Ok(0);
                }
                caller.write(ptr, directory.as_bytes())?;
                Ok(directory.len() as u32)
            },
        )?;
        let start = self.start;
        linker.func_wrap(MODULE, "now", move || start.elapsed().as_micros() as u64)?;
        let seen = self.seen.clone();
        linker.func_wrap(MODULE, "delayed", move |microseconds: i64| {
            let delay = Duration::from_micros(microseconds.max(0) as u64);
            seen.lock().delays.push(delay);
        })?;
        let seen = self.seen.clone();
        linker.func_wrap(
            MODULE,
            "ended",
            move |mut caller: Caller<'_, State>, how: u32, ptr: u32, length: u32| {
                let reason = caller.text(ptr, length)?.to_owned();
                seen.lock().end = Some(match how {
                    0 | 3 => End::Returned,
                    1 => End::Failed(reason),
                    _ => End::Killed,
                });
                Result::Ok(())
            },
        )?;
        Ok(())
    }
}

/// The limit of this number (ABI §26).
fn limit(limits: &AccountLimits, kind: u32) -> u64 {
    match kind {
        0 => limits.memory,
        1 => limits.processes,
        2 => limits.descriptors,
        3 => limits.timers,
        4 => limits.names,
        5 => limits.cpu,
        6 => limits.cpu_weight,
        7 => limits.fuel,
        8 => limits.output,
        9 => limits.threads,
        10 => limits.compile_time,
        _ => limits.log_lines,
    }
}
