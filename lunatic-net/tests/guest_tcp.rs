//! The host functions on TCP.
#![cfg(feature = "guest")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod guest;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use futures_lite::future::{block_on, poll_once};
use guest::{Guest, Host, NEVER, TIMED_OUT, args, at};
use lunatic_abi::{HostFunction, ValueType};
use lunatic_account::{Account, AccountLimits, Charge, Kind};
use lunatic_net::guest::HOST_FUNCTIONS;
use lunatic_net::{Listeners, NetConfig, Rules};
use wasmtime::{Engine, Linker, Val};

#[test]
fn all_49_functions_and_the_6_on_messages_are_there_with_exactly_their_types() {
    // Making the guest links all of them.
    Guest::new();
    let count = |namespace| {
        let functions = HOST_FUNCTIONS.iter();
        functions
            .filter(|function| function.namespace == namespace)
            .count()
    };
    assert_eq!(count("lunatic::networking"), 49);
    assert_eq!(count("lunatic::message"), 6);
    assert_eq!(HOST_FUNCTIONS.len(), 49 + 6);
}

/// An account that may have so many descriptors.
fn with_descriptors(descriptors: u64) -> Account {
    Account::root(AccountLimits {
        descriptors,
        ..AccountLimits::default()
    })
}

#[test]
fn a_client_is_left_in_the_queue_while_the_account_has_no_descriptor_for_it() {
    let account = with_descriptors(2);
    let mut guest = Guest::in_root(NetConfig::default(), &Listeners::new(), &account);
    let (listener, address) = guest.bind("tcp");
    let (other, _) = guest.bind("udp");
    let mut client = TcpStream::connect(address).unwrap();
    let params = args![listener, at::ID, at::PEER];
    assert_eq!(guest.code("tcp_accept", &params), 1);
    let error = guest.error();
    assert!(error.contains("ulimit -n"), "{error}");
    assert!(error.contains("the limit of 2 descriptors"), "{error}");

    guest.run("drop_udp_socket", &args![other]);
    let stream = guest.accept("tcp", listener);
    client.write_all(b"x").unwrap();
    assert_eq!(guest.read("tcp_read", stream, 1).unwrap(), b"x");
    assert_eq!(account.used(Kind::Descriptors), 2);
}

#[test]
fn nobody_is_connected_to_for_an_account_without_a_descriptor() {
    let account = with_descriptors(1);
    let mut guest = Guest::in_root(NetConfig::default(), &Listeners::new(), &account);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, held) = (
        free.local_addr().unwrap(),
        Charge::new(&account, Kind::Descriptors, 1),
    );
    assert_eq!(guest.connect(address, NEVER), 1);
    let error = guest.error();
    assert_eq!(error, "the limit of 1 descriptors is reached");
    // Nobody has connected.
    free.set_nonblocking(true).unwrap();
    assert_eq!(free.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(held);
    assert_eq!(guest.connect(address, NEVER), 0);
}

#[test]
fn registering_twice_is_an_error() {
    let mut linker = Linker::<Host>::new(&Engine::default());
    lunatic_net::guest::add_to_linker(&mut linker).unwrap();
    assert!(lunatic_net::guest::add_to_linker(&mut linker).is_err());
}

#[test]
fn ids_of_each_kind_begin_at_0_and_are_never_used_again() {
    let mut guest = Guest::new();
    assert_eq!(guest.bind("tcp").0, 0);
    assert_eq!(guest.bind("tcp").0, 1);
    assert_eq!(guest.bind("udp").0, 0);
    guest.run("drop_tcp_listener", &args![1_u64]);
    assert_eq!(guest.bind("tcp").0, 2);
}

#[test]
fn a_guest_connects_and_both_sides_know_each_other() {
    let mut guest = Guest::new();
    let (listener, address) = guest.bind("tcp");
    assert_eq!(guest.connect(address, NEVER), 0);
    let client = guest.id();
    assert_eq!(guest.address_of("tcp_peer_addr", client), address);
    let server = guest.accept("tcp", listener);
    assert_eq!(guest.write("tcp", client, &[b"one ", b"", b"two"]), 0);
    assert_eq!(guest.id(), 7);
    assert_eq!(guest.code("tcp_flush", &args![client, at::ID]), 0);
    assert_eq!(guest.id(), 0);
    assert_eq!(guest.read("tcp_read", server, 100).unwrap(), b"one two");
    guest.run("drop_tcp_stream", &args![client]);
    assert_eq!(guest.read("tcp_read", server, 100).unwrap(), b"");
}

#[test]
fn peeking_consumes_nothing() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    peer.write_all(b"abc").unwrap();
    assert_eq!(guest.read("tcp_peek", stream, 2).unwrap(), b"ab");
    guest.run("set_peek_timeout", &args![stream, 1000_u64]);
    assert_eq!(guest.read("tcp_peek", stream, 2).unwrap(), b"ab");
    assert_eq!(guest.read("tcp_read", stream, 100).unwrap(), b"abc");
}

#[test]
fn timeouts_are_shared_by_clones_and_leave_the_out_pointer_alone() {
    let (mut guest, stream, _peer) = Guest::with_stream();
    let clone = guest.number("clone_tcp_stream", &args![stream]);
    for limit in ["read", "write", "peek"] {
        let (get, set) = (
            format!("get_{limit}_timeout"),
            format!("set_{limit}_timeout"),
        );
        assert_eq!(guest.number(&get, &args![stream]), NEVER);
        guest.run(&set, &args![clone, 5_u64]);
        assert_eq!(guest.number(&get, &args![stream]), 5);
    }
    for function in ["tcp_read", "tcp_peek"] {
        guest.put(at::ID, &77_u64.to_le_bytes());
        assert_eq!(guest.read(function, stream, 1), Err(TIMED_OUT));
        assert_eq!(guest.id(), 77);
    }
    guest.run("set_read_timeout", &args![clone, NEVER]);
    assert_eq!(guest.number("get_read_timeout", &args![stream]), NEVER);
}

#[test]
fn a_write_that_nobody_reads_times_out() {
    let (mut guest, stream, _peer) = Guest::with_stream();
    guest.run("set_write_timeout", &args![stream, 20_u64]);
    let bytes = [0; 8192];
    let code = loop {
        match guest.write("tcp", stream, &[&bytes, &bytes]) {
            0 => {}
            code => break code,
        }
    };
    assert_eq!(code, TIMED_OUT);
}

#[test]
fn a_connection_that_cannot_be_made_is_an_error_with_a_sentence() {
    let mut guest = Guest::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(guest.connect(address, NEVER), 1);
    let error = guest.error();
    assert!(
        error.starts_with(&format!("cannot connect to {address}: Connection refused")),
        "{error}"
    );
}

#[test]
fn an_address_that_cannot_be_reached_is_an_error_with_a_sentence() {
    // No connection leads to all machines, so the system says no at once.
    let address = "255.255.255.255:80".parse().unwrap();
    let mut guest = Guest::new();
    assert_eq!(guest.connect(address, NEVER), 1);
    let error = guest.error();
    assert!(
        error.starts_with("cannot connect to 255.255.255.255:80: "),
        "{error}"
    );
}

#[test]
fn a_connection_that_takes_too_long_is_9027_with_an_error_id() {
    // Nobody answers on a listener whose queue is full.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let _queued = TcpStream::connect(address).unwrap();
    let mut guest = Guest::new();
    let code = loop {
        match guest.connect(address, 20) {
            0 => {}
            code => break code,
        }
    };
    assert_eq!(code, TIMED_OUT);
    assert_eq!(guest.error(), format!("timed out: connect to {address}"));
}

#[test]
fn a_port_in_use_and_an_address_elsewhere_are_errors() {
    let mut guest = Guest::new();
    let (_, used) = guest.bind("tcp");
    for address in [used, "203.0.113.1:0".parse().unwrap()] {
        let mut params = guest.address(address).to_vec();
        params.extend(args![at::ID]);
        assert_eq!(guest.code("tcp_bind", &params), 1);
        let error = guest.error();
        assert!(
            error.starts_with(&format!("cannot bind {address}: ")),
            "{error}"
        );
    }
}

#[test]
fn a_number_that_is_no_port_is_an_error_and_not_another_port() {
    let mut guest = Guest::new();
    let params = args![4, at::ADDRESS, 65536 + 80, 0, 0, at::ID];
    assert_eq!(guest.code("tcp_bind", &params), 1);
    assert_eq!(guest.error(), "65616 is not a port; the highest is 65535");
    let params = args![4, at::ADDRESS, 70_000, 0, 0, NEVER, at::ID];
    assert_eq!(guest.code("tcp_connect", &params), 1);
    guest.error();
}

#[test]
fn ipv6_works_where_the_machine_has_it() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let mut guest = Guest::new();
    let mut params = guest.address("[::1]:0".parse().unwrap()).to_vec();
    params.extend(args![at::ID]);
    assert_eq!(guest.code("tcp_bind", &params), 0);
    let listener = guest.id();
    let address = guest.address_of("tcp_local_addr", listener);
    assert!(address.is_ipv6());
    assert_eq!(guest.connect(address, NEVER), 0);
    guest.accept("tcp", listener);
}

#[test]
fn a_kind_of_address_that_does_not_exist_traps() {
    let mut guest = Guest::new();
    for kind in [0, 5, -1] {
        let trap = guest.trap("tcp_bind", &args![kind, at::ADDRESS, 0, 0, 0, at::ID]);
        assert!(trap.contains("is not a kind of address"), "{trap}");
    }
}

#[test]
fn unknown_ids_trap() {
    let mut guest = Guest::new();
    for HostFunction { name, params, .. } in HOST_FUNCTIONS {
        let takes_id = params.first().is_some_and(|id| id.ty == ValueType::I64);
        if !takes_id || name.starts_with("take_") {
            continue;
        }
        let params: Vec<Val> = params
            .iter()
            .map(|param| match param.ty {
                ValueType::I32 => Val::I32(4),
                _ => Val::I64(5),
            })
            .collect();
        let trap = guest.trap(name, &params);
        assert!(trap.contains("with id 5"), "{name}: {trap}");
    }
}

#[test]
fn addresses_outside_of_memory_trap_before_anything_happens() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    peer.write_all(b"kept").unwrap();
    assert_eq!(guest.read("tcp_peek", stream, 4).unwrap(), b"kept");
    let end = at::END;
    for (function, params) in [
        ("tcp_read", &args![stream, end - 1, 2, at::ID][..]),
        ("tcp_read", &args![stream, at::DATA, 4, end - 7]),
        ("tcp_peek", &args![stream, -1, -1, at::ID]),
        ("tcp_write_vectored", &args![stream, end - 7, 1, at::ID]),
        (
            "tcp_write_vectored",
            &args![stream, at::RECORDS, 0, end - 7],
        ),
        // 8 times as many would be 0 again in 32 bits.
        ("tcp_write_vectored", &args![stream, 0, 0x2000_0000, at::ID]),
        ("tcp_flush", &args![stream, end - 7]),
        ("tcp_peer_addr", &args![stream, end - 7]),
        ("tcp_accept", &args![0_u64, end - 7, at::PEER]),
        ("tcp_accept", &args![0_u64, at::ID, end - 7]),
        ("tcp_bind", &args![4, end - 3, 0, 0, 0, at::ID]),
        ("tcp_bind", &args![6, end - 15, 0, 0, 0, at::ID]),
        ("tcp_bind", &args![4, at::ADDRESS, 0, 0, 0, end - 7]),
        (
            "tcp_connect",
            &args![4, at::ADDRESS, 0, 0, 0, NEVER, end - 7],
        ),
    ] {
        let trap = guest.trap(function, params);
        assert!(trap.contains("outside of the memory"), "{function}: {trap}");
    }
    guest.put(at::RECORDS, &(end - 1).to_le_bytes());
    guest.put(at::RECORDS + 4, &2_u32.to_le_bytes());
    let trap = guest.trap("tcp_write_vectored", &args![stream, at::RECORDS, 1, at::ID]);
    assert!(trap.contains("outside of the memory"), "{trap}");
    assert_eq!(guest.read("tcp_read", stream, 100).unwrap(), b"kept");
}

#[test]
fn the_last_byte_of_memory_and_address_0_can_be_used() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    peer.write_all(b"ab").unwrap();
    assert_eq!(guest.code("tcp_read", &args![stream, at::END - 1, 1, 8]), 0);
    assert_eq!(guest.take(at::END - 1, 1), b"a");
    assert_eq!(guest.code("tcp_read", &args![stream, 0, 1, 8]), 0);
    assert_eq!(guest.take(0, 1), b"b");
}

#[test]
fn a_long_vector_is_written_in_part() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    const RECORDS: u32 = 4000;
    for index in 0..RECORDS {
        let record = at::DATA + index * 8;
        guest.put(record, &at::NAME.to_le_bytes());
        guest.put(record + 4, &1_u32.to_le_bytes());
    }
    let params = args![stream, at::DATA, RECORDS, at::ID];
    assert_eq!(guest.code("tcp_write_vectored", &params), 0);
    let written = guest.id() as usize;
    assert!((1..=1024).contains(&written), "{written}");
    peer.read_exact(&mut vec![0; written]).unwrap();
}

#[test]
fn a_killed_process_leaves_a_stream_that_it_waited_for_to_others() {
    let (mut guest, stream, mut peer) = Guest::with_stream();
    let mut other = Guest::new();
    let clone = guest.number("clone_tcp_stream", &args![stream]);
    guest.run("create_data", &args![0_u64, 0_u64]);
    assert_eq!(guest.number("push_tcp_stream", &args![clone]), 0);
    guest.send_to(&mut other);
    let taken = other.number("take_tcp_stream", &args![0_u64]);
    block_on(async {
        let params = args![stream, at::DATA, 1, at::ID];
        let mut reading = Box::pin(guest.invoke("tcp_read", &params));
        for _ in 0..3 {
            assert!(poll_once(&mut reading).await.is_none());
        }
    });
    drop(guest);
    peer.write_all(b"x").unwrap();
    assert_eq!(other.read("tcp_read", taken, 1).unwrap(), b"x");
    drop(other);
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_killed_process_gives_its_port_back() {
    let mut guest = Guest::new();
    let (listener, address) = guest.bind("tcp");
    block_on(async {
        let params = args![listener, at::ID, at::PEER];
        let mut accepting = Box::pin(guest.invoke("tcp_accept", &params));
        assert!(poll_once(&mut accepting).await.is_none());
    });
    drop(guest);
    TcpListener::bind(address).unwrap();
}

#[test]
fn what_the_rules_deny_is_an_error_with_a_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let allowed = listener.local_addr().unwrap();
    let mut guest = Guest::with(NetConfig::default().narrowed(Rules {
        allow: Some(vec![format!("connect:{allowed}").parse().unwrap()]),
        deny: Vec::new(),
    }));
    assert_eq!(guest.connect(allowed, NEVER), 0);
    assert_eq!(guest.connect("127.0.0.1:1".parse().unwrap(), NEVER), 1);
    assert_eq!(
        guest.error(),
        format!(
            "permission denied: this process may not connect to 127.0.0.1:1: \
             only `connect:{allowed}` is allowed"
        )
    );
    let mut params = guest.address("127.0.0.1:0".parse().unwrap()).to_vec();
    params.extend(args![at::ID]);
    for function in ["tcp_bind", "udp_bind"] {
        assert_eq!(guest.code(function, &params), 1);
        let error = guest.error();
        assert!(error.contains("may not bind 127.0.0.1:0"), "{error}");
    }
}

#[test]
fn a_process_has_no_more_sockets_than_it_may() {
    let mut config = NetConfig::default();
    config.max_sockets = 3;
    let mut guest = Guest::with(config);
    let (listener, address) = guest.bind("tcp");
    guest.bind("udp");
    assert_eq!(guest.connect(address, NEVER), 0);
    assert_eq!(guest.connect(address, NEVER), 1);
    let error = guest.error();
    assert_eq!(error, "this process has 3 sockets, as many as it may");
    let params = args![listener, at::ID, at::PEER];
    assert_eq!(guest.code("tcp_accept", &params), 1);
    guest.error();
    assert_eq!(guest.take_u64(at::PEER), 0);
    let trap = guest.trap("clone_tcp_stream", &args![0_u64]);
    assert!(trap.contains("as many as it may"), "{trap}");
    guest.run("drop_tcp_stream", &args![0_u64]);
    guest.accept("tcp", listener);
}
