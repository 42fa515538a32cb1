//! The imported functions on sockets that accept TCP connections.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::{message_create, with_id};

mod host {
    #[link(wasm_import_module = "lunatic::networking")]
    extern "C" {
        pub(super) fn tcp_bind(
            kind: u32,
            address: *const u8,
            port: u32,
            flow_info: u32,
            scope_id: u32,
            id: *mut u64,
        ) -> u32;
        pub(super) fn drop_tcp_listener(listener: u64);
        pub(super) fn tcp_local_addr(listener: u64, id: *mut u64) -> u32;
        pub(super) fn tcp_accept(listener: u64, id: *mut u64, peer: *mut u64) -> u32;
        pub(super) fn resolve_next(
            iterator: u64,
            kind: *mut u32,
            address: *mut u8,
            port: *mut u16,
            flow_info: *mut u32,
            scope_id: *mut u32,
        ) -> u32;
        pub(super) fn drop_dns_iterator(iterator: u64);
    }

    #[link(wasm_import_module = "lunatic::message")]
    extern "C" {
        pub(super) fn push_tcp_stream(stream: u64) -> u64;
    }
}

/// How the host tells kinds of addresses apart.
const IP_V4: u32 = 4;
const IP_V6: u32 = 6;

pub(crate) fn tcp_bind(address: SocketAddr) -> (u32, u64) {
    let (mut ip, mut flow_info, mut scope_id) = ([0; 16], 0, 0);
    let kind = match address {
        SocketAddr::V4(v4) => {
            ip[..4].copy_from_slice(&v4.ip().octets());
            IP_V4
        }
        SocketAddr::V6(v6) => {
            (ip, flow_info, scope_id) = (v6.ip().octets(), v6.flowinfo(), v6.scope_id());
            IP_V6
        }
    };
    let port = address.port().into();
    // SAFETY: no address has more bytes than there are, and only the id is written.
    with_id(|id| unsafe { host::tcp_bind(kind, ip.as_ptr(), port, flow_info, scope_id, id) })
}

pub(crate) fn drop_tcp_listener(listener: u64) {
    // SAFETY: no memory is touched.
    unsafe { host::drop_tcp_listener(listener) }
}

/// The id of the address.
pub(crate) fn tcp_local_addr(listener: u64) -> (u32, u64) {
    // SAFETY: only the id is written.
    with_id(|id| unsafe { host::tcp_local_addr(listener, id) })
}

/// The id of the stream, and that of the address of the other side.
pub(crate) fn tcp_accept(listener: u64) -> ((u32, u64), u64) {
    let mut peer = 0;
    // SAFETY: only the two ids are written.
    let accepted = with_id(|id| unsafe { host::tcp_accept(listener, id, &mut peer) });
    (accepted, peer)
}

/// Takes the address with this id out of the host's table.
pub(crate) fn take_address(iterator: u64) -> Option<SocketAddr> {
    let (mut kind, mut ip, mut port, mut flow_info, mut scope_id) = (0, [0; 16], 0, 0, 0);
    // SAFETY: there is room for each part of an address.
    let code = unsafe {
        host::resolve_next(
            iterator,
            &mut kind,
            ip.as_mut_ptr(),
            &mut port,
            &mut flow_info,
            &mut scope_id,
        )
    };
    // SAFETY: no memory is touched.
    unsafe { host::drop_dns_iterator(iterator) };
    if code != 0 {
        return None;
    }
    let [a, b, c, d, ..] = ip;
    Some(match kind {
        IP_V4 => SocketAddr::new(IpAddr::from([a, b, c, d]), port),
        _ => SocketAddrV6::new(ip.into(), port, flow_info, scope_id).into(),
    })
}

/// Puts a stream into a new message in scratch, and returns its index there.
pub(crate) fn message_of_tcp_stream(stream: u64) -> u64 {
    message_create(0);
    // SAFETY: no memory is touched.
    unsafe { host::push_tcp_stream(stream) }
}
