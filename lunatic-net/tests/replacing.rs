//! Programs that are replaced as a whole, without wasm.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod certificates;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use certificates::Authority;
use futures_lite::future::{self, block_on, poll_once, yield_now};
use lunatic_net::{
    Listeners, TcpListener, TcpStream, TlsConnector, TlsIdentity, TlsListener, TlsStream, UdpSocket,
};
use lunatic_reactor::Timer;
use lunatic_testkit::{wait, wait_until};

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// Lets a task wait for a socket.
async fn blocked<F: Future + Unpin>(operation: &mut F) {
    for _ in 0..3 {
        assert!(poll_once(&mut *operation).await.is_none());
        yield_now().await;
    }
}

/// A listener of an old root and one of a new one, at the same address.
fn old_and_new() -> (Listeners, TcpListener, Listeners, TcpListener) {
    let old = Listeners::new();
    let of_old = TcpListener::bind_in(&old, local()).unwrap();
    let new = old.successor();
    let of_new = TcpListener::bind_in(&new, of_old.local_addr().unwrap()).unwrap();
    (old, of_old, new, of_new)
}

async fn connect(listener: &TcpListener) -> TcpStream {
    let address = listener.local_addr().unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// One version of a server. It answers each byte of a client with its own number.
struct Server {
    listeners: Listeners,
    /// Ends the process as a kill does, with its connections.
    killed: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    const ACCEPTING: usize = 2;

    fn start(listeners: Listeners, address: SocketAddr, number: u8) -> (Server, SocketAddr) {
        let killed = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind_in(&listeners, address).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = |_| {
            let (listener, killed) = (listener.clone(), killed.clone());
            thread::spawn(move || accept_all(&listener, &killed, number))
        };
        let threads = (0..Server::ACCEPTING).map(accepting).collect();
        let server = Server {
            listeners,
            killed,
            threads,
        };
        (server, address)
    }

    fn kill(self) {
        self.killed.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

/// Resolves to nothing when `flag` is set.
async fn unless<T>(flag: &AtomicBool, operation: impl Future<Output = T>) -> Option<T> {
    let set = async {
        while !flag.load(Ordering::Relaxed) {
            Timer::after(Duration::from_millis(1)).await;
        }
        None
    };
    future::or(async { Some(operation.await) }, set).await
}

fn accept_all(listener: &TcpListener, killed: &Arc<AtomicBool>, number: u8) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    while let Some(accepted) = block_on(unless(killed, listener.accept())) {
        let (stream, _) = accepted.unwrap();
        let killed = killed.clone();
        for index in (0..connections.len()).rev() {
            if connections[index].is_finished() {
                connections.swap_remove(index).join().unwrap();
            }
        }
        connections.push(thread::spawn(move || {
            block_on(unless(&killed, serve(&stream, number)));
        }));
    }
    for connection in connections {
        connection.join().unwrap();
    }
}

async fn serve(stream: &TcpStream, number: u8) {
    while stream.read(&mut [0; 1]).await.unwrap() > 0 {
        stream.write_all(&[number]).await.unwrap();
    }
}

/// How many requests there are on one connection at most.
const REQUESTS: u64 = 3;

/// What clients have seen.
#[derive(Default)]
struct Seen {
    /// Requests that were answered.
    answers: AtomicU64,
    /// The highest number that has answered.
    newest: AtomicU64,
    /// Answers of a version, to a request on a new connection, when a later one had
    /// accepted and answered before the connection was made.
    late: AtomicU64,
}

/// Makes a connection after the other, with some requests on each.
fn ask_all_the_time(address: SocketAddr, seen: &Seen, done: &AtomicBool) {
    for connection in 0_u64.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let newest = seen.newest.load(Ordering::SeqCst);
        let mut stream = net::TcpStream::connect(address).expect("nobody is refused");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        for _ in 0..=connection % REQUESTS {
            stream.write_all(b"?").expect("a request is taken");
            let mut answer = [0];
            stream
                .read_exact(&mut answer)
                .expect("every request is answered");
            let number = u64::from(answer[0]);
            seen.newest.fetch_max(number, Ordering::SeqCst);
            seen.late
                .fetch_add(u64::from(number < newest), Ordering::Relaxed);
            seen.answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn no_request_of_eight_clients_fails_while_a_server_is_replaced_ten_times() {
    const CLIENTS: usize = 8;
    const VERSIONS: u8 = 10;
    let (mut server, address) = Server::start(Listeners::new(), local(), 0);
    let seen = Arc::new(Seen::default());
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (seen, done) = (seen.clone(), done.clone());
            thread::spawn(move || ask_all_the_time(address, &seen, &done))
        })
        .collect();
    let more_answers = || {
        let before = seen.answers.load(Ordering::Relaxed);
        wait_until("more answers", || {
            seen.answers.load(Ordering::Relaxed) > before + 50
        });
    };
    more_answers();
    for number in 1..=VERSIONS {
        // A version that ends before it accepts is no harm.
        let failed = server.listeners.successor();
        drop(TcpListener::bind_in(&failed, address).unwrap());
        more_answers();
        let (new, _) = Server::start(server.listeners.successor(), address, number);
        wait_until("an answer of the new version", || {
            seen.newest.load(Ordering::SeqCst) == u64::from(number)
        });
        more_answers();
        // The old one is ended when its connections are.
        wait("the end of old connections", server.listeners.drained());
        server.kill();
        server = new;
        more_answers();
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    // An old accept that was under way when the new one began may have been the faster,
    // once on each thread.
    let late = seen.late.load(Ordering::Relaxed);
    let highest = u64::from(VERSIONS) * Server::ACCEPTING as u64 * REQUESTS;
    assert!(late <= highest, "{late} requests went to an old version");
    wait("the end of all connections", server.listeners.drained());
    server.kill();
    net::TcpStream::connect(address).unwrap_err();
}

#[test]
fn old_accepts_wait_from_the_first_accept_of_the_new_root() {
    block_on(async {
        let (_, of_old, _, of_new) = old_and_new();
        // The new one has the socket, but has not accepted.
        let _first = connect(&of_old).await;
        of_old.accept().await.unwrap();

        let mut old_accept = Box::pin(of_old.accept());
        blocked(&mut old_accept).await;
        let mut new_accept = Box::pin(of_new.accept());
        blocked(&mut new_accept).await;
        let client = connect(&of_old).await;
        let (_, peer) = new_accept.await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        blocked(&mut old_accept).await;
        // One that begins later waits too.
        let _next = connect(&of_old).await;
        let mut late_accept = Box::pin(of_old.accept());
        blocked(&mut late_accept).await;
        of_new.accept().await.unwrap();
        blocked(&mut late_accept).await;
        blocked(&mut old_accept).await;
    });
}

#[test]
fn a_new_root_that_ends_before_it_accepts_has_changed_nothing() {
    block_on(async {
        let (_, of_old, new, of_new) = old_and_new();
        let mut old_accept = Box::pin(of_old.accept());
        blocked(&mut old_accept).await;
        // One whose accept was never polled has not accepted either.
        drop(of_new.accept());
        drop((new, of_new));
        let _client = connect(&of_old).await;
        old_accept.await.unwrap();
    });
}

#[test]
fn a_new_root_that_ends_later_can_give_back_what_it_has_taken() {
    block_on(async {
        let (_, of_old, new, of_new) = old_and_new();
        let mut new_accept = Box::pin(of_new.accept());
        blocked(&mut new_accept).await;
        let client = connect(&of_old).await;
        let mut old_accept = Box::pin(of_old.accept());
        blocked(&mut old_accept).await;
        drop(new_accept);
        drop(of_new);
        blocked(&mut old_accept).await;
        new.give_back();
        let (_, peer) = old_accept.await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        // A root that is not active gives nothing away.
        let newest = new.successor();
        let of_newest = TcpListener::bind_in(&newest, of_old.local_addr().unwrap()).unwrap();
        let _client = connect(&of_old).await;
        of_newest.accept().await.unwrap();
        new.give_back();
        let mut old_accept = Box::pin(of_old.accept());
        let _client = connect(&of_old).await;
        blocked(&mut old_accept).await;
        of_newest.accept().await.unwrap();
    });
}

#[test]
fn within_one_root_an_address_is_in_use_and_between_roots_it_is_shared_both_ways() {
    let (old, of_old, new, of_new) = old_and_new();
    let address = of_old.local_addr().unwrap();
    for root in [&old, &new] {
        let error = TcpListener::bind_in(root, address).unwrap_err();
        assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
    }
    // Others than these have nothing of it.
    let error = TcpListener::bind_in(&Listeners::new(), address).unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
    // A server of the old root that is restarted gets its socket again.
    drop(of_old);
    let of_old = TcpListener::bind_in(&old, address).unwrap();
    block_on(async {
        let _client = connect(&of_old).await;
        of_old.accept().await.unwrap();
    });
    drop((of_old, of_new));
    net::TcpStream::connect(address).unwrap_err();
    let anew = TcpListener::bind_in(&old, address).unwrap();
    assert_eq!(anew.local_addr().unwrap(), address);
}

#[test]
fn the_streams_that_a_root_has_accepted_count_until_their_last_handle_is_gone() {
    block_on(async {
        let (old, of_old, new, of_new) = old_and_new();
        let counts = || (old.open_streams(), new.open_streams());
        assert_eq!(counts(), (0, 0));
        let mut pending = Box::pin(of_old.accept());
        blocked(&mut pending).await;
        drop(pending);
        assert_eq!(counts(), (0, 0));
        let _client = connect(&of_old).await;
        let (stream, _) = of_old.accept().await.unwrap();
        let clone = stream.clone();
        drop(stream);
        assert_eq!(counts(), (1, 0));
        let _client = connect(&of_old).await;
        let accepted = of_new.accept().await.unwrap();
        assert_eq!(counts(), (1, 1));
        let mut drained = Box::pin(old.drained());
        blocked(&mut drained).await;
        drop(clone);
        drained.await;
        assert_eq!(counts(), (0, 1));
        drop(accepted);
        assert_eq!(counts(), (0, 0));
    });
}

#[test]
fn a_tls_server_is_replaced_with_another_certificate() {
    let (one, other) = (Authority::new(), Authority::new());
    let identity = |authority: &Authority| {
        let identity = authority.vouch_for("localhost");
        TlsIdentity::from_pem(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap()
    };
    let old = Listeners::new();
    let of_old = TlsListener::bind_in(&old, local(), identity(&one)).unwrap();
    let address = of_old.local_addr().unwrap();
    let talk = async |listener: &TlsListener, authority: &Authority| {
        let connector = TlsConnector::with_roots(&[authority.root()]).unwrap();
        let client = async {
            let stream = connector.connect("localhost", address).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            stream
        };
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 4);
            stream
        };
        future::zip(client, server).await
    };
    block_on(async {
        let (old_client, old_server): (TlsStream, TlsStream) = talk(&of_old, &one).await;
        let new = old.successor();
        let of_new = TlsListener::bind_in(&new, address, identity(&other)).unwrap();
        let (_client, _server) = talk(&of_new, &other).await;
        assert_eq!((old.open_streams(), new.open_streams()), (1, 1));
        // The connections of the old one go on.
        old_client.write_all(b"more").await.unwrap();
        assert_eq!(old_server.read(&mut [0; 16]).await.unwrap(), 4);
        drop(old_server);
        old.drained().await;
    });
}

#[test]
fn datagrams_go_to_the_new_root_from_its_first_receive() {
    block_on(async {
        let old = Listeners::new();
        let of_old = UdpSocket::bind_in(&old, local()).unwrap();
        let address = of_old.local_addr().unwrap();
        let new = old.successor();
        let of_new = UdpSocket::bind_in(&new, address).unwrap();
        let sender = UdpSocket::bind(local()).await.unwrap();
        sender.send_to(b"1", address).await.unwrap();
        let mut buffer = [0; 4];
        assert_eq!(of_old.receive(&mut buffer).await.unwrap(), 1);

        let mut buffers = [[0; 4]; 2];
        let [for_old, for_new] = &mut buffers;
        let mut old_receive = Box::pin(of_old.receive(for_old));
        blocked(&mut old_receive).await;
        let mut new_receive = Box::pin(of_new.receive(for_new));
        blocked(&mut new_receive).await;
        sender.send_to(b"22", address).await.unwrap();
        assert_eq!(new_receive.await.unwrap(), 2);
        blocked(&mut old_receive).await;
        // The old one can still answer whom it has heard.
        of_old
            .send_to(b"333", sender.local_addr().unwrap())
            .await
            .unwrap();
        let answer = sender.receive_from(&mut buffer).await.unwrap();
        assert_eq!(answer, (3, address));
    });
}
