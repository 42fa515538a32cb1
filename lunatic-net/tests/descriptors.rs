//! What happens when there are no file descriptors left. The limit is the whole
//! process's, so there is one test in this file.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::error::Error as _;
use std::net::TcpStream;

use futures_lite::future::block_on;
use lunatic_net::{AcceptError, TcpListener, UdpSocket};
use rustix::process::{Resource, getrlimit, setrlimit};

#[test]
fn without_descriptors_accept_waits_and_then_says_so_and_goes_on_when_there_are_some() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();

        let limits = getrlimit(Resource::Nofile);
        let mut none = limits;
        none.current = Some(0);
        setrlimit(Resource::Nofile, none).unwrap();
        let error = listener.accept().await.unwrap_err();
        let address = listener.local_addr().unwrap();
        let unconnected = lunatic_net::TcpStream::connect(address).await.unwrap_err();
        let unbound = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).await;
        let unbound = unbound.unwrap_err();
        setrlimit(Resource::Nofile, limits).unwrap();

        for error in [unconnected.to_string(), unbound.to_string()] {
            assert!(error.contains("ulimit -n"), "{error}");
        }

        assert!(matches!(error, AcceptError::NoDescriptors(_)));
        assert!(error.to_string().contains("ulimit -n"), "{error}");
        assert!(error.source().is_some());
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}
