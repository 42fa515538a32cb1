//! Arguments and environment.

use lunatic_abi::{Guest, host_functions};
use wasmtime::Caller;

use crate::WasiHost;
use crate::config::WasiConfig;
use crate::outcome::{Outcome, answer};
use crate::strings::Strings;

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        fn args_get(argv: u32, argv_buf: u32) -> i32;
        fn args_sizes_get(argc_ptr: u32, argv_buf_size_ptr: u32) -> i32;
        fn environ_get(environ: u32, environ_buf: u32) -> i32;
        fn environ_sizes_get(environc_ptr: u32, environ_buf_size_ptr: u32) -> i32;
    }
}

/// `args_get`: writes the arguments to `argv_buf` and their addresses to `argv`.
fn args_get<T: WasiHost>(caller: Caller<'_, T>, argv: u32, argv_buf: u32) -> Outcome {
    write_strings(caller, WasiConfig::arg_strings, argv, argv_buf)
}

/// `args_sizes_get`: how many arguments there are and how many bytes they take.
fn args_sizes_get<T: WasiHost>(
    caller: Caller<'_, T>,
    argc_ptr: u32,
    argv_buf_size_ptr: u32,
) -> Outcome {
    write_sizes(caller, WasiConfig::arg_strings, argc_ptr, argv_buf_size_ptr)
}

/// `environ_get`: writes the environment to `environ_buf` and the addresses of
/// its entries to `environ`.
fn environ_get<T: WasiHost>(caller: Caller<'_, T>, environ: u32, environ_buf: u32) -> Outcome {
    write_strings(caller, WasiConfig::env_strings, environ, environ_buf)
}

/// `environ_sizes_get`: how many entries there are and how many bytes they take.
fn environ_sizes_get<T: WasiHost>(
    caller: Caller<'_, T>,
    environc_ptr: u32,
    environ_buf_size_ptr: u32,
) -> Outcome {
    write_sizes(
        caller,
        WasiConfig::env_strings,
        environc_ptr,
        environ_buf_size_ptr,
    )
}

/// So many addresses of strings are written at once.
const PIECE: usize = 256;

fn write_strings<T: WasiHost>(
    mut caller: Caller<'_, T>,
    choose: fn(&WasiConfig) -> &Strings,
    addresses_ptr: u32,
    buffer_ptr: u32,
) -> Outcome {
    let config = caller.data_mut().wasi().config().clone();
    let strings = choose(&config);
    caller.write(buffer_ptr, strings.bytes())?;
    // In pieces, so that they take no room of their own.
    for (piece, starts) in strings.starts().chunks(PIECE).enumerate() {
        let mut addresses = [[0; 4]; PIECE];
        for (address, start) in addresses.iter_mut().zip(starts) {
            *address = (buffer_ptr + start).to_le_bytes();
        }
        let written = addresses[..starts.len()].as_flattened();
        let at = u64::from(addresses_ptr) + (4 * PIECE * piece) as u64;
        // Beyond all memory, the address is a bad one as it is.
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        caller.write(at, written)?;
    }
    Ok(())
}

fn write_sizes<T: WasiHost>(
    mut caller: Caller<'_, T>,
    choose: fn(&WasiConfig) -> &Strings,
    count_ptr: u32,
    size_ptr: u32,
) -> Outcome {
    let strings = choose(caller.data_mut().wasi().config());
    let (count, size) = (strings.starts().len(), strings.bytes().len());
    caller.write_u32(count_ptr, count as u32)?;
    caller.write_u32(size_ptr, size as u32)?;
    Ok(())
}
