//! What TCP and TLS listeners have in common (ABI §6.2, §6.4).

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lunatic_abi::{Guest, Misuse};
use lunatic_reactor::Timer;
use wasmtime::{Caller, Result};

use crate::errors::AcceptError;
use crate::guest::NetHost;
use crate::guest::dns::tell;
use crate::guest::reports::{Interrupted, keep, reserve};
use crate::guest::sockets::{self, Socket};
use crate::{TcpListener, TcpStream};
#[cfg(feature = "tls")]
use crate::{TlsListener, TlsStream};

/// A socket that accepts connections.
pub(super) trait Listener: Socket {
    type Stream: Socket;

    fn accept(
        &self,
    ) -> impl Future<Output = Result<(Self::Stream, SocketAddr), AcceptError>> + Send;

    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// Shared by `tcp_local_addr` and `tls_local_addr`. Returns 0 with an iterator id,
/// or 1 with an error id, at `id_ptr`.
///
/// Traps on an unknown id, or a bad address.
pub(super) fn local_addr<T: NetHost, L: Listener>(
    caller: Caller<'_, T>,
    id: u64,
    id_ptr: u32,
) -> Result<u32> {
    sockets::tell_address(caller, id, id_ptr, L::local_addr)
}

/// Shared by `tcp_accept` and `tls_accept`: waits for a connection. Returns 0
/// with a stream id at `id_ptr` and the other side's address, as an iterator, at
/// `peer_ptr`; or 1 with an error id at `id_ptr` and 0 at `peer_ptr`.
///
/// If the process, or its account, has as many sockets as it may, this waits before it returns 1, so
/// that a loop that ignores errors does not take all of a core. A wait that is
/// interrupted is an error too; whoever connects stays in the queue.
///
/// Traps on an unknown id, or a bad address.
pub(super) async fn accept<T: NetHost, L: Listener>(
    mut caller: Caller<'_, T>,
    id: u64,
    id_ptr: u32,
    peer_ptr: u32,
) -> Result<u32> {
    const PAUSE: Duration = Duration::from_millis(100);
    let listener: L = caller.data_mut().net().socket(id)?;
    caller.check_id_ptr(id_ptr)?;
    caller.check_id_ptr(peer_ptr)?;
    let descriptor = match reserve(&mut caller) {
        Ok(descriptor) => descriptor,
        Err(refusal) => {
            caller.wait_interruptible(Timer::after(PAUSE)).await;
            return match is_of_root(&caller, &refusal) {
                true => {
                    let error = AcceptError::NoDescriptors(io::Error::other(refusal));
                    refused(&mut caller, &error, id_ptr, peer_ptr)
                }
                false => refused(&mut caller, &refusal, id_ptr, peer_ptr),
            };
        }
    };
    match caller.wait_interruptible(listener.accept()).await {
        Some(Ok((stream, peer))) => {
            tell(&mut caller, Ok(peer), peer_ptr)?;
            keep(&mut caller, stream, descriptor, id_ptr)
        }
        Some(Err(error)) => refused(&mut caller, &error, id_ptr, peer_ptr),
        None => refused(&mut caller, &Interrupted, id_ptr, peer_ptr),
    }
}

/// Whether it is the runtime that has no descriptors left.
fn is_of_root<T: NetHost>(caller: &Caller<'_, T>, refusal: &Misuse) -> bool {
    let root = caller.data().account().root_account().id();
    matches!(refusal, Misuse::Exceeded(exceeded) if exceeded.account == root)
}

/// Returns 1 with an error id at `id_ptr` and 0 at `peer_ptr`.
fn refused<T: NetHost>(
    caller: &mut Caller<'_, T>,
    error: &(dyn Error + 'static),
    id_ptr: u32,
    peer_ptr: u32,
) -> Result<u32> {
    caller.write_u64(peer_ptr, 0)?;
    caller.report(id_ptr, error)
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> Result<(TcpStream, SocketAddr), AcceptError> {
        TcpListener::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

#[cfg(feature = "tls")]
impl Listener for TlsListener {
    type Stream = TlsStream;

    async fn accept(&self) -> Result<(TlsStream, SocketAddr), AcceptError> {
        TlsListener::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TlsListener::local_addr(self)
    }
}
