//! Reads and checks the numbers and records that guests give.

use std::time::Duration;

use lunatic_abi::{Guest, Misuse};
use lunatic_process::guest::{Resolved, SpawnArguments, resolve};
use wasmtime::{Caller, Result};

use crate::core::{AutoShutdown, ChildSpec, Restart, ShutdownPolicy, Strategy};
use crate::guest::SupervisorHost;
use crate::guest::child::WasmChild;
use crate::start::ChildStart;

/// Bytes of a child record (ABI §23.2).
const CHILD_BYTES: u32 = 56;

/// The longest name of a child or supervisor, in bytes.
const MAX_NAME_BYTES: usize = 1024;

pub(super) fn strategy(code: u32) -> Result<Strategy, Misuse> {
    match code {
        0 => Ok(Strategy::OneForOne),
        1 => Ok(Strategy::OneForAll),
        2 => Ok(Strategy::RestForOne),
        3 => Ok(Strategy::SimpleOneForOne),
        _ => Err(unknown("strategy", code)),
    }
}

pub(super) fn auto_shutdown(code: u32) -> Result<AutoShutdown, Misuse> {
    match code {
        0 => Ok(AutoShutdown::Never),
        1 => Ok(AutoShutdown::AnySignificant),
        2 => Ok(AutoShutdown::AllSignificant),
        _ => Err(unknown("kind of auto-shutdown", code)),
    }
}

pub(super) fn restart(code: u32) -> Result<Restart, Misuse> {
    match code {
        0 => Ok(Restart::Permanent),
        1 => Ok(Restart::Transient),
        2 => Ok(Restart::Temporary),
        _ => Err(unknown("restart type", code)),
    }
}

pub(super) fn shutdown(millis: i64) -> Result<ShutdownPolicy, Misuse> {
    const INFINITY: i64 = -1;
    const BRUTAL_KILL: i64 = -2;
    match millis {
        INFINITY => Ok(ShutdownPolicy::Infinity),
        BRUTAL_KILL => Ok(ShutdownPolicy::BrutalKill),
        _ => Ok(ShutdownPolicy::Timeout(duration(millis)?)),
    }
}

/// Reads a time, which must not be negative.
pub(super) fn duration(millis: i64) -> Result<Duration, Misuse> {
    u64::try_from(millis)
        .map(Duration::from_millis)
        .map_err(|_| Misuse::refused(format!("{millis} ms is no time")))
}

pub(super) fn name<T: SupervisorHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> Result<String> {
    Ok(caller.text_within(ptr, len, MAX_NAME_BYTES)?.to_owned())
}

/// Reads a child record, and captures what the caller gives the child.
pub(super) fn child<T: SupervisorHost>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
) -> Result<ChildSpec<ChildStart>> {
    let record = Record(caller.bytes(ptr, CHILD_BYTES)?.to_vec());
    let restart = restart(record.u32(48))?;
    let shutdown = shutdown(record.i64(40))?;
    let is_significant = record.u32(52) != 0;
    let name = name(caller, record.u32(0), record.u32(4))?;
    let arguments = SpawnArguments {
        link: 0,
        module: record.i64(8),
        config: record.i64(16),
        name: (record.u32(24), record.u32(28)),
        params: (record.u32(32), record.u32(36)),
    };
    let Resolved {
        module,
        is_current,
        config,
        is_own_config,
        export,
        params,
    } = resolve(caller, arguments)?;
    let environments = caller.data().child_environments(&config);
    let mut start = WasmChild::new(&module, config, environments);
    if is_current {
        start = start.current_version(caller.data().current_versions());
    }
    let start = start
        .export(export)
        .params(params)
        .own_config(is_own_config)
        .into_start();
    let mut child = ChildSpec::new(name, start)
        .restart(restart)
        .shutdown(shutdown);
    child.significant = is_significant;
    Ok(child)
}

/// Numbers in a record whose length was checked.
struct Record(Vec<u8>);

impl Record {
    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.array(offset))
    }

    fn i64(&self, offset: usize) -> i64 {
        i64::from_le_bytes(self.array(offset))
    }

    fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[offset + index])
    }
}

fn unknown(what: &str, code: u32) -> Misuse {
    Misuse::refused(format!("there is no {what} {code}"))
}
