//! The part of a guest's state that belongs to this crate.

use std::fmt;
use std::sync::Arc;

use lunatic_abi::{Misuse, Resource, Table};
use lunatic_account::{Charge, Kind};
use lunatic_engine::{MemoryLimiter, Module, ModuleHash, STACK_BYTES};
use wasmtime::Memory;

use crate::guest::exchange::Handover;
use crate::guest::modules::GuestModule;
use crate::guest::{Config, ProcessHost};
use crate::process::Process;

/// What a wasm process has beside its instance. It stays when the code of the process
/// is exchanged.
pub struct GuestProcess<T: ProcessHost> {
    pub(super) process: Process,
    pub(super) config: Arc<T::Config>,
    pub(super) modules: Table<GuestModule<T>>,
    pub(super) configs: Table<GuestConfig<T::Config>>,
    pub(super) incarnation: Incarnation<T>,
}

/// What belongs to one instance of a process, and ends with the instance.
pub struct Incarnation<T: ProcessHost> {
    pub(super) module: Module<T>,
    /// `None` until the instance is made.
    memory: Option<Memory>,
    started: bool,
    pub(super) limits: MemoryLimiter,
    /// The host function that it has called last, of those that may wait.
    entered: Option<&'static str>,
    /// How many calls of the guest by its host functions are open.
    calls: u32,
    /// While it runs to take over from an older instance of the process.
    pub(super) handover: Option<Arc<Handover<T>>>,
    /// What its calls of host functions cost that is not taken from its fuel yet; `None` if its
    /// fuel is not limited.
    owed_fuel: Option<u64>,
}

/// A configuration that a guest holds an id of. It is copied when it is changed while
/// others use it.
#[derive(Debug, Clone)]
pub struct GuestConfig<C> {
    pub(super) config: Arc<C>,
    /// What it is charged with, in bytes.
    size: usize,
}

impl<C: Config> GuestConfig<C> {
    /// A configuration that a guest gets an id of.
    pub(super) fn new(config: C) -> GuestConfig<C> {
        GuestConfig {
            size: config.size(),
            config: Arc::new(config),
        }
    }

    /// The config to change, which is copied if processes have it.
    fn config_mut(&mut self) -> &mut C {
        let config = Arc::make_mut(&mut self.config);
        config.charge().end();
        config
    }
}

impl<C: Config> Resource for GuestConfig<C> {
    const KIND: &'static str = "config";

    fn size(&self) -> usize {
        self.size
    }
}

/// The [bits](Process::code_bits) of a process that runs a module; never 0.
pub fn code_bits(module: ModuleHash) -> u16 {
    let [one, other, ..] = *module.as_bytes();
    u16::from_le_bytes([one, other]).max(1)
}

impl<T: ProcessHost> GuestProcess<T> {
    pub(super) fn new(
        process: Process,
        module: Module<T>,
        config: Arc<T::Config>,
        limits: MemoryLimiter,
    ) -> GuestProcess<T> {
        process.set_code_bits(code_bits(module.hash()));
        GuestProcess {
            process,
            modules: Table::new(),
            configs: Table::new(),
            incarnation: Incarnation::new(module, limits, config.process().max_fuel.is_some()),
            config,
        }
    }

    /// Returns the handle of the process.
    pub fn handle(&self) -> &Process {
        &self.process
    }

    /// Returns what belongs to the instance that runs its code.
    pub fn incarnation(&self) -> &Incarnation<T> {
        &self.incarnation
    }

    /// Returns what belongs to the instance that runs its code, to change.
    pub fn incarnation_mut(&mut self) -> &mut Incarnation<T> {
        &mut self.incarnation
    }

    /// Returns its configuration.
    pub fn config(&self) -> &Arc<T::Config> {
        &self.config
    }

    /// Returns a configuration that the guest holds an id of.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none with this id.
    pub fn config_of(&self, config_id: u64) -> Result<&Arc<T::Config>, Misuse> {
        Ok(&self.configs.get(config_id)?.config)
    }

    /// Returns a module that the guest holds an id of, as one that it has compiled; `None` if there
    /// is none with this id.
    pub fn module_of(&self, module_id: u64) -> Option<&Module<T>> {
        let module = self.modules.get(module_id).ok()?;
        Some(&module.0)
    }

    /// Returns a configuration that the guest holds an id of, to change.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`] if there is none with this id.
    pub fn config_mut(&mut self, config_id: u64) -> Result<&mut T::Config, Misuse> {
        Ok(self.configs.get_mut(config_id)?.config_mut())
    }
}

/// How many calls of the guest by host functions may be open inside each other. Each has a stack of
/// its own, which is charged to the process.
///
/// The stacks of all calls that are open are looked at in one step when one of them traps, and when
/// the heap is collected that exceptions are in.
const MAX_CALLS: u32 = 16;

impl<T: ProcessHost> GuestProcess<T> {
    /// A host function is to call the guest, on another stack. Returns what is charged for that
    /// until the call is over; [`end_call`](GuestProcess::end_call) is called then.
    ///
    /// # Errors
    ///
    /// [`Misuse::Exceeded`]; [`Misuse::Refused`] if too many calls are open inside each other, or
    /// no memory is left for exceptions on another stack.
    pub fn begin_call(&mut self) -> Result<Charge, Misuse> {
        let incarnation = &mut self.incarnation;
        let depth = incarnation.calls + 1;
        if depth > MAX_CALLS {
            return Err(Misuse::refused(format!(
                "more than {MAX_CALLS} catches are open"
            )));
        }
        let account = self.process.account();
        let stack = Charge::new(account, Kind::LinearMemory, STACK_BYTES as u64);
        let stack = stack.map_err(Misuse::Exceeded)?;
        // With that on which it was called first.
        if !incarnation.limits.charge_stacks(depth + 1) {
            return Err(Misuse::refused(
                "no memory is left for the exceptions on another stack",
            ));
        }
        incarnation.calls = depth;
        Ok(stack)
    }

    /// A call that was [begun](GuestProcess::begin_call) is over.
    pub fn end_call(&mut self) {
        let incarnation = &mut self.incarnation;
        incarnation.calls -= 1;
        // To have fewer is never refused.
        incarnation.limits.charge_stacks(incarnation.calls + 1);
    }
}

impl<T: ProcessHost> GuestProcess<T> {
    /// Changes a configuration that the guest holds an id of, which may become longer.
    ///
    /// - `more`: by how many bytes; they are charged before it is changed.
    ///
    /// # Errors
    ///
    /// [`Misuse::UnknownId`], [`Misuse::Exceeded`]. It is not changed then.
    pub fn resize_config<R>(
        &mut self,
        config_id: u64,
        more: usize,
        change: impl FnOnce(&mut T::Config) -> R,
    ) -> Result<R, Misuse> {
        self.configs.resize(config_id, more, |config| {
            let result = change(config.config_mut());
            config.size = config.config.size();
            result
        })
    }
}

impl<T: ProcessHost> GuestProcess<T> {
    /// Returns the same for a new instance of the process, which may take over. Its
    /// tables are empty.
    pub(super) fn successor(
        &self,
        module: Module<T>,
        limits: MemoryLimiter,
    ) -> Result<GuestProcess<T>, Misuse> {
        let account = self.process.account();
        Ok(GuestProcess {
            process: self.process.clone(),
            config: self.config.clone(),
            modules: self.modules.successor(account)?,
            configs: self.configs.successor(account)?,
            incarnation: Incarnation::new(module, limits, self.config.process().max_fuel.is_some()),
        })
    }

    /// Adds what an older instance of the process has, when this one takes over.
    pub fn join(&mut self, older: GuestProcess<T>) {
        let hash = self.incarnation.module.hash();
        self.process.set_code_bits(code_bits(hash));
        self.modules.join(older.modules);
        self.configs.join(older.configs);
    }
}

impl<T: ProcessHost> Incarnation<T> {
    fn new(module: Module<T>, limits: MemoryLimiter, counts_fuel: bool) -> Incarnation<T> {
        Incarnation {
            module,
            memory: None,
            started: false,
            limits,
            entered: None,
            calls: 0,
            handover: None,
            owed_fuel: counts_fuel.then_some(0),
        }
    }

    /// Returns what its calls of host functions cost that is not taken from its fuel yet, to
    /// change; `None` if its fuel is not limited.
    #[inline]
    pub fn owed_fuel(&mut self) -> Option<&mut u64> {
        self.owed_fuel.as_mut()
    }

    /// Returns the module that it is an instance of.
    pub fn module(&self) -> &Module<T> {
        &self.module
    }

    /// Returns how far its memory may grow.
    pub fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.limits
    }

    /// Returns its memory; `None` while the instance is being made, or if it has none.
    pub fn memory(&self) -> Option<Memory> {
        self.memory
    }

    /// Returns the host function that it has called last, of those that may wait. If it
    /// waits, it waits in this one.
    pub fn entered(&self) -> Option<&'static str> {
        self.entered
    }

    /// Returns whether it runs to take over from an older instance, and has not yet.
    #[inline]
    pub fn is_attempt(&self) -> bool {
        self.handover.is_some()
    }

    /// Returns how many calls of the guest by its host functions are open, as by `trap::catch`.
    pub fn open_calls(&self) -> u32 {
        self.calls
    }

    /// Keeps the name of a host function that it has called; see
    /// [`AbiHost::enter`](lunatic_abi::AbiHost::enter).
    #[inline]
    pub fn enter(&mut self, function: &'static str) {
        self.entered = Some(function);
    }

    /// Notes that the instance is made.
    pub(super) fn start(&mut self, memory: Option<Memory>) {
        self.memory = memory;
        self.started = true;
    }

    /// Returns whether the instance is made.
    pub fn has_started(&self) -> bool {
        self.started
    }
}

impl<T: ProcessHost> fmt::Debug for GuestProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestProcess({})", self.process.id())
    }
}

impl<T: ProcessHost> fmt::Debug for Incarnation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incarnation")
            .field("module", &self.module)
            .finish_non_exhaustive()
    }
}
