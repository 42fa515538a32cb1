//! How others end, and why (ABI §31).

use lunatic_abi::{Guest, Misuse, host_functions};
use lunatic_mailbox::{Pid, Tag};
use wasmtime::{Caller, Result};

use crate::exit::ExitReason;
use crate::failure::{Failure, FailureKind, MAX_MESSAGE_BYTES};
use crate::guest::ProcessHost;
use crate::guest::identity::check_right_to_signal;

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::process" {
        fn exit(process_id: u64, reason: u32, text_ptr: u32, text_len: u32);
        fn monitor_with_reason(tag: i64, process_id: u64);
    }
}

/// `lunatic::process::exit` (ABI §31): asks a process of any node to end for this reason, as
/// OTP's `exit/2` does.
///
/// - `reason`: 1 it has failed, with this text; 3 it is to end in good order.
///
/// Traps without the right to signal that process, on a bad address, text that is not UTF-8 or
/// longer than [`MAX_MESSAGE_BYTES`], another reason, and if the caller's account has no memory
/// left.
fn exit<T: ProcessHost>(
    mut caller: Caller<'_, T>,
    process_id: u64,
    reason: u32,
    text_ptr: u32,
    text_len: u32,
) -> Result<()> {
    let text = caller
        .text_within(text_ptr, text_len, MAX_MESSAGE_BYTES)?
        .to_owned();
    let reason = match reason {
        1 => ExitReason::Failed(Failure::with_message(FailureKind::Error, text)),
        3 => ExitReason::Shutdown,
        other => {
            let reason = format!("{other} is no reason for which a process is asked to end");
            return Err(Misuse::refused(reason).into());
        }
    };
    let process = Pid::from_bits(process_id);
    check_right_to_signal(caller.data(), process)?;
    let asked = caller.data().process().handle().try_exit(process, reason);
    Ok(asked.map_err(Misuse::Exceeded)?)
}

/// `lunatic::process::monitor_with_reason` (ABI §31): asks to be told why a process of any
/// node ends, by a data message with this tag.
///
/// Traps without the right to signal that process, and if the account of one of the two has no
/// memory left.
fn monitor_with_reason<T: ProcessHost>(
    caller: Caller<'_, T>,
    tag: i64,
    process_id: u64,
) -> Result<()> {
    let process = Pid::from_bits(process_id);
    check_right_to_signal(caller.data(), process)?;
    let own = caller.data().process().handle();
    let monitored = own.try_monitor_with_reason(process, Tag::new(tag));
    Ok(monitored.map_err(Misuse::Exceeded)?)
}
