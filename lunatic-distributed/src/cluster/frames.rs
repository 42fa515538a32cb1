//! What arrives in a session.

use std::sync::Arc;
use std::time::Instant;

use lunatic_mailbox::{Pid, Tag};
use lunatic_process::{Effect, ExitReason, Signal};

use crate::cluster::{Cluster, Connection, Known, State, close_code};
use crate::cluster_clock::Reading;
use crate::frame::{CONTROL, Frame};
use crate::local::{Answer, Incoming, NotDelivered};
use crate::relations::{Relations, TooMany};
use crate::session::Session;

/// A frame that no node writes.
struct BadFrame(&'static str);

impl Cluster {
    /// Takes in a unit of a connection.
    ///
    /// - `lane`: where it has arrived.
    pub fn unit(&mut self, connection: Connection, lane: u8, unit: &[u8], now: Instant) {
        let Some((_, session)) = self.open_session(connection) else {
            self.greeting_unit(connection, lane, unit, now);
            return;
        };
        let mut rest = unit;
        while !rest.is_empty() {
            let taken = postcard::take_from_bytes(rest).map_err(|_| BadFrame("not readable"));
            let taken = taken.and_then(|(frame, behind)| {
                rest = behind;
                self.frame(connection, &session, lane, frame, now)
            });
            if let Err(BadFrame(reason)) = taken {
                return self.end_for(connection, &session, reason, now);
            }
            if !self.connections.contains_key(&connection) {
                return;
            }
        }
    }

    pub(super) fn open_session(
        &self,
        connection: Connection,
    ) -> Option<(Connection, Arc<Session>)> {
        match &self.connections.get(&connection)?.state {
            State::Open(session) => Some((connection, session.clone())),
            _ => None,
        }
    }

    /// Ends a session whose other side does not keep to the protocol.
    fn end_for(
        &mut self,
        connection: Connection,
        session: &Arc<Session>,
        reason: &'static str,
        now: Instant,
    ) {
        let node = &session.node().name;
        tracing::warn!(%node, "what the node writes is not in the protocol: {reason}");
        self.close(connection, close_code::PROTOCOL, reason);
        self.closed(connection, false, now);
    }

    /// Ends the sessions whose other sides ask for ever more and read no answers.
    pub(super) fn end_overrun(&mut self, now: Instant) {
        let has_overrun = |known: &Known| match &known.state {
            State::Open(session) => session.has_overrun(),
            _ => false,
        };
        let ending: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, known)| has_overrun(known))
            .map(|(connection, known)| (*connection, known.name.clone()))
            .collect();
        for (connection, node) in ending {
            tracing::warn!(%node, "the node does not read the answers to what it asks");
            self.close(connection, close_code::PROTOCOL, "answers are not read");
            self.closed(connection, false, now);
        }
    }

    fn frame(
        &mut self,
        connection: Connection,
        session: &Arc<Session>,
        lane: u8,
        frame: Frame<'_>,
        now: Instant,
    ) -> Result<(), BadFrame> {
        match frame {
            Frame::Piece {
                transfer,
                length,
                bytes,
            } => {
                let Some(known) = self.connections.get_mut(&connection) else {
                    return Ok(());
                };
                let payer = || self.local.account_of(session.node().id.number());
                let incoming = &mut known.incoming;
                let piece = incoming.piece(lane, transfer, length, bytes, payer);
                let whole = piece.map_err(|_| BadFrame("a piece that does not fit"))?;
                let Some(whole) = whole else {
                    return Ok(());
                };
                match postcard::from_bytes(&whole) {
                    Ok(Frame::Piece { .. }) | Err(_) => Err(BadFrame("not readable")),
                    Ok(frame) => self.frame(connection, session, lane, frame, now),
                }
            }
            Frame::Leave => {
                // What is on its way in other lanes counts.
                if session.lane_left(lane) {
                    self.close(connection, close_code::LEFT, "left");
                    self.closed(connection, true, now);
                }
                Ok(())
            }
            Frame::Revocations(list) if lane == CONTROL => self.revocations(connection, list, now),
            Frame::Clock(reading) if lane == CONTROL => self.clock_told(connection, &reading, now),
            // It was told of another clock before it knew of the session.
            Frame::Hello(hello) if lane == CONTROL => match hello.reading {
                Some(reading) => self.clock_told(connection, &reading, now),
                None => Err(BadFrame("a greeting that says nothing")),
            },
            frame if lane == CONTROL => self.control_frame(connection, session, frame, now),
            frame => self.process_frame(session, lane, frame),
        }
    }

    /// Takes in a list of revoked certificates, whose signature takes the node some time to verify.
    ///
    /// # Errors
    ///
    /// Fails if the other node sends more lists than it can have.
    fn revocations(
        &mut self,
        connection: Connection,
        list: &[u8],
        now: Instant,
    ) -> Result<(), BadFrame> {
        let known = self.connections.get_mut(&connection);
        if known.is_some_and(|known| !known.revocations.admit(now)) {
            return Err(BadFrame("too many lists of revoked certificates"));
        }
        self.local.revocations(list);
        Ok(())
    }

    /// The other node has told of its clock.
    ///
    /// # Errors
    ///
    /// Fails if it tells of more clocks than there can be.
    fn clock_told(
        &mut self,
        connection: Connection,
        reading: &Reading,
        now: Instant,
    ) -> Result<(), BadFrame> {
        if let Some(known) = self.connections.get_mut(&connection)
            && !known.clocks.admit(now)
        {
            return Err(BadFrame("too many clocks"));
        }
        self.note_start(connection, reading);
        self.hear(reading, None, now);
        Ok(())
    }

    /// A frame about the nodes themselves.
    fn control_frame(
        &mut self,
        connection: Connection,
        session: &Arc<Session>,
        frame: Frame<'_>,
        now: Instant,
    ) -> Result<(), BadFrame> {
        let node = session.node().id.number();
        match frame {
            Frame::Ready => session.set_ready(),
            Frame::Draining => session.set_draining(),
            Frame::Ping(number) => session.answer_control(&Frame::Pong(number), 0),
            Frame::Pong(_) => self.holder_answered(connection, now),
            Frame::Groups(frame) => {
                for change in self.groups.received(node, frame) {
                    self.local.group_changed(change);
                }
            }
            Frame::Global(frame) => {
                self.global.received(node, frame);
                self.follow_global();
            }
            _ => return Err(BadFrame("a frame that does not belong there")),
        }
        Ok(())
    }

    /// A frame between processes.
    fn process_frame(
        &mut self,
        session: &Arc<Session>,
        lane: u8,
        frame: Frame<'_>,
    ) -> Result<(), BadFrame> {
        let between = |from: Pid, to: Pid| {
            let is_right =
                from.node() == session.node().id.number() && to.node() == self.own.id.number();
            is_right
                .then_some(())
                .ok_or(BadFrame("in the name of another node"))
        };
        match frame {
            Frame::Message {
                from,
                to,
                tag,
                bytes,
                resources,
            } => {
                between(from, to)?;
                let message = Incoming {
                    from,
                    to,
                    tag,
                    bytes,
                    resources,
                };
                let signal = match self.local.deliver(message) {
                    Ok(()) => return Ok(()),
                    Err(NotDelivered::MailboxFull) => Signal::MailboxFull { receiver: to },
                    Err(NotDelivered::Refused) => Signal::MessageRefused { receiver: to },
                };
                let (from, to) = (to, from);
                session.answer(from, to, &Frame::Signal { from, to, signal });
            }
            Frame::Signal { from, to, signal } => {
                between(from, to)?;
                self.signal_received(session, from, to, signal)?;
            }
            Frame::Link {
                from,
                to,
                tag,
                back,
            } => {
                between(from, to)?;
                self.link_received(session, from, to, tag, back);
            }
            Frame::Unlink { from, to, id } => {
                between(from, to)?;
                let mut unlinked = None;
                session.unlinked(from, to, id, || {
                    let unlink = Signal::Unlink { peer: from };
                    unlinked = self.local.signal(from, to, unlink).ok();
                });
                happen(unlinked);
            }
            Frame::Unlinked { from, to, id } => {
                between(from, to)?;
                session.with_relations(|relations| relations.unlink_known(from, to, id));
            }
            Frame::LinkDied {
                from,
                to,
                tag,
                reason,
            } => {
                between(from, to)?;
                let peer = from;
                let died = Signal::LinkDied { peer, tag, reason };
                self.tell_if(session, from, to, died, |known| known.link_died(from, to));
            }
            Frame::NoProcess { from, to } => {
                between(from, to)?;
                let (process, reason) = (from, ExitReason::NoProcess);
                let died = Signal::ProcessDied { process, reason };
                self.tell_if(session, from, to, died, |known| {
                    known.process_died(from, to)
                });
            }
            Frame::Request { id, from, request } => {
                between(from, crate::session::host_of(self.own.id.number()))?;
                let answer = Answer::new(session, lane, from, id);
                self.local.request(from, request, answer);
            }
            Frame::Response { id, to, response } => {
                between(crate::session::host_of(session.node().id.number()), to)?;
                if let Some(respond) = session.take_responder(id) {
                    respond(Ok(response));
                }
            }
            _ => return Err(BadFrame("a frame that does not belong there")),
        }
        Ok(())
    }

    /// A process there is linked to one here, if that lives.
    fn link_received(
        &self,
        session: &Arc<Session>,
        from: Pid,
        to: Pid,
        tag: Option<Tag>,
        back: Option<Tag>,
    ) {
        // What this process tells the other when it dies is what that is to be told.
        let link = Signal::Link { peer: from, tag };
        let linked = session.with_relations(|known| match known.linked(from, to, back) {
            Ok(true) => self
                .local
                .signal(from, to, link)
                .map(Some)
                .inspect_err(|_| {
                    known.link_died(from, to);
                }),
            Ok(false) => Ok(None),
            Err(TooMany) => Err(ExitReason::NoConnection),
        });
        match linked {
            Some(Ok(effect)) => happen(effect),
            Some(Err(reason)) => session.answer(to, from, &link_died(to, from, tag, reason)),
            None => {}
        }
    }

    /// Tells a process here something of one there, if that counts.
    ///
    /// - `counts`: changes what is known of the two in the same step.
    fn tell_if(
        &self,
        session: &Arc<Session>,
        from: Pid,
        to: Pid,
        signal: Signal,
        counts: impl FnOnce(&mut Relations) -> bool,
    ) {
        // Who has ended meanwhile need not be told.
        let told = session.with_relations(|known| {
            let counts = counts(known);
            counts.then(|| self.local.signal(from, to, signal).ok())
        });
        happen(told.flatten().flatten());
    }

    fn signal_received(
        &self,
        session: &Arc<Session>,
        from: Pid,
        to: Pid,
        signal: Signal,
    ) -> Result<(), BadFrame> {
        let speaks_for = |named: Pid| match named == from {
            true => Ok(()),
            false => Err(BadFrame("in the name of another process")),
        };
        match &signal {
            Signal::Kill => {}
            Signal::Exit { from, .. } => speaks_for(*from)?,
            Signal::MailboxFull { receiver } | Signal::MessageRefused { receiver } => {
                speaks_for(*receiver)?;
            }
            Signal::Monitor { watcher } => {
                speaks_for(*watcher)?;
                let monitored = session.with_relations(|known| {
                    known.monitored(from, to).ok()?;
                    let monitored = self.local.signal(from, to, signal);
                    monitored
                        .inspect_err(|_| known.no_longer_monitored(from, to))
                        .ok()
                });
                match monitored.flatten() {
                    Some(effect) => effect.happen(),
                    None => {
                        let (from, to) = (to, from);
                        session.answer(from, to, &Frame::NoProcess { from, to });
                    }
                }
                return Ok(());
            }
            Signal::StopMonitoring { watcher } => {
                speaks_for(*watcher)?;
                session.with_relations(|relations| relations.no_longer_monitored(from, to));
            }
            Signal::ProcessDied { process, .. } => {
                speaks_for(*process)?;
                self.tell_if(session, from, to, signal, |known| {
                    known.process_died(from, to)
                });
                return Ok(());
            }
            _ => return Err(BadFrame("a signal that does not leave a node")),
        }
        self.tell(from, to, signal);
        Ok(())
    }
}

/// Does what follows from a signal, outside of the lock under which it was applied.
fn happen(effect: Option<Effect>) {
    if let Some(effect) = effect {
        effect.happen();
    }
}

fn link_died(from: Pid, to: Pid, tag: Option<Tag>, reason: ExitReason) -> Frame<'static> {
    Frame::LinkDied {
        from,
        to,
        tag,
        reason,
    }
}
