//! One instance with its state.

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use wasmtime::{Func, InstancePre, Memory, Store, StoreContextMut, Val};

use crate::arena::{Image, PageFaults};
use crate::guarded_permits::InstancePermit;
use crate::memory_limiter::MemoryLimiter;
use crate::stack_meter::StackMeter;
use crate::time_slice::TimeSlice;

/// The state of an instance.
pub trait InstanceState: Send + 'static {
    /// How far the instance may grow.
    fn limits(&mut self) -> &mut MemoryLimiter;

    /// Called when the instance is preempted after a tick, before it yields. An
    /// instance that counts fuel yields at the end of a slice of fuel without this call.
    fn on_preemption(store: StoreContextMut<'_, Self>)
    where
        Self: Sized,
    {
        let _ = store;
    }
}

/// An instance with its state. Dropping it gives everything back.
pub struct Instance<T: InstanceState> {
    store: Store<T>,
    instance: wasmtime::Instance,
    time_slice: TimeSlice,
    /// The tick in which it was made.
    made_at: u64,
    /// Dropped after the store, which has the memory.
    page_faults: PageFaults,
    /// Dropped after the store, which has the stack.
    stack_meter: StackMeter,
    /// The permit for a guarded memory. Dropped after the store, too.
    guarded: Option<InstancePermit>,
}

/// A call of an exported function, to be made.
#[derive(Debug)]
pub struct Call {
    function: Func,
    params: Vec<Val>,
    results: Option<Results>,
}

/// The place for the results of a call.
pub type Results = Arc<OnceLock<Vec<Val>>>;

impl Call {
    /// Stores the results of the function in `results`. If the module is a library that exports
    /// `_initialize`, that is called before.
    pub fn for_results(self, results: Results) -> Call {
        Call {
            results: Some(results),
            ..self
        }
    }
}

impl<T: InstanceState> Instance<T> {
    /// An instance that yields at the first of its points of preemption after a tick that
    /// finds it running.
    ///
    /// # Errors
    ///
    /// As for [`start`](Instance::start).
    // Not an `async fn`, whose future would contain the state.
    pub(crate) fn until_tick(
        linked: &InstancePre<T>,
        guarded: Option<InstancePermit>,
        image: Option<&Arc<Image>>,
        state: T,
        time_slice: &TimeSlice,
    ) -> impl Future<Output = wasmtime::Result<Instance<T>>> {
        let store = Store::new(linked.module().engine(), state);
        Instance::start(guarded, linked, image, store, time_slice)
    }

    /// An instance that yields whenever it has used up a slice of fuel, and traps when all of its
    /// fuel is used up. What host functions take costs little fuel: they have to look at
    /// [`is_time_slice_over`](crate::is_time_slice_over).
    ///
    /// # Errors
    ///
    /// As for [`start`](Instance::start).
    pub(crate) async fn with_fuel(
        linked: &InstancePre<T>,
        image: Option<&Arc<Image>>,
        state: T,
        time_slice: &TimeSlice,
        fuel: NonZeroU64,
    ) -> wasmtime::Result<Instance<T>> {
        /// Fuel between two yields; roughly a tenth of a tick.
        const SLICE: u64 = 100_000;
        let mut store = Store::new(linked.module().engine(), state);
        store.set_fuel(fuel.get())?;
        store.fuel_async_yield_interval(Some(SLICE))?;
        Instance::start(None, linked, image, store, time_slice).await
    }

    /// Makes the instance of a store.
    ///
    /// - `guarded`: comes first, as what comes last is dropped first, and that has the memory.
    ///
    /// # Errors
    ///
    /// Fails if there is no stack or memory left, or a segment or the start function
    /// traps.
    async fn start(
        guarded: Option<InstancePermit>,
        linked: &InstancePre<T>,
        image: Option<&Arc<Image>>,
        mut store: Store<T>,
        time_slice: &TimeSlice,
    ) -> wasmtime::Result<Instance<T>> {
        store.limiter(|state| state.limits());
        let mut page_faults = PageFaults::watch();
        let mut stack_meter = StackMeter::new(store.data_mut().limits().account());
        let instance = {
            let mut instantiate = pin!(linked.instantiate_async(&mut store));
            // The memory is asked for in here, on whichever thread that is.
            poll_fn(|cx| {
                page_faults.resumed();
                time_slice.begin();
                stack_meter.measure_after(time_slice, || {
                    Image::during(image, || instantiate.as_mut().poll(cx))
                })
            })
            .await?
        };
        Ok(Instance {
            store,
            instance,
            time_slice: time_slice.clone(),
            made_at: time_slice.tick(),
            page_faults,
            stack_meter,
            guarded,
        })
    }

    /// Calls an exported function that returns nothing.
    ///
    /// # Errors
    ///
    /// The errors of [`prepare`](Instance::prepare) and [`run`](Instance::run).
    pub async fn call(&mut self, export: &str, params: &[Val]) -> wasmtime::Result<()> {
        let call = self.prepare(export, params.to_vec())?;
        self.run(call).await
    }

    /// Finds an exported function, for [`run`](Instance::run) to call it.
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
        Ok(Call {
            function,
            params,
            results: None,
        })
    }

    /// Makes a call. The future is pending whenever the instance yields to others, or
    /// waits for a host function.
    ///
    /// # Errors
    ///
    /// Fails if the function takes other parameters or returns something, if it
    /// traps, or if what it has written of its stack is charged, and that is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use lunatic_engine::{Budget, Engine, EngineConfig, InstanceState, Loader, MemoryLimiter};
    /// use wasmtime::{Trap, Val};
    ///
    /// struct State(MemoryLimiter);
    ///
    /// impl InstanceState for State {
    ///     fn limits(&mut self) -> &mut MemoryLimiter {
    ///         &mut self.0
    ///     }
    /// }
    ///
    /// let engine = Engine::new(&EngineConfig::default())?;
    /// let loader = Loader::new(&engine, [], |_| Ok(()))?;
    /// let module = loader.load(
    ///     br#"(module (func (export "check") (param i32)
    ///         (if (i32.eqz (local.get 0)) (then unreachable))))"#,
    /// )?;
    /// futures_lite::future::block_on(async {
    ///     let state = State(MemoryLimiter::default());
    ///     let mut instance = module.instantiate(state, Budget::Unlimited).await?;
    ///     let call = instance.prepare("check", vec![Val::I32(1)])?;
    ///     instance.run(call).await?;
    ///
    ///     let call = instance.prepare("check", vec![Val::I32(0)])?;
    ///     let error = instance.run(call).await.unwrap_err();
    ///     assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn run(&mut self, call: Call) -> wasmtime::Result<()> {
        let Call {
            function,
            params,
            results,
        } = call;
        if let Some(results) = results {
            // In a box, as it is rarely done and every process would have room for it.
            return Box::pin(self.invoke(function, params, results)).await;
        }
        let time_slice = &self.time_slice;
        let page_faults = &mut self.page_faults;
        let stack_meter = &mut self.stack_meter;
        let mut running = pin!(function.call_async(&mut self.store, &params, &mut []));
        poll_fn(|cx| {
            page_faults.resumed();
            time_slice.begin();
            stack_meter.measure_after(time_slice, || running.as_mut().poll(cx))
        })
        .await
    }

    async fn invoke(
        &mut self,
        function: Func,
        params: Vec<Val>,
        results: Results,
    ) -> wasmtime::Result<()> {
        /// The function that the C library of WASI needs to be called first in a library.
        const INITIALIZE: &str = "_initialize";
        let initialize = self.instance.get_func(&mut self.store, INITIALIZE);
        let count = function.ty(&self.store).results().len();
        let mut values = vec![Val::I32(0); count];
        {
            let store = &mut self.store;
            let time_slice = &self.time_slice;
            let page_faults = &mut self.page_faults;
            let stack_meter = &mut self.stack_meter;
            let mut running = pin!(async {
                if let Some(initialize) = initialize {
                    initialize.call_async(&mut *store, &[], &mut []).await?;
                }
                function.call_async(store, &params, &mut values).await
            });
            poll_fn(|cx| {
                page_faults.resumed();
                time_slice.begin();
                stack_meter.measure_after(time_slice, || running.as_mut().poll(cx))
            })
            .await?;
        }
        results.set(values).ok();
        Ok(())
    }

    /// The memory that is exported as `memory`, if there is one.
    pub fn memory(&mut self) -> Option<Memory> {
        self.instance.get_memory(&mut self.store, "memory")
    }

    /// The store, for what an embedder does with memories and globals.
    pub fn store(&mut self) -> &mut Store<T> {
        self.page_faults.lose_track();
        &mut self.store
    }

    /// The state.
    pub fn state(&mut self) -> &mut T {
        self.store.data_mut()
    }
}

impl<T: InstanceState> Drop for Instance<T> {
    fn drop(&mut self) {
        self.page_faults.ended();
        if let Some(guarded) = &self.guarded {
            let is_gone_soon = self.time_slice.tick() == self.made_at;
            let was_short = is_gone_soon && self.store.data_mut().limits().has_grown();
            guarded.ended(was_short);
        }
    }
}

impl<T: InstanceState> fmt::Debug for Instance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instance")
    }
}
