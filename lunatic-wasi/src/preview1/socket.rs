//! Sockets, of which a process never has any: nothing preopens one.
//!
//! `lunatic::networking` is how a process reaches the network.

use lunatic_abi::host_functions;
use wasmtime::Caller;

use crate::WasiHost;
use crate::descriptors::Kind;
use crate::errno::Errno;
use crate::outcome::{Outcome, answer};

host_functions! {
    pub(super) fn add_to_linker<T: WasiHost>(Linker<T>);
    pub(super) const HOST_FUNCTIONS;

    in "wasi_snapshot_preview1" via answer {
        fn sock_accept(fd: u32, flags: u32, fd_ptr: u32) -> i32;
        fn sock_recv(
            fd: u32, iovs: u32, iovs_len: u32, flags: u32, nread_ptr: u32,
            roflags_ptr: u32
        ) -> i32;
        fn sock_send(fd: u32, iovs: u32, iovs_len: u32, flags: u32, nwritten_ptr: u32) -> i32;
        fn sock_shutdown(fd: u32, how: u32) -> i32;
    }
}

/// `sock_accept`: `notsock` on a file or a stream, `badf` on all else.
fn sock_accept<T: WasiHost>(caller: Caller<'_, T>, fd: u32, _flags: u32, _fd_ptr: u32) -> Outcome {
    no_socket(caller, fd)
}

/// `sock_recv`: `notsock` on a file or a stream, `badf` on all else.
fn sock_recv<T: WasiHost>(
    caller: Caller<'_, T>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _nread_ptr: u32,
    _roflags_ptr: u32,
) -> Outcome {
    no_socket(caller, fd)
}

/// `sock_send`: `notsock` on a file or a stream, `badf` on all else.
fn sock_send<T: WasiHost>(
    caller: Caller<'_, T>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _nwritten_ptr: u32,
) -> Outcome {
    no_socket(caller, fd)
}

/// `sock_shutdown`: `notsock` on a file or a stream, `badf` on all else.
fn sock_shutdown<T: WasiHost>(caller: Caller<'_, T>, fd: u32, _how: u32) -> Outcome {
    no_socket(caller, fd)
}

fn no_socket<T: WasiHost>(mut caller: Caller<'_, T>, fd: u32) -> Outcome {
    match caller.data_mut().wasi().descriptors().get(fd)?.kind {
        Kind::Dir(_) => Err(Errno::BadDescriptor.into()),
        _ => Err(Errno::NotSocket.into()),
    }
}
