//! What lies beyond this node.

use std::error::Error;
use std::fmt;

use lunatic_mailbox::{Message, NodeId, NodeNumber, Pid, SendError};

use crate::process::Process;
use crate::signal::Signal;

/// The connections of this node to others: how messages and signals reach the
/// processes of other nodes.
///
/// A crate that connects nodes implements it; [`NoPeers`] is the one of a node that
/// belongs to no cluster. An [`Environment`](crate::Environment) calls it for every
/// [`Pid`] whose node number is not its own. No method may block or take long: they
/// are called by worker threads, on behalf of the process that sends.
///
/// ```
/// use std::sync::Arc;
///
/// use lunatic_mailbox::{Message, NodeId, NodeNumber, Pid, SendError};
/// use lunatic_process::{EnvironmentConfig, NoConnection, Peers, Process, Signal};
///
/// /// A connection to one node.
/// #[derive(Debug)]
/// struct Connection {
///     node: NodeId,
///     messages: async_channel::Sender<(Pid, Message)>,
///     signals: async_channel::Sender<(Pid, Signal)>,
/// }
///
/// impl Peers for Connection {
///     fn send(
///         &self,
///         _: Option<&Process>,
///         to: Pid,
///         message: &mut Option<Message>,
///     ) -> Result<(), SendError> {
///         let Some(message) = message.take() else {
///             return Ok(());
///         };
///         self.messages.try_send((to, message)).map_err(|_| SendError::Closed)
///     }
///
///     fn signal(
///         &self,
///         _: Option<&Process>,
///         _: Pid,
///         to: Pid,
///         signal: Signal,
///     ) -> Result<(), NoConnection> {
///         self.node_id(to.node()).ok_or(NoConnection)?;
///         self.signals.try_send((to, signal)).map_err(|_| NoConnection)
///     }
///
///     fn node_id(&self, number: NodeNumber) -> Option<NodeId> {
///         (number == self.node.number()).then_some(self.node)
///     }
/// }
///
/// # fn config(connection: Connection) -> EnvironmentConfig {
/// EnvironmentConfig {
///     peers: Arc::new(connection),
///     ..EnvironmentConfig::default()
/// }
/// # }
/// ```
pub trait Peers: fmt::Debug + Send + Sync {
    /// Queues a message for a process of another node, behind the messages and signals
    /// that the same process has sent it before.
    ///
    /// - `from`: who sends, and pays for the message until it has left this node. If much
    ///   is queued for the other node, it is [held](Process::hold_until). `None` is the host.
    /// - `message`: is to be taken out, and to stay in case of an error other than
    ///   [`SendError::Closed`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if it is known that it cannot arrive,
    /// [`SendError::Refused`] if the sender has no memory left for it, and
    /// [`SendError::NotTransferable`] if it has a resource that cannot leave the node.
    fn send(
        &self,
        from: Option<&Process>,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError>;

    /// Queues a signal for a process of another node, behind the messages and
    /// signals that the same process has sent it before.
    ///
    /// - `payer`: pays for the signal until it has left this node, beyond the limits of its
    ///   account if need be, as a signal must not be lost. If much is queued for the other node, it
    ///   is [held](Process::hold_until). `None` is the host.
    /// - `from`: in whose name it is sent.
    ///
    /// # Errors
    ///
    /// [`NoConnection`] if it is known that it cannot arrive. If the connection
    /// is lost later, the implementation itself tells the links and monitors of
    /// this node.
    fn signal(
        &self,
        payer: Option<&Process>,
        from: Pid,
        to: Pid,
        signal: Signal,
    ) -> Result<(), NoConnection>;

    /// Queues a signal as [`signal`](Peers::signal) does, and changes the process in whose name it is
    /// in the same step: nothing that comes from the other node, nor the end of the connection, is
    /// applied to that process in between. A link or monitor is known to the process and to the
    /// connection, which would else disagree about it.
    ///
    /// Whoever applies what comes from another node, and changes what the connection knows by that, does
    /// it in one step too: see [`Process::apply`].
    ///
    /// - `own_end`: changes the process. It is called once, with what is returned; it is quick and
    ///   calls nothing of the peers, as it is called under a lock. What is provided calls it after
    ///   the signal was queued, which is enough where nothing comes back.
    ///
    /// # Errors
    ///
    /// As [`signal`](Peers::signal).
    fn signal_in_step(
        &self,
        payer: Option<&Process>,
        from: Pid,
        to: Pid,
        signal: Signal,
        own_end: &mut dyn FnMut(Result<(), NoConnection>),
    ) -> Result<(), NoConnection> {
        let sent = self.signal(payer, from, to, signal);
        own_end(sent);
        sent
    }

    /// The id of the node with this number, if there is a connection to it.
    fn node_id(&self, number: NodeNumber) -> Option<NodeId>;
}

/// There is no connection to the node of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoConnection;

/// The peers of a node that has none: nothing can be reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPeers;

impl Peers for NoPeers {
    fn send(&self, _: Option<&Process>, _: Pid, _: &mut Option<Message>) -> Result<(), SendError> {
        Err(SendError::Closed)
    }

    fn signal(&self, _: Option<&Process>, _: Pid, _: Pid, _: Signal) -> Result<(), NoConnection> {
        Err(NoConnection)
    }

    fn node_id(&self, _: NodeNumber) -> Option<NodeId> {
        None
    }
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no connection to the node of the process")
    }
}

impl Error for NoConnection {}
