//! What a server answers, and what it does not put up with.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::stream;
use lunatic_http::{Limits, Request, Response, Serve, Server};
use lunatic_testkit::wait_until;

/// No read of these tests takes longer, unless something is wrong.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Echo {
    /// Pieces that were asked for.
    pieces: Arc<AtomicUsize>,
}

impl Serve for Echo {
    async fn serve(&self, request: Request) -> Response {
        let pieces = self.pieces.clone();
        match request.path() {
            "/endless" => {
                let piece = move |()| {
                    pieces.fetch_add(1, Ordering::SeqCst);
                    async { Some((vec![b'x'; 1 << 16], ())) }
                };
                Response::stream("text/plain", stream::unfold((), piece))
            }
            "/three" => {
                let three = ["one ", "two ", "three"].map(|piece| piece.as_bytes().to_vec());
                Response::stream("text/plain", stream::iter(three))
            }
            "/large" => Response::text(200, "x".repeat(64 << 20)),
            "/body" => Response::text(200, request.body().len()),
            path => Response::text(200, format!("{} {path}", request.method())),
        }
    }

    fn max_body(&self, request: &Request) -> u64 {
        match request.path() {
            "/body" => 1 << 20,
            _ => 0,
        }
    }
}

fn start(limits: Limits) -> Server {
    let address = "127.0.0.1:0".parse().unwrap();
    Server::start("http", address, limits, Echo::default()).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// What is answered until the server closes.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server closes: {error}"),
    }
    String::from_utf8(bytes).unwrap()
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).ok();
    rest(stream)
}

fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    ask(address, &request)
}

#[test]
fn a_connection_is_used_for_many_requests_even_if_they_come_together() {
    let server = start(Limits::default());
    let answers = ask(
        server.address(),
        "GET /a HTTP/1.1\r\n\r\nPOST /body HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz\
         HEAD /b HTTP/1.1\r\n\r\nGET /c?d HTTP/1.1\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 4);
    assert!(answers.contains("\r\n\r\nGET /aHTTP/1.1"), "{answers}");
    assert!(answers.contains("\r\n\r\n3HTTP/1.1"), "{answers}");
    assert!(answers.ends_with("\r\n\r\nGET /c"), "{answers}");
    assert!(!answers.contains("HEAD /b"));
}

#[test]
fn a_stream_ends_with_the_connection() {
    let server = start(Limits::default());
    let answer = ask(server.address(), "GET /three HTTP/1.1\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\none two three"), "{answer}");
}

#[test]
fn what_is_no_request_is_refused() {
    let server = start(Limits::default());
    let status = |request: &str| {
        let answer = ask(server.address(), request);
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(status("\x16\x03\x01\x02\x00\x01\r\n\r\n"), "400");
    assert_eq!(
        status("POST /body HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        "400"
    );
    assert_eq!(
        status("POST /body HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        "400"
    );
    assert_eq!(
        status("POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "400"
    );
    assert_eq!(
        status("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"),
        "413"
    );
    assert_eq!(
        status("POST /body HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"),
        "413"
    );
}

#[test]
fn a_head_of_a_mebibyte_is_refused_as_soon_as_it_is_too_large() {
    let server = start(Limits::default());
    for head in [
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000)),
    ] {
        let answer = ask(server.address(), &head);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:.80}");
    }
}

#[test]
fn who_sends_a_head_too_slowly_is_told_so() {
    let mut limits = Limits::default();
    limits.head_time = Duration::from_millis(50);
    let server = start(limits);
    let mut stream = connect(server.address());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    assert!(rest(stream).starts_with("HTTP/1.1 408 "));
}

#[test]
fn who_says_nothing_is_disconnected() {
    let mut limits = Limits::default();
    limits.idle_time = Duration::from_millis(50);
    let server = start(limits);
    assert_eq!(rest(connect(server.address())), "");
}

#[test]
fn a_thousand_silent_clients_keep_nobody_from_being_served() {
    let server = start(Limits::default());
    let silent: Vec<_> = (0..1000)
        .map(|n| {
            let mut stream = connect(server.address());
            if n % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nX: y").ok();
            }
            stream
        })
        .collect();
    for _ in 0..10 {
        // While those before it are accepted, the system may refuse a connection.
        wait_until("an answer", || {
            get(server.address(), "/here").ends_with("GET /here")
        });
    }
    // No more are kept than may be.
    let kept = |mut stream: &TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let read = stream.read(&mut [0; 64]);
        matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    };
    wait_until("most are gone", || {
        silent.iter().filter(|stream| kept(stream)).count() <= 256
    });
}

#[test]
fn who_does_not_read_is_disconnected_and_keeps_nobody_from_being_served() {
    let mut limits = Limits::default();
    limits.write_time = Duration::from_millis(100);
    let echo = Echo::default();
    let pieces = echo.pieces.clone();
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::start("http", address, limits, echo).unwrap();
    let slow: Vec<_> = ["/large", "/endless"]
        .map(|path| {
            let mut stream = connect(server.address());
            write!(stream, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .into();
    assert!(get(server.address(), "/here").ends_with("GET /here"));
    // It is over before it could be: at its end there is less than there would be.
    for mut stream in slow {
        let mut seen = 0;
        let mut buffer = vec![0; 1 << 16];
        std::thread::sleep(Duration::from_millis(300));
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            seen += read;
        }
        assert!(seen < 32 << 20, "{seen} bytes were read");
    }
    let before = pieces.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(pieces.load(Ordering::SeqCst), before);
}

#[test]
fn an_address_that_is_taken_is_said_to_be() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Server::start("http", address, Limits::default(), Echo::default()).unwrap_err();
    let text = format!("somebody else listens at {address} already");
    assert_eq!(error.to_string(), text);
}

#[test]
fn when_a_server_is_dropped_its_clients_are_disconnected() {
    let server = start(Limits::default());
    let address = server.address();
    let mut stream = connect(address);
    write!(stream, "GET /endless HTTP/1.1\r\n\r\n").unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).unwrap();
    drop(server);
    while let Ok(1..) = stream.read(&mut [0; 1 << 16]) {}
    wait_until("nobody listens", || TcpStream::connect(address).is_err());
}
