//! What an endpoint does while its owner waits: it sends, receives, and fires timers.

use std::io;
use std::time::{Duration, Instant};

use quinn_proto::ConnectionHandle;

use crate::close_reason::CloseReason;
use crate::endpoint::Endpoint;
use crate::socket::{Ready, Sent};

/// Times that one call of `wait` looks for packets before it returns to its owner.
const ROUNDS: usize = 16;
/// Connections that are served before packets are looked for again, or the kernel would lose them.
const SERVED_AT_ONCE: usize = 32;
/// Batches of packets that a connection sends before another is served.
const BATCHES: usize = 8;

impl Endpoint {
    /// Sends what is to be sent, receives and fires timers, until there is an event, somebody
    /// uses the waker, or the time has come; `None` is for ever. It returns earlier if there is
    /// much to do, so that it never takes long while packets arrive.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to wait.
    pub fn wait(&mut self, until: Option<Instant>) -> io::Result<()> {
        let mut now = Instant::now();
        if self.timers.first().is_some_and(|(at, _)| *at <= now) {
            // The owner may have been away for long: what arrived in time counts as in time.
            self.receive(now);
        }
        self.work(now);
        for _ in 0..ROUNDS {
            let done = !self.events.is_empty() || until.is_some_and(|until| until <= now);
            let ready = self.sleep(now, until, done)?;
            now = Instant::now();
            if ready.writable {
                self.socket.unblock();
            }
            if ready.readable {
                self.receive(now);
            }
            self.work(now);
            if done || ready.woken || !self.events.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Goes on until all connections have ended for good or the time has come, whatever the
    /// events.
    pub(crate) fn linger(&mut self, until: Instant) -> io::Result<()> {
        let mut now = Instant::now();
        self.work(now);
        while self.kept > 0 && now < until {
            let ready = self.sleep(now, Some(until), false)?;
            now = Instant::now();
            if ready.writable {
                self.socket.unblock();
            }
            if ready.readable {
                self.receive(now);
            }
            self.work(now);
        }
        Ok(())
    }

    /// Waits until there is something to do; not at all if there is, or `done`.
    fn sleep(&mut self, now: Instant, until: Option<Instant>, done: bool) -> io::Result<Ready> {
        let busy = !self.ready.is_empty() && !self.socket.is_blocked();
        let timer = self.timers.first().map(|(at, _)| *at);
        let next = match (until, timer) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let time = match next {
            _ if done || busy => Some(Duration::ZERO),
            Some(next) => Some(next.saturating_duration_since(now)),
            None => None,
        };
        if time == Some(Duration::ZERO) && !self.socket.is_blocked() {
            // To ask for packets is as cheap as to ask whether there are any.
            return Ok(Ready {
                readable: true,
                writable: false,
                woken: self.waker.awake(),
            });
        }
        self.socket.wait(&self.waker, time)
    }

    /// Serves the connections with something to do.
    fn work(&mut self, now: Instant) {
        if self.socket.has_errors() {
            self.handle_errors(now);
        }
        while let Some(&(at, slot)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(Some(connection)) = self.connections.get_mut(slot) {
                connection.timer = None;
                connection.due = true;
                self.enqueue(ConnectionHandle(slot));
            }
        }
        for _ in 0..self.ready.len().min(SERVED_AT_ONCE) {
            if let Some(handle) = self.ready.pop_front() {
                self.serve(handle, now);
            }
        }
    }

    /// Lets a connection handle what has arrived, and send.
    fn serve(&mut self, handle: ConnectionHandle, now: Instant) {
        let Some(Some(connection)) = self.connections.get_mut(handle.0) else {
            return;
        };
        connection.enqueued = false;
        let mut more = connection.advance(now, &mut self.events);
        let mut drained = false;
        while let Some(event) = connection.quinn.poll_endpoint_events() {
            drained |= event.is_drained();
            if let Some(event) = self.quinn.handle_event(handle, event) {
                connection.quinn.handle_event(event);
            }
        }
        if !drained {
            more |= self.transmit(handle, now);
        }
        let Some(Some(connection)) = self.connections.get_mut(handle.0) else {
            return;
        };
        // One that failed counts until nothing of it is kept.
        if (drained || connection.is_open())
            && let Some(address) = connection.handshake_of.take()
        {
            self.handshakes.end(address);
        }
        if drained || connection.is_closed() {
            self.ids.remove(&connection.id);
        }
        let timer = if drained { None } else { connection.timeout() };
        if timer != connection.timer {
            if let Some(old) = connection.timer {
                self.timers.remove(&(old, handle.0));
            }
            connection.timer = timer;
            if let Some(timer) = timer {
                self.timers.insert((timer, handle.0));
            }
        }
        if drained {
            self.connections[handle.0] = None;
            self.kept -= 1;
        } else if more {
            self.enqueue(handle);
        }
    }

    /// Sends what a connection has to send. True if there is more.
    fn transmit(&mut self, handle: ConnectionHandle, now: Instant) -> bool {
        let Some(Some(connection)) = self.connections.get_mut(handle.0) else {
            return false;
        };
        for _ in 0..BATCHES {
            if self.socket.is_blocked() {
                return true;
            }
            self.packets.clear();
            let batch = self.socket.batch(connection.quinn.current_mtu());
            let Some(transmit) = connection
                .quinn
                .poll_transmit(now, batch, &mut self.packets)
            else {
                return false;
            };
            let packets = &self.packets[..transmit.size.min(self.packets.len())];
            connection.marks.note(packets);
            if let Sent::Unreachable(what) = self.socket.send(transmit, packets)
                && connection.is_handshaking()
                && connection.dialled
            {
                let reason = CloseReason::Unreachable(what);
                connection.fail(now, reason, "", &mut self.events);
            }
        }
        true
    }
}
