//! Waiting for sockets, with the thread of the reactor.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::thread;
use std::time::Duration;

use futures_lite::future::{self, block_on, poll_once};
use lunatic_reactor::{Source, Timer};

/// Runs a future to its end, which has to come in time.
fn run<F: Future>(future: F) -> F::Output {
    let limit = async {
        Timer::after(Duration::from_secs(60)).await;
        panic!("it took too long");
    };
    block_on(future::or(future, limit))
}

fn pair() -> (Source<UnixStream>, Source<UnixStream>) {
    let (one, other) = UnixStream::pair().unwrap();
    (Source::new(one).unwrap(), Source::new(other).unwrap())
}

async fn read<'a>(source: &Source<UnixStream>, buffer: &'a mut [u8]) -> &'a [u8] {
    let read = source.read_with(|mut stream| stream.read(buffer)).await;
    let count = read.unwrap();
    &buffer[..count]
}

async fn write(source: &Source<UnixStream>, bytes: &[u8]) -> usize {
    let written = source.write_with(|mut stream| stream.write(bytes)).await;
    written.unwrap()
}

#[test]
fn what_arrives_before_or_after_the_reader_waits_is_read() {
    run(async {
        let (one, other) = pair();
        let mut buffer = [0; 16];
        write(&one, b"before").await;
        assert_eq!(read(&other, &mut buffer).await, b"before");
        for number in 0..1000u32 {
            let writing = async {
                if number % 2 == 0 {
                    future::yield_now().await;
                }
                write(&one, &number.to_le_bytes()).await
            };
            let (bytes, _) = future::zip(read(&other, &mut buffer), writing).await;
            assert_eq!(bytes, number.to_le_bytes());
        }
    });
}

#[test]
fn bytes_that_come_in_pieces_from_another_thread_all_arrive() {
    const BYTES: usize = 1 << 20;
    let (one, other) = pair();
    let writer = thread::spawn(move || {
        run(async {
            let mut left = BYTES;
            while left > 0 {
                let piece = vec![7; (left % 977 + 1).min(left)];
                left -= write(&one, &piece).await;
            }
        });
    });
    run(async {
        let (mut count, mut buffer) = (0, [0; 1009]);
        while count < BYTES {
            let bytes = read(&other, &mut buffer).await;
            assert!(!bytes.is_empty(), "the end came after {count} bytes");
            count += bytes.len();
        }
        assert!(read(&other, &mut buffer).await.is_empty());
    });
    writer.join().unwrap();
}

#[test]
fn one_task_reads_while_another_one_writes_to_the_same_socket() {
    const BYTES: usize = 1 << 20;
    let (one, other) = pair();
    let echo = thread::spawn(move || {
        run(async {
            let mut buffer = [0; 4096];
            loop {
                let bytes = read(&other, &mut buffer).await;
                if bytes.is_empty() {
                    return;
                }
                let mut bytes = bytes;
                while !bytes.is_empty() {
                    bytes = &bytes[write(&other, bytes).await..];
                }
            }
        });
    });
    run(async {
        let writing = async {
            let mut left = BYTES;
            while left > 0 {
                left -= write(&one, &vec![1; left.min(100_000)]).await;
            }
        };
        let reading = async {
            let (mut count, mut buffer) = (0, [0; 8192]);
            while count < BYTES {
                count += read(&one, &mut buffer).await.len();
            }
        };
        future::zip(writing, reading).await;
    });
    drop(one);
    echo.join().unwrap();
}

#[test]
fn a_peer_that_closes_is_the_end_after_all_bytes_that_it_has_sent() {
    run(async {
        let (one, other) = pair();
        let mut buffer = [0; 16];
        write(&one, b"last").await;
        drop(one);
        assert_eq!(read(&other, &mut buffer).await, b"last");
        for _ in 0..3 {
            assert!(read(&other, &mut buffer).await.is_empty());
        }
        // A reader that waits is told too.
        let (one, other) = pair();
        let closing = async {
            Timer::after(Duration::from_millis(5)).await;
            drop(one);
        };
        let (bytes, ()) = future::zip(read(&other, &mut buffer), closing).await;
        assert!(bytes.is_empty());
    });
}

#[test]
fn a_direction_that_is_shut_down_leaves_the_other_one_open() {
    run(async {
        let (one, other) = pair();
        let mut buffer = [0; 16];
        write(&one, b"all").await;
        one.get_ref().shutdown(Shutdown::Write).unwrap();
        assert_eq!(read(&other, &mut buffer).await, b"all");
        assert!(read(&other, &mut buffer).await.is_empty());
        let (bytes, _) = future::zip(read(&one, &mut buffer), async {
            future::yield_now().await;
            write(&other, b"answer").await
        })
        .await;
        assert_eq!(bytes, b"answer");
    });
}

#[test]
fn a_connection_that_is_reset_is_an_error_of_the_reader_that_waits() {
    run(async {
        let listener = Source::new(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        let client = Source::<TcpStream>::connect(address).await.unwrap();
        let accepted = listener.read_with(|listener| listener.accept()).await;
        let server = Source::new(accepted.unwrap().0).unwrap();
        // A connection with unread bytes is reset when it is closed.
        let sent = client
            .write_with(|mut client| client.write(b"unread"))
            .await;
        assert_eq!(sent.unwrap(), 6);
        let arrived = server.read_with(|server| server.peek(&mut [0; 6])).await;
        assert_eq!(arrived.unwrap(), 6);
        let mut buffer = [0; 16];
        let reading = client.read_with(|mut client| client.read(&mut buffer));
        let closing = async {
            future::yield_now().await;
            drop(server);
        };
        let (outcome, ()) = future::zip(reading, closing).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let outcome = client.write_with(|mut client| client.write(b"more")).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_connection_that_is_refused_is_an_error() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let refused = Source::<TcpStream>::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn all_that_wait_for_connections_of_one_socket_get_one_each() {
    const WAITING: usize = 20;
    run(async {
        let listener = Source::new(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        thread::scope(|scope| {
            let accept = || run(listener.read_with(|listener| listener.accept())).unwrap();
            let accepted: Vec<_> = (0..WAITING).map(|_| scope.spawn(accept)).collect();
            let clients: Vec<_> = (0..WAITING)
                .map(|_| TcpStream::connect(address).unwrap())
                .collect();
            for accepted in accepted {
                let (_, peer) = accepted.join().unwrap();
                let is_peer = |client: &TcpStream| client.local_addr().unwrap() == peer;
                assert!(clients.iter().any(is_peer));
            }
        });
    });
}

#[test]
fn a_wait_that_is_dropped_loses_nothing() {
    run(async {
        let (one, other) = pair();
        let mut buffer = [0; 16];
        for _ in 0..100 {
            assert!(poll_once(read(&other, &mut buffer)).await.is_none());
        }
        write(&one, b"x").await;
        {
            let mut reading = pin!(read(&other, &mut buffer));
            let _ = poll_once(reading.as_mut()).await;
            // It is dropped, perhaps with the byte, and perhaps before that.
        }
        write(&one, b"y").await;
        let bytes = read(&other, &mut buffer).await;
        assert!(bytes.ends_with(b"y"), "{bytes:?}");
    });
}

#[test]
fn a_socket_that_is_dropped_while_others_wait_is_not_mixed_up_with_the_next_one() {
    run(async {
        let mut buffer = [0; 16];
        for _ in 0..500 {
            let (one, other) = pair();
            write(&one, b"first").await;
            drop((one, other));
            let (one, other) = pair();
            assert!(poll_once(read(&other, &mut buffer)).await.is_none());
            write(&one, b"second").await;
            assert_eq!(read(&other, &mut buffer).await, b"second");
        }
    });
}

#[test]
fn many_sockets_that_become_ready_at_once_are_all_seen() {
    const SOCKETS: usize = 400;
    run(async {
        let pairs: Vec<_> = (0..SOCKETS).map(|_| pair()).collect();
        let (writers, readers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        for reader in &readers {
            let mut buffer = [0; 1];
            assert!(poll_once(read(reader, &mut buffer)).await.is_none());
        }
        let writing = thread::spawn(move || {
            for writer in &writers {
                run(write(writer, b"x"));
            }
            writers
        });
        for reader in &readers {
            assert_eq!(read(reader, &mut [0; 1]).await, b"x");
        }
        drop(writing.join().unwrap());
    });
}

#[test]
fn an_operation_that_does_not_wait_sees_what_has_arrived() {
    run(async {
        let (one, other) = pair();
        let mut buffer = [0; 16];
        assert!(poll_once(read(&other, &mut buffer)).await.is_none());
        write(&one, b"x").await;
        assert_eq!(poll_once(read(&other, &mut buffer)).await.unwrap(), b"x");
    });
}

#[test]
fn datagrams_are_received_one_by_one() {
    run(async {
        let [one, other] = [(); 2].map(|()| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            Source::new(socket).unwrap()
        });
        let peer = other.get_ref().local_addr().unwrap();
        for _ in 0..3 {
            let sent = one.write_with(|one| one.send_to(b"datagram", peer)).await;
            assert_eq!(sent.unwrap(), 8);
        }
        for _ in 0..3 {
            let mut buffer = [0; 16];
            let count = other.read_with(|other| other.recv(&mut buffer)).await;
            assert_eq!(&buffer[..count.unwrap()], b"datagram");
        }
    });
}

#[test]
fn a_file_cannot_be_waited_for() {
    let file = std::fs::File::open("Cargo.toml").unwrap();
    let error = Source::new(file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}
