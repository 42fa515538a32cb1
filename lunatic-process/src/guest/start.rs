//! How a wasm process is spawned.

use std::mem;

use async_channel::Receiver;
use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_engine::{MemoryLimiter, MemoryLimits};
use wasmtime::Val;

use crate::environment::Environment;
use crate::failure::Failure;
use crate::guest::run::{Spawn, run};
use crate::guest::{Config, ProcessHost};
use crate::process::Process;
use crate::spawning::{SpawnError, SpawnOptions};

/// A process that was spawned.
#[derive(Debug)]
pub struct Spawned {
    process: Process,
    /// Only where making the instance may fail.
    start: Option<Receiver<Result<(), SpawnError>>>,
}

/// Spawns a wasm process and returns at once, so that a lock may be held over it.
/// The new process makes its own instance, on whichever core is free.
///
/// # Errors
///
/// [`SpawnError`] if it is known beforehand that there can be no instance.
pub fn spawn<T: ProcessHost>(
    environment: &Environment,
    mut spawn: Spawn<T>,
) -> Result<Spawned, SpawnError> {
    let info = spawn.module.info();
    let config = spawn.config.process();
    let limits = MemoryLimits {
        max_memory: config.max_memory,
    };
    info.check_limits(&limits)
        .map_err(|exceeded| SpawnError::ExceedsLimits(Failure::new(exceeded)))?;
    let parent = spawn.options.account.take();
    let account = account_of(environment, parent, &spawn)?;
    let charge = Charge::new(&account, Kind::LinearMemory, info.instance_bytes());
    let charge = charge.map_err(SpawnError::Exceeded)?;
    let arguments = charge_arguments(&account, &spawn).map_err(SpawnError::Exceeded)?;
    // Its own config is charged already.
    if !spawn.is_own_config {
        let begun = spawn
            .config
            .charge()
            .begin(&account, || spawn.config.size());
        begun.map_err(SpawnError::Exceeded)?;
    }
    match config.max_fuel {
        Some(units) => {
            let spent = account.spend_fuel(units.get());
            spent.map_err(SpawnError::Exceeded)?;
        }
        None if account.limits_fuel() => return Err(SpawnError::NoBudget),
        None => {}
    }
    let limiter = MemoryLimiter::charged(limits, charge, info);
    let options = SpawnOptions {
        account: Some(account),
        sends_within_branch: !config.can_send_outside,
        is_sent_to_within_branch: !config.can_be_sent_to_from_outside,
        answers_requests: true,
        mailbox: config.mailbox,
        ..mem::take(&mut spawn.options)
    };
    let linked_to = options.link.as_ref().map(|link| link.parent.id());
    let (report, start) = match info.start_may_fail {
        true => {
            let (sender, receiver) = async_channel::bounded(1);
            (Some(sender), Some(receiver))
        }
        false => (None, None),
    };
    let process = environment.spawn(options, |context| {
        run(context, spawn, limiter, arguments, linked_to, report)
    })?;
    Ok(Spawned { process, start })
}

/// Charges what the process is to begin with until it has begun, unless that is little.
fn charge_arguments<T: ProcessHost>(
    account: &Account,
    spawn: &Spawn<T>,
) -> Result<Option<Charge>, Exceeded> {
    /// So much is in what is charged for each process.
    const LITTLE: usize = 512;
    let bytes = spawn.export.len() + spawn.params.len() * size_of::<Val>();
    let is_much = bytes > LITTLE;
    is_much
        .then(|| Charge::new(account, Kind::Memory, bytes as u64))
        .transpose()
}

/// The account of the new process: that of its parent, or one below it.
fn account_of<T: ProcessHost>(
    environment: &Environment,
    parent: Option<Account>,
    spawn: &Spawn<T>,
) -> Result<Account, SpawnError> {
    let parent = parent.unwrap_or_else(|| environment.account().clone());
    match spawn.config.process().account {
        Some(limits) if !spawn.is_own_config => parent.branch(limits).map_err(SpawnError::Branch),
        _ => Ok(parent),
    }
}

impl Spawned {
    /// The process, started or not.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Whether nothing can keep the instance from being made: there is nothing to
    /// wait for.
    pub fn is_certain(&self) -> bool {
        self.start.is_none()
    }

    /// Waits until the instance is made. That takes no time at all unless the
    /// module has a start function, or segments that may not fit.
    ///
    /// # Errors
    ///
    /// [`SpawnError::StartFailed`] if there is none; the process has ended then.
    pub async fn started(self) -> Result<Process, SpawnError> {
        let Some(start) = self.start else {
            return Ok(self.process);
        };
        match start.recv().await {
            Ok(Ok(())) => Ok(self.process),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(SpawnError::StartFailed(Failure::new(
                "the process ended while it started",
            ))),
        }
    }
}
