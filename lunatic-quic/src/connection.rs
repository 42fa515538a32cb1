//! One connection, without sockets: what arrives becomes events, and what waits is written.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{SendDatagramError, StreamEvent, VarInt};

use crate::address::canonical;
use crate::close_reason::CloseReason;
use crate::config::EndpointConfig;
use crate::event::{ConnectionId, Event, Stats};
use crate::event_queue::{EventQueue, cost};
use crate::facts;
use crate::marks::{Mark, Marks};
use crate::receiving::{Receiving, Step};
use crate::sending::Sending;

/// Bytes of frames that are read before another connection is served.
const QUANTUM: usize = 256 << 10;

/// Bytes of datagrams that the owner hasn't taken before no more are read. Then the oldest of those
/// that arrive are dropped.
const MAX_UNREAD_DATAGRAMS: usize = 64 << 10;

/// One connection.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) quinn: quinn_proto::Connection,
    pub(crate) dialled: bool,
    /// The address whose handshake this counts as.
    pub(crate) handshake_of: Option<IpAddr>,
    /// Whether it waits to be served.
    pub(crate) enqueued: bool,
    /// Whether a timer is over.
    pub(crate) due: bool,
    /// The timer that is set.
    pub(crate) timer: Option<Instant>,
    stage: Stage,
    sending: Sending,
    receiving: Receiving,
    /// Whether the owner wants to read.
    reading: bool,
    /// Whether reading has stopped, as too much is unread.
    held: bool,
    unread: usize,
    /// Whether reading of datagrams has stopped, as too many are unread.
    datagrams_held: bool,
    unread_datagrams: usize,
    /// The owner has taken the event that tells of the connection.
    is_known: bool,
    max_unread: usize,
    max_datagram: Option<usize>,
    /// Of packets that were sent lately.
    pub(crate) marks: Marks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not established; it must be at this time.
    Handshake(Instant),
    Open,
    /// The owner has been told that it ended.
    Closed,
}

impl Connection {
    pub(crate) fn new(
        id: ConnectionId,
        quinn: quinn_proto::Connection,
        dialled: bool,
        now: Instant,
        config: &EndpointConfig,
    ) -> Self {
        Self {
            id,
            quinn,
            dialled,
            handshake_of: None,
            enqueued: false,
            due: false,
            timer: None,
            stage: Stage::Handshake(now + config.handshake_timeout),
            sending: Sending::new(config.lanes),
            receiving: Receiving::new(config.lanes, config.max_frame),
            reading: true,
            held: false,
            unread: 0,
            datagrams_held: false,
            unread_datagrams: 0,
            is_known: false,
            max_unread: config.max_unread,
            max_datagram: None,
            marks: Marks::default(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.stage == Stage::Closed
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Handles timers that are over, and what has arrived. True if there is more to do.
    pub(crate) fn advance(&mut self, now: Instant, events: &mut EventQueue) -> bool {
        if std::mem::take(&mut self.due) {
            self.quinn.handle_timeout(now);
        }
        let (mut lost, mut stopped) = (None, None);
        while let Some(event) = self.quinn.poll() {
            match event {
                quinn_proto::Event::ConnectionLost { reason } => lost = Some(reason.into()),
                quinn_proto::Event::Stream(StreamEvent::Opened { .. }) => {
                    self.receiving.accept(&mut self.quinn);
                }
                quinn_proto::Event::Stream(StreamEvent::Readable { id }) => {
                    self.receiving.readable(id);
                }
                quinn_proto::Event::Stream(StreamEvent::Stopped { id, .. }) => stopped = Some(id),
                // The rest is looked at in any case.
                _ => {}
            }
        }
        if self.is_handshaking() && self.is_established() {
            self.stage = Stage::Open;
            events.push(facts::connected(self.id, self.dialled, &self.quinn));
        }
        let mut more = false;
        if self.stage == Stage::Open {
            more = self.read(now, events);
        }
        if let Some(reason) = lost {
            self.end(reason, events);
        }
        if let Stage::Handshake(end) = self.stage
            && end <= now
        {
            self.fail(
                now,
                CloseReason::TimedOut,
                "the handshake took too long",
                events,
            );
        }
        if let Some(stream) = stopped {
            self.violated(now, self.sending.stopped(stream), events);
        }
        self.write(now, events);
        more
    }

    /// Whether both sides have accepted each other. Who dials knows it only when the other side
    /// says so, as it sends its own certificate last.
    fn is_established(&self) -> bool {
        !self.quinn.is_handshaking()
            && !self.quinn.is_closed()
            && (!self.dialled || self.quinn.stats().frame_rx.handshake_done > 0)
    }

    /// Makes datagrams events, while there are not too many, however many frames wait: some tell
    /// whether a peer lives. The owner has to know of the connection first.
    fn read_datagrams(&mut self, events: &mut EventQueue) {
        if !self.is_known {
            return;
        }
        let id = self.id;
        loop {
            self.datagrams_held = self.unread_datagrams >= MAX_UNREAD_DATAGRAMS;
            if self.datagrams_held {
                return;
            }
            let Some(bytes) = self.quinn.datagrams().recv() else {
                return;
            };
            let event = Event::Datagram { id, bytes };
            self.unread_datagrams += cost(&event);
            events.push(event);
        }
    }

    /// Makes frames and datagrams events, while there are not too many. True if more is there.
    fn read(&mut self, now: Instant, events: &mut EventQueue) -> bool {
        self.read_datagrams(events);
        let mut read = 0;
        loop {
            self.held = self.unread >= self.max_unread;
            if self.held {
                return false;
            }
            if read >= QUANTUM {
                return true;
            }
            let id = self.id;
            if !self.reading {
                return false;
            }
            let event = match self.receiving.next(&mut self.quinn) {
                Ok(Step::Frame(lane, bytes)) => Event::Frame { id, lane, bytes },
                Ok(Step::Nothing) => return false,
                Err(text) => {
                    self.violated(now, text, events);
                    return false;
                }
            };
            read += cost(&event);
            self.unread += cost(&event);
            events.push(event);
        }
    }

    fn write(&mut self, now: Instant, events: &mut EventQueue) {
        if self.is_closed() || self.quinn.is_handshaking() {
            return;
        }
        if let Err(text) = self.sending.write(&mut self.quinn) {
            self.violated(now, text, events);
            return;
        }
        while self.stage == Stage::Open
            && let Some(lane) = self.sending.next_writable()
        {
            events.push(Event::Writable { id: self.id, lane });
        }
        self.max_datagram = self.quinn.datagrams().max_size();
    }

    fn violated(&mut self, now: Instant, text: String, events: &mut EventQueue) {
        let reason = Bytes::copy_from_slice(text.as_bytes());
        self.quinn.close(now, CloseReason::framing_code(), reason);
        let by_peer = false;
        self.end(CloseReason::Framing { text, by_peer }, events);
    }

    /// Ends the connection for a reason of this side's; the peer is told a text.
    pub(crate) fn fail(
        &mut self,
        now: Instant,
        reason: CloseReason,
        text: &str,
        events: &mut EventQueue,
    ) {
        let text = Bytes::copy_from_slice(text.as_bytes());
        self.quinn.close(now, VarInt::from_u32(0), text);
        self.end(reason, events);
    }

    /// Ends the connection as the owner wants.
    pub(crate) fn close(&mut self, now: Instant, code: u32, text: &str, events: &mut EventQueue) {
        self.quinn.close(
            now,
            VarInt::from_u32(code),
            Bytes::copy_from_slice(text.as_bytes()),
        );
        let text = text.to_owned();
        self.end(CloseReason::Local { code, text }, events);
    }

    /// Tells the owner that the connection has ended, if that wasn't done yet, and lets its
    /// buffers go.
    fn end(&mut self, reason: CloseReason, events: &mut EventQueue) {
        let known = self.dialled || self.stage == Stage::Open;
        match self.stage {
            Stage::Closed => return,
            _ if known => events.push(Event::Closed {
                id: self.id,
                reason,
            }),
            _ => events.push(Event::Rejected {
                remote: canonical(self.quinn.remote_address()),
                reason,
            }),
        }
        self.stage = Stage::Closed;
        self.sending.clear();
        self.receiving = Receiving::new(0, 0);
    }

    pub(crate) fn send(&mut self, lane: u8, frame: &[Bytes]) -> bool {
        !self.is_closed() && self.sending.push(lane, frame)
    }

    pub(crate) fn room(&self, lane: u8) -> usize {
        self.sending.room(lane)
    }

    pub(crate) fn send_datagram(&mut self, bytes: Bytes) -> bool {
        if self.stage != Stage::Open {
            return false;
        }
        match self.quinn.datagrams().send(bytes, true) {
            Ok(()) => true,
            Err(
                SendDatagramError::TooLarge
                | SendDatagramError::Disabled
                | SendDatagramError::UnsupportedByPeer
                | SendDatagramError::Blocked(_),
            ) => false,
        }
    }

    pub(crate) fn max_datagram(&self) -> Option<usize> {
        self.max_datagram
    }

    /// Says whether the owner wants to read. True if there may be something to read now.
    pub(crate) fn set_reading(&mut self, reading: bool) -> bool {
        self.reading = reading;
        reading
    }

    /// Notes that an event was taken. True if reading goes on after it was held.
    pub(crate) fn took(&mut self, event: &Event) -> bool {
        let bytes = cost(event);
        match event {
            Event::Connected { .. } => {
                self.is_known = true;
                true
            }
            Event::Datagram { .. } => {
                self.unread_datagrams = self.unread_datagrams.saturating_sub(bytes);
                self.datagrams_held && self.unread_datagrams <= MAX_UNREAD_DATAGRAMS / 2
            }
            _ => {
                self.unread = self.unread.saturating_sub(bytes);
                self.held && self.unread <= self.max_unread / 2
            }
        }
    }

    /// When it wants to be called, if nothing arrives.
    pub(crate) fn timeout(&mut self) -> Option<Instant> {
        let timer = self.quinn.poll_timeout();
        match self.stage {
            Stage::Handshake(end) => Some(timer.map_or(end, |timer| timer.min(end))),
            _ => timer,
        }
    }

    /// Whether a packet to this address with this mark was sent lately.
    pub(crate) fn has_sent(&self, remote: SocketAddr, mark: Mark) -> bool {
        canonical(self.quinn.remote_address()) == canonical(remote) && self.marks.contains(mark)
    }

    pub(crate) fn stats(&self) -> Stats {
        facts::stats(
            &self.quinn,
            self.sending.queued(),
            self.unread + self.unread_datagrams,
        )
    }
}
