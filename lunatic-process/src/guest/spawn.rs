//! `lunatic::process::spawn` (ABI §3.3).

use std::fmt;
use std::sync::Arc;

use lunatic_abi::{Guest, Misuse, host_functions, params};
use lunatic_engine::Module;
use lunatic_mailbox::Tag;
use wasmtime::{Caller, Result, Val};

use crate::guest::run::Spawn;
use crate::guest::start;
use crate::guest::{Config, ProcessHost};
use crate::spawning::{SpawnLink, SpawnOptions};

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::process" {
        async fn spawn(
            link: i64, config_id: i64, module_id: i64, export_ptr: u32, export_len: u32,
            params_ptr: u32, params_len: u32, id_ptr: u32
        ) -> u32;
    }
}

/// The arguments that `spawn` and `get_or_spawn` have in common, as the guest
/// gave them.
#[derive(Debug, Clone, Copy)]
pub struct SpawnArguments {
    /// The tag with which the parent is told of the death of the child; 0 for no link.
    pub link: i64,
    /// An id from the config table; -1 for the caller's own.
    pub config: i64,
    /// An id from the module table; -1 for the caller's own, -2 for the current version of
    /// that (ABI §27).
    pub module: i64,
    /// Address and length of the name of the export.
    pub name: (u32, u32),
    /// Address and length of the argument records.
    pub params: (u32, u32),
}

impl SpawnArguments {
    /// Takes the arguments in the order in which `spawn` and `get_or_spawn` have them.
    pub fn new(
        link: i64,
        config: i64,
        module: i64,
        name_ptr: u32,
        name_len: u32,
        params_ptr: u32,
        params_len: u32,
    ) -> SpawnArguments {
        SpawnArguments {
            link,
            config,
            module,
            name: (name_ptr, name_len),
            params: (params_ptr, params_len),
        }
    }
}

/// The id that stands for the caller's own config or module.
const OWN: i64 = -1;

/// The id that stands for the current version of the caller's own module.
const CURRENT: i64 = -2;

/// `lunatic::process::spawn` (ABI §3.3): starts a process. Returns 0 with its
/// id, or 1 with an error id, at `id_ptr`.
///
/// Traps without the right to spawn, as [`prepare`] does, and on a bad `id_ptr`.
async fn spawn<T: ProcessHost>(
    mut caller: Caller<'_, T>,
    link: i64,
    config_id: i64,
    module_id: i64,
    export_ptr: u32,
    export_len: u32,
    params_ptr: u32,
    params_len: u32,
    id_ptr: u32,
) -> Result<u32> {
    check_right_to_spawn(caller.data())?;
    caller.check_id_ptr(id_ptr)?;
    let arguments = SpawnArguments::new(
        link, config_id, module_id, export_ptr, export_len, params_ptr, params_len,
    );
    let environment = caller.data().process().process.environment().clone();
    let prepared = prepare(&mut caller, arguments).await?;
    let spawned = match start::spawn(&environment, prepared) {
        Ok(spawned) => spawned,
        Err(error) => return caller.report(id_ptr, &error),
    };
    let started = caller.wait(spawned.started()).await;
    caller.answer_id(id_ptr, started.map(|process| process.id().to_bits()))
}

/// Checks that the caller may spawn.
///
/// # Errors
///
/// [`Misuse::Denied`] without the right, [`Misuse::Refused`] while the caller's
/// own instance is being made.
pub fn check_right_to_spawn<T: ProcessHost>(state: &T) -> Result<(), Misuse> {
    let process = state.process();
    if !process.config().process().can_spawn_processes {
        return Err(Misuse::Denied("spawn processes"));
    }
    if !process.incarnation.has_started() {
        return Err(Misuse::refused(
            "a process cannot spawn others while its own start function runs",
        ));
    }
    Ok(())
}

/// What the arguments of a spawn stand for in the caller's tables and memory.
pub struct Resolved<T: ProcessHost> {
    /// What the process will be an instance of.
    pub module: Module<T>,
    /// Whether it is the current version of the caller's module, whichever that is.
    pub is_current: bool,
    /// Its rights and limits.
    pub config: Arc<T::Config>,
    /// Whether the config is the caller's own, whose limits hold already.
    pub is_own_config: bool,
    /// The exported function that it will run.
    pub export: String,
    /// The arguments of that function.
    pub params: Vec<Val>,
}

/// The longest name of an export that a guest spawns, in bytes.
const MAX_EXPORT_BYTES: usize = 4096;

/// Finds what the arguments of a guest stand for.
///
/// # Errors
///
/// Traps on an unknown config or module, bad addresses, a name above
/// `MAX_EXPORT_BYTES`, text that is not UTF-8, and bad records.
pub fn resolve<T: ProcessHost>(
    caller: &mut Caller<'_, T>,
    arguments: SpawnArguments,
) -> Result<Resolved<T>> {
    let parent = caller.data().process();
    let is_own_config = arguments.config == OWN;
    let config = match arguments.config {
        OWN => parent.config.clone(),
        id => parent.configs.get(id as u64)?.config.clone(),
    };
    let module = match arguments.module {
        OWN => parent.incarnation.module.clone(),
        CURRENT => caller.data().current_versions()(&parent.incarnation.module),
        id => parent.modules.get(id as u64)?.0.clone(),
    };
    let (name, length) = arguments.name;
    let export = caller
        .text_within(name, length, MAX_EXPORT_BYTES)?
        .to_owned();
    let params = params::parse(caller.bytes(arguments.params.0, arguments.params.1)?)?;
    Ok(Resolved {
        module,
        is_current: arguments.module == CURRENT,
        config,
        is_own_config,
        export,
        params,
    })
}

/// Returns everything that a child of the caller starts with. It waits only if
/// something that the config names must be opened first.
///
/// # Errors
///
/// Traps as [`resolve`] does, and on a config that names something that cannot be
/// opened.
pub async fn prepare<T: ProcessHost>(
    caller: &mut Caller<'_, T>,
    arguments: SpawnArguments,
) -> Result<Spawn<T>> {
    let Resolved {
        module,
        config,
        is_own_config,
        export,
        params,
        ..
    } = resolve(caller, arguments)?;
    let child_environment = caller.data().child_environment(&config);
    let child_environment = caller.wait(child_environment).await?;
    let parent = &caller.data().process().process;
    let link = Tag::new(arguments.link).map(|tag| SpawnLink {
        parent: parent.clone(),
        tag: Some(tag),
    });
    let options = SpawnOptions {
        link,
        parent: Some(parent.id()),
        account: Some(parent.account().clone()),
        ..SpawnOptions::default()
    };
    Ok(Spawn {
        module,
        config,
        is_own_config,
        export,
        params,
        results: None,
        child_environment,
        options,
    })
}

impl<T: ProcessHost> fmt::Debug for Resolved<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("export", &self.export)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
