//! How messages and signals reach processes of an environment, or leave it.

use std::task::Waker;

use lunatic_account::Account;
use lunatic_mailbox::{Message, Pid, SendError};

use super::Environment;
use crate::exit::ExitReason;
use crate::peers::NoConnection;
use crate::process::{Effect, Process};
use crate::signal::Signal;
use crate::trace::TraceEvent;

impl Environment {
    /// Queues a message for a process, of this node or another; drops it if there
    /// is no such process. This is the one way by which messages leave a process.
    ///
    /// - `from`: the sender, to whose account the message is charged until it is received;
    ///   `None` if it is sent by the host.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox of the process is full, the account has no memory left, or the
    /// message cannot leave this node and would have to. The message is dropped then.
    pub fn send(&self, from: Option<&Process>, to: Pid, message: Message) -> Result<(), SendError> {
        self.send_taking(from, to, &mut Some(message))
    }

    /// Like [`send`](Environment::send), for who wants to keep a message that is refused.
    ///
    /// - `message`: unchanged after an error; `None` once it is queued. If there is no such
    ///   process, it may stay or not.
    ///
    /// # Errors
    ///
    /// As [`send`](Environment::send).
    #[inline]
    pub fn send_taking(
        &self,
        from: Option<&Process>,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        if let (Some(from), Some(message)) = (from, &*message)
            && from.is_traced()
        {
            from.tell_tracers(&TraceEvent::sent(to, message));
        }
        self.inner.config.counters.count_message();
        if !self.is_local(to) {
            return match self.inner.config.peers.send(from, to, message) {
                // A receiver that cannot be reached is like one that has ended.
                Err(SendError::Closed) => Ok(()),
                sent => sent,
            };
        }
        self.deliver_from(
            from.map(Process::id),
            from.map(Process::account),
            to,
            message,
        )
    }

    /// Queues a message for a process of this node, as [`send_taking`](Environment::send_taking)
    /// does, for who knows the process: spares finding it by its id.
    ///
    /// # Errors
    ///
    /// As [`send`](Environment::send). That the process has ended is no error.
    #[inline]
    pub fn send_to(
        &self,
        from: &Process,
        to: &Process,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        if let Some(message) = message
            && from.is_traced()
        {
            from.tell_tracers(&TraceEvent::sent(to.id(), message));
        }
        self.inner.config.counters.count_message();
        end_delivery(to.deliver(Some(from.id()), Some(from.account()), message))
    }

    /// Sends a message that no process sends, and that an account pays for until it is received;
    /// drops it if there is no such process.
    ///
    /// - `payer`: nobody pays for a message to another node.
    /// - `message`: as for [`send_taking`](Environment::send_taking).
    ///
    /// # Errors
    ///
    /// Fails if the mailbox of the process is full, or the account has no memory left.
    pub fn send_charged(
        &self,
        payer: &Account,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        if !self.is_local(to) {
            return self.send_taking(None, to, message);
        }
        self.inner.config.counters.count_message();
        self.deliver_from(None, Some(payer), to, message)
    }

    /// Queues a message that has come from elsewhere, and was counted there, for a process of this node; drops it if
    /// there is no such process.
    ///
    /// - `from`: who has sent it.
    /// - `payer`: to whom it is charged until it is received.
    ///
    /// # Errors
    ///
    /// Fails if the mailbox of the process is full, or the account has no memory left. The
    /// message is dropped then.
    pub fn deliver(
        &self,
        from: Pid,
        payer: Option<&Account>,
        to: Pid,
        message: Message,
    ) -> Result<(), SendError> {
        self.deliver_from(Some(from), payer, to, &mut Some(message))
    }

    #[inline]
    fn deliver_from(
        &self,
        from: Option<Pid>,
        payer: Option<&Account>,
        to: Pid,
        message: &mut Option<Message>,
    ) -> Result<(), SendError> {
        // Nothing is woken or dropped under the table's lock: it may be a process
        // that ends by that, and leaves the table.
        let processes = &self.inner.processes;
        match processes.with(to, |process| process.deliver(from, payer, message)) {
            None => Ok(()),
            Some(delivered) => end_delivery(delivered),
        }
    }

    /// Applies a signal to a process, of this node or another. This is the one way
    /// by which signals leave a process. One for another node is charged to the process in
    /// whose name it is, while that lives, until it has left; see [`Peers::signal`].
    ///
    /// - `from`: in whose name.
    ///
    /// # Errors
    ///
    /// [`ExitReason::NoProcess`] if there is no such process, or it has ended;
    /// [`ExitReason::NoConnection`] if its node cannot be reached.
    pub fn signal(&self, from: Pid, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        if self.is_local(to) {
            return self.signal_here(to, signal);
        }
        let payer = self.process(from);
        self.signal_beyond(payer.as_ref(), from, to, signal)
    }

    /// Applies a signal to a process of this node, but for what follows from it, which is to happen
    /// when who calls holds no lock any more.
    ///
    /// # Errors
    ///
    /// [`ExitReason::NoProcess`] if there is no such process on this node, or it has ended.
    pub fn apply(&self, to: Pid, signal: Signal) -> Result<Effect, ExitReason> {
        let process = self.process(to).ok_or(ExitReason::NoProcess)?;
        process.apply(signal).map_err(|_| ExitReason::NoProcess)
    }

    /// Like [`signal`](Environment::signal), in the name of a process that may have ended.
    pub(crate) fn signal_by(
        &self,
        from: &Process,
        to: Pid,
        signal: Signal,
    ) -> Result<(), ExitReason> {
        match self.is_local(to) {
            true => self.signal_here(to, signal),
            false => self.signal_beyond(Some(from), from.id(), to, signal),
        }
    }

    /// Sends a signal to a process of another node, and changes who sends it in the same step; see
    /// [`Peers::signal_in_step`].
    ///
    /// - `own_end`: is told whether it is sent.
    ///
    /// # Errors
    ///
    /// [`ExitReason::NoConnection`].
    pub(crate) fn signal_in_step(
        &self,
        from: &Process,
        to: Pid,
        signal: Signal,
        own_end: &mut dyn FnMut(bool),
    ) -> Result<(), ExitReason> {
        let mut own_end = |sent: Result<(), NoConnection>| own_end(sent.is_ok());
        let peers = &self.inner.config.peers;
        let sent = peers.signal_in_step(Some(from), from.id(), to, signal, &mut own_end);
        sent.map_err(|NoConnection| ExitReason::NoConnection)
    }

    /// As [`signal`](Environment::signal) does, for a process of this node.
    pub(crate) fn signal_here(&self, to: Pid, signal: Signal) -> Result<(), ExitReason> {
        let process = self.process(to).ok_or(ExitReason::NoProcess)?;
        process.signal(signal).map_err(|_| ExitReason::NoProcess)
    }

    fn signal_beyond(
        &self,
        payer: Option<&Process>,
        from: Pid,
        to: Pid,
        signal: Signal,
    ) -> Result<(), ExitReason> {
        let sent = self.inner.config.peers.signal(payer, from, to, signal);
        sent.map_err(|NoConnection| ExitReason::NoConnection)
    }
}

/// Wakes who has got a message. A receiver that has ended is like one that there is not.
#[inline]
fn end_delivery(delivered: Result<Option<Waker>, SendError>) -> Result<(), SendError> {
    match delivered {
        Ok(Some(waker)) => waker.wake(),
        Ok(None) | Err(SendError::Closed) => {}
        Err(refused) => return Err(refused),
    }
    Ok(())
}
