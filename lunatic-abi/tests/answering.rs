//! Waits of host functions in which the runtime's requests are answered.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use async_channel::{Receiver, Sender};
use futures_lite::future::block_on;
use lunatic_abi::{AbiHost, ErrorTable, Guest, SharedCaller, host_functions};
use wasmtime::{Caller, Engine, Linker, Memory, Module, Result, Store, StoreContextMut};

struct Host {
    entered: Option<&'static str>,
    asked: Arc<AtomicBool>,
    /// The functions in which a request was answered.
    answered: Vec<&'static str>,
    numbers: Receiver<u32>,
}

impl AbiHost for Host {
    fn memory(&self) -> Option<Memory> {
        None
    }

    fn errors(&mut self) -> &mut ErrorTable {
        unreachable!("nothing here reports errors")
    }

    fn enter(&mut self, function: &'static str) {
        self.entered = Some(function);
    }

    fn has_requests(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    fn answer_requests(mut store: StoreContextMut<'_, Host>) {
        let host = store.data_mut();
        host.asked.store(false, Ordering::Relaxed);
        host.answered.extend(host.entered);
    }
}

host_functions! {
    fn add_to_linker(Linker<Host>);
    const HOST_FUNCTIONS;

    in "numbers" {
        async fn next() -> u32;
        async fn store_next(ptr: u32);
    }
}

async fn next(mut caller: Caller<'_, Host>) -> Result<u32> {
    let numbers = caller.data().numbers.clone();
    Ok(caller.wait(numbers.recv()).await?)
}

async fn store_next(mut caller: Caller<'_, Host>, ptr: u32) -> Result<()> {
    let numbers = caller.data().numbers.clone();
    let shared = SharedCaller::new(&mut caller);
    let storing = async {
        let number = numbers.recv().await?;
        shared.lock().write_u32(ptr, number)
    };
    shared.wait(storing).await
}

/// A guest whose `main` calls both functions, and what sends it numbers and requests.
fn guest() -> (
    Store<Host>,
    wasmtime::Instance,
    Sender<u32>,
    Arc<AtomicBool>,
) {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).unwrap();
    let module = r#"(module
        (import "numbers" "next" (func $next (result i32)))
        (import "numbers" "store_next" (func $store_next (param i32)))
        (memory (export "memory") 1)
        (func (export "main") (result i32)
            (call $store_next (i32.const 8))
            (i32.add (call $next) (i32.load (i32.const 8)))))"#;
    let module = Module::new(&engine, module).unwrap();
    let (sender, numbers) = async_channel::unbounded();
    let asked = Arc::new(AtomicBool::new(false));
    let host = Host {
        entered: None,
        asked: asked.clone(),
        answered: Vec::new(),
        numbers,
    };
    let mut store = Store::new(&engine, host);
    let instance = block_on(linker.instantiate_async(&mut store, &module)).unwrap();
    (store, instance, sender, asked)
}

#[test]
fn a_request_that_comes_while_a_function_waits_is_answered_under_its_name() {
    assert_eq!(HOST_FUNCTIONS.len(), 2);
    let (mut store, instance, numbers, asked) = guest();
    let main = instance
        .get_typed_func::<(), u32>(&mut store, "main")
        .unwrap();
    let mut called = Box::pin(main.call_async(&mut store, ()));
    let mut cx = Context::from_waker(Waker::noop());
    let mut poll = || called.as_mut().poll(&mut cx);
    assert!(poll().is_pending());
    for number in [40, 2] {
        asked.store(true, Ordering::Relaxed);
        assert!(poll().is_pending());
        assert!(!asked.load(Ordering::Relaxed));
        numbers.try_send(number).unwrap();
        if number == 40 {
            assert!(poll().is_pending());
        }
    }
    assert_eq!(block_on(called).unwrap(), 42);
    assert_eq!(
        store.data().answered,
        ["numbers::store_next", "numbers::next"]
    );
}

#[test]
fn a_function_that_need_not_wait_looks_for_no_requests() {
    let (mut store, instance, numbers, asked) = guest();
    let main = instance
        .get_typed_func::<(), u32>(&mut store, "main")
        .unwrap();
    numbers.try_send(1).unwrap();
    numbers.try_send(2).unwrap();
    asked.store(true, Ordering::Relaxed);
    assert_eq!(block_on(main.call_async(&mut store, ())).unwrap(), 3);
    assert_eq!(store.data().answered, [""; 0]);
}
