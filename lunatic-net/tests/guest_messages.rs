//! Sockets that travel in messages.
#![cfg(feature = "guest")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod guest;

use std::io::{Read as _, Write as _};

use guest::{Guest, args};
use lunatic_net::NetConfig;

#[test]
fn a_stream_moves_to_another_process_with_its_timeouts() {
    let (mut one, stream, mut peer) = Guest::with_stream();
    let mut other = Guest::new();
    one.run("set_read_timeout", &args![stream, 60_000_u64]);
    one.run("create_data", &args![0_u64, 0_u64]);
    assert_eq!(one.number("push_tcp_stream", &args![stream]), 0);
    let trap = one.trap("drop_tcp_stream", &args![stream]);
    assert!(trap.contains("there is no TCP stream with id 0"), "{trap}");
    one.send_to(&mut other);
    let taken = other.number("take_tcp_stream", &args![0_u64]);
    assert_eq!(other.number("get_read_timeout", &args![taken]), 60_000);
    peer.write_all(b"hi").unwrap();
    assert_eq!(other.read("tcp_read", taken, 9).unwrap(), b"hi");
}

#[test]
fn a_udp_socket_moves_to_another_process() {
    let (mut one, mut other) = (Guest::new(), Guest::new());
    let (socket, address) = one.bind("udp");
    one.run("create_data", &args![0_u64, 0_u64]);
    assert_eq!(one.number("push_udp_socket", &args![socket]), 0);
    one.send_to(&mut other);
    let taken = other.number("take_udp_socket", &args![0_u64]);
    assert_eq!(other.address_of("udp_local_addr", taken), address);
}

#[test]
fn taking_leaves_a_hole_and_another_kind_leaves_the_socket() {
    let (mut guest, stream, _peer) = Guest::with_stream();
    let (socket, _) = guest.bind("udp");
    guest.run("create_data", &args![0_u64, 0_u64]);
    assert_eq!(guest.number("push_tcp_stream", &args![stream]), 0);
    assert_eq!(guest.number("push_udp_socket", &args![socket]), 1);
    let trap = guest.trap("take_tls_stream", &args![0_u64]);
    assert!(trap.contains("no TLS stream at index 0"), "{trap}");
    guest.number("take_tcp_stream", &args![0_u64]);
    guest.trap("take_tcp_stream", &args![0_u64]);
    guest.trap("take_tcp_stream", &args![2_u64]);
    guest.number("take_udp_socket", &args![1_u64]);
}

#[test]
fn a_push_without_a_message_traps_and_the_socket_stays() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    guest.trap("push_tcp_stream", &args![stream]);
    peer.write_all(b"x").unwrap();
    assert_eq!(guest.read("tcp_read", stream, 1).unwrap(), b"x");
}

#[test]
fn a_take_without_room_traps_and_the_socket_stays() {
    let (mut one, stream, _peer) = Guest::with_stream();
    let mut config = NetConfig::default();
    config.max_sockets = 1;
    let mut other = Guest::with(config);
    other.bind("udp");
    one.run("create_data", &args![0_u64, 0_u64]);
    one.number("push_tcp_stream", &args![stream]);
    one.send_to(&mut other);
    let trap = other.trap("take_tcp_stream", &args![0_u64]);
    assert!(trap.contains("as many as it may"), "{trap}");
    other.run("drop_udp_socket", &args![0_u64]);
    assert_eq!(other.number("take_tcp_stream", &args![0_u64]), 0);
}

#[test]
fn a_message_that_is_dropped_closes_the_stream_in_it() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    guest.run("create_data", &args![0_u64, 0_u64]);
    guest.number("push_tcp_stream", &args![stream]);
    guest.run("create_data", &args![0_u64, 0_u64]);
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_shared_message_has_handles_of_the_same_sockets() {
    let (mut one, stream, mut peer) = Guest::with_stream();
    let (socket, address) = one.bind("udp");
    one.run("create_data", &args![0_u64, 0_u64]);
    one.number("push_tcp_stream", &args![stream]);
    one.number("push_udp_socket", &args![socket]);
    let mut other = Guest::new();
    one.share_with(&mut other);
    let taken = other.number("take_tcp_stream", &args![0_u64]);
    let socket = other.number("take_udp_socket", &args![1_u64]);
    assert_eq!(other.address_of("udp_local_addr", socket), address);
    peer.write_all(b"hi").unwrap();
    assert_eq!(other.read("tcp_read", taken, 9).unwrap(), b"hi");
    // What is done with one does not close the other.
    drop(other);
    let stream = one.number("take_tcp_stream", &args![0_u64]);
    peer.write_all(b"you").unwrap();
    assert_eq!(one.read("tcp_read", stream, 9).unwrap(), b"you");
}
