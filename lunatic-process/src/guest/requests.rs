//! Answers the requests of the runtime to a wasm process.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use lunatic_engine::Module;
use pin_project_lite::pin_project;
use wasmtime::{StoreContextMut, WasmBacktrace};

use crate::guest::backtrace::readable;
use crate::guest::state::GuestProcess;
use crate::guest::{Config, ProcessHost};
use crate::info::{Detail, Inspection};
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
    let process = store.data().process();
    if process.incarnation().is_attempt() {
        // The instance from which it may take over answers.
        return;
    }
    let requests = process.handle().take_requests();
    answer(requests, |in_detail| {
        inspection(&mut store, waiting_in, in_detail)
    });
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
        if process.has_requests() && process.only_answers() {
            answer(process.take_requests(), |_| of_module(module, 0));
            return Poll::Pending;
        }
        let asked_until = process.has_requests().then(|| process.next_request());
        let polled = own.running.poll(cx);
        // A request that has come since is left to who waits inside: the process is
        // woken for it.
        if let (true, Some(number)) = (polled.is_pending(), asked_until) {
            let unanswered = process.take_requests_before(number).into_iter();
            answer(unanswered, |_| of_module(module, 0));
        }
        polled
    }
}

/// Answers requests.
///
/// - `inspect`: takes whether a backtrace and details are wanted.
fn answer(requests: impl Iterator<Item = Request>, mut inspect: impl FnMut(bool) -> Inspection) {
    for request in requests {
        match request {
            // Who has asked may be gone.
            Request::Inspect(answer) => answer.try_send(inspect(true)).ok(),
            Request::Describe(answer) => answer.try_send(inspect(false)).ok(),
        };
    }
}

fn inspection<T: ProcessHost>(
    store: &mut StoreContextMut<'_, T>,
    waiting_in: Option<&'static str>,
    in_detail: bool,
) -> Inspection {
    let incarnation = store.data().process().incarnation();
    let memory = incarnation.memory();
    let bytes = memory.map_or(0, |memory| memory.data_size(&*store) as u64);
    let known = of_module(incarnation.module(), bytes);
    let known = Inspection {
        waiting_in,
        ..known
    };
    if !in_detail {
        return known;
    }
    let backtrace = WasmBacktrace::force_capture(&*store);
    let mut details = counts(store.data().process(), bytes);
    details.extend(store.data().details());
    Inspection {
        backtrace: backtrace.frames().iter().map(function_name).collect(),
        details,
        ..known
    }
}

/// Returns how much a process has of what this crate limits.
fn counts<T: ProcessHost>(process: &GuestProcess<T>, memory: u64) -> Vec<Detail> {
    let limits = process.config.process();
    let count = |what, used, limit| Detail::Count { what, used, limit };
    let queued = process.handle().queued_messages() as u64;
    let messages = limits.mailbox.messages as u64;
    vec![
        count("bytes of linear memory", memory, Some(limits.max_memory)),
        count("queued messages", queued, Some(messages)),
        count("modules", process.modules.len() as u64, None),
        count("configs", process.configs.len() as u64, None),
    ]
}

/// Returns what is known of a process from its module alone: the name that this gives itself,
/// or the beginning of its hash.
fn of_module<T: ProcessHost>(module: &Module<T>, memory: u64) -> Inspection {
    const SHOWN: usize = 12;
    let hash = module.hash().to_string();
    let beginning = || hash.chars().take(SHOWN).collect();
    let name = module.name().map_or_else(beginning, short);
    Inspection {
        version_of: module.version_of().cloned(),
        ..Inspection::new(name, hash, memory)
    }
}

/// Returns the beginning of a name, which a module may have chosen as long as it likes.
fn short(name: &str) -> String {
    const MAX_BYTES: usize = 256;
    name[..name.floor_char_boundary(MAX_BYTES)].to_owned()
}

fn function_name(frame: &wasmtime::FrameInfo) -> String {
    let named = frame.symbols().iter().find_map(|symbol| symbol.name());
    match named.or(frame.func_name()) {
        Some(name) => short(&readable(name)),
        None => format!("function {}", frame.func_index()),
    }
}
