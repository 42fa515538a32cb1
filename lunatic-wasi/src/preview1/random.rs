//! Random bytes.

use futures_lite::future;
use lunatic_abi::{Guest, host_functions};
use wasmtime::Caller;

use crate::WasiHost;
use crate::errno::Errno;
use crate::outcome::{Outcome, answer};

/// How many bytes are made before the process yields.
const CHUNK: usize = 64 << 10;

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        async fn random_get(buf: u32, buf_len: u32) -> i32;
    }
}

/// `random_get`: fills a range with random bytes of the operating system's
/// cryptographic generator.
async fn random_get<T: WasiHost>(mut caller: Caller<'_, T>, buf: u32, buf_len: u32) -> Outcome {
    let chunks = caller.bytes(buf, buf_len)?.len().div_ceil(CHUNK);
    for number in 0..chunks {
        if number > 0 {
            caller.wait(future::yield_now()).await;
        }
        let range = caller.bytes_mut(buf, buf_len)?;
        let start = number * CHUNK;
        let end = range.len().min(start + CHUNK);
        getrandom::fill(&mut range[start..end]).map_err(|_| Errno::Io)?;
    }
    Ok(())
}
