//! A WebAssembly instance whose host functions a test calls one by one.
//!
//! [`forwarding`] makes a module that imports host functions and exports a function
//! of the same name for each, which calls it with its own parameters. So a test
//! reaches the host through real WebAssembly code and real guest memory.

use futures_lite::future::block_on;
use lunatic_abi::HostFunction;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val};

/// The text of a module that exports each of `functions` and a memory of so many
/// pages.
pub fn forwarding<'a>(functions: impl IntoIterator<Item = &'a HostFunction>, pages: u32) -> String {
    let (mut imports, mut exports) = (String::new(), String::new());
    for function in functions {
        let HostFunction {
            namespace, name, ..
        } = function;
        let ty = function.type_use();
        let params: String = (0..function.params.len())
            .map(|index| format!("(local.get {index})"))
            .collect();
        imports += &format!("(import \"{namespace}\" \"{name}\" (func ${name} {ty}))\n");
        exports += &format!("(func (export \"{name}\") {ty} (call ${name} {params}))\n");
    }
    format!("(module {imports}{exports}(memory (export \"memory\") {pages}))")
}

/// An instance with a memory, and the state `T` of its process.
#[derive(Debug)]
pub struct Guest<T: 'static> {
    /// The state.
    pub store: Store<T>,
    instance: Instance,
    memory: Memory,
}

impl<T: Send + 'static> Guest<T> {
    /// Makes an instance of a module.
    ///
    /// - `register`: adds all functions that the module imports to the linker.
    /// - `set_memory`: gives the exported memory to the state.
    ///
    /// # Panics
    ///
    /// Panics if the module is not valid, imports something else, or exports no
    /// memory.
    pub fn new(
        module: &str,
        state: T,
        register: impl FnOnce(&mut Linker<T>) -> wasmtime::Result<()>,
        set_memory: impl FnOnce(&mut T, Memory),
    ) -> Guest<T> {
        let engine = Engine::default();
        let module = Module::new(&engine, module).expect("a valid module");
        let mut linker = Linker::new(&engine);
        register(&mut linker).expect("no name is registered twice");
        let mut store = Store::new(&engine, state);
        let instance =
            block_on(linker.instantiate_async(&mut store, &module)).expect("all imports exist");
        let memory = instance
            .get_memory(&mut store, "memory")
            .expect("a memory is exported");
        set_memory(store.data_mut(), memory);
        Guest {
            store,
            instance,
            memory,
        }
    }

    /// Calls an export and returns its result, if it has one.
    ///
    /// # Errors
    ///
    /// Fails with the trap, if it traps.
    ///
    /// # Panics
    ///
    /// Panics if there is no such export.
    pub async fn invoke(&mut self, name: &str, params: &[Val]) -> wasmtime::Result<Option<Val>> {
        let function = self
            .instance
            .get_func(&mut self.store, name)
            .unwrap_or_else(|| panic!("{name} is exported"));
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function
            .call_async(&mut self.store, params, &mut results)
            .await?;
        Ok(results.into_iter().next())
    }

    /// Writes bytes to memory.
    ///
    /// # Panics
    ///
    /// Panics if they are not all inside of it.
    pub fn put(&mut self, address: u32, bytes: &[u8]) {
        self.memory
            .write(&mut self.store, address as usize, bytes)
            .expect("inside of the memory");
    }

    /// Reads bytes from memory.
    ///
    /// # Panics
    ///
    /// Panics if they are not all inside of it.
    pub fn take(&mut self, address: u32, length: u32) -> Vec<u8> {
        let start = address as usize;
        self.memory.data(&self.store)[start..start + length as usize].to_vec()
    }

    /// Reads a number of 16 bits from memory.
    ///
    /// # Panics
    ///
    /// Panics if it is not inside of it.
    pub fn take_u16(&mut self, address: u32) -> u16 {
        u16::from_le_bytes(self.array(address))
    }

    /// Reads a number of 32 bits from memory.
    ///
    /// # Panics
    ///
    /// Panics if it is not inside of it.
    pub fn take_u32(&mut self, address: u32) -> u32 {
        u32::from_le_bytes(self.array(address))
    }

    /// Reads a number of 64 bits from memory.
    ///
    /// # Panics
    ///
    /// Panics if it is not inside of it.
    pub fn take_u64(&mut self, address: u32) -> u64 {
        u64::from_le_bytes(self.array(address))
    }

    fn array<const N: usize>(&mut self, address: u32) -> [u8; N] {
        let bytes = self.take(address, N as u32);
        bytes.try_into().expect("as many as were asked for")
    }
}

/// The parameters of a call: each as an unsigned number that is as wide as its type,
/// which is `i32` without a suffix.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {[$($crate::guest::Param::from($value).0),*]};
}

pub use crate::args;

/// A parameter of a call.
#[derive(Debug)]
pub struct Param(
    /// The value for wasmtime.
    pub Val,
);

impl From<i32> for Param {
    fn from(value: i32) -> Param {
        Param(Val::I32(value))
    }
}

impl From<u32> for Param {
    fn from(value: u32) -> Param {
        Param(Val::I32(value as i32))
    }
}

impl From<i64> for Param {
    fn from(value: i64) -> Param {
        Param(Val::I64(value))
    }
}

impl From<u64> for Param {
    fn from(value: u64) -> Param {
        Param(Val::I64(value as i64))
    }
}
