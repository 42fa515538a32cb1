//! The beginning of a session: who takes whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunatic_mailbox::NodeId;

use crate::NodeName;
use crate::cluster::{Cluster, Connection, HOLDER_LIMIT, MAX_GREETING, State, close_code};
use crate::frame::{CONTROL, Frame};
use crate::handshake::{Hello, PROTOCOL, Refusal, Welcome, protocol_of_hello};
use crate::local::NodeEvent;
use crate::node_info::{Start, is_later};
use crate::session::Session;

impl Cluster {
    /// Takes in a unit of a connection on which there is no session yet.
    pub(super) fn greeting_unit(
        &mut self,
        connection: Connection,
        lane: u8,
        unit: &[u8],
        now: Instant,
    ) {
        let Some(known) = self.connections.get(&connection) else {
            return;
        };
        if lane != CONTROL {
            return self.drop_greeting(connection, now);
        }
        let dialled = known.dialled;
        if dialled.is_none() && protocol_of_hello(unit).is_some_and(|other| other != PROTOCOL) {
            return self.refuse(connection, Refusal::Protocol { version: PROTOCOL });
        }
        match (postcard::from_bytes(unit), dialled) {
            (Ok(Frame::Hello(hello)), None) => self.hello_received(connection, hello, now),
            (Ok(Frame::Welcome(welcome)), Some(address)) => {
                self.welcome_received(connection, address, *welcome, now);
            }
            (Ok(Frame::Refuse(refusal)), Some(address)) => {
                self.refused(connection, address, refusal, now);
            }
            _ => self.drop_greeting(connection, now),
        }
    }

    /// Ends what has taken too long.
    pub(super) fn end_greetings(&mut self, now: Instant) {
        let due = self.connections.iter().filter_map(|(connection, known)| {
            let until = match &known.state {
                State::Greeting { until } | State::Waiting { until, .. } => *until,
                State::Open(_) => return None,
            };
            (until <= now).then_some(*connection)
        });
        for connection in due.collect::<Vec<_>>() {
            let known = self.connections.get(&connection);
            match known.map(|known| &known.state) {
                // When that has ended, who waits for it is taken in.
                Some(State::Waiting { holder, .. }) => self.end_holder(*holder, now),
                _ => self.drop_greeting(connection, now),
            }
        }
    }

    /// Another connection has come that a node of this name has dialled: there are not to be ever more
    /// that say nothing.
    pub(super) fn end_oldest_greeting(&mut self, name: &NodeName, now: Instant) {
        let greeting = self.connections.iter().filter(|(_, known)| {
            let is_open = matches!(known.state, State::Open(_));
            known.name == *name && known.dialled.is_none() && !is_open
        });
        // In the order in which they were made.
        let greeting: Vec<_> = greeting.map(|(connection, _)| *connection).collect();
        if greeting.len() >= MAX_GREETING
            && let Some(oldest) = greeting.first()
        {
            self.drop_greeting(*oldest, now);
        }
    }

    /// A connection has ended before there was a session.
    pub(super) fn greeting_failed(&mut self, dialled: Option<SocketAddr>, now: Instant) {
        if let Some(address) = dialled {
            self.dial_failed(address, now);
        }
    }

    /// A connection that this node has dialled, to a node of this name, that waits for an
    /// answer.
    pub(super) fn greeting_dialled(&self, name: &NodeName) -> Option<Connection> {
        let mut waiting = self.connections.iter().filter(|(_, known)| {
            known.name == *name
                && known.dialled.is_some()
                && matches!(known.state, State::Greeting { .. })
        });
        waiting.next().map(|(connection, _)| *connection)
    }

    /// The holder of a name lives: who else wants it is refused.
    pub(super) fn holder_answered(&mut self, holder: Connection) {
        let waiting = self.waiting_for(holder);
        for connection in waiting {
            self.refuse_and_wait(connection, Refusal::NameTaken);
        }
    }

    /// The session with the holder of a name has ended: who waits for it can come in.
    pub(super) fn holder_ended(&mut self, holder: Connection, now: Instant) {
        for connection in self.waiting_for(holder) {
            let known = self.connections.get(&connection);
            if let Some(State::Waiting { hello, .. }) = known.map(|known| &known.state) {
                let hello = hello.clone();
                // Others may have come meanwhile, as one with the same number.
                self.hello_received(connection, hello, now);
            }
        }
    }

    fn waiting_for(&self, of: Connection) -> Vec<Connection> {
        let waiting = self.connections.iter().filter(
            |(_, known)| matches!(&known.state, State::Waiting { holder, .. } if *holder == of),
        );
        waiting.map(|(connection, _)| *connection).collect()
    }

    /// The node at the other end has told for how long it has been running.
    fn note_uptime(&mut self, connection: Connection, uptime: Duration, now: Instant) {
        if let Some(known) = self.connections.get_mut(&connection) {
            // One that has to wait is looked at again later.
            known.started.get_or_insert((uptime, now));
        }
    }

    fn hello_received(&mut self, connection: Connection, hello: Box<Hello>, now: Instant) {
        self.note_uptime(connection, hello.uptime, now);
        match self.check(connection, &hello, now) {
            Err(refusal) => self.refuse_and_wait(connection, refusal),
            Ok(Some((holder, session))) => {
                session.control(&Frame::Ping(0));
                if let Some(known) = self.connections.get_mut(&connection) {
                    known.state = State::Waiting {
                        hello,
                        holder,
                        until: now + HOLDER_LIMIT,
                    };
                }
            }
            Ok(None) => self.take_in(connection, *hello, now),
        }
    }

    /// Says who has to be asked before a node is taken in, or why it is not.
    fn check(
        &mut self,
        connection: Connection,
        hello: &Hello,
        now: Instant,
    ) -> Result<Option<(Connection, Arc<Session>)>, Refusal> {
        let node = &hello.node;
        let certified = self.connections.get(&connection).map(|known| &known.name);
        if certified != Some(&node.name) || !node.is_reasonable() {
            return Err(Refusal::WrongName);
        }
        if self.is_leaving {
            return Err(Refusal::Leaving);
        }
        if node.id == self.own.id {
            return Err(Refusal::Itself);
        }
        let start = Start {
            id: node.id,
            uptime: self.uptime_of(connection, now),
        };
        if node.name == self.own.name {
            return Err(self.beside_own(&start, Refusal::NameTaken, node.address, now));
        }
        if node.id.number() == self.own.id.number() {
            return Err(self.beside_own(&start, Refusal::NumberTaken, node.address, now));
        }
        if let Some(other) = self.other_of_number(node.id)
            && self.is_later_than(&start, &other, now)
        {
            return Err(Refusal::NumberTaken);
        }
        if let Some(known) = self.membership.generation_of(&node.name)
            && known.id != node.id
            && !is_later(node.generation, known.generation)
        {
            let generation = known.generation;
            return Err(Refusal::Restarted { generation });
        }
        if self.greeting_dialled(&node.name).is_some() && self.own.id < node.id {
            return Err(Refusal::Crossed);
        }
        // A later start of the name gives way at once, and an earlier one if it does not answer.
        let is_in_the_way = |session: &Arc<Session>| {
            session.node().id != node.id && self.is_later_than(&start, session, now)
        };
        let holder = self.session_named(&node.name);
        Ok(holder.filter(|(_, session)| is_in_the_way(session)))
    }

    /// What a node is told that has the name or the number of this one. If this one is the later
    /// start, it is this one that has to end.
    ///
    /// - `other`: that one.
    /// - `taken`: what the two have in common.
    /// - `address`: of the other.
    fn beside_own(
        &self,
        other: &Start,
        taken: Refusal,
        address: SocketAddr,
        now: Instant,
    ) -> Refusal {
        let own = Start {
            id: self.own.id,
            uptime: now.saturating_duration_since(self.started),
        };
        if other.is_later_than(&own) {
            return taken;
        }
        self.tell_refused(address, taken);
        Refusal::Leaving
    }

    /// Tells this node that another does not want it.
    fn tell_refused(&self, address: SocketAddr, refusal: Refusal) {
        let is_joining = !self.has_joined;
        self.local.node_event(match refusal {
            Refusal::NumberTaken => NodeEvent::NumberTaken,
            refusal => NodeEvent::Refused {
                address,
                refusal,
                is_joining,
            },
        });
    }

    /// Begins a session with a node that has dialled.
    fn take_in(&mut self, connection: Connection, hello: Hello, now: Instant) {
        if let Some(known) = self.connections.get_mut(&connection) {
            let until = now;
            known.state = State::Greeting { until };
        }
        // Its earlier session is over, or it would not dial; or a later start has its name, which
        // will be refused when it dials. Who waits for the name is told that it lives.
        if let Some((before, _)) = self.session_named(&hello.node.name) {
            self.holder_answered(before);
            self.end_holder(before, now);
        }
        self.end_later_of_number(hello.node.id, now);
        if let Some(own) = self.greeting_dialled(&hello.node.name) {
            self.drop_greeting(own, now);
        }
        let Hello { node, uptime, .. } = self.hello(now);
        let welcome = Frame::Welcome(Box::new(Welcome { node, uptime }));
        self.write(connection, &welcome);
        self.begin_session(connection, hello.node, false, now);
    }

    /// Ends the session with another node that has the number of a node that is taken in.
    fn end_later_of_number(&mut self, id: NodeId, now: Instant) {
        // When its session ends, another may come in that has waited for its name.
        while let Some(other) = self.other_of_number(id) {
            self.end_holder(other.connection(), now);
        }
    }

    fn end_holder(&mut self, holder: Connection, now: Instant) {
        self.close(
            holder,
            close_code::TIMED_OUT,
            "another connection takes its place",
        );
        self.closed(holder, false, now);
    }

    fn welcome_received(
        &mut self,
        connection: Connection,
        address: SocketAddr,
        welcome: Welcome,
        now: Instant,
    ) {
        let Welcome { node, uptime } = welcome;
        self.note_uptime(connection, uptime, now);
        let certified = self.connections.get(&connection).map(|known| &known.name);
        let is_other = node.id.number() != self.own.id.number() && node.name != self.own.name;
        if certified != Some(&node.name) || !node.is_reasonable() || !is_other {
            return self.drop_greeting(connection, now);
        }
        if self.session_named(&node.name).is_some() {
            // A session with it has begun meanwhile, over a connection that it has dialled.
            self.dials.done(address);
            return self.drop_greeting(connection, now);
        }
        let start = Start {
            id: node.id,
            uptime,
        };
        if let Some(other) = self.other_of_number(node.id)
            && self.is_later_than(&start, &other, now)
        {
            // It is told so when it dials.
            return self.drop_greeting(connection, now);
        }
        self.end_later_of_number(node.id, now);
        self.begin_session(connection, node, true, now);
        if let Some((_, session)) = self.open_session(connection) {
            session.control(&Frame::Ready);
        }
    }

    fn refused(
        &mut self,
        connection: Connection,
        address: SocketAddr,
        refusal: Refusal,
        now: Instant,
    ) {
        self.connections.remove(&connection);
        self.close(connection, close_code::DONE, "refused");
        match refusal {
            Refusal::Itself => self.dials.is_itself(address),
            Refusal::Restarted { generation } => {
                self.membership.set_later_than(generation, now);
                self.follow_gossip(now);
                self.dials.done(address);
                return;
            }
            _ => {}
        }
        let jitter = self.random();
        self.dials.failed(address, now, jitter);
        if refusal != Refusal::Crossed {
            self.tell_refused(address, refusal);
        }
    }

    /// The node refuses; the other side ends the connection, or the time limit does.
    fn refuse_and_wait(&mut self, connection: Connection, refusal: Refusal) {
        self.refuse(connection, refusal);
        if let Some(known) = self.connections.get_mut(&connection)
            && let State::Waiting { until, .. } = known.state
        {
            known.state = State::Greeting { until };
        }
    }

    /// Gives a connection up on which there is no session.
    pub(super) fn drop_greeting(&mut self, connection: Connection, now: Instant) {
        self.close(connection, close_code::PROTOCOL, "no session");
        if let Some(known) = self.connections.remove(&connection) {
            self.greeting_failed(known.dialled, now);
        }
    }

    fn write(&mut self, connection: Connection, frame: &Frame<'_>) {
        let write = super::Action::Write(connection, frame.to_bytes());
        self.actions.push(write);
    }
}
