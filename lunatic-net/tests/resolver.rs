//! Names without public DNS.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::error::Error as _;

use futures_lite::future::block_on;
use lunatic_net::resolve;

#[test]
fn addresses_are_taken_as_they_are() {
    let resolved = |name| block_on(resolve(name)).unwrap();
    assert_eq!(resolved("127.0.0.1:80"), ["127.0.0.1:80".parse().unwrap()]);
    assert_eq!(resolved("[::1]:443"), ["[::1]:443".parse().unwrap()]);
}

#[test]
fn localhost_is_this_machine() {
    let addresses = block_on(resolve("localhost:80")).unwrap();
    assert!(!addresses.is_empty());
    assert!(addresses.iter().all(|address| address.ip().is_loopback()));
}

#[test]
fn a_name_without_a_port_is_an_invalid_socket_address() {
    let error = block_on(resolve("localhost")).unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve `localhost`");
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "invalid socket address");
}

#[test]
fn names_that_cannot_be_are_errors() {
    let long = format!("{}:80", "a".repeat(100_000));
    for name in ["", ":", ":::", "a:b", "a:70000", "\0:80", " :80", &long] {
        assert!(
            block_on(resolve(name)).is_err(),
            "{:?}",
            &name[..name.len().min(9)]
        );
    }
}

#[test]
fn a_lookup_that_nobody_waits_for_is_harmless() {
    for _ in 0..200 {
        drop(block_on(futures_lite::future::poll_once(Box::pin(
            resolve("localhost:1"),
        ))));
    }
    assert!(block_on(resolve("localhost:1")).is_ok());
}
