//! Whom a process may send to and signal.

use lunatic_account::Account;
use lunatic_mailbox::Pid;

use super::Process;

impl Process {
    /// Whether it may send messages to all processes, and not only within its branch.
    #[inline]
    pub fn sends_anywhere(&self) -> bool {
        !self.inner.sends_within_branch
    }

    /// Whether it may send messages to a process.
    #[inline]
    pub fn may_send_to(&self, receiver: Pid) -> bool {
        self.sends_anywhere() || self.is_within_reach(receiver)
    }

    fn is_within_reach(&self, receiver: Pid) -> bool {
        self.inner.parent == Some(receiver) || self.is_of_branch(receiver)
    }

    /// Whether a sender is of its branch, above it, or has spawned it. The host may always send.
    /// Which branch a process of another node is in is not known.
    #[cold]
    pub(super) fn is_sent_to_by(&self, from: Option<Pid>, payer: Option<&Account>) -> bool {
        let Some(from) = from else { return true };
        let own = self.account();
        let is_of_branch_or_above = |sender: &Account| {
            sender.is_within(own.branch_root()) || own.is_within(sender.branch_root())
        };
        let is_local = self.environment().is_local(from);
        self.inner.parent == Some(from) || is_local && payer.is_some_and(is_of_branch_or_above)
    }

    /// Whether a process of this node is in the branch of this one, or has ended. An id that no
    /// process had yet may become that of a stranger.
    pub fn is_of_branch(&self, process: Pid) -> bool {
        let environment = self.environment();
        environment.is_local(process)
            && match environment.process(process) {
                Some(other) => other.account().is_within(self.account().branch_root()),
                None => environment.has_ended(process),
            }
    }

    /// Permits it to signal a process outside of its branch, although it has no right to signal
    /// others there. Returns whether it may: it may have 64 such permissions for processes that
    /// have not ended.
    pub fn permit_signals(&self, target: Pid) -> bool {
        const MOST: usize = 64;
        let permitted = self.inner.control.lock().may_signal.clone();
        let environment = self.environment();
        let is_over = |pid: &Pid| environment.is_local(*pid) && !environment.exists(*pid);
        let over: Vec<_> = match permitted.len() {
            MOST => permitted.into_iter().filter(is_over).collect(),
            _ => Vec::new(),
        };
        let mut control = self.inner.control.lock();
        let permitted = &mut control.may_signal;
        permitted.retain(|pid| !over.contains(pid));
        if permitted.contains(&target) {
            return true;
        }
        let has_room = permitted.len() < MOST;
        if has_room {
            permitted.push(target);
        }
        has_room
    }

    /// Whether it is [permitted](Process::permit_signals) to signal a process.
    pub fn may_signal(&self, target: Pid) -> bool {
        self.inner.control.lock().may_signal.contains(&target)
    }
}
