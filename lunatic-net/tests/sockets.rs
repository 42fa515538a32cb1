//! TCP and UDP sockets without wasm.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::io::ErrorKind;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_lite::future::{self, block_on, poll_once};
use lunatic_net::{BindError, ConnectError, StreamError, TcpListener, TcpStream, UdpSocket};

const LOCAL: &str = "127.0.0.1:0";

fn local() -> SocketAddr {
    LOCAL.parse().unwrap()
}

/// Both ends of a connection.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(local()).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (server, peer) = listener.accept().await.unwrap();
    let client = client.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    (client, server)
}

/// Lets a task wait for the socket.
async fn blocked<F: Future + Unpin>(operation: &mut F) {
    for _ in 0..3 {
        assert!(poll_once(&mut *operation).await.is_none());
        future::yield_now().await;
    }
}

#[test]
fn bytes_arrive_in_order_and_the_end_is_a_read_of_nothing() {
    block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"hello, ").await.unwrap();
        client.write_all(b"world").await.unwrap();
        drop(client);
        let mut heard = Vec::new();
        let mut buffer = [0; 4];
        loop {
            match server.read(&mut buffer).await.unwrap() {
                0 => break,
                count => heard.extend_from_slice(&buffer[..count]),
            }
        }
        assert_eq!(heard, b"hello, world");
    });
}

#[test]
fn peeking_consumes_nothing_with_a_time_limit_and_without() {
    block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"abc").await.unwrap();
        let mut buffer = [0; 2];
        for limit in [None, Some(Duration::from_secs(60))] {
            server.set_peek_timeout(limit);
            assert_eq!(server.peek(&mut buffer).await.unwrap(), 2);
            assert_eq!(&buffer, b"ab");
        }
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 3);
    });
}

#[test]
fn one_handle_writes_while_another_waits_to_read() {
    block_on(async {
        let (client, server) = pair().await;
        let reader = server.clone();
        let mut buffer = [0; 16];
        let mut reading = Box::pin(reader.read(&mut buffer));
        blocked(&mut reading).await;
        server.write_all(b"ping").await.unwrap();
        let mut heard = [0; 4];
        assert_eq!(client.read(&mut heard).await.unwrap(), 4);
        client.write_all(b"pong!").await.unwrap();
        assert_eq!(reading.await.unwrap(), 5);
    });
}

#[test]
fn two_handles_that_read_take_turns() {
    block_on(async {
        let (client, server) = pair().await;
        let (mut first, mut second) = ([0; 1], [0; 1]);
        let other = server.clone();
        let mut reading = Box::pin(server.read(&mut first));
        blocked(&mut reading).await;
        let mut queueing = Box::pin(other.read(&mut second));
        blocked(&mut queueing).await;
        client.write_all(b"12").await.unwrap();
        future::zip(reading, queueing).await.0.unwrap();
        assert_eq!((first, second), (*b"1", *b"2"));
    });
}

#[test]
fn a_dropped_read_leaves_the_stream_to_others() {
    block_on(async {
        let (client, server) = pair().await;
        let mut buffer = [0; 16];
        let mut reading = Box::pin(server.read(&mut buffer));
        blocked(&mut reading).await;
        drop(reading);
        client.write_all(b"late").await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 4);
    });
}

#[test]
fn time_limits_are_shared_by_all_handles_and_none_is_lost() {
    block_on(async {
        let (client, server) = pair().await;
        assert_eq!(server.read_timeout(), None);
        server
            .clone()
            .set_read_timeout(Some(Duration::from_millis(1)));
        server
            .clone()
            .set_write_timeout(Some(Duration::from_millis(2)));
        server
            .clone()
            .set_peek_timeout(Some(Duration::from_millis(3)));
        assert_eq!(server.read_timeout(), Some(Duration::from_millis(1)));
        assert_eq!(server.write_timeout(), Some(Duration::from_millis(2)));
        assert_eq!(server.peek_timeout(), Some(Duration::from_millis(3)));

        let mut buffer = [0; 1];
        let read = server.read(&mut buffer).await;
        assert!(matches!(read, Err(StreamError::TimedOut)));
        let peek = server.peek(&mut buffer).await;
        assert!(matches!(peek, Err(StreamError::TimedOut)));
        server.set_read_timeout(None);
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
    });
}

#[test]
fn a_write_that_nobody_reads_times_out() {
    block_on(async {
        let (_client, server) = pair().await;
        server.set_write_timeout(Some(Duration::from_millis(20)));
        let written = server.write_all(&vec![0; 64 << 20]).await;
        assert!(matches!(written, Err(StreamError::TimedOut)));
    });
}

#[test]
fn what_is_there_already_is_read_with_no_time_at_all() {
    block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"x").await.unwrap();
        let mut buffer = [0; 1];
        assert_eq!(server.peek(&mut buffer).await.unwrap(), 1);
        server.set_read_timeout(Some(Duration::ZERO));
        assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
    });
}

#[test]
fn a_limit_that_becomes_shorter_or_longer_is_kept() {
    block_on(async {
        let (client, server) = pair().await;
        let timed_out = |outcome| matches!(outcome, Err(StreamError::TimedOut));
        // Each of the reads leaves a timer behind, for the next one to use.
        for millis in [3_600_000, 20, 3_600_000, 5, 40, 0] {
            server.set_read_timeout(Some(Duration::from_millis(millis)));
            let start = Instant::now();
            if millis > 1000 {
                let (count, _) = future::zip(server.read(&mut [0; 8]), async {
                    // The read waits by now.
                    client.write_all(b"x").await.unwrap();
                })
                .await;
                assert_eq!(count.unwrap(), 1);
            } else {
                assert!(timed_out(server.read(&mut [0; 8]).await));
                assert!(start.elapsed() >= Duration::from_millis(millis));
            }
        }
        server.set_read_timeout(None);
        client.write_all(b"y").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 1);
    });
}

#[test]
fn who_waits_too_long_for_the_turn_of_another_times_out() {
    block_on(async {
        let (_client, server) = pair().await;
        let mut buffer = [0; 8];
        let mut first = Box::pin(server.read(&mut buffer));
        blocked(&mut first).await;
        server.set_read_timeout(Some(Duration::from_millis(20)));
        let second = server.clone();
        let outcome = second.read(&mut [0; 8]).await;
        assert!(matches!(outcome, Err(StreamError::TimedOut)));
    });
}

#[test]
fn a_half_closed_connection_can_still_be_written_to() {
    block_on(async {
        let listener = TcpListener::bind(local()).await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
        server.write_all(b"still here").await.unwrap();
        drop(server);
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "still here");
    });
}

#[test]
fn a_reset_connection_is_an_error_and_not_an_end() {
    block_on(async {
        let (client, server) = pair().await;
        // Closing with unread bytes resets.
        server.write_all(b"unread").await.unwrap();
        assert_eq!(client.peek(&mut [0; 1]).await.unwrap(), 1);
        drop(client);
        let error = match server.read(&mut [0; 1]).await {
            Err(StreamError::Io(error)) => error.kind(),
            other => panic!("{other:?}"),
        };
        assert_eq!(error, ErrorKind::ConnectionReset);
    });
}

#[test]
fn the_socket_closes_with_its_last_handle() {
    block_on(async {
        let (client, server) = pair().await;
        let clone = server.clone();
        drop(server);
        let mut buffer = [0; 1];
        let mut reading = Box::pin(client.read(&mut buffer));
        blocked(&mut reading).await;
        drop(clone);
        assert_eq!(reading.await.unwrap(), 0);
    });
}

#[test]
fn a_port_in_use_and_a_port_without_a_listener_are_errors_with_the_address() {
    block_on(async {
        let listener = TcpListener::bind(local()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let error: BindError = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
        assert_eq!(error.to_string(), format!("cannot bind {address}"));
        drop(listener);
        match TcpStream::connect(address).await {
            Err(ConnectError::Unreachable {
                address: it,
                source,
            }) => {
                assert_eq!(it, address);
                assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn many_clients_may_connect_before_one_is_accepted() {
    const COUNT: usize = 1000;
    block_on(async {
        let listener = TcpListener::bind(local()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limit = Duration::from_millis(500);
        let clients: Vec<_> = (0..COUNT)
            .map(|_| std::net::TcpStream::connect_timeout(&address, limit).unwrap())
            .collect();
        for client in clients {
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}

#[test]
fn a_thousand_connections_at_once_are_served() {
    const COUNT: usize = 1000;
    block_on(async {
        let listener = TcpListener::bind(local()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut pairs = Vec::new();
        for _ in 0..COUNT {
            let (client, accepted) =
                future::zip(TcpStream::connect(address), listener.accept()).await;
            pairs.push((client.unwrap(), accepted.unwrap().0));
        }
        for (index, (client, _)) in pairs.iter().enumerate() {
            client.write_all(&index.to_le_bytes()).await.unwrap();
        }
        for (index, (_, server)) in pairs.iter().enumerate() {
            let mut buffer = [0; size_of::<usize>()];
            assert_eq!(server.read(&mut buffer).await.unwrap(), buffer.len());
            assert_eq!(usize::from_le_bytes(buffer), index);
        }
    });
}

#[test]
fn datagrams_arrive_whole_with_their_sender() {
    block_on(async {
        let one = UdpSocket::bind(local()).await.unwrap();
        let other = UdpSocket::bind(local()).await.unwrap();
        let to = other.local_addr().unwrap();
        one.send_to(b"first", to).await.unwrap();
        one.send_to(b"", to).await.unwrap();
        let mut buffer = [0; 16];
        let (count, peer) = other.receive_from(&mut buffer).await.unwrap();
        assert_eq!(
            (&buffer[..count], peer),
            (&b"first"[..], one.local_addr().unwrap())
        );
        assert_eq!(other.receive(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn what_does_not_fit_of_a_datagram_is_cut_off() {
    block_on(async {
        let one = UdpSocket::bind(local()).await.unwrap();
        let other = UdpSocket::bind(local()).await.unwrap();
        one.connect(other.local_addr().unwrap()).unwrap();
        one.send(b"long").await.unwrap();
        one.send(b"next").await.unwrap();
        let mut buffer = [0; 2];
        assert_eq!(other.receive(&mut buffer).await.unwrap(), 2);
        assert_eq!(other.receive(&mut buffer).await.unwrap(), 2);
        assert_eq!(&buffer, b"ne");
    });
}

#[test]
fn a_udp_socket_knows_its_peer_once_it_is_connected() {
    block_on(async {
        let one = UdpSocket::bind(local()).await.unwrap();
        let other = UdpSocket::bind(local()).await.unwrap();
        let error = one.peer_addr().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        one.connect(other.local_addr().unwrap()).unwrap();
        assert_eq!(one.peer_addr().unwrap(), other.local_addr().unwrap());
        assert!(!one.broadcast().unwrap());
        one.set_broadcast(true).unwrap();
        one.set_ttl(7).unwrap();
        assert!(one.clone().broadcast().unwrap());
        assert_eq!(one.clone().ttl().unwrap(), 7);
    });
}
