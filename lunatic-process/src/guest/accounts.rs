//! Accounts and rights in configurations, and the account of the caller (ABI §26).

use lunatic_abi::{Misuse, host_functions};
use lunatic_account::{AccountLimits, Kind};
use lunatic_mailbox::Pid;
use wasmtime::{Caller, Result};

use crate::config::ProcessConfig;
use crate::guest::configs::{Right, config, edit, has_right, set_right};
use crate::guest::identity::check_right_to_signal;
use crate::guest::{Config, ProcessHost};

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::process" {
        fn config_set_limit(config_id: u64, kind: u32, limit: u64);
        fn config_get_limit(config_id: u64, kind: u32) -> u64;
        fn config_set_right(config_id: u64, right: u32, can: u32);
        fn config_has_right(config_id: u64, right: u32) -> u32;
        fn account_limit(kind: u32) -> u64;
        fn account_used(kind: u32) -> u64;
        fn permit_signals(process_id: u64, target_id: u64) -> u32;
    }
}

/// `lunatic::process::config_set_limit` (ABI §26): processes with this config get an
/// account of their own, with this limit.
///
/// - `kind`: 0 to 11.
/// - `limit`: -1 for none.
///
/// Traps on an unknown id and an unknown kind.
fn config_set_limit<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    kind: u32,
    limit: u64,
) -> Result<()> {
    let of = limit_of(kind)?;
    edit(caller, config_id, |config| {
        *of(config.account.get_or_insert_default()) = limit;
    })
}

/// `lunatic::process::config_get_limit` (ABI §26): -1 if there is none.
///
/// Traps on an unknown id and an unknown kind.
fn config_get_limit<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    kind: u32,
) -> Result<u64> {
    let of = limit_of(kind)?;
    let mut limits = config(&caller, config_id)?.account.unwrap_or_default();
    Ok(*of(&mut limits))
}

/// `lunatic::process::config_set_right` (ABI §26).
///
/// - `right`: 0 to 3.
///
/// Traps on an unknown id, an unknown right, and on a grant of what the caller does
/// not have.
fn config_set_right<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    right: u32,
    can: u32,
) -> Result<()> {
    set_right(caller, config_id, right_of(right)?, can != 0)
}

/// `lunatic::process::config_has_right` (ABI §26): 1 if the config has the right.
///
/// Traps on an unknown id and an unknown right.
fn config_has_right<T: ProcessHost>(
    caller: Caller<'_, T>,
    config_id: u64,
    right: u32,
) -> Result<u32> {
    has_right(caller, config_id, right_of(right)?)
}

/// `lunatic::process::account_limit` (ABI §26): a limit of the account of the caller;
/// -1 if there is none.
///
/// Traps on an unknown kind.
fn account_limit<T: ProcessHost>(caller: Caller<'_, T>, kind: u32) -> Result<u64> {
    let of = limit_of(kind)?;
    let mut limits = *caller.data().process().handle().account().limits();
    Ok(*of(&mut limits))
}

/// `lunatic::process::account_used` (ABI §26): how much is charged to the account of
/// the caller, and to those below it.
///
/// - `kind`: 0 to 4, or 7.
///
/// Traps on an unknown kind.
fn account_used<T: ProcessHost>(caller: Caller<'_, T>, kind: u32) -> Result<u64> {
    let kind = match kind {
        0 => Kind::Memory,
        1 => Kind::Processes,
        2 => Kind::Descriptors,
        3 => Kind::Timers,
        4 => Kind::Names,
        7 => Kind::Fuel,
        other => return Err(unknown("kind of thing that is counted", other)),
    };
    Ok(caller.data().process().handle().account().used(kind))
}

/// `lunatic::process::permit_signals` (ABI §26): a process of this node may signal another one
/// from now on, wherever that is. Returns 0, or 1 if it has as many such permissions as it may, or
/// has ended.
///
/// Traps without the right to signal the other one, and if the process that is to have the permission
/// is outside of the caller's branch, without the right to signal all others: it may have few.
fn permit_signals<T: ProcessHost>(
    caller: Caller<'_, T>,
    process_id: u64,
    target_id: u64,
) -> Result<u32> {
    let [process, target] = [process_id, target_id].map(Pid::from_bits);
    check_right_to_permit(caller.data(), process)?;
    check_right_to_signal(caller.data(), target)?;
    let environment = caller.data().process().handle().environment();
    let permitted = match environment.is_local(process) {
        true => environment.process(process),
        false => None,
    };
    let is_permitted = permitted.is_some_and(|process| process.permit_signals(target));
    Ok(u32::from(!is_permitted))
}

/// Checks that the caller may give permissions to a process.
fn check_right_to_permit<T: ProcessHost>(state: &T, process: Pid) -> Result<(), Misuse> {
    let own = state.process();
    let is_right = own.config().process().can_signal_outside;
    match is_right || own.handle().is_of_branch(process) {
        true => Ok(()),
        false => Err(Misuse::Denied(
            "permit anything to processes outside of its branch",
        )),
    }
}

/// The limit that a guest means.
fn limit_of(kind: u32) -> Result<fn(&mut AccountLimits) -> &mut u64> {
    Ok(match kind {
        0 => |limits| &mut limits.memory,
        1 => |limits| &mut limits.processes,
        2 => |limits| &mut limits.descriptors,
        3 => |limits| &mut limits.timers,
        4 => |limits| &mut limits.names,
        5 => |limits| &mut limits.cpu,
        6 => |limits| &mut limits.cpu_weight,
        7 => |limits| &mut limits.fuel,
        8 => |limits| &mut limits.output,
        9 => |limits| &mut limits.threads,
        10 => |limits| &mut limits.compile_time,
        11 => |limits| &mut limits.log_lines,
        other => return Err(unknown("kind of limit", other)),
    })
}

const SIGNAL_OUTSIDE: Right = Right {
    name: "grant the right to signal processes outside of a branch",
    of: |config: &mut ProcessConfig| &mut config.can_signal_outside,
};

const SEND_OUTSIDE: Right = Right {
    name: "grant the right to send messages outside of a branch",
    of: |config: &mut ProcessConfig| &mut config.can_send_outside,
};

const USE_OUTSIDE_NAMES: Right = Right {
    name: "grant the right to use names from outside of a branch",
    of: |config: &mut ProcessConfig| &mut config.can_use_outside_names,
};

const BE_SENT_TO_FROM_OUTSIDE: Right = Right {
    name: "grant the right to be sent messages from outside of a branch",
    of: |config: &mut ProcessConfig| &mut config.can_be_sent_to_from_outside,
};

/// The right that a guest means.
fn right_of(right: u32) -> Result<&'static Right> {
    match right {
        0 => Ok(&SIGNAL_OUTSIDE),
        1 => Ok(&SEND_OUTSIDE),
        2 => Ok(&USE_OUTSIDE_NAMES),
        3 => Ok(&BE_SENT_TO_FROM_OUTSIDE),
        other => Err(unknown("right", other)),
    }
}

fn unknown(what: &str, number: u32) -> wasmtime::Error {
    Misuse::refused(format!("there is no {what} with number {number}")).into()
}
