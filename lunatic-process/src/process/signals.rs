//! Links, monitors and exits of a process.

use std::fmt;

use lunatic_account::{Exceeded, Kind};
use lunatic_mailbox::{Message, Pid, SendError, Tag};

use super::Process;
use crate::exit::ExitReason;
use crate::relations::{Reaction, Relations};
use crate::signal::Signal;
use crate::trace::TraceEvent;

/// At least what a message takes that tells a process of another one, in bytes.
const NOTICE_BYTES: u64 = 512;

/// What follows from a signal that a process has taken in by [`Process::apply`]: it is told
/// something, is woken, or has to end.
///
/// To be [done](Effect::happen) outside of all locks.
#[must_use = "the process is told nothing until it happens"]
pub struct Effect(Option<(Process, Applied)>);

impl Effect {
    /// Nothing follows.
    pub const NONE: Effect = Effect(None);

    /// Does it.
    pub fn happen(self) {
        if let Some((process, applied)) = self.0 {
            process.follow(applied);
        }
    }
}

/// What follows from a signal that a process has taken in.
struct Applied {
    reaction: Reaction,
    /// The process that pays for what this one is told, if it is not this one.
    asked_by: Option<Pid>,
    /// Told to those who trace the process.
    traced: Option<Signal>,
}

impl Process {
    /// Ends the process at its next suspension point.
    pub fn kill(&self) {
        self.signal(Signal::Kill).ok();
    }

    /// From now on, link deaths kill this process (the initial state), or become
    /// messages.
    pub fn die_when_link_dies(&self, die: bool) {
        self.signal(Signal::DieWhenLinkDies(die)).ok();
    }

    /// From now on, what happens to links becomes messages with a
    /// [`LinkNotice`](crate::LinkNotice), as OTP's `trap_exit` does. See also
    /// [`SpawnOptions::trap_exits`].
    pub fn trap_exits(&self) {
        self.signal(Signal::TrapExits).ok();
    }

    /// Asks another process to end, in the name of this one; OTP's `exit/2`. It
    /// ends with this reason, unless it traps link deaths: then it is told of
    /// one, and does what it likes. If there is no such process, nothing happens.
    /// What the other one is told is charged to this process.
    pub fn exit(&self, process: Pid, reason: ExitReason) {
        let from = self.id();
        let tag = self.inner.control.lock().relations.link_to(process);
        let tag = tag.flatten();
        self.signal_to(process, Signal::Exit { from, tag, reason });
    }

    /// Like [`exit`](Process::exit), if this process can pay for what the other one is told.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if its account has no memory left. Nobody is asked to end then.
    pub fn try_exit(&self, process: Pid, reason: ExitReason) -> Result<(), Exceeded> {
        let bytes = NOTICE_BYTES + reason.text_bytes() as u64;
        self.account().check(Kind::Memory, bytes)?;
        self.exit(process, reason);
        Ok(())
    }

    /// Whether this process is linked to another.
    pub fn is_linked(&self, peer: Pid) -> bool {
        let control = self.inner.control.lock();
        control.relations.link_to(peer).is_some()
    }

    /// Links this process and another, both ways; replaces the tag if they are
    /// linked. If there is no such process, this one is told of a link death with
    /// [`ExitReason::NoProcess`]; if its node cannot be reached, with
    /// [`ExitReason::NoConnection`].
    ///
    /// - `tag`: what either end is told when the other dies.
    pub fn link(&self, peer: Pid, tag: Option<Tag>) {
        if peer == self.id() {
            return;
        }
        let own_id = self.id();
        let other_end = Signal::Link { peer: own_id, tag };
        let linked = if self.environment().is_local(peer) {
            self.signal(Signal::Link { peer, tag }).ok();
            let linked = self.environment().signal_here(peer, other_end);
            linked.inspect_err(|reason| {
                let reason = reason.clone();
                self.signal(Signal::LinkDied { peer, tag, reason }).ok();
            })
        } else {
            self.link_beyond(peer, tag)
        };
        if linked.is_ok()
            && let Some(reason) = self.exit_reason()
        {
            // It has ended since, and could not tell the other end.
            let died = Signal::LinkDied {
                peer: own_id,
                tag,
                reason,
            };
            self.signal_to(peer, died);
        }
    }

    /// Links this process and one of another node. If that cannot be reached, this one is told so in
    /// the same step: who reaches it again finds nothing of the link.
    fn link_beyond(&self, peer: Pid, tag: Option<Tag>) -> Result<(), ExitReason> {
        let own_id = self.id();
        let other_end = Signal::Link { peer: own_id, tag };
        self.signal_beyond(peer, other_end, |is_sent, effects| {
            effects.extend(self.apply(Signal::Link { peer, tag }).ok());
            if !is_sent {
                let reason = ExitReason::NoConnection;
                let died = Signal::LinkDied { peer, tag, reason };
                effects.extend(self.apply(died).ok());
            }
        })
    }

    /// Sends a signal to a process of another node, and changes this one in the same step; see
    /// [`Peers::signal_in_step`](crate::Peers::signal_in_step).
    ///
    /// - `change`: is told whether the signal is sent, and adds what is to happen after it.
    fn signal_beyond(
        &self,
        to: Pid,
        signal: Signal,
        mut change: impl FnMut(bool, &mut Vec<Effect>),
    ) -> Result<(), ExitReason> {
        let mut effects = Vec::new();
        let mut own_end = |is_sent| change(is_sent, &mut effects);
        let environment = self.environment();
        let sent = environment.signal_in_step(self, to, signal, &mut own_end);
        for effect in effects {
            effect.happen();
        }
        sent
    }

    /// Like [`link`](Process::link), if both processes can pay for it.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account of one of them has no memory left. Nothing is linked then.
    pub fn try_link(&self, peer: Pid, tag: Option<Tag>) -> Result<(), Exceeded> {
        self.make_room_here_and_there(peer)?;
        self.link(peer, tag);
        Ok(())
    }

    /// Like [`monitor`](Process::monitor), if the other process can pay for it, and this one for
    /// what it is told.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account of one of them has no memory left. Nothing is monitored then.
    pub fn try_monitor(&self, process: Pid) -> Result<(), Exceeded> {
        self.account().check(Kind::Memory, NOTICE_BYTES)?;
        self.make_room_there(process)?;
        self.monitor(process);
        Ok(())
    }

    /// Like [`monitor_with_reason`](Process::monitor_with_reason), if both processes can pay for
    /// it.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if the account of one of them has no memory left. Nothing is monitored then.
    pub fn try_monitor_with_reason(&self, process: Pid, tag: Option<Tag>) -> Result<(), Exceeded> {
        self.make_room_here_and_there(process)?;
        self.monitor_with_reason(process, tag);
        Ok(())
    }

    fn make_room_here_and_there(&self, other: Pid) -> Result<(), Exceeded> {
        self.make_room_for_relation()?;
        self.make_room_there(other)
    }

    /// Checks that this process can pay for another signal to a process of another node, which is
    /// charged to it until the signal has left. Within a node, a signal takes nothing that is
    /// not charged otherwise.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] if its account has no memory left.
    pub fn check_room_to_signal(&self, process: Pid) -> Result<(), Exceeded> {
        match self.environment().is_local(process) {
            true => Ok(()),
            false => self.account().check(Kind::Memory, NOTICE_BYTES),
        }
    }

    /// What another node keeps of its own processes is charged there.
    fn make_room_there(&self, other: Pid) -> Result<(), Exceeded> {
        let environment = self.environment();
        match environment.is_local(other) {
            true => environment
                .process(other)
                .map_or(Ok(()), |other| other.make_room_for_relation()),
            false => Ok(()),
        }
    }

    /// Charges one link or monitor more to the account of this process, which has to be able to
    /// pay for what it will be told, too.
    pub(crate) fn make_room_for_relation(&self) -> Result<(), Exceeded> {
        self.account().check(Kind::Memory, NOTICE_BYTES)?;
        let mut control = self.inner.control.lock();
        match control.ended {
            Some(_) => Ok(()),
            None => control.relations.make_room(self.account()),
        }
    }

    /// Removes a link, both ways.
    pub fn unlink(&self, peer: Pid) {
        let own_id = self.id();
        let other_end = Signal::Unlink { peer: own_id };
        if self.environment().is_local(peer) {
            self.signal(Signal::Unlink { peer }).ok();
            self.environment().signal_here(peer, other_end).ok();
        } else {
            let unlinked = self.signal_beyond(peer, other_end, |_, effects| {
                effects.extend(self.apply(Signal::Unlink { peer }).ok());
            });
            // There is nobody who would have to know.
            unlinked.ok();
        }
    }

    /// Asks to be told when another process ends. If there is no such process on
    /// this node, nothing ever comes (ABI §3.5). If its node cannot be reached, the
    /// caller is told at once, as if the process had ended.
    pub fn monitor(&self, process: Pid) {
        self.begin_monitoring(process, |relations| {
            relations.do_not_tell_why(process);
        })
        .ok();
    }

    /// Asks to be told why another process ends: by a data message with this tag, which has its
    /// id and the [reason](ExitReason), as ABI §31 has it. It takes the
    /// place of an earlier monitor of the same process. If there is no such process, or its
    /// node cannot be reached, that is told at once. The message is charged to this process;
    /// it ends if it has no room for it.
    pub fn monitor_with_reason(&self, process: Pid, tag: Option<Tag>) {
        let monitored = self.begin_monitoring(process, |relations| {
            relations.tell_why(process, tag);
        });
        if let Err(reason) = monitored
            && reason != ExitReason::NoConnection
        {
            self.signal(Signal::ProcessDied { process, reason }).ok();
        }
    }

    /// - `change`: changes the relations of this process. If the node of the other cannot be
    ///   reached, this one is told so.
    fn begin_monitoring(
        &self,
        process: Pid,
        change: impl Fn(&mut Relations),
    ) -> Result<(), ExitReason> {
        let watcher = self.id();
        let monitor = Signal::Monitor { watcher };
        if self.environment().is_local(process) {
            change(&mut self.inner.control.lock().relations);
            return self.environment().signal_here(process, monitor);
        }
        self.signal_beyond(process, monitor, |is_sent, effects| {
            change(&mut self.inner.control.lock().relations);
            if !is_sent {
                let reason = ExitReason::NoConnection;
                let died = Signal::ProcessDied { process, reason };
                effects.extend(self.apply(died).ok());
            }
        })
    }

    /// Undoes [`monitor`](Process::monitor) and
    /// [`monitor_with_reason`](Process::monitor_with_reason).
    pub fn stop_monitoring(&self, process: Pid) {
        let watcher = self.id();
        let stop = Signal::StopMonitoring { watcher };
        let change = || self.inner.control.lock().relations.do_not_tell_why(process);
        if self.environment().is_local(process) {
            change();
            self.environment().signal_here(process, stop).ok();
        } else {
            let stopped = self.signal_beyond(process, stop, |_, _| {
                change();
            });
            // Then it monitors nobody there.
            stopped.ok();
        }
    }

    /// The processes that this one is linked to, in no order.
    pub fn links(&self) -> Vec<Pid> {
        let control = self.inner.control.lock();
        control.relations.links().map(|(peer, _)| peer).collect()
    }

    /// The processes that monitor this one, in no order.
    pub fn watchers(&self) -> Vec<Pid> {
        self.inner.control.lock().relations.watchers().collect()
    }

    /// Applies a signal.
    ///
    /// # Errors
    ///
    /// The reason of its end, if the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), ExitReason> {
        self.follow(self.take_in(signal)?);
        Ok(())
    }

    /// Applies a signal, but for what follows from it, which is to happen when who calls holds no
    /// lock any more.
    ///
    /// # Errors
    ///
    /// The reason of its end, if the process has ended.
    pub fn apply(&self, signal: Signal) -> Result<Effect, ExitReason> {
        let applied = self.take_in(signal)?;
        Ok(Effect(Some((self.clone(), applied))))
    }

    /// Changes what a signal changes.
    #[inline]
    fn take_in(&self, signal: Signal) -> Result<Applied, ExitReason> {
        let mut control = self.inner.control.lock();
        if let Some(reason) = &control.ended {
            return Err(reason.clone());
        }
        // Of these another process can send any number, of the others only as many as
        // this one has relations.
        let asked_by = match signal {
            Signal::Exit { from, .. } => Some(from),
            _ => None,
        };
        let traced = self.is_traced().then(|| signal.clone());
        if matches!(signal, Signal::Link { .. } | Signal::Monitor { .. }) {
            // Whoever may be refused has asked before; others are charged as far as it goes.
            control.relations.make_room(self.account()).ok();
        }
        let reaction = control.relations.apply(signal);
        Ok(Applied {
            reaction,
            asked_by,
            traced,
        })
    }

    /// Does what follows from a signal.
    #[inline]
    fn follow(&self, applied: Applied) {
        let Applied {
            reaction,
            asked_by,
            traced,
        } = applied;
        if let Some(signal) = traced {
            self.tell_tracers(&TraceEvent::Signal(signal));
        }
        match reaction {
            Reaction::None => {}
            Reaction::Deliver(message) => match asked_by {
                Some(from) => self.tell_in_the_name_of(from, message),
                None => self.tell(message),
            },
            Reaction::MustDeliver(message) => self.deliver_or_end(message),
            Reaction::Die(reason) => self.request_exit(reason),
        }
    }

    /// Queues a message about another process, for which there is always room. It is charged to
    /// this process; whatever leads to one has asked before whether it [can
    /// pay](Process::make_room_for_relation).
    fn tell(&self, notice: Message) {
        let mailbox = &self.inner.mailbox;
        if let Ok(Some(waker)) = mailbox.queue_notice(self.account(), &mut Some(notice)) {
            waker.wake();
        }
    }

    /// Queues a message that another process has caused, and pays for, even if it has no memory
    /// left: whoever may not do that has [asked before](Process::try_exit), and a supervisor has
    /// to be heard. The message is dropped if the mailbox is full.
    fn tell_in_the_name_of(&self, from: Pid, message: Message) {
        let environment = self.environment();
        let sender = match environment.is_local(from) {
            true => environment.process(from),
            false => None,
        };
        let payer = sender.as_ref().map(Process::account);
        let (mailbox, mut notice) = (&self.inner.mailbox, Some(message));
        let queued = match (mailbox.queue(payer, &mut notice), payer) {
            (Err(SendError::Refused(_)), Some(payer)) => mailbox.queue_notice(payer, &mut notice),
            (queued, _) => queued,
        };
        if let Ok(Some(waker)) = queued {
            waker.wake();
        }
    }

    /// Sends a signal to another process. What cannot be delivered is of no
    /// further concern.
    fn signal_to(&self, process: Pid, signal: Signal) {
        self.environment().signal_by(self, process, signal).ok();
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = self.0.as_ref().map(|(process, _)| process.id());
        f.debug_tuple("Effect").field(&process).finish()
    }
}
