//! A network between nodes of one program that can be cut, delays and loses packets.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;

/// The time that threads wait for a packet before they check whether the wire is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The longest packet, in bytes.
const MAX_PACKET_BYTES: usize = 65_535;

/// A UDP network on loopback that a test can cut, delay and make lose packets. Each node has a
/// [`Plug`] with two addresses: the node listens at one of them, and advertises the other, at which
/// the wire receives packets and passes them on. Root rights are not needed.
#[derive(Debug)]
pub struct Wire {
    inner: Arc<Inner>,
}

/// The two addresses of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plug {
    /// The number of the node, from 0 up.
    pub number: usize,
    /// The address at which the node must listen.
    pub listen: SocketAddr,
    /// The address at which others reach it.
    pub advertise: SocketAddr,
}

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    is_gone: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    plugs: Vec<(Plug, Arc<UdpSocket>)>,
    rules: HashMap<(usize, usize), Rule>,
    /// The time when the packets on their way from one node to another will have passed.
    busy_until: HashMap<(usize, usize), Instant>,
    /// The delayed packets, by the time of their arrival.
    delayed: BTreeMap<(Instant, u64), Packet>,
    count: u64,
    random: Random,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rule {
    is_cut: bool,
    /// The number of packets that are lost of a thousand.
    lost: u64,
    delay: Duration,
    rate: Option<Rate>,
}

/// A wire that passes only so much.
#[derive(Debug, Clone, Copy)]
struct Rate {
    bits_per_second: u64,
    /// Packets above that are lost.
    queue_bytes: u64,
}

#[derive(Debug)]
struct Packet {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

impl Wire {
    /// A wire without nodes, on which nothing is lost.
    pub fn new() -> Wire {
        let inner = Arc::new(Inner::default());
        inner.state().random = Random::new(1);
        let delivering = inner.clone();
        thread::spawn(move || delivering.deliver_delayed());
        Wire { inner }
    }

    /// The addresses of another node.
    ///
    /// # Panics
    ///
    /// Panics if there are no ports.
    pub fn plug(&self) -> Plug {
        let socket = socket();
        // The port is free again in a moment, and no other program asks for it soon.
        let listen = address(&self::socket());
        let mut state = self.inner.state();
        let plug = Plug {
            number: state.plugs.len(),
            listen,
            advertise: address(&socket),
        };
        let socket = Arc::new(socket);
        state.plugs.push((plug, socket.clone()));
        drop(state);
        let inner = self.inner.clone();
        thread::spawn(move || inner.pass_on(plug.number, &socket));
        plug
    }

    /// Cuts one direction between two nodes, or restores it; the other direction is not changed.
    pub fn cut(&self, from: Plug, to: Plug, is_cut: bool) {
        self.rule(from, to, |rule| rule.is_cut = is_cut);
    }

    /// Cuts two nodes off from each other, or connects them again.
    pub fn cut_both(&self, one: Plug, other: Plug, is_cut: bool) {
        self.cut(one, other, is_cut);
        self.cut(other, one, is_cut);
    }

    /// Loses so many of a thousand packets, and delays the others, on all ways.
    pub fn disturb(&self, lost: u64, delay: Duration) {
        let plugs: Vec<_> = self.inner.state().plugs.iter().map(|one| one.0).collect();
        for from in &plugs {
            for to in plugs.iter().filter(|to| *to != from) {
                self.rule(*from, *to, |rule| {
                    rule.lost = lost;
                    rule.delay = delay;
                });
            }
        }
    }

    /// Limits the bits per second in each direction between two nodes. Further packets wait, and
    /// are lost when the queue is full.
    ///
    /// - `queue_bytes`: so many bytes wait at most.
    pub fn limit(&self, one: Plug, other: Plug, bits_per_second: u64, queue_bytes: u64) {
        for (from, to) in [(one, other), (other, one)] {
            let rate = Rate {
                bits_per_second,
                queue_bytes,
            };
            self.rule(from, to, |rule| rule.rate = Some(rate));
        }
    }

    fn rule(&self, from: Plug, to: Plug, change: impl FnOnce(&mut Rule)) {
        let mut state = self.inner.state();
        change(state.rules.entry((from.number, to.number)).or_default());
    }
}

impl Default for Wire {
    fn default() -> Wire {
        Wire::new()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.inner.is_gone.store(true, Ordering::Relaxed);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// Passes on what arrives for a node.
    fn pass_on(&self, to: usize, socket: &UdpSocket) {
        let mut bytes = vec![0; MAX_PACKET_BYTES];
        while !self.is_gone() {
            let (length, source) = match socket.recv_from(&mut bytes) {
                Ok(received) => received,
                // Time is over; or somebody does not listen any more, as a packet of before has
                // found out.
                Err(_) => continue,
            };
            let mut state = self.state();
            let from = state
                .plugs
                .iter()
                .position(|(plug, _)| plug.listen == source);
            let Some(from) = from else { continue };
            let rule = state.rules.get(&(from, to)).copied().unwrap_or_default();
            if rule.is_cut || state.random(1000) < rule.lost {
                continue;
            }
            let bytes = bytes[..length].to_vec();
            let packet = Packet { from, to, bytes };
            let now = Instant::now();
            let passed = match rule.rate {
                None => now,
                Some(rate) => match state.passed(rate, (from, to), length, now) {
                    Some(passed) => passed,
                    None => continue,
                },
            };
            let at = passed + rule.delay;
            if at <= now {
                state.send(&packet);
            } else {
                state.count += 1;
                let at = (at, state.count);
                state.delayed.insert(at, packet);
            }
        }
    }

    fn deliver_delayed(&self) {
        while !self.is_gone() {
            let mut state = self.state();
            let now = Instant::now();
            while let Some(entry) = state.delayed.first_entry() {
                if entry.key().0 > now {
                    break;
                }
                let packet = entry.remove();
                state.send(&packet);
            }
            drop(state);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl State {
    /// Sends a packet so that it seems to come from where others reach its sender.
    fn send(&self, packet: &Packet) {
        let Packet { from, to, bytes } = packet;
        if let (Some((_, socket)), Some((plug, _))) = (self.plugs.get(*from), self.plugs.get(*to)) {
            // A packet that does not arrive is lost.
            socket.send_to(bytes, plug.listen).ok();
        }
    }

    /// Returns the time when a packet has passed a wire with a limited rate; `None` if it is lost.
    fn passed(
        &mut self,
        rate: Rate,
        way: (usize, usize),
        length: usize,
        now: Instant,
    ) -> Option<Instant> {
        /// The headers of IP and UDP, in bytes.
        const HEADERS: u64 = 28;
        let time = |bytes: u64| {
            Duration::from_nanos(bytes * 8 * 1_000_000_000 / rate.bits_per_second.max(1))
        };
        let busy_until = self.busy_until.entry(way).or_insert(now);
        let begins = now.max(*busy_until);
        if begins - now > time(rate.queue_bytes) {
            return None;
        }
        *busy_until = begins + time(length as u64 + HEADERS);
        Some(*busy_until)
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random.number() % below
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let socket = socket.unwrap_or_else(|error| panic!("no port: {error}"));
    socket.set_read_timeout(Some(LOOK_AGAIN)).ok();
    socket
}

fn address(socket: &UdpSocket) -> SocketAddr {
    let address = socket.local_addr();
    address.unwrap_or_else(|error| panic!("no address: {error}"))
}
