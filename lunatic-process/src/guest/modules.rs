//! Modules as resources: compile, drop, send (ABI §3.1 and §4).

use std::error::Error;
use std::fmt;

use lunatic_abi::{Guest, Misuse, Resource, host_functions};
use lunatic_account::{Charge, Kind};
use lunatic_engine::{LoadError, Module, ModuleHash, ModuleLimits};
use lunatic_mailbox::{EncodedResource, MessageResource, NotTransferable, guest as messages};
use wasmtime::{Caller, Result};

use crate::guest::{Config, ProcessHost};

/// A module that a guest holds an id of.
pub struct GuestModule<T: ProcessHost>(pub(super) Module<T>);

impl<T: ProcessHost> Resource for GuestModule<T> {
    const KIND: &'static str = "module";
}

/// Why there is no module for one that was encoded on another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeModuleError {
    /// The bytes are no hash of a module.
    NoHash,
    /// This node has no module with that hash.
    Unknown(ModuleHash),
}

/// Another node is sent the hash of the module.
impl<T: ProcessHost> MessageResource for GuestModule<T> {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn encode(&self) -> Result<EncodedResource, NotTransferable> {
        Ok(EncodedResource {
            kind: Self::KIND.into(),
            bytes: self.0.hash().as_bytes().to_vec(),
        })
    }

    fn share(&self) -> Option<Box<dyn MessageResource>> {
        Some(Box::new(GuestModule(self.0.clone())))
    }
}

impl<T: ProcessHost> GuestModule<T> {
    /// Finds the module of this node that a module of another node stands for.
    ///
    /// - `find`: returns the module with a hash, if this node has it.
    ///
    /// # Errors
    ///
    /// [`DecodeModuleError`]; if it is [`Unknown`](DecodeModuleError::Unknown), this
    /// succeeds when the module with that hash has been loaded here.
    pub fn decode(
        encoded: &EncodedResource,
        find: impl FnOnce(ModuleHash) -> Option<Module<T>>,
    ) -> Result<GuestModule<T>, DecodeModuleError> {
        let hash = encoded.bytes.as_slice().try_into();
        let hash = ModuleHash::from_bytes(hash.map_err(|_| DecodeModuleError::NoHash)?);
        let module = find(hash).ok_or(DecodeModuleError::Unknown(hash))?;
        Ok(GuestModule(module))
    }
}

host_functions! {
    pub(super) fn add_to_linker<T: ProcessHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "lunatic::process" {
        async fn compile_module(ptr: u32, len: u32, id_ptr: u32) -> i32;
        fn drop_module(module_id: u64);
    }
    in "lunatic::message" {
        fn push_module(module_id: u64) -> u64;
        fn take_module(index: u64) -> u64;
    }
}

/// `lunatic::process::compile_module` (ABI §3.1): compiles `len` bytes, binary
/// or text. Returns 0 with a module id or 1 with an error id at `id_ptr`, or -1
/// without the right to.
///
/// Traps on a bad address.
async fn compile_module<T: ProcessHost>(
    mut caller: Caller<'_, T>,
    ptr: u32,
    len: u32,
    id_ptr: u32,
) -> Result<i32> {
    const DENIED: i32 = -1;
    if !own_config(&caller).process().can_compile_modules {
        return Ok(DENIED);
    }
    caller.check_id_ptr(id_ptr)?;
    let is_binary = caller.bytes(ptr, len)?.starts_with(b"\0asm");
    let account = caller.data().account().clone();
    let limits = match account.is_branch() {
        true => ModuleLimits::untrusted(),
        false => ModuleLimits::of_guests(),
    };
    // To copy what is refused then could take long.
    let most = match is_binary {
        true => limits.module_bytes,
        false => limits.text_bytes,
    };
    if u64::from(len) > most {
        let reason = format!("the module is too large: it has {len} bytes, and {most} are allowed");
        return Ok(caller.report(id_ptr, &Misuse::refused(reason))? as i32);
    }
    // The copy of the text, as long as it is compiled.
    let copy = match Charge::new(&account, Kind::Memory, u64::from(len)) {
        Ok(copy) => copy,
        Err(exceeded) => return Ok(caller.report(id_ptr, &exceeded)? as i32),
    };
    let bytes = caller.bytes(ptr, len)?.to_vec();
    let loader = caller.data().loader().clone();
    let loaded = caller
        .wait(loader.load_within(bytes, &limits, &account))
        .await;
    drop(copy);
    let charged = loaded.and_then(|module| {
        let charged = module.charge_to(&account);
        charged.map(|()| module).map_err(LoadError::Exceeded)
    });
    let module = match charged {
        Ok(module) => Ok(keep(&mut caller, module)?),
        Err(error) => Err(error),
    };
    Ok(caller.answer_id(id_ptr, module)? as i32)
}

/// `lunatic::process::drop_module` (ABI §3.1). Processes and messages keep theirs.
///
/// Traps on an unknown id.
fn drop_module<T: ProcessHost>(mut caller: Caller<'_, T>, module_id: u64) -> Result<()> {
    caller.data_mut().process_mut().modules.remove(module_id)?;
    Ok(())
}

/// `lunatic::message::push_module` (ABI §4): puts a reference to a module into
/// the message, returns its index. -1 is the caller's own module.
///
/// Traps on an unknown id, and without a data message.
fn push_module<T: ProcessHost>(mut caller: Caller<'_, T>, module_id: u64) -> Result<u64> {
    const OWN: u64 = u64::MAX;
    let process = caller.data().process();
    let module = match module_id {
        OWN => process.incarnation.module.clone(),
        id => process.modules.get(id)?.0.clone(),
    };
    let index = messages::push(&mut caller, GuestModule(module));
    Ok(index.map_err(|(misuse, _)| misuse)?)
}

/// `lunatic::message::take_module` (ABI §4): moves a module out of the message,
/// returns its new id.
///
/// Traps if there is none at that index.
fn take_module<T: ProcessHost>(mut caller: Caller<'_, T>, index: u64) -> Result<u64> {
    let module: GuestModule<T> = messages::take(&mut caller, index, "module")?;
    keep(&mut caller, module.0)
}

fn keep<T: ProcessHost>(caller: &mut Caller<'_, T>, module: Module<T>) -> Result<u64> {
    let account = caller.data().account().clone();
    let modules = &mut caller.data_mut().process_mut().modules;
    let inserted = modules.insert(GuestModule(module), &account);
    Ok(inserted.map_err(Misuse::from)?)
}

fn own_config<'a, T: ProcessHost>(caller: &'a Caller<'_, T>) -> &'a T::Config {
    caller.data().process().config()
}

impl<T: ProcessHost> fmt::Debug for GuestModule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuestModule").field(&self.0).finish()
    }
}

impl fmt::Display for DecodeModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeModuleError::NoHash => f.write_str("the bytes are no hash of a module"),
            DecodeModuleError::Unknown(hash) => {
                write!(f, "this node has no module with the hash {hash}")
            }
        }
    }
}

impl Error for DecodeModuleError {}
