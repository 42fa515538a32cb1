//! The sessions with all other nodes, as the processes of this one use them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use lunatic_mailbox::{Message, NodeId, NodeNumber, Pid, PidSet, SendError};
use lunatic_process::{NoConnection, Peers, Process, Signal};
use parking_lot::{Mutex, RwLock};

use crate::cluster::Connection;
use crate::frame::MAX_MESSAGE_BYTES;
use crate::node_info::NodeInfo;
use crate::session::{NotSent, NotSignalled, OnQueued, Session, host_of};

/// The sessions with all other nodes. Any thread can use them: they are the [`Peers`] of an
/// [`Environment`](lunatic_process::Environment).
pub struct Sessions {
    own: NodeId,
    open: RwLock<HashMap<NodeNumber, Arc<Session>>>,
    /// Those that have something to be sent.
    queued: Arc<Queued>,
    /// The processes whose end is followed, as they monitor processes of other nodes.
    watchers: Mutex<PidSet>,
    on_monitor: OnceLock<Box<OnMonitor>>,
    /// What processes send is taken no more.
    is_closed: AtomicBool,
}

/// Is told of a process that monitors one of another node, the first time it does.
type OnMonitor = dyn Fn(Pid) + Send + Sync;

struct Queued {
    sessions: Mutex<Vec<Arc<Session>>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Sessions {
    /// No sessions.
    ///
    /// - `own`: this node.
    /// - `wake`: is called, by any thread, when there is something to be sent; it must be quick.
    pub fn new(own: NodeId, wake: impl Fn() + Send + Sync + 'static) -> Sessions {
        Sessions {
            own,
            open: RwLock::default(),
            queued: Arc::new(Queued {
                sessions: Mutex::default(),
                wake: Box::new(wake),
            }),
            watchers: Mutex::default(),
            on_monitor: OnceLock::new(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Sets who is told of each process that monitors one of another node, and has to call
    /// [`watcher_ended`](Sessions::watcher_ended) when that process ends. Only the first call
    /// counts.
    pub fn on_monitor(&self, on_monitor: impl Fn(Pid) + Send + Sync + 'static) {
        self.on_monitor.set(Box::new(on_monitor)).ok();
    }

    /// A process of this node has ended: it monitors nobody any more.
    pub fn watcher_ended(&self, watcher: Pid) {
        if self.watchers.lock().remove(&watcher) {
            for session in self.all() {
                session.watcher_ended(watcher);
            }
        }
    }

    /// What processes of this node send or signal from here on reaches no other node. What they have
    /// sent before does.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// The session through which a process of this node reaches one of another.
    fn way_to(&self, process: Pid) -> Option<Arc<Session>> {
        match self.is_closed() {
            true => None,
            false => self.get(process.node()),
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// This node.
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// The session with the node of this number.
    pub fn get(&self, node: NodeNumber) -> Option<Arc<Session>> {
        self.open.read().get(&node).cloned()
    }

    /// The session with the node of this id.
    pub fn with_node(&self, node: NodeId) -> Option<Arc<Session>> {
        let session = self.get(node.number())?;
        (session.node().id == node).then_some(session)
    }

    /// All sessions, by the numbers of the nodes.
    pub fn all(&self) -> Vec<Arc<Session>> {
        let mut all: Vec<_> = self.open.read().values().cloned().collect();
        all.sort_by_key(|session| session.node().id.number());
        all
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.open.read().len()
    }

    /// Takes out the sessions that have something to be sent, since the last call.
    pub fn take_queued(&self) -> Vec<Arc<Session>> {
        let queued = std::mem::take(&mut *self.queued.sessions.lock());
        for session in &queued {
            session.begin_taking();
        }
        queued
    }

    pub(crate) fn begin(
        &self,
        connection: Connection,
        node: NodeInfo,
        is_ready: bool,
    ) -> Arc<Session> {
        let queued = self.queued.clone();
        let on_queued: Arc<OnQueued> = Arc::new(move |session| {
            queued.sessions.lock().push(session.clone());
            (queued.wake)();
        });
        let number = node.id.number();
        let own = self.own.number();
        let session = Session::new(own, node, connection, is_ready, on_queued);
        self.open.write().insert(number, session.clone());
        session
    }

    pub(crate) fn end(&self, session: &Arc<Session>) {
        let number = session.node().id.number();
        let mut open = self.open.write();
        if open
            .get(&number)
            .is_some_and(|known| Arc::ptr_eq(known, session))
        {
            open.remove(&number);
        }
    }
}

impl Peers for Sessions {
    fn send(
        &self,
        from: Option<&Process>,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        let session = self.way_to(to).ok_or(SendError::Closed)?;
        let Some(Message::Data(data)) = message else {
            return Err(SendError::Closed);
        };
        let payer = from.map(Process::account);
        let sender = from.map_or(host_of(self.own.number()), Process::id);
        match session.send(payer, sender, to, data) {
            Ok(hold) => {
                *message = None;
                if let (Some(process), Some(hold)) = (from, hold) {
                    process.hold_until(hold);
                }
                Ok(())
            }
            Err(NotSent::NoConnection) => {
                // Its bytes may be gone.
                *message = None;
                Err(SendError::Closed)
            }
            Err(NotSent::Refused(exceeded)) => Err(SendError::Refused(exceeded)),
            Err(NotSent::NotTransferable(error)) => Err(SendError::NotTransferable(error)),
            Err(NotSent::TooLong) => Err(SendError::TooLong {
                limit: MAX_MESSAGE_BYTES,
            }),
        }
    }

    fn signal(
        &self,
        payer: Option<&Process>,
        from: Pid,
        to: Pid,
        signal: Signal,
    ) -> Result<(), NoConnection> {
        self.signal_in_step(payer, from, to, signal, &mut |_| ())
    }

    fn signal_in_step(
        &self,
        payer: Option<&Process>,
        from: Pid,
        to: Pid,
        mut signal: Signal,
        own_end: &mut dyn FnMut(Result<(), NoConnection>),
    ) -> Result<(), NoConnection> {
        loop {
            let Some(session) = self.way_to(to) else {
                // While the lock is held, no session begins by which another node could change the
                // process.
                let open = self.open.read();
                if self.is_closed() || !open.contains_key(&to.node()) {
                    own_end(Err(NoConnection));
                    return Err(NoConnection);
                }
                continue;
            };
            if let Signal::Monitor { watcher } = signal
                && self.watchers.lock().insert(watcher)
                && let Some(on_monitor) = self.on_monitor.get()
            {
                on_monitor(watcher);
            }
            let account = payer.map(Process::account);
            return match session.signal(account, from, to, signal, own_end) {
                Ok(hold) => {
                    if let (Some(process), Some(hold)) = (payer, hold) {
                        process.hold_until(hold);
                    }
                    Ok(())
                }
                // It leaves the table before it ends: another may have begun.
                Err(NotSignalled::Ended(unsent)) => {
                    signal = unsent;
                    continue;
                }
                Err(NotSignalled::Refused) => Err(NoConnection),
            };
        }
    }

    fn node_id(&self, number: NodeNumber) -> Option<NodeId> {
        self.get(number).map(|session| session.node().id)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("own", &self.own)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
