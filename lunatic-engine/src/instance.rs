//! One instance with its state.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::Arc;

use wasmtime::{Func, InstancePre, Memory, Store, StoreContextMut, UpdateDeadline, Val};

use crate::arena::Image;
use crate::limits::MemoryLimits;
use crate::ticker::TimeSlice;

/// What the state of an instance must offer.
pub trait InstanceState: Send + 'static {
    /// How far the instance may grow.
    fn limits(&mut self) -> &mut MemoryLimits;

    /// Called when the instance is preempted at a tick, before it yields. An
    /// instance that counts fuel yields without this call.
    fn on_preemption(store: StoreContextMut<'_, Self>)
    where
        Self: Sized,
    {
        let _ = store;
    }
}

/// An instance with its state. Dropping it gives everything back.
pub struct Instance<T: 'static> {
    store: Store<T>,
    instance: wasmtime::Instance,
    time_slice: TimeSlice,
}

/// A call of an exported function, to be made.
#[derive(Debug)]
pub struct Call {
    function: Func,
    params: Vec<Val>,
}

/// Why no instance was made.
#[derive(Debug)]
#[non_exhaustive]
pub enum InstantiateError {
    /// The module needs more than the limits of the process allow.
    Limits(String),
    /// The start function, or a segment that does not fit, trapped.
    Trap(wasmtime::Error),
}

impl<T: InstanceState> Instance<T> {
    /// An instance that yields at a tick that finds it running.
    pub(crate) async fn ticked(
        module: &InstancePre<T>,
        image: Option<&Arc<Image>>,
        state: T,
        time_slice: &TimeSlice,
    ) -> Result<Instance<T>, InstantiateError> {
        let mut store = Store::new(module.module().engine(), state);
        store.set_epoch_deadline(1);
        let its = time_slice.clone();
        store.epoch_deadline_callback(move |store| {
            if !its.is_over() {
                return Ok(UpdateDeadline::Continue(1));
            }
            T::on_preemption(store);
            Ok(UpdateDeadline::Yield(1))
        });
        Instance::start(module, image, store, time_slice).await
    }

    /// An instance that traps when its fuel is used up.
    pub(crate) async fn metered(
        module: &InstancePre<T>,
        image: Option<&Arc<Image>>,
        state: T,
        time_slice: &TimeSlice,
        fuel: NonZeroU64,
    ) -> Result<Instance<T>, InstantiateError> {
        /// Fuel between two yields; roughly a tenth of a tick.
        const SLICE: u64 = 100_000;
        let mut store = Store::new(module.module().engine(), state);
        store
            .set_fuel(fuel.get())
            .and_then(|()| store.fuel_async_yield_interval(Some(SLICE)))
            .map_err(InstantiateError::Trap)?;
        Instance::start(module, image, store, time_slice).await
    }

    async fn start(
        module: &InstancePre<T>,
        image: Option<&Arc<Image>>,
        mut store: Store<T>,
        time_slice: &TimeSlice,
    ) -> Result<Instance<T>, InstantiateError> {
        store.limiter(|state| state.limits());
        let instance = {
            let mut instantiate = pin!(module.instantiate_async(&mut store));
            // The memory is asked for in here, on whichever thread that is.
            poll_fn(|cx| {
                time_slice.begin();
                Image::during(image, || instantiate.as_mut().poll(cx))
            })
            .await
        }
        .map_err(InstantiateError::Trap)?;
        Ok(Instance {
            store,
            instance,
            time_slice: time_slice.clone(),
        })
    }

    /// Calls an exported function that returns nothing.
    ///
    /// # Errors
    ///
    /// Those of [`prepare`](Instance::prepare) and [`run`](Instance::run).
    pub async fn call(&mut self, export: &str, params: &[Val]) -> wasmtime::Result<()> {
        let call = self.prepare(export, params.to_vec())?;
        self.run(call).await
    }

    /// Finds an exported function, to [`run`](Instance::run) it.
    ///
    /// # Errors
    ///
    /// Fails if there is no such function.
    pub fn prepare(&mut self, export: &str, params: Vec<Val>) -> wasmtime::Result<Call> {
        let function = self
            .instance
            .get_func(&mut self.store, export)
            .ok_or_else(|| {
                wasmtime::Error::msg(format!("the module exports no function `{export}`"))
            })?;
        Ok(Call { function, params })
    }

    /// Makes a call.
    ///
    /// # Errors
    ///
    /// Fails if the function takes other parameters or returns something, or if it
    /// traps.
    pub async fn run(&mut self, call: Call) -> wasmtime::Result<()> {
        let Call { function, params } = call;
        let time_slice = &self.time_slice;
        let mut running = pin!(function.call_async(&mut self.store, &params, &mut []));
        poll_fn(|cx| {
            time_slice.begin();
            running.as_mut().poll(cx)
        })
        .await
    }

    /// The memory that is exported as `memory`, if there is one.
    pub fn memory(&mut self) -> Option<Memory> {
        self.instance.get_memory(&mut self.store, "memory")
    }

    /// The store, for what an embedder does with memories and globals.
    pub fn store(&mut self) -> &mut Store<T> {
        &mut self.store
    }

    /// The state.
    pub fn state(&mut self) -> &mut T {
        self.store.data_mut()
    }
}

impl<T> fmt::Debug for Instance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstantiateError::Limits(reason) => f.write_str(reason),
            InstantiateError::Trap(_) => f.write_str("the module could not be started"),
        }
    }
}

impl Error for InstantiateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            InstantiateError::Limits(_) => None,
            InstantiateError::Trap(error) => Some(error.as_ref()),
        }
    }
}
