//! Answers the requests of the runtime to a wasm process.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use lunatic_engine::Module;
use pin_project_lite::pin_project;
use wasmtime::{StoreContextMut, WasmBacktrace};

use crate::guest::ProcessHost;
use crate::info::Inspection;
use crate::process::Process;
use crate::request::Request;

/// Answers the requests that wait for the process of this instance.
///
/// The state of a process calls it where the instance is suspended and its store is
/// at hand: from [`AbiHost::answer_requests`](lunatic_abi::AbiHost::answer_requests)
/// and [`InstanceState::on_preemption`](lunatic_engine::InstanceState::on_preemption).
///
/// - `waiting_in`: the host function that waits; `None` if the guest was running.
pub fn answer_requests<T: ProcessHost>(
    mut store: StoreContextMut<'_, T>,
    waiting_in: Option<&'static str>,
) {
    let requests = store.data().process().handle().take_requests();
    answer(requests, || inspection(&mut store, waiting_in));
}

pin_project! {
    /// Runs a part of the body of a process, and answers the requests that nothing
    /// inside of it answers.
    ///
    /// These are requests that come while the instance is being made, or to an instance
    /// that counts fuel and runs: at the end of a slice of fuel, wasmtime suspends it
    /// without a call of a function here. The store is out of reach then, so only the
    /// module is known.
    pub(super) struct AnsweringOutside<'a, T: 'static, F> {
        process: &'a Process,
        module: &'a Module<T>,
        #[pin]
        running: F,
    }
}

impl<'a, T, F> AnsweringOutside<'a, T, F> {
    /// Returns a future with the output of `running`.
    pub(super) fn new(
        process: &'a Process,
        module: &'a Module<T>,
        running: F,
    ) -> AnsweringOutside<'a, T, F> {
        AnsweringOutside {
            process,
            module,
            running,
        }
    }
}

impl<T: ProcessHost, F: Future> Future for AnsweringOutside<'_, T, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let own = self.project();
        let (process, module) = (*own.process, *own.module);
        let asked_until = process.has_requests().then(|| process.next_request());
        let polled = own.running.poll(cx);
        // A request that has come since is left to who waits inside: the process is
        // woken for it.
        if let (true, Some(number)) = (polled.is_pending(), asked_until) {
            let unanswered = process.take_requests_before(number).into_iter();
            answer(unanswered, || Inspection::new(name(module), 0));
        }
        polled
    }
}

fn answer(requests: impl Iterator<Item = Request>, mut inspect: impl FnMut() -> Inspection) {
    for request in requests {
        match request {
            // Who has asked may be gone.
            Request::Inspect(answer) => answer.try_send(inspect()).ok(),
        };
    }
}

fn inspection<T: ProcessHost>(
    store: &mut StoreContextMut<'_, T>,
    waiting_in: Option<&'static str>,
) -> Inspection {
    let incarnation = store.data().process().incarnation();
    let module = name(incarnation.module());
    let memory = incarnation.memory();
    let bytes = memory.map_or(0, |memory| memory.data_size(&*store) as u64);
    let backtrace = WasmBacktrace::force_capture(&*store);
    Inspection {
        waiting_in,
        backtrace: backtrace.frames().iter().map(function_name).collect(),
        ..Inspection::new(module, bytes)
    }
}

/// Returns the name that the module gives itself, or the beginning of its hash.
fn name<T: ProcessHost>(module: &Module<T>) -> String {
    const SHOWN: usize = 12;
    let hash = || module.hash().to_string().chars().take(SHOWN).collect();
    module.name().map_or_else(hash, str::to_owned)
}

fn function_name(frame: &wasmtime::FrameInfo) -> String {
    let named = frame.symbols().iter().find_map(|symbol| symbol.name());
    match named.or(frame.func_name()) {
        Some(name) => name.to_owned(),
        None => format!("function {}", frame.func_index()),
    }
}
