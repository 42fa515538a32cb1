//! What an endpoint does with packets that arrive, and with word of those that didn't.

use std::time::Instant;

use quinn_proto::{ConnectionHandle, DatagramEvent, Incoming};

use crate::address::canonical;
use crate::close_reason::{CloseReason, Unreachable};
use crate::endpoint::Endpoint;
use crate::handshakes::Admission;
use crate::socket::Arrived;

/// Packets that are enough before they are answered.
const PACKETS: usize = 64;
/// Messages about packets that couldn't be delivered, looked at in one round.
const ERRORS: usize = 32;

impl Endpoint {
    /// Receives packets and gives them to their connections.
    pub(crate) fn receive(&mut self, now: Instant) {
        let mut arrived = std::mem::take(&mut self.arrived);
        let mut packets = 0;
        while packets < PACKETS {
            self.socket.receive(&mut arrived);
            if arrived.is_empty() {
                break;
            }
            for message in arrived.drain(..) {
                packets += self.handle(message, now);
            }
        }
        self.arrived = arrived;
    }

    /// Gives packets to their connections, or begins those. Returns how many packets they were.
    fn handle(&mut self, mut message: Arrived, now: Instant) -> usize {
        let mut packets = 0;
        while !message.bytes.is_empty() {
            packets += 1;
            let length = message.stride.min(message.bytes.len());
            let packet = message.bytes.split_to(length);
            self.packets.clear();
            let event = self.quinn.handle(
                now,
                message.remote,
                message.local,
                message.ecn,
                packet,
                &mut self.packets,
            );
            match event {
                Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                    if let Some(Some(connection)) = self.connections.get_mut(handle.0) {
                        connection.quinn.handle_event(event);
                        self.enqueue(handle);
                    }
                }
                Some(DatagramEvent::NewConnection(incoming)) => self.admit(incoming, now),
                Some(DatagramEvent::Response(transmit)) => self.answer(transmit),
                None => {}
            }
        }
        packets
    }

    /// Decides about a stranger who dials.
    fn admit(&mut self, incoming: Incoming, now: Instant) {
        let remote = incoming.remote_address();
        let address = canonical(remote).ip();
        let proven = incoming.remote_address_validated();
        self.packets.clear();
        let full = self.is_full() || self.ids.len() >= self.config.max_connections;
        match self.handshakes.admit(address, proven) {
            Admission::Begin if full => {
                let transmit = self.quinn.refuse(incoming, &mut self.packets);
                self.answer(transmit);
            }
            Admission::Begin => match self.quinn.accept(incoming, now, &mut self.packets, None) {
                Ok((handle, quinn)) => {
                    self.insert(handle, quinn, false, now);
                    self.handshakes.begin(address);
                    if let Some(Some(connection)) = self.connections.get_mut(handle.0) {
                        connection.handshake_of = Some(address);
                    }
                }
                Err(error) => {
                    tracing::debug!(%remote, error = %error.cause, "not accepted");
                    if let Some(transmit) = error.response {
                        self.answer(transmit);
                    }
                }
            },
            Admission::Prove if incoming.may_retry() => {
                if let Ok(transmit) = self.quinn.retry(incoming, &mut self.packets) {
                    self.answer(transmit);
                }
            }
            Admission::Prove | Admission::Ignore => self.quinn.ignore(incoming),
        }
    }

    /// Sends an answer that belongs to no connection, or drops it if that must wait.
    fn answer(&mut self, transmit: quinn_proto::Transmit) {
        if !self.socket.is_blocked() {
            let size = transmit.size.min(self.packets.len());
            self.socket.send(transmit, &self.packets[..size]);
        }
    }

    /// Ends connections to where nothing can be delivered.
    pub(crate) fn handle_errors(&mut self, now: Instant) {
        for _ in 0..ERRORS {
            let Some(error) = self.socket.next_error() else {
                return;
            };
            let Some(error) = error else { continue };
            let Some(mark) = error.mark else { continue };
            let found = self
                .connections
                .iter_mut()
                .enumerate()
                .find_map(|(slot, connection)| {
                    let connection = connection.as_deref_mut()?;
                    (!connection.is_closed() && connection.has_sent(error.remote, mark))
                        .then_some((slot, connection))
                });
            let Some((slot, connection)) = found else {
                continue;
            };
            // A port without a process is a fact; a way to a host may be back in a moment.
            if error.what == Unreachable::Port || connection.is_handshaking() {
                let reason = CloseReason::Unreachable(error.what);
                connection.fail(now, reason, "unreachable", &mut self.events);
                self.enqueue(ConnectionHandle(slot));
            }
        }
    }
}
