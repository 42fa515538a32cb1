//! A peer that speaks QUIC, but not as lanes and frames are spoken.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use lunatic_quic::{CloseReason, Event, Tls};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    StreamId, TransportConfig,
};

use super::{LIMIT, Node, loopback};

pub struct RawPeer {
    socket: UdpSocket,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub connection: Connection,
}

impl RawPeer {
    /// Connects to a node.
    pub fn connect(tls: &Tls, node: &mut Node) -> Self {
        let socket = UdpSocket::bind(loopback()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let crypto = QuicClientConfig::try_from(tls.client.clone()).unwrap();
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(TransportConfig::default()));
        let settings = Arc::new(EndpointConfig::default());
        let mut endpoint = Endpoint::new(settings, None, false, None);
        let (handle, connection) = endpoint
            .connect(Instant::now(), config, node.addr(), "localhost")
            .unwrap();
        let mut peer = Self {
            socket,
            endpoint,
            handle,
            connection,
        };
        peer.drive(node, |_, node| node.connected().len() == 1);
        peer
    }

    /// Opens a one-way stream and writes this.
    pub fn open(&mut self, bytes: &[u8]) -> StreamId {
        let stream = self.connection.streams().open(Dir::Uni).unwrap();
        self.write(stream, bytes);
        stream
    }

    pub fn write(&mut self, stream: StreamId, bytes: &[u8]) {
        let written = self.connection.send_stream(stream).write(bytes);
        assert_eq!(written, Ok(bytes.len()));
    }

    /// Drives both until something is so.
    pub fn drive(&mut self, node: &mut Node, mut until: impl FnMut(&mut Self, &Node) -> bool) {
        let limit = Instant::now() + LIMIT;
        while !until(self, node) {
            assert!(
                Instant::now() < limit,
                "it took too long: {:?}",
                node.events
            );
            node.step();
            self.step(node.addr());
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    }

    /// Drives both until the node has ended the connection, and returns why.
    pub fn ended(&mut self, node: &mut Node) -> CloseReason {
        self.drive(node, |_, node| !node.closed_ids().is_empty());
        node.events
            .iter()
            .find_map(|event| match event {
                Event::Closed { reason, .. } => Some(reason.clone()),
                _ => None,
            })
            .unwrap()
    }

    /// Drives both until the peer has seen that its connection ended, and returns why.
    pub fn told(&mut self, node: &mut Node) -> String {
        let mut told = None;
        self.drive(node, |peer, _| {
            while let Some(event) = peer.connection.poll() {
                if let quinn_proto::Event::ConnectionLost { reason } = event {
                    told = Some(reason.to_string());
                }
            }
            told.is_some()
        });
        told.unwrap()
    }

    fn step(&mut self, from: SocketAddr) {
        let now = Instant::now();
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        let mut buffer = vec![0; 1 << 16];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            let packet = BytesMut::from(&buffer[..length]);
            let event = self
                .endpoint
                .handle(now, from, None, None, packet, &mut Vec::new());
            if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        let mut packets = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(now, 1, &mut packets) {
            let _ = self
                .socket
                .send_to(&packets[..transmit.size], transmit.destination);
            packets.clear();
        }
    }

    pub fn datagram(&mut self, bytes: &'static [u8]) {
        let bytes = Bytes::from_static(bytes);
        self.connection.datagrams().send(bytes, true).unwrap();
    }
}
