//! The session with one other node: what passes between two nodes from when they agree on
//! it until the connection ends.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use event_listener::{Event, EventListener};
use lunatic_account::{Account, AccountLimits, Exceeded};
use lunatic_mailbox::{DataMessage, NodeNumber, NotTransferable, Pid, Tag};
use lunatic_process::{NoConnection, Signal};
use parking_lot::{Mutex, MutexGuard};

use crate::chunks::Chunks;
use crate::cluster::Connection;
use crate::frame::{CONTROL, Frame, LANES, MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, lane_of};
use crate::node_info::NodeInfo;
use crate::outgoing::{HIGH_WATER, Outgoing, Prepared, is_long_message};
use crate::relations::{Relations, TooMany};

/// The session with one other node. Any thread can use it; what is sent is queued, and the
/// thread of the node takes it out.
pub struct Session {
    node: NodeInfo,
    own: NodeNumber,
    connection: Connection,
    /// The other side knows of the session.
    is_ready: AtomicBool,
    /// The other side has said that it is about to leave.
    is_draining: AtomicBool,
    /// The lanes in which the other side has said that it leaves, a bit for each.
    left_lanes: AtomicU64,
    /// To whom answers are charged until they leave: they have no other payer.
    answers: Account,
    /// There was no room for an answer.
    has_overrun: AtomicBool,
    last_request: AtomicU64,
    /// Called when there is something to be taken out.
    on_queued: Arc<OnQueued>,
    /// It was called, and nothing was taken out since.
    is_announced: AtomicBool,
    /// The lanes of which something can be taken, a bit for each. It is changed under the lock of
    /// the state.
    ready_lanes: AtomicU64,
    /// The lane of which something was taken last.
    last_lane: AtomicU8,
    state: Mutex<State>,
    ended: Event,
}

/// A bit for each lane.
const ALL_LANES: u64 = (1 << LANES) - 1;

/// What is charged for a signal that waits to be sent, in bytes, beside its texts.
const SIGNAL_BYTES: usize = 64;

/// So much may wait to be sent of what the other node has caused, in bytes: the longest answer, and
/// as much again.
const MAX_ANSWER_BYTES: usize = 2 * MAX_MESSAGE_BYTES;

/// What is counted for an answer, in bytes, beside a text in it.
const ANSWER_BYTES: usize = 32;

/// Is told of the session that has something to send.
pub(crate) type OnQueued = dyn Fn(&Arc<Session>) + Send + Sync;

struct State {
    is_open: bool,
    outgoing: Outgoing,
    relations: Relations,
    requests: HashMap<u64, Responder>,
}

/// Is called with the answer to a request, in the thread of the node.
pub type Responder = Box<dyn FnOnce(Result<&[u8], RequestError>) + Send>;

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no session with the node, or it ended first.
    NoConnection,
    /// It is longer than a message may be.
    TooLong {
        /// So many bytes it has.
        length: usize,
    },
    /// Who pays has no memory left for it.
    Exceeded(Exceeded),
}

/// A request, for as long as somebody waits for its answer.
struct Asked {
    session: Arc<Session>,
    id: Option<u64>,
}

/// Why a message is not sent.
#[derive(Debug)]
pub enum NotSent {
    /// The session has ended.
    NoConnection,
    /// Who pays has no memory left for it.
    Refused(Exceeded),
    /// It has a resource that cannot leave the node.
    NotTransferable(NotTransferable),
    /// It is longer than a message may be.
    TooLong,
}

/// Why a signal is not sent.
#[derive(Debug)]
pub(crate) enum NotSignalled {
    /// The session has ended. Has the signal.
    Ended(Signal),
    /// There are as many relations to the other node as there may be.
    Refused,
}

impl Session {
    pub(crate) fn new(
        own: NodeNumber,
        node: NodeInfo,
        connection: Connection,
        is_ready: bool,
        on_queued: Arc<OnQueued>,
    ) -> Arc<Session> {
        Arc::new(Session {
            node,
            own,
            connection,
            is_ready: AtomicBool::new(is_ready),
            is_draining: AtomicBool::new(false),
            left_lanes: AtomicU64::new(0),
            answers: Account::root(AccountLimits {
                memory: MAX_ANSWER_BYTES as u64,
                ..AccountLimits::UNLIMITED
            }),
            has_overrun: AtomicBool::new(false),
            last_request: AtomicU64::new(0),
            on_queued,
            is_announced: AtomicBool::new(false),
            ready_lanes: AtomicU64::new(0),
            last_lane: AtomicU8::new(0),
            state: Mutex::new(State {
                is_open: true,
                outgoing: Outgoing::new(),
                relations: Relations::default(),
                requests: HashMap::new(),
            }),
            ended: Event::new(),
        })
    }

    /// The other node.
    pub fn node(&self) -> &NodeInfo {
        &self.node
    }

    /// The connection that it is.
    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// Whether what is queued may be sent: the other side knows of the session.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ready(self: &Arc<Self>) {
        self.is_ready.store(true, Ordering::Relaxed);
        self.announce_again();
    }

    /// Whether the other side has said that it is about to leave, and takes nothing new on.
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    pub(crate) fn set_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Whether the other side has said that it leaves.
    pub(crate) fn has_left(&self) -> bool {
        self.left_lanes.load(Ordering::Relaxed) != 0
    }

    /// The other side has said in a lane that it leaves. Returns whether it has in all: nothing
    /// more comes from it.
    pub(crate) fn lane_left(&self, lane: u8) -> bool {
        let bit = 1 << lane;
        let left = self.left_lanes.fetch_or(bit, Ordering::Relaxed) | bit;
        left == ALL_LANES
    }

    /// This node leaves: the other side is told so behind all that waits.
    pub(crate) fn leave(self: &Arc<Self>) {
        if let Ok(mut state) = self.open() {
            state.outgoing.leave();
            self.announce(state);
        }
    }

    /// Whether the other side has asked for so much without reading the answers that one was not
    /// kept.
    pub(crate) fn has_overrun(&self) -> bool {
        self.has_overrun.load(Ordering::Relaxed)
    }

    pub(crate) fn own_number(&self) -> NodeNumber {
        self.own
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.state.lock().is_open
    }

    /// How many bytes wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.state.lock().outgoing.queued()
    }

    /// How many bytes wait to be sent that are about the nodes themselves, which leave before all
    /// others.
    pub(crate) fn queued_control_bytes(&self) -> usize {
        self.state.lock().outgoing.control()
    }

    /// Waits for the end of the session.
    pub async fn ended(&self) {
        loop {
            let listener = self.ended.listen();
            if !self.is_open() {
                return;
            }
            listener.await;
        }
    }

    /// Sends a message. If much is queued already, returns what the sender has to wait for
    /// before it sends more: until the message has left, or half of what is queued.
    ///
    /// - `payer`: to whom it is charged until it leaves.
    ///
    /// # Errors
    ///
    /// [`NotSent`].
    pub fn send(
        self: &Arc<Self>,
        payer: Option<&Account>,
        from: Pid,
        to: Pid,
        message: &mut DataMessage,
    ) -> Result<Option<EventListener>, NotSent> {
        if message.size() > MAX_MESSAGE_BYTES {
            return Err(NotSent::TooLong);
        }
        let resources = message.encode_resources();
        let resources = resources.map_err(NotSent::NotTransferable)?;
        let lengths = resources
            .iter()
            .flatten()
            .map(|one| one.kind.len() + one.bytes.len());
        // Each has lengths of its own beside that.
        let beside = lengths.map(|length| length + 16).sum::<usize>() + resources.len() + 64;
        if message.bytes().len() + beside > MAX_FRAME_BYTES {
            return Err(NotSent::TooLong);
        }
        let payer = payer.map(|account| (account, size_of::<DataMessage>() + message.size()));
        let frame;
        let prepared = match is_long_message(message.bytes().len(), !resources.is_empty()) {
            true => Prepared::long_message((from, to), message, &resources, payer),
            false => {
                frame = Frame::Message {
                    from,
                    to,
                    tag: message.tag(),
                    bytes: message.bytes(),
                    resources,
                };
                Prepared::new(&frame, payer)
            }
        };
        let prepared = prepared.map_err(NotSent::Refused)?;
        let mut state = self.open().map_err(|NoConnection| NotSent::NoConnection)?;
        let lane = lane_of(from, to);
        let queued = state.outgoing.push_prepared(lane, (from, to), prepared);
        let hold = queued.map_err(NotSent::Refused)?;
        self.announce(state);
        Ok(hold)
    }

    /// Sends a signal of a process of this node. If much is queued already, returns what the
    /// sender has to wait for before it sends more.
    ///
    /// - `payer`: to whom it is charged until it leaves.
    /// - `own_end`: changes the process in the same step. It is called with what is returned, but
    ///   not if the session has ended.
    ///
    /// # Errors
    ///
    /// [`NotSignalled`].
    pub(crate) fn signal(
        self: &Arc<Self>,
        payer: Option<&Account>,
        from: Pid,
        to: Pid,
        signal: Signal,
        own_end: &mut dyn FnMut(Result<(), NoConnection>),
    ) -> Result<Option<EventListener>, NotSignalled> {
        let Ok(mut state) = self.open() else {
            return Err(NotSignalled::Ended(signal));
        };
        // Who has ended cannot be held, and may have had very many links.
        let signal = match state.outgoing.queued() > HIGH_WATER {
            true => signal.without_texts(),
            false => signal,
        };
        let bytes = SIGNAL_BYTES + signal.text_bytes();
        let frame = state.relations.outgoing(from, to, signal);
        own_end(match frame {
            Ok(_) => Ok(()),
            Err(TooMany) => Err(NoConnection),
        });
        let hold = frame
            .map_err(|TooMany| NotSignalled::Refused)?
            .and_then(|frame| {
                let payer = payer.map(|account| (account, bytes));
                let (lane, pair) = (lane_of(from, to), (from, to));
                state.outgoing.push_beyond_limits(lane, pair, &frame, payer)
            });
        self.announce(state);
        Ok(hold)
    }

    /// Links a process of this node to one of the other, which is told so.
    ///
    /// - `tag`: what the process here is told when the other dies.
    /// - `back`: what the other is told.
    pub(crate) fn link(
        self: &Arc<Self>,
        from: Pid,
        to: Pid,
        tag: Option<Tag>,
        back: Option<Tag>,
    ) -> Result<(), NoConnection> {
        let mut state = self.open()?;
        let frame = state.relations.link(from, to, tag, back);
        state.push(from, to, &frame.map_err(|_| NoConnection)?);
        self.announce(state);
        Ok(())
    }

    /// A process of this node has ended, which monitored processes of the other.
    pub(crate) fn watcher_ended(self: &Arc<Self>, watcher: Pid) {
        let Ok(mut state) = self.open() else {
            return;
        };
        for watched in state.relations.watcher_ended(watcher) {
            let signal = Signal::StopMonitoring { watcher };
            let frame = Frame::Signal {
                from: watcher,
                to: watched,
                signal,
            };
            state.push(watcher, watched, &frame);
        }
        self.announce(state);
    }

    /// Asks the other node for something and waits for the answer, as
    /// [`request`](Session::request) does. It is sent by the call; if what is returned is dropped,
    /// nobody waits any more.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub fn ask(
        self: &Arc<Self>,
        from: Pid,
        payer: Option<&Account>,
        request: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, RequestError>> + Send + use<> {
        let (sender, receiver) = async_channel::bounded(1);
        let respond = move |response: Result<&[u8], _>| {
            // Who has asked may be gone.
            sender.try_send(response.map(<[u8]>::to_vec)).ok();
        };
        let id = self.request(from, payer, request, Box::new(respond));
        let asked = Asked {
            session: self.clone(),
            id,
        };
        async move {
            let response = receiver.recv().await;
            drop(asked);
            response.unwrap_or(Err(RequestError::NoConnection))
        }
    }

    /// Asks the other node for something, behind what `from` has sent to its process 0. Returns
    /// the number of the request, if it waits for an answer now.
    ///
    /// - `payer`: to whom the request is charged until it leaves.
    /// - `respond`: is called once, with the answer, at once with an error, or when the session
    ///   ends.
    pub fn request(
        self: &Arc<Self>,
        from: Pid,
        payer: Option<&Account>,
        request: &[u8],
        respond: Responder,
    ) -> Option<u64> {
        if request.len() > MAX_MESSAGE_BYTES {
            let length = request.len();
            respond(Err(RequestError::TooLong { length }));
            return None;
        }
        let id = self.last_request.fetch_add(1, Ordering::Relaxed) + 1;
        let to = host_of(self.node.id.number());
        let payer = payer.map(|account| (account, request.len()));
        let frame = Frame::Request { id, from, request };
        let prepared = match Prepared::new(&frame, payer) {
            Ok(prepared) => prepared,
            Err(exceeded) => {
                respond(Err(RequestError::Exceeded(exceeded)));
                return None;
            }
        };
        let Ok(mut state) = self.open() else {
            respond(Err(RequestError::NoConnection));
            return None;
        };
        let (lane, pair) = (lane_of(from, to), (from, to));
        match state.outgoing.push_prepared(lane, pair, prepared) {
            Ok(_) => {
                state.requests.insert(id, respond);
                self.announce(state);
                Some(id)
            }
            Err(exceeded) => {
                drop(state);
                respond(Err(RequestError::Exceeded(exceeded)));
                None
            }
        }
    }

    /// Answers a request of the other node.
    ///
    /// - `from`: behind what this process has sent to `to`.
    pub(crate) fn respond(
        self: &Arc<Self>,
        lane: u8,
        from: Pid,
        to: Pid,
        id: u64,
        response: &[u8],
    ) {
        if response.len() > MAX_MESSAGE_BYTES {
            tracing::error!("an answer of {} bytes is too long", response.len());
            return;
        }
        let frame = Frame::Response { id, to, response };
        self.answer_in(lane, (from, to), &frame, response.len());
    }

    /// Writes something about this node itself.
    pub(crate) fn control(self: &Arc<Self>, frame: &Frame<'_>) {
        let Ok(mut state) = self.open() else {
            return;
        };
        let pair = (host_of(self.own), host_of(self.node.id.number()));
        state.outgoing.push(CONTROL, pair, frame, None).ok();
        self.announce(state);
    }

    /// Answers a frame of the other node about itself.
    ///
    /// - `text`: how many bytes a text in the frame has.
    pub(crate) fn answer_control(self: &Arc<Self>, frame: &Frame<'_>, text: usize) {
        let pair = (host_of(self.own), host_of(self.node.id.number()));
        self.answer_in(CONTROL, pair, frame, text);
    }

    /// Answers a frame of a process of the other node, in the name of one of this.
    pub(crate) fn answer(self: &Arc<Self>, from: Pid, to: Pid, frame: &Frame<'_>) {
        self.answer_in(lane_of(from, to), (from, to), frame, 0);
    }

    /// A process of the other node has undone its link to one of this, which is answered.
    ///
    /// - `tell`: is called in the same step if there was a link, and changes the process here: that
    ///   one may link again at once, which has to arrive behind the answer.
    pub(crate) fn unlinked(self: &Arc<Self>, there: Pid, here: Pid, id: u64, tell: impl FnOnce()) {
        let (from, to) = (here, there);
        let frame = Frame::Unlinked { from, to, id };
        let unlink = |relations: &mut Relations| {
            if relations.unlinked(there, here) {
                tell();
            }
        };
        self.answer_after(lane_of(from, to), (from, to), &frame, 0, unlink);
    }

    fn answer_in(self: &Arc<Self>, lane: u8, pair: (Pid, Pid), frame: &Frame<'_>, text: usize) {
        self.answer_after(lane, pair, frame, text, |_| ());
    }

    /// Writes what the other node has caused. Nothing holds that one back: if it reads nothing
    /// while it goes on, the session is to end. To read no more of it would not do, as two nodes
    /// that both wait for each other to read wait for ever.
    ///
    /// - `change`: changes the relations, and the process here, in the same step, if the session is
    ///   still there.
    fn answer_after(
        self: &Arc<Self>,
        lane: u8,
        pair: (Pid, Pid),
        frame: &Frame<'_>,
        text: usize,
        change: impl FnOnce(&mut Relations),
    ) {
        let payer = Some((&self.answers, ANSWER_BYTES + text));
        let prepared = Prepared::new(frame, payer);
        let Ok(mut state) = self.open() else {
            return;
        };
        change(&mut state.relations);
        let queued =
            prepared.and_then(|prepared| state.outgoing.push_prepared(lane, pair, prepared));
        if queued.is_err() {
            self.has_overrun.store(true, Ordering::Relaxed);
        }
        self.announce(state);
    }

    /// Takes out who waits for the answer to a request.
    pub(crate) fn take_responder(&self, id: u64) -> Option<Responder> {
        self.state.lock().requests.remove(&id)
    }

    /// How many wait for the answers to requests.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().requests.len()
    }

    /// Looks at, or changes, the relations; `None` if the session has ended. Whoever changes a
    /// process accordingly does so in the same step.
    pub(crate) fn with_relations<R>(&self, use_it: impl FnOnce(&mut Relations) -> R) -> Option<R> {
        let mut state = self.state.lock();
        state.is_open.then(|| use_it(&mut state.relations))
    }

    /// From here on, what is queued is announced again.
    pub(crate) fn begin_taking(&self) {
        // What was queued before it was announced is seen from here on.
        self.is_announced.swap(false, Ordering::AcqRel);
    }

    /// Takes the next unit of a lane out.
    pub fn take(&self, lane: u8) -> Option<Chunks> {
        let mut state = self.state.lock();
        let unit = state.outgoing.take(lane);
        let released = state.outgoing.take_released();
        self.tell_ready(&state);
        drop(state);
        for event in released {
            event.notify(usize::MAX);
        }
        unit
    }

    /// Takes the next unit out: of the first lane, if it has one, else of the others in turns.
    ///
    /// - `open`: the lanes that are looked at, a bit for each. Those without room are taken out
    ///   of it.
    /// - `room`: how many bytes a lane can take.
    pub fn take_next(
        &self,
        open: &mut u64,
        mut room: impl FnMut(u8) -> usize,
    ) -> Option<(u8, Chunks)> {
        loop {
            let ready = self.ready_lanes.load(Ordering::Relaxed) & *open;
            let lane = next_lane(ready, self.last_lane.load(Ordering::Relaxed))?;
            if room(lane) == 0 {
                *open &= !(1 << lane);
            } else if let Some(unit) = self.take(lane) {
                if lane != CONTROL {
                    self.last_lane.store(lane, Ordering::Relaxed);
                }
                return Some((lane, unit));
            }
            // Else the session has ended meanwhile: no lane is ready any more.
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.state.lock().outgoing.is_empty()
    }

    /// Ends the session: nothing is sent from here on. Returns who has to be told what,
    /// each with the process in whose name.
    pub(crate) fn end(&self) -> Vec<(Pid, Pid, Signal)> {
        let mut state = self.state.lock();
        state.is_open = false;
        let mut told = state.relations.end();
        let mut queued = std::mem::replace(&mut state.outgoing, Outgoing::new());
        let requests = std::mem::take(&mut state.requests);
        self.tell_ready(&state);
        drop(state);
        queued.release_all();
        let released = queued.take_released();
        drop(queued);
        // In an order that does not depend on the seeds of hash tables.
        told.sort_by_key(|(there, here, _)| (*here, *there));
        let mut requests: Vec<_> = requests.into_iter().collect();
        requests.sort_by_key(|(id, _)| *id);
        for (_, respond) in requests {
            respond(Err(RequestError::NoConnection));
        }
        for event in released {
            event.notify(usize::MAX);
        }
        self.ended.notify(usize::MAX);
        told
    }

    /// A handle that does not keep it.
    pub(crate) fn downgrade(self: &Arc<Self>) -> Weak<Session> {
        Arc::downgrade(self)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, NoConnection> {
        let state = self.state.lock();
        match state.is_open {
            true => Ok(state),
            false => Err(NoConnection),
        }
    }

    fn tell_ready(&self, state: &State) {
        let ready = state.outgoing.ready();
        self.ready_lanes.store(ready, Ordering::Relaxed);
    }

    /// Tells of what was queued.
    fn announce(self: &Arc<Self>, state: MutexGuard<'_, State>) {
        self.tell_ready(&state);
        drop(state);
        self.announce_again();
    }

    fn announce_again(self: &Arc<Self>) {
        if !self.is_announced.swap(true, Ordering::SeqCst) {
            (self.on_queued)(self);
        }
    }
}

/// The lane that is next: the first, if it is ready, else the one behind the last.
///
/// - `ready`: a bit for each lane.
fn next_lane(ready: u64, last: u8) -> Option<u8> {
    if ready == 0 {
        return None;
    }
    let control = ready & (1 << CONTROL);
    let behind = ready & (u64::MAX << last << 1);
    let first = [control, behind, ready].into_iter().find(|some| *some != 0);
    first.map(|some| some.trailing_zeros() as u8)
}

impl State {
    fn push(&mut self, from: Pid, to: Pid, frame: &Frame<'_>) {
        // Without a payer it is not refused.
        let lane = lane_of(from, to);
        self.outgoing.push(lane, (from, to), frame, None).ok();
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.session.take_responder(id);
        }
    }
}

/// Stands for a node itself where a process is named.
pub(crate) fn host_of(node: NodeNumber) -> Pid {
    Pid::new(node, 0).unwrap_or(Pid::from_bits(0))
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::NoConnection => f.write_str("there is no connection to the node"),
            RequestError::TooLong { length } => write!(
                f,
                "a request of {length} bytes is longer than the {MAX_MESSAGE_BYTES} that it may have"
            ),
            RequestError::Exceeded(exceeded) => exceeded.fmt(f),
        }
    }
}

impl Error for RequestError {}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("node", &self.node.name)
            .finish_non_exhaustive()
    }
}
