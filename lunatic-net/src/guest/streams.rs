//! What TCP and TLS streams have in common (ABI §6.3, §6.4).

use std::future::Future;
use std::io::{self, Read, Write};
use std::time::Duration;

use lunatic_abi::{Guest, SharedCaller};
use wasmtime::{Caller, Result};

use crate::TcpStream;
#[cfg(feature = "tls")]
use crate::TlsStream;
use crate::errors::StreamError;
use crate::guest::reports::{counted, counted_unless_interrupted};
use crate::guest::sockets::{Socket, with_buffer};
use crate::guest::{NetHost, vectors};

/// A stream of bytes.
pub(super) trait Stream: Socket {
    fn read_with(
        &self,
        read: impl FnMut(&mut dyn Read) -> io::Result<usize> + Send,
    ) -> impl Future<Output = Result<usize, StreamError>> + Send;

    fn write_with(
        &self,
        write: impl FnMut(&mut dyn Write) -> io::Result<usize> + Send,
    ) -> impl Future<Output = Result<usize, StreamError>> + Send;

    fn flush(&self) -> impl Future<Output = Result<(), StreamError>> + Send;
}

/// Shared by `tcp_read` and `tls_read`: waits for bytes and takes what fits.
/// Returns 0 with how many, or 1 with an error id, at `opaque_ptr`, or 9027, also if
/// the wait is interrupted.
///
/// Traps on an unknown id, or a bad address.
pub(super) async fn read<T: NetHost, S: Stream>(
    mut caller: Caller<'_, T>,
    id: u64,
    ptr: u32,
    len: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let stream: S = with_buffer(&mut caller, id, ptr, len, opaque_ptr)?;
    let shared = SharedCaller::new(&mut caller);
    let reading = stream.read_with(|source| source.read(buffer(&mut shared.lock(), ptr, len)?));
    let outcome = shared.wait_interruptible(reading).await;
    counted_unless_interrupted(&mut caller, outcome, opaque_ptr)
}

/// Returns a buffer whose range was checked when the host function was called. The
/// memory has not become smaller since, but it may be at another address.
pub(super) fn buffer<'a, T: NetHost>(
    caller: &'a mut Caller<'_, T>,
    ptr: u32,
    len: u32,
) -> io::Result<&'a mut [u8]> {
    caller
        .bytes_mut(ptr, len)
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Shared by `tcp_write_vectored` and `tls_write_vectored`: writes some of the
/// bytes. Returns 0 with how many, or 1 with an error id, at `opaque_ptr`, or
/// 9027.
///
/// - `vector_ptr`, `vector_len`: records of address and length, each a `u32`.
///
/// Traps on an unknown id, or a bad address.
pub(super) async fn write_vectored<T: NetHost, S: Stream>(
    mut caller: Caller<'_, T>,
    id: u64,
    vector_ptr: u32,
    vector_len: u32,
    opaque_ptr: u32,
) -> Result<u32> {
    let stream: S = caller.data_mut().net().socket(id)?;
    let buffers = vectors::read(&mut caller, vector_ptr, vector_len)?;
    caller.check_id_ptr(opaque_ptr)?;
    let shared = SharedCaller::new(&mut caller);
    let writing = stream.write_with(|sink| {
        let mut caller = shared.lock();
        let (memory, _) = caller
            .memory_and_state()
            .map_err(|error| io::Error::other(error.to_string()))?;
        vectors::write(&buffers, memory, sink)
    });
    let outcome = shared.wait(writing).await;
    counted(&mut caller, outcome, opaque_ptr)
}

/// Shared by `tcp_flush` and `tls_flush`: waits until all that was written is
/// with the system, for as long as a write may take. Returns 0 with a 0, or 1 with
/// an error id, at `error_ptr`.
///
/// Traps on an unknown id, or a bad address.
pub(super) async fn flush<T: NetHost, S: Stream>(
    mut caller: Caller<'_, T>,
    id: u64,
    error_ptr: u32,
) -> Result<u32> {
    let stream: S = caller.data_mut().net().socket(id)?;
    caller.check_id_ptr(error_ptr)?;
    let flushed = caller.wait(stream.flush()).await;
    caller.answer_id(error_ptr, flushed.map(|()| 0))
}

/// Shared by every `set_…_timeout` function (ABI §6.3, §6.4): in milliseconds; all
/// bits set is no limit. All handles of the stream have the same.
///
/// Traps on an unknown id.
pub(super) fn set_timeout<T: NetHost, S: Socket>(
    mut caller: Caller<'_, T>,
    id: u64,
    millis: u64,
    set: fn(&S, Option<Duration>),
) -> Result<()> {
    let stream = caller.data_mut().net().table::<S>().get(id)?;
    let time = (millis != NO_LIMIT).then(|| Duration::from_millis(millis));
    set(stream, time);
    Ok(())
}

/// Shared by every `get_…_timeout` function (ABI §6.3, §6.4).
///
/// Traps on an unknown id.
pub(super) fn get_timeout<T: NetHost, S: Socket>(
    mut caller: Caller<'_, T>,
    id: u64,
    get: fn(&S) -> Option<Duration>,
) -> Result<u64> {
    let stream = caller.data_mut().net().table::<S>().get(id)?;
    Ok(get(stream).map_or(NO_LIMIT, |time| time.as_millis() as u64))
}

const NO_LIMIT: u64 = u64::MAX;

impl Stream for TcpStream {
    async fn read_with(
        &self,
        read: impl FnMut(&mut dyn Read) -> io::Result<usize> + Send,
    ) -> Result<usize, StreamError> {
        TcpStream::read_with(self, read).await
    }

    async fn write_with(
        &self,
        write: impl FnMut(&mut dyn Write) -> io::Result<usize> + Send,
    ) -> Result<usize, StreamError> {
        TcpStream::write_with(self, write).await
    }

    /// Does nothing, as what was written is with the system already.
    async fn flush(&self) -> Result<(), StreamError> {
        Ok(())
    }
}

#[cfg(feature = "tls")]
impl Stream for TlsStream {
    async fn read_with(
        &self,
        read: impl FnMut(&mut dyn Read) -> io::Result<usize> + Send,
    ) -> Result<usize, StreamError> {
        TlsStream::read_with(self, read).await
    }

    async fn write_with(
        &self,
        write: impl FnMut(&mut dyn Write) -> io::Result<usize> + Send,
    ) -> Result<usize, StreamError> {
        TlsStream::write_with(self, write).await
    }

    async fn flush(&self) -> Result<(), StreamError> {
        TlsStream::flush(self).await
    }
}
