//! A wire between one client and one server that loses, delays and reorders packets.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Random, loopback};

/// What the wire does to packets.
#[derive(Clone, Copy)]
pub struct Wire {
    /// Of 1000 packets, how many are lost.
    pub lost: u64,
    pub delay: Duration,
    /// What comes to the delay at most, by chance, so that packets overtake each other.
    pub jitter: Duration,
}

pub struct Proxy {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    cut: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    pub fn new(to: SocketAddr, wire: Wire) -> Self {
        Self::start(to, wire, false)
    }

    /// One that sends a damaged copy before each packet.
    pub fn damaging(to: SocketAddr, wire: Wire) -> Self {
        Self::start(to, wire, true)
    }

    fn start(to: SocketAddr, wire: Wire, damages: bool) -> Self {
        let front = UdpSocket::bind(loopback()).unwrap();
        let back = UdpSocket::bind(loopback()).unwrap();
        let addr = front.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicU64::new(0));
        let cut = Arc::new(AtomicBool::new(false));
        let (stopped, counter, is_cut) = (stop.clone(), lost.clone(), cut.clone());
        let thread = std::thread::spawn(move || {
            let lines = (&front, &back, to);
            run(lines, wire, damages, &stopped, &counter, &is_cut);
        });
        Self {
            addr,
            stop,
            lost,
            cut,
            thread: Some(thread),
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Loses everything from now on.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// How many packets were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn run(
    (front, back, server): (&UdpSocket, &UdpSocket, SocketAddr),
    wire: Wire,
    damages: bool,
    stop: &AtomicBool,
    lost: &AtomicU64,
    cut: &AtomicBool,
) {
    front.set_nonblocking(true).unwrap();
    back.set_nonblocking(true).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut client = None;
    let mut on_the_way = BinaryHeap::new();
    let mut buffer = vec![0; 1 << 16];
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        for (socket, to_server) in [(front, true), (back, false)] {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if to_server {
                    client = Some(from);
                }
                if random.below(1000) < wire.lost || cut.load(Ordering::Relaxed) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let jitter = random.below(wire.jitter.as_micros() as u64 + 1);
                let at = now + wire.delay + Duration::from_micros(jitter);
                number += 1;
                on_the_way.push(Reverse((at, number, to_server, buffer[..length].to_vec())));
            }
        }
        while let Some(Reverse((at, ..))) = on_the_way.peek()
            && *at <= now
        {
            let Some(Reverse((_, _, to_server, packet))) = on_the_way.pop() else {
                break;
            };
            if damages {
                let mut copy = packet.clone();
                let at = random.below(copy.len() as u64) as usize;
                copy[at] ^= 1 << random.below(8);
                let (socket, to) = if to_server {
                    (back, Some(server))
                } else {
                    (front, client)
                };
                if let Some(to) = to {
                    let _ = socket.send_to(&copy, to);
                }
            }
            if to_server {
                let _ = back.send_to(&packet, server);
            } else if let Some(client) = client {
                let _ = front.send_to(&packet, client);
            }
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}
