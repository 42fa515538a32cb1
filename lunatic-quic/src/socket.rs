//! Sends and receives packets, many by one call of the kernel.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::BytesMut;
use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::buffers::Buffers;
use crate::close_reason::Unreachable;
use crate::icmp::{self, Undelivered};
use crate::waker::EndpointWaker;

/// Messages that one call of the kernel receives; each may be a batch of packets.
const MESSAGES: usize = 8;
/// Bytes of the longest message: the kernel puts no more packets than that together.
const MESSAGE_BYTES: usize = 1 << 16;
/// Bytes of packets that are sent by one call. IP counts the length in 16 bits, headers included,
/// and a batch beyond is thrown away as a whole.
const BATCH_BYTES: usize = 65_000;
/// Bytes that the kernel may keep in each direction, if it allows that.
const SOCKET_BUFFER: usize = 4 << 20;
/// Attempts to send while the kernel reports errors of earlier packets.
const ATTEMPTS: u32 = 4;

/// A UDP socket that doesn't block.
pub(crate) struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Where the kernel puts messages.
    parts: Vec<Vec<u8>>,
    /// Where they are until they are read.
    buffers: Buffers,
    /// Packets that the kernel had no room for.
    blocked: Option<(Transmit, Vec<u8>)>,
    /// Whether the kernel has said that there are messages in the error queue.
    errors: bool,
}

/// What has arrived: a packet, or several of the same length, but for the last.
pub(crate) struct Arrived {
    pub(crate) remote: SocketAddr,
    pub(crate) local: Option<IpAddr>,
    pub(crate) ecn: Option<EcnCodepoint>,
    pub(crate) stride: usize,
    pub(crate) bytes: BytesMut,
}

/// What became of packets that were to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// They are sent, or lost as packets can be.
    Done,
    /// The socket keeps them; nothing else can be sent before.
    Blocked,
    /// There is no way to their destination.
    Unreachable(Unreachable),
}

/// What a socket or a waker is ready for.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) woken: bool,
}

impl Socket {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let udp = UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&udp).into())?;
        state.enable_transport_errors((&udp).into())?;
        // As much of it as the system allows.
        let _ = state.set_send_buffer_size((&udp).into(), SOCKET_BUFFER);
        let _ = state.set_recv_buffer_size((&udp).into(), SOCKET_BUFFER);
        Ok(Self {
            local: udp.local_addr()?,
            udp,
            state,
            parts: vec![vec![0; MESSAGE_BYTES]; MESSAGES],
            buffers: Buffers::new(MESSAGE_BYTES),
            blocked: None,
            errors: false,
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Whether the network may split packets, so that their largest size can't be found out.
    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// How many packets of this many bytes one call may send.
    pub(crate) fn batch(&self, packet: u16) -> usize {
        let fitting = BATCH_BYTES / usize::from(packet.max(1));
        self.state.max_gso_segments().min(fitting).max(1)
    }

    /// Whether there are packets that the kernel had no room for.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Tries to send what the kernel had no room for.
    pub(crate) fn unblock(&mut self) {
        if let Some((transmit, bytes)) = self.blocked.take() {
            self.send(transmit, &bytes);
        }
    }

    /// Sends packets.
    pub(crate) fn send(&mut self, transmit: Transmit, bytes: &[u8]) -> Sent {
        if self.blocked.is_some() {
            return Sent::Blocked;
        }
        let message = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit
                .ecn
                .and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents: bytes,
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        let mut result = Ok(());
        for _ in 0..ATTEMPTS {
            result = self.state.try_send((&self.udp).into(), &message);
            match &result {
                // Such an error may be that of an earlier packet to somebody else. It is
                // forgotten once it is reported, and is in the error queue with its address.
                Err(error) if undelivered(error).is_some() => self.errors = true,
                _ => break,
            }
        }
        match result {
            Ok(()) => Sent::Done,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.blocked = Some((transmit, bytes.to_vec()));
                Sent::Blocked
            }
            Err(error) => match undelivered(&error) {
                Some(Unreachable::Port) => Sent::Done,
                Some(what) => Sent::Unreachable(what),
                // Too long for the interface, as attempts with larger packets can be; or out of
                // memory. It is lost, and QUIC sends again what it has to.
                None => {
                    tracing::trace!(%error, remote = %transmit.destination, "not sent");
                    Sent::Done
                }
            },
        }
    }

    /// Receives packets, as many as one call of the kernel gives. Empty if there are none.
    pub(crate) fn receive(&mut self, arrived: &mut Vec<Arrived>) {
        let mut metas = [RecvMeta::default(); MESSAGES];
        let mut parts = self.parts.iter_mut().map(|part| IoSliceMut::new(part));
        let mut parts: [IoSliceMut<'_>; MESSAGES] =
            std::array::from_fn(|_| parts.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let result = self.state.recv((&self.udp).into(), &mut parts, &mut metas);
        match result {
            Ok(count) => {
                for (meta, part) in metas.iter().zip(&self.parts).take(count) {
                    let Some(bytes) = part.get(..meta.len) else {
                        continue;
                    };
                    arrived.push(Arrived {
                        remote: meta.addr,
                        local: meta.dst_ip,
                        ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                        stride: meta.stride.max(1),
                        bytes: self.buffers.copy(bytes),
                    });
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.errors = true,
        }
    }

    /// Whether there may be messages about packets that couldn't be delivered.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors
    }

    /// Takes the next message about a packet that couldn't be delivered, or one about something
    /// else. `None` if there is none.
    pub(crate) fn next_error(&mut self) -> Option<Option<Undelivered>> {
        let error = icmp::next(&self.udp);
        self.errors = error.is_some();
        error
    }

    /// Waits until something arrives, packets can be sent again if that is what lacks, the waker
    /// is used, or the time is over; `None` is for ever.
    pub(crate) fn wait(
        &mut self,
        waker: &EndpointWaker,
        time: Option<Duration>,
    ) -> io::Result<Ready> {
        let mut interest = PollFlags::IN;
        interest.set(PollFlags::OUT, self.is_blocked());
        let event = waker.fd();
        let mut fds = [
            PollFd::new(&self.udp, interest),
            PollFd::from_borrowed_fd(event, PollFlags::IN),
        ];
        let time = time.map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let sleeps = waker.sleep();
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let time = if sleeps { time.as_ref() } else { Some(&now) };
        let result = poll(&mut fds, time);
        let woken = waker.awake();
        match result {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {
                return Ok(Ready {
                    woken,
                    ..Ready::default()
                });
            }
            Err(error) => return Err(error.into()),
        }
        let (socket, event) = (fds[0].revents(), fds[1].revents());
        if !event.is_empty() {
            waker.clear();
        }
        self.errors |= socket.contains(PollFlags::ERR);
        Ok(Ready {
            // To receive also takes an error that is in no queue.
            readable: socket.intersects(PollFlags::IN | PollFlags::ERR),
            writable: socket.contains(PollFlags::OUT),
            woken,
        })
    }
}

/// What an error of the kernel says can't be reached.
fn undelivered(error: &io::Error) -> Option<Unreachable> {
    match error.kind() {
        ErrorKind::ConnectionRefused => Some(Unreachable::Port),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some(Unreachable::Host),
        ErrorKind::PermissionDenied => Some(Unreachable::Prohibited),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    use quinn_proto::Transmit;

    use super::{Sent, Socket};
    use crate::waker::EndpointWaker;

    fn to(destination: SocketAddr, size: usize) -> Transmit {
        Transmit {
            destination,
            ecn: None,
            size,
            segment_size: None,
            src_ip: None,
        }
    }

    #[test]
    fn what_was_blocked_is_sent_first_and_nothing_before() {
        let mut socket = Socket::bind(([127, 0, 0, 1], 0).into()).expect("a socket");
        let receiver = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        let limit = Some(Duration::from_secs(10));
        receiver.set_read_timeout(limit).expect("a time limit");
        let address = receiver.local_addr().expect("an address");
        // On loopback the kernel always has room.
        socket.blocked = Some((to(address, 5), b"first".to_vec()));
        assert_eq!(socket.send(to(address, 6), b"second"), Sent::Blocked);
        let waker = EndpointWaker::new().expect("a waker");
        let ready = socket.wait(&waker, limit).expect("it waits");
        assert!(ready.writable && !ready.readable && !ready.woken);
        socket.unblock();
        assert!(!socket.is_blocked());
        assert_eq!(socket.send(to(address, 5), b"third"), Sent::Done);
        let mut buffer = [0; 16];
        for expected in [b"first", b"third"] {
            let length = receiver.recv(&mut buffer).expect("a packet");
            assert_eq!(&buffer[..length], expected);
        }
    }

    #[test]
    fn a_batch_fits_into_one_packet_of_ip() {
        let socket = Socket::bind(([127, 0, 0, 1], 0).into()).expect("a socket");
        for packet in [1200, 1452, 8900, 9000, 32_000, u16::MAX] {
            let batch = socket.batch(packet);
            assert!(batch >= 1);
            // What IPv4 counts, without its header and that of UDP.
            assert!(batch == 1 || batch * usize::from(packet) <= 65_535 - 28);
        }
    }
}
