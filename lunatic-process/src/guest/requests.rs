//! How a wasm process answers what the runtime asks of it.

use lunatic_engine::Module;
use wasmtime::{StoreContextMut, WasmBacktrace};

use crate::guest::ProcessHost;
use crate::info::Inspection;
use crate::request::Request;

/// Answers the requests that wait for the process of this instance.
///
/// The state of a process calls it where the instance is suspended: from
/// [`AbiHost::answer_requests`](lunatic_abi::AbiHost::answer_requests) and
/// [`InstanceState::on_preemption`](lunatic_engine::InstanceState::on_preemption).
///
/// - `waiting_in`: the host function that waits; `None` if the guest was running.
pub fn answer_requests<T: ProcessHost>(
    mut store: StoreContextMut<'_, T>,
    waiting_in: Option<&'static str>,
) {
    let requests = store.data().process().handle().take_requests();
    for request in requests {
        match request {
            Request::Inspect(answer) => {
                let inspection = inspection(&mut store, waiting_in);
                // Who has asked may be gone.
                answer.try_send(inspection).ok();
            }
        }
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

/// The name that the module gives itself, or else the beginning of its hash.
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
