//! Configurations as resources: create, drop, edit (ABI §3.2).
//!
//! A process cannot grant what it does not have. To grant a right that it lacks is a
//! trap. A limit above its own becomes its own, as the guest can read.

use std::num::NonZeroU64;

use lunatic_abi::{Misuse, host_functions};
use wasmtime::{Caller, Result};

use crate::config::ProcessConfig;
use crate::guest::state::GuestConfig;
use crate::guest::{Config, ProcessHost};

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::process" {
        fn create_config() -> i64;
        fn drop_config(config_id: u64);
        fn config_set_max_memory(config_id: u64, max_memory: u64);
        fn config_get_max_memory(config_id: u64) -> u64;
        fn config_set_max_fuel(config_id: u64, max_fuel: u64);
        fn config_get_max_fuel(config_id: u64) -> u64;
        fn config_can_compile_modules(config_id: u64) -> u32;
        fn config_set_can_compile_modules(config_id: u64, can: u32);
        fn config_can_create_configs(config_id: u64) -> u32;
        fn config_set_can_create_configs(config_id: u64, can: u32);
        fn config_can_spawn_processes(config_id: u64) -> u32;
        fn config_set_can_spawn_processes(config_id: u64, can: u32);
    }
}

/// A right that a process has or has not.
pub(super) struct Right {
    pub(super) name: &'static str,
    pub(super) of: fn(&mut ProcessConfig) -> &mut bool,
}

const COMPILE_MODULES: Right = Right {
    name: "grant the right to compile modules",
    of: |config| &mut config.can_compile_modules,
};

const CREATE_CONFIGS: Right = Right {
    name: "grant the right to create configs",
    of: |config| &mut config.can_create_configs,
};

const SPAWN_PROCESSES: Right = Right {
    name: "grant the right to spawn processes",
    of: |config| &mut config.can_spawn_processes,
};

/// `lunatic::process::create_config` (ABI §3.2): a config without rights and with
/// the default limits, or the caller's where those are lower. Returns its id, or
/// -1 without the right to.
///
/// Traps if the config table is full.
fn create_config<T: ProcessHost>(mut caller: Caller<'_, T>) -> Result<i64> {
    const DENIED: i64 = -1;
    let process = caller.data_mut().process_mut();
    let account = process.process.account().clone();
    let own = process.config.process();
    if !own.can_create_configs {
        return Ok(DENIED);
    }
    let mut config = T::Config::default();
    *config.process_mut() = config.process().capped(own);
    let id = process
        .configs
        .insert(GuestConfig::new(config), &account)
        .map_err(Misuse::from)?;
    Ok(id as i64)
}

/// `lunatic::process::drop_config` (ABI §3.2). Processes keep theirs.
///
/// Traps on an unknown id.
fn drop_config<T: ProcessHost>(mut caller: Caller<'_, T>, config_id: u64) -> Result<()> {
    let configs = &mut caller.data_mut().process_mut().configs;
    Ok(configs.discard(config_id)?)
}

/// `lunatic::process::config_set_max_memory` (ABI §3.2), in bytes.
///
/// Traps on an unknown id.
fn config_set_max_memory<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    max_memory: u64,
) -> Result<()> {
    edit(caller, config_id, |config| config.max_memory = max_memory)
}

/// `lunatic::process::config_get_max_memory` (ABI §3.2), in bytes.
///
/// Traps on an unknown id.
fn config_get_max_memory<T: ProcessHost>(caller: Caller<'_, T>, config_id: u64) -> Result<u64> {
    Ok(config(&caller, config_id)?.max_memory)
}

/// `lunatic::process::config_set_max_fuel` (ABI §3.2), in units of 100 000 fuel;
/// 0 is no limit.
///
/// Traps on an unknown id.
fn config_set_max_fuel<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    max_fuel: u64,
) -> Result<()> {
    edit(caller, config_id, |config| {
        config.max_fuel = NonZeroU64::new(max_fuel);
    })
}

/// `lunatic::process::config_get_max_fuel` (ABI §3.2), in units of 100 000 fuel;
/// 0 is no limit.
///
/// Traps on an unknown id.
fn config_get_max_fuel<T: ProcessHost>(caller: Caller<'_, T>, config_id: u64) -> Result<u64> {
    let max_fuel = config(&caller, config_id)?.max_fuel;
    Ok(max_fuel.map_or(0, NonZeroU64::get))
}

/// `lunatic::process::config_can_compile_modules` (ABI §3.2): 1 if the config has the
/// right.
///
/// Traps on an unknown id.
fn config_can_compile_modules<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
) -> Result<u32> {
    has_right(caller, config_id, &COMPILE_MODULES)
}

/// `lunatic::process::config_set_can_compile_modules` (ABI §3.2).
///
/// Traps on an unknown id, and on a grant of what the caller does not have.
fn config_set_can_compile_modules<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    can: u32,
) -> Result<()> {
    set_right(caller, config_id, &COMPILE_MODULES, can != 0)
}

/// `lunatic::process::config_can_create_configs` (ABI §3.2): 1 if the config has the
/// right.
///
/// Traps on an unknown id.
fn config_can_create_configs<T: ProcessHost>(caller: Caller<'_, T>, config_id: u64) -> Result<u32> {
    has_right(caller, config_id, &CREATE_CONFIGS)
}

/// `lunatic::process::config_set_can_create_configs` (ABI §3.2).
///
/// Traps on an unknown id, and on a grant of what the caller does not have.
fn config_set_can_create_configs<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    can: u32,
) -> Result<()> {
    set_right(caller, config_id, &CREATE_CONFIGS, can != 0)
}

/// `lunatic::process::config_can_spawn_processes` (ABI §3.2): 1 if the config has the
/// right.
///
/// Traps on an unknown id.
fn config_can_spawn_processes<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
) -> Result<u32> {
    has_right(caller, config_id, &SPAWN_PROCESSES)
}

/// `lunatic::process::config_set_can_spawn_processes` (ABI §3.2).
///
/// Traps on an unknown id, and on a grant of what the caller does not have.
fn config_set_can_spawn_processes<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    can: u32,
) -> Result<()> {
    set_right(caller, config_id, &SPAWN_PROCESSES, can != 0)
}

pub(super) fn has_right<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    right: &Right,
) -> Result<u32> {
    let mut config = config(&caller, config_id)?.clone();
    Ok(u32::from(*(right.of)(&mut config)))
}

pub(super) fn set_right<T: ProcessHost>(
    mut caller: Caller<'_, T>,
    config_id: u64,
    right: &Right,
    can: bool,
) -> Result<()> {
    let process = caller.data_mut().process_mut();
    let mut own = process.config.process().clone();
    let config = process.config_mut(config_id)?.process_mut();
    if can && !*(right.of)(&mut own) {
        return Err(Misuse::Denied(right.name).into());
    }
    *(right.of)(config) = can;
    Ok(())
}

pub(super) fn config<'a, T: ProcessHost>(
    caller: &'a Caller<'_, T>,
    config_id: u64,
) -> Result<&'a ProcessConfig> {
    let config = caller.data().process().configs.get(config_id)?;
    Ok(config.config.process())
}

/// Changes a config and cuts it to what the caller has.
pub(super) fn edit<T: ProcessHost>(
    mut caller: Caller<'_, T>,
    config_id: u64,
    change: impl FnOnce(&mut ProcessConfig),
) -> Result<()> {
    let process = caller.data_mut().process_mut();
    let own = process.config.clone();
    let config = process.config_mut(config_id)?.process_mut();
    change(config);
    *config = config.capped(own.process());
    Ok(())
}
