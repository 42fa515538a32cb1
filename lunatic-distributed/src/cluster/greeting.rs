//! The beginning of a session: who takes whom.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::NodeName;
use crate::cluster::{
    Cluster, Connection, GREETING_LIMIT, HOLDER_LIMIT, MAX_GREETING, State, close_code,
};
use crate::cluster_clock::Reading;
use crate::frame::{CONTROL, Frame};
use crate::handshake::{Hello, PROTOCOL, Refusal, Welcome, protocol_of_hello};
use crate::local::NodeEvent;
use crate::node_info::{NodeInfo, is_later};
#[cfg(test)]
use crate::planted::{self, Fault};
use crate::session::Session;
use crate::start::Start;

/// What becomes of a node that has dialled.
enum Reception {
    /// A session begins.
    TakeIn,
    /// It is told of the clock of this node, by which it is to say when it was started.
    TellClock,
    /// A node is asked first whether it lives.
    Ask(Connection, Arc<Session>),
}

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
        if let State::Refused { .. } = known.state {
            // It does not know yet.
            return;
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
            (Ok(Frame::Clock(reading)), Some(_)) => {
                self.clock_told_by_dialled(connection, &reading, now);
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
                State::Greeting { until }
                | State::Waiting { until, .. }
                | State::Refused { until } => *until,
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

    /// The holder of a name or number lives: who else wants it is refused, if it was started later.
    pub(super) fn holder_answered(&mut self, holder: Connection, now: Instant) {
        for (connection, hello) in self.stop_waiting_for(holder, now) {
            let Some((_, session)) = self.open_session(holder) else {
                self.hello_received(connection, hello, now);
                continue;
            };
            let by = self.start_of(holder);
            match (self.order(self.start_of(connection), by), by) {
                (Some(Ordering::Greater), Some(by)) => {
                    let refusal = match session.node().name == hello.node.name {
                        true => Refusal::NameTaken { by },
                        false => Refusal::NumberTaken { by },
                    };
                    self.refuse_and_wait(connection, refusal);
                }
                // It was told of another clock meanwhile, and greets again.
                (None, _) if !self.has_own_clock(self.start_of(connection)) => {}
                // A node that does not say when it was started counts as the later one.
                (None, _) => {
                    self.end_holder(holder, now);
                    self.hello_received(connection, hello, now);
                }
                _ => self.hello_received(connection, hello, now),
            }
        }
    }

    /// The session with the holder of a name has ended: who waits for it can come in.
    pub(super) fn holder_ended(&mut self, holder: Connection, now: Instant) {
        for (connection, hello) in self.stop_waiting_for(holder, now) {
            // Others may have come meanwhile, as one with the same number.
            self.hello_received(connection, hello, now);
        }
    }

    /// Those that have waited until it is known whether a holder lives, who do so no longer.
    fn stop_waiting_for(&mut self, of: Connection, now: Instant) -> Vec<(Connection, Box<Hello>)> {
        let mut waiting = Vec::new();
        for (connection, known) in &mut self.connections {
            if let State::Waiting { holder, hello, .. } = &known.state
                && *holder == of
            {
                waiting.push((*connection, hello.clone()));
                let until = now + GREETING_LIMIT;
                known.state = State::Greeting { until };
            }
        }
        waiting
    }

    /// Says who this node is to one that it has dialled.
    pub(super) fn greet(&mut self, connection: Connection, now: Instant) {
        let hello = Frame::Hello(Box::new(self.hello(now)));
        self.write(connection, &hello);
        let clock = self.clock.clock();
        if let Some(known) = self.connections.get_mut(&connection) {
            known.greeted = Some((now, clock));
        }
    }

    /// A node that this one has dialled has told of its clock: it cannot compare this node with
    /// others by another one.
    fn clock_told_by_dialled(&mut self, connection: Connection, reading: &Reading, now: Instant) {
        let Some(known) = self.connections.get_mut(&connection) else {
            return;
        };
        if !known.clocks.admit(now) {
            return self.drop_greeting(connection, now);
        }
        let greeted = known.greeted;
        self.hear(reading, greeted.map(|(asked, _)| asked), now);
        if greeted.is_none_or(|(_, clock)| clock != self.clock.clock()) {
            self.greet(connection, now);
        }
    }

    /// Takes in what another node tells of its clock. If this one has another clock then, all that
    /// have dialled it or that it has sessions with are told.
    ///
    /// - `asked`: when this node has asked for it, or earlier; the other has told it since then.
    pub(super) fn hear(&mut self, reading: &Reading, asked: Option<Instant>, now: Instant) {
        // By another clock, a node that has to end could still stand before others.
        if self.is_expelled || !self.clock.hear(reading, asked, now) {
            return;
        }
        let own = self.clock.lend(now);
        for session in self.sessions.all() {
            session.control(&Frame::Clock(own));
        }
        let greeting = self.connections.iter().filter(|(_, known)| {
            let is_greeting = matches!(known.state, State::Greeting { .. } | State::Waiting { .. });
            known.dialled.is_none() && is_greeting
        });
        let greeting: Vec<_> = greeting.map(|(connection, _)| *connection).collect();
        for connection in greeting {
            self.write(connection, &Frame::Clock(own));
        }
    }

    /// The node at the other end has told when it was started.
    pub(super) fn note_start(&mut self, connection: Connection, reading: &Reading) {
        if let Some(known) = self.connections.get_mut(&connection) {
            let id = match &known.state {
                State::Open(session) => session.node().id,
                State::Waiting { hello, .. } => hello.node.id,
                State::Greeting { .. } | State::Refused { .. } => return,
            };
            known.start = Some(reading.start_of(id));
        }
    }

    fn start_of(&self, connection: Connection) -> Option<Start> {
        self.connections.get(&connection)?.start
    }

    fn has_own_clock(&self, start: Option<Start>) -> bool {
        start.is_some_and(|start| Some(start.clock) == self.clock.clock())
    }

    /// Whether a node was started earlier or later than another, if both have told it by the clock
    /// that this node has.
    fn order(&self, start: Option<Start>, other: Option<Start>) -> Option<Ordering> {
        let has_own_clock = self.has_own_clock(start);
        let order = start?.order(&other?)?;
        #[cfg(test)]
        let order = match planted::is(Fault::StartsHaveNoCommonOrder) {
            true if self.own.id.to_bits() >> 20 & 1 == 1 => order.reverse(),
            _ => order,
        };
        has_own_clock.then_some(order)
    }

    fn hello_received(&mut self, connection: Connection, hello: Box<Hello>, now: Instant) {
        if let Some(reading) = &hello.reading {
            let Some(known) = self.connections.get_mut(&connection) else {
                return;
            };
            known.start = Some(reading.start_of(hello.node.id));
            // No greeting is older than the connection.
            let since = known.since;
            self.hear(reading, Some(since), now);
        }
        let clock = self.clock.lend(now);
        match self.check(connection, &hello) {
            Ok(Reception::TakeIn) => self.take_in(connection, *hello, now),
            Ok(Reception::TellClock) => self.write(connection, &Frame::Clock(clock)),
            Ok(Reception::Ask(holder, session)) => {
                session.control(&Frame::Ping(0));
                if let Some(known) = self.connections.get_mut(&connection) {
                    known.state = State::Waiting {
                        hello,
                        holder,
                        until: now + HOLDER_LIMIT,
                    };
                }
            }
            Err(refusal) => {
                // It has the clock when it dials again.
                if !self.has_own_clock(self.start_of(connection)) {
                    self.write(connection, &Frame::Clock(clock));
                }
                self.refuse_and_wait(connection, refusal);
            }
        }
    }

    /// Says what becomes of a node that has dialled, or why it is refused.
    fn check(&mut self, connection: Connection, hello: &Hello) -> Result<Reception, Refusal> {
        let node = &hello.node;
        let certified = self.connections.get(&connection).map(|known| &known.name);
        if certified != Some(&node.name) || !node.is_reasonable() {
            return Err(Refusal::WrongName);
        }
        if self.is_leaving || self.is_expelled {
            return Err(Refusal::Leaving);
        }
        if node.id == self.own.id {
            return Err(Refusal::Itself);
        }
        let start = self.start_of(connection);
        if node.name == self.own.name || node.id.number() == self.own.id.number() {
            let (Some(start), Some(own)) = (start, self.clock.start()) else {
                return Ok(Reception::TellClock);
            };
            return match self.order(Some(start), Some(own)) {
                Some(order) => Err(self.beside_own(order, &start, &own, node)),
                None => Ok(Reception::TellClock),
            };
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
        // A later start gives way at once, and an earlier one if it does not answer.
        for (holder, session) in self.holders(node) {
            if session.node().id == node.id {
                continue;
            }
            match self.order(start, self.start_of(holder)) {
                Some(Ordering::Less) => {}
                None if !self.has_own_clock(start) => return Ok(Reception::TellClock),
                // What it has not told yet, it tells before it answers.
                _ => return Ok(Reception::Ask(holder, session)),
            }
        }
        Ok(Reception::TakeIn)
    }

    /// The sessions with nodes that have the name or the number of a node: two at most.
    fn holders(&self, node: &NodeInfo) -> Vec<(Connection, Arc<Session>)> {
        let by_number = self.other_of_number(node.id);
        let by_number = by_number.map(|session| (session.connection(), session));
        let mut holders: Vec<_> = by_number.into_iter().collect();
        if let Some((connection, session)) = self.session_named(&node.name)
            && holders.iter().all(|(holder, _)| *holder != connection)
        {
            holders.push((connection, session));
        }
        holders
    }

    /// What a node is told that has the name or the number of this one. If this one is the later
    /// start, it is this one that has to end.
    ///
    /// - `order`: whether the other was started earlier or later.
    /// - `start`: of the other.
    fn beside_own(
        &mut self,
        order: Ordering,
        start: &Start,
        own: &Start,
        other: &NodeInfo,
    ) -> Refusal {
        let taken_by = |by: &Start| match other.name == self.own.name {
            true => Refusal::NameTaken { by: *by },
            false => Refusal::NumberTaken { by: *by },
        };
        if order == Ordering::Greater {
            return taken_by(own);
        }
        self.tell_refused(other.address, taken_by(start));
        Refusal::Leaving
    }

    /// Tells this node that another does not want it.
    fn tell_refused(&mut self, address: SocketAddr, refusal: Refusal) {
        self.is_expelled |= matches!(
            refusal,
            Refusal::NameTaken { .. } | Refusal::NumberTaken { .. }
        );
        let is_joining = !self.has_joined;
        self.local.node_event(match refusal {
            Refusal::NumberTaken { .. } => NodeEvent::NumberTaken,
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
        // Its earlier session is over, or it would not dial; or a later start has its name or
        // number, which will be refused when it dials. Who waits for one of them waits for this one.
        let mut waiting = Vec::new();
        for (before, _) in self.holders(&hello.node) {
            waiting.extend(self.stop_waiting_for(before, now));
            self.end_holder(before, now);
        }
        if let Some(own) = self.greeting_dialled(&hello.node.name) {
            self.drop_greeting(own, now);
        }
        let node = self.own.clone();
        let reading = self.clock.lend(now);
        let welcome = Frame::Welcome(Box::new(Welcome { node, reading }));
        self.write(connection, &welcome);
        self.begin_session(connection, hello.node, false, now);
        for (connection, hello) in waiting {
            self.hello_received(connection, hello, now);
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
        let Welcome { node, reading } = welcome;
        let Some(known) = self.connections.get_mut(&connection) else {
            return;
        };
        known.start = Some(reading.start_of(node.id));
        let asked = known.greeted.map(|(asked, _)| asked);
        let is_certified = known.name == node.name;
        let is_other = node.id.number() != self.own.id.number() && node.name != self.own.name;
        if !is_certified || !node.is_reasonable() || !is_other || self.is_expelled {
            return self.drop_greeting(connection, now);
        }
        self.hear(&reading, asked, now);
        if self.session_named(&node.name).is_some() {
            // A session with it has begun meanwhile, over a connection that it has dialled.
            self.dials.done(address);
            return self.drop_greeting(connection, now);
        }
        if let Some(other) = self.other_of_number(node.id) {
            let (start, holder) = (self.start_of(connection), other.connection());
            if self.order(start, self.start_of(holder)) != Some(Ordering::Less) {
                // It is told so when it dials.
                return self.drop_greeting(connection, now);
            }
            let waiting = self.stop_waiting_for(holder, now);
            self.end_holder(holder, now);
            self.begin_dialled(connection, node, now);
            for (connection, hello) in waiting {
                self.hello_received(connection, hello, now);
            }
            return;
        }
        self.begin_dialled(connection, node, now);
    }

    /// Begins a session with a node that this one has dialled.
    fn begin_dialled(&mut self, connection: Connection, node: NodeInfo, now: Instant) {
        self.begin_session(connection, node, true, now);
        let clock = self.clock.lend(now);
        if let Some((_, session)) = self.open_session(connection) {
            session.control(&Frame::Clock(clock));
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
        let is_told = match &refusal {
            Refusal::Crossed => false,
            Refusal::NameTaken { by } | Refusal::NumberTaken { by } => self.is_later_than(by),
            _ => true,
        };
        if is_told {
            self.tell_refused(address, refusal);
        }
    }

    /// Whether this node was started later than one that has its name or number, and is refused for
    /// that. Otherwise the node that has refused it did not know when it was started by the clock
    /// that it has now.
    fn is_later_than(&self, other: &Start) -> bool {
        #[cfg(test)]
        if planted::is(Fault::StartsHaveNoCommonOrder) {
            return true;
        }
        let own = self.clock.start();
        own.and_then(|own| own.order(other)) == Some(Ordering::Greater)
    }

    /// The node refuses; the other side ends the connection, or the time limit does.
    fn refuse_and_wait(&mut self, connection: Connection, refusal: Refusal) {
        self.refuse(connection, refusal);
        if let Some(known) = self.connections.get_mut(&connection)
            && let State::Greeting { until } | State::Waiting { until, .. } = known.state
        {
            known.state = State::Refused { until };
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
