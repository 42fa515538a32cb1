//! Random bytes.

use futures_lite::future;
use lunatic_abi::Guest;
use wasmtime::{Caller, Linker, Result};

use super::async_functions;
use crate::WasiHost;
use crate::errno::Errno;
use crate::outcome::Outcome;

/// Bytes made between two looks at whether another process wants to run.
const CHUNK: usize = 64 << 10;

pub(super) fn add_to_linker<T: WasiHost>(linker: &mut Linker<T>) -> Result<()> {
    async_functions! { linker:
        random_get(buf: u32, buf_len: u32);
    }
    Ok(())
}

/// `random_get`: fills a range with random bytes of the operating system's
/// cryptographic generator.
async fn random_get<T: WasiHost>(mut caller: Caller<'_, T>, buf: u32, buf_len: u32) -> Outcome {
    let chunks = caller.bytes(buf, buf_len)?.len().div_ceil(CHUNK);
    for number in 0..chunks {
        if number > 0 {
            future::yield_now().await;
        }
        let range = caller.bytes_mut(buf, buf_len)?;
        let start = number * CHUNK;
        let end = range.len().min(start + CHUNK);
        getrandom::fill(&mut range[start..end]).map_err(|_| Errno::Io)?;
    }
    Ok(())
}
