//! The namespace `lunatic::wasi` (ABI §13): what a process gives to processes that it
//! will spawn.

use std::env;
use std::path::PathBuf;

use lunatic_abi::{Guest, Misuse, host_functions};
use wasmtime::{Caller, Result};

use crate::WasiHost;
use crate::config::WasiConfig;
use crate::config_error::ConfigError;
use crate::path_limit::MAX_PATH_BYTES;

host_functions! {
    pub(crate) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(crate) const HOST_FUNCTIONS;

    in "lunatic::wasi" {
        fn config_add_environment_variable(
            config_id: u64, key_ptr: u32, key_len: u32, value_ptr: u32, value_len: u32
        );
        fn config_add_command_line_argument(
            config_id: u64, argument_ptr: u32, argument_len: u32
        );
        fn config_preopen_dir(config_id: u64, dir_ptr: u32, dir_len: u32);
    }
}

/// The longest argument, and the longest key and value of an environment variable, in
/// bytes: what Linux gives to a new program.
const MAX_STRING_BYTES: usize = 128 << 10;

/// `lunatic::wasi::config_add_environment_variable` (ABI §13): appends a
/// variable. If there is one of this name, both are kept.
///
/// Traps on an unknown id, a bad address, a text above [`MAX_STRING_BYTES`] or not
/// UTF-8, a byte 0 in it, or when the environment is too long.
fn config_add_environment_variable<T: WasiHost>(
    mut caller: Caller<'_, T>,
    config_id: u64,
    key_ptr: u32,
    key_len: u32,
    value_ptr: u32,
    value_len: u32,
) -> Result<()> {
    let key = caller
        .text_within(key_ptr, key_len, MAX_STRING_BYTES)?
        .to_owned();
    let value = caller
        .text_within(value_ptr, value_len, MAX_STRING_BYTES)?
        .to_owned();
    let more = WasiConfig::size_of_env(&key, &value);
    let add = |config: &mut WasiConfig| config.add_env(&key, &value);
    change(caller, config_id, more, add)
}

/// `lunatic::wasi::config_add_command_line_argument` (ABI §13): appends an
/// argument; the first one is the program's name.
///
/// Traps on an unknown id, a bad address, a text above [`MAX_STRING_BYTES`] or not
/// UTF-8, a byte 0 in it, or when the arguments are too long.
fn config_add_command_line_argument<T: WasiHost>(
    mut caller: Caller<'_, T>,
    config_id: u64,
    argument_ptr: u32,
    argument_len: u32,
) -> Result<()> {
    let argument = caller
        .text_within(argument_ptr, argument_len, MAX_STRING_BYTES)?
        .to_owned();
    let more = WasiConfig::size_of_arg(&argument);
    let add = |config: &mut WasiConfig| config.add_arg(&argument);
    change(caller, config_id, more, add)
}

/// `lunatic::wasi::config_preopen_dir` (ABI §13): appends a directory under the
/// name that it is given by; `~` is the directory that the variable `HOME` of the
/// runtime names.
///
/// The directory must be one of the caller's own or lie below one, and it is
/// read-only if that is. Whether it exists is found out by `spawn`.
///
/// Traps on an unknown id, a bad address, a path above [`MAX_PATH_BYTES`] or not
/// UTF-8, a directory that the caller does not have itself, `~` without `HOME`, or when
/// there are too many.
fn config_preopen_dir<T: WasiHost>(
    mut caller: Caller<'_, T>,
    config_id: u64,
    dir_ptr: u32,
    dir_len: u32,
) -> Result<()> {
    let name = caller
        .text_within(dir_ptr, dir_len, MAX_PATH_BYTES)?
        .to_owned();
    let host = host_path(&name)?;
    let own = caller.data_mut().wasi().opened_config().clone();
    let preopen = own
        .dirs()
        .find_map(|(preopen, dir)| preopen.narrowed(dir, &host, &name))
        .ok_or(Misuse::Denied(
            "grant a directory that is not below one of its own",
        ))?;
    let more = preopen.size();
    let add = |config: &mut WasiConfig| config.add_preopen(preopen);
    change(caller, config_id, more, add)
}

/// Adds something to a config.
fn change<T: WasiHost>(
    mut caller: Caller<'_, T>,
    config_id: u64,
    more: usize,
    add: impl FnOnce(&mut WasiConfig) -> std::result::Result<(), ConfigError>,
) -> Result<()> {
    let copied = caller.data().shared_config_bytes(config_id);
    caller.pay_for(copied as u64);
    let added = caller.data_mut().change_wasi_config(config_id, more, add)?;
    Ok(added.map_err(Misuse::from)?)
}

/// The path on the host that a guest means.
///
/// Where the home directory is, only the environment of the runtime says: looking into
/// the user database can block the thread.
fn host_path(name: &str) -> Result<PathBuf, Misuse> {
    if name != "~" {
        return Ok(PathBuf::from(name));
    }
    match env::var_os("HOME") {
        Some(home) if !home.is_empty() => Ok(home.into()),
        _ => Err(Misuse::refused(
            "`~` is the home directory, which is not known: the variable HOME is not set",
        )),
    }
}

impl From<ConfigError> for Misuse {
    fn from(error: ConfigError) -> Misuse {
        Misuse::refused(error.to_string())
    }
}
