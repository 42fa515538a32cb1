//! Prints the round trip and the throughput of frames between two endpoints on loopback, each on
//! a thread of its own.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lunatic_quic::{ConnectionId, Endpoint, EndpointConfig, Event, Tls};
use rustls::pki_types::PrivatePkcs8KeyDer;

const MEASURED: Duration = Duration::from_secs(3);

fn tls() -> Tls {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = &[&rustls::version::TLS13];
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Tls {
        server: Arc::new(server),
        client: Arc::new(client),
    }
}

/// Sends back what comes on lane 0, and counts what comes on lane 1.
fn serve(mut endpoint: Endpoint, counts: &Sender<(u64, u64)>, stop: &Receiver<()>) {
    let (mut frames, mut bytes) = (0, 0);
    while stop.try_recv().is_err() {
        let _ = endpoint.wait(Some(Instant::now() + Duration::from_millis(20)));
        while let Some(event) = endpoint.next_event() {
            if let Event::Frame {
                id,
                lane,
                bytes: frame,
            } = event
            {
                if lane == 0 {
                    if frame.is_empty() {
                        counts.send((frames, bytes)).unwrap();
                        (frames, bytes) = (0, 0);
                    }
                    endpoint.send(id, 0, frame);
                } else {
                    frames += 1;
                    bytes += frame.len() as u64;
                }
            }
        }
    }
}

/// Waits for a frame on lane 0.
fn answer(endpoint: &mut Endpoint) {
    loop {
        endpoint.wait(None).unwrap();
        while let Some(event) = endpoint.next_event() {
            if let Event::Frame { .. } = event {
                return;
            }
            if let Event::Closed { reason, .. } = event {
                panic!("{reason}");
            }
        }
    }
}

fn round_trip(endpoint: &mut Endpoint, id: ConnectionId) {
    let (mut times, begin) = (Vec::new(), Instant::now());
    while begin.elapsed() < MEASURED {
        let sent = Instant::now();
        endpoint.send(id, 0, Bytes::from_static(&[1; 64]));
        answer(endpoint);
        times.push(sent.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("round trip of 64 B: p50 {:?}, p99 {:?}", at(50), at(99));
}

fn one_way(endpoint: &mut Endpoint, id: ConnectionId, size: usize, counts: &Receiver<(u64, u64)>) {
    let frame = Bytes::from(vec![1; size]);
    let begin = Instant::now();
    while begin.elapsed() < MEASURED {
        while endpoint.room(id, 1) > 0 {
            endpoint.send(id, 1, frame.clone());
        }
        // Until there is room again.
        endpoint.wait(None).unwrap();
        while endpoint.next_event().is_some() {}
    }
    // The first lane overtakes the other, so what is counted has arrived by now.
    endpoint.send(id, 0, Bytes::new());
    answer(endpoint);
    let (frames, bytes) = counts.recv().unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "frames of {size} B: {:.0}/s, {:.0} MB/s",
        frames as f64 / seconds,
        bytes as f64 / seconds / 1e6
    );
}

fn main() {
    let tls = tls();
    let config = |key| EndpointConfig::new(([127, 0, 0, 1], 0).into(), tls.clone(), key);
    let server = Endpoint::bind(config([1; 32])).unwrap();
    let to = server.local_addr();
    let (send, counts) = channel();
    let (stop, stopped) = channel();
    let thread = std::thread::spawn(move || serve(server, &send, &stopped));
    let mut endpoint = Endpoint::bind(config([2; 32])).unwrap();
    let id = endpoint.dial(to, "localhost").unwrap();
    while endpoint.max_datagram(id).is_none() {
        endpoint.wait(None).unwrap();
        while endpoint.next_event().is_some() {}
    }
    round_trip(&mut endpoint, id);
    for size in [64, 1 << 10, 64 << 10] {
        one_way(&mut endpoint, id, size, &counts);
    }
    println!("{:?}", endpoint.stats(id).unwrap());
    stop.send(()).unwrap();
    thread.join().unwrap();
}
