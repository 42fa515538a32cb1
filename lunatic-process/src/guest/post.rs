//! How messages leave a wasm process.

use lunatic_account::Account;
use lunatic_mailbox::guest::Post;
use lunatic_mailbox::{Message, Pid, SendError};

use crate::process::Process;

/// Brings the messages of a process to others.
///
/// Who sends several messages in a row to one process finds it in the table of processes
/// once. A process of another account is looked up each time: its account is not to be kept
/// when it has ended.
#[derive(Debug)]
pub struct ProcessPost {
    sender: Process,
    /// To which process it has sent last.
    last: Option<Pid>,
    /// How often in a row.
    in_row: u32,
    /// That process, if it was sent to twice and has the account of the sender.
    receiver: Option<Process>,
}

impl ProcessPost {
    /// - `sender`: in whose name messages are sent, and who pays for them until they are
    ///   received.
    pub fn new(sender: Process) -> ProcessPost {
        ProcessPost {
            sender,
            last: None,
            in_row: 0,
            receiver: None,
        }
    }

    /// Keeps the process that is sent to the second time in a row, and forgets the one before.
    fn count(&mut self, to: Pid) {
        if self.last != Some(to) {
            self.last = Some(to);
            self.in_row = 0;
            self.receiver = None;
        }
        self.in_row = self.in_row.saturating_add(1);
        if self.in_row == 2 {
            let found = self.sender.environment().process(to);
            let account = self.sender.account();
            self.receiver = found.filter(|found| found.account().is(account));
        }
    }
}

impl Clone for ProcessPost {
    fn clone(&self) -> ProcessPost {
        ProcessPost::new(self.sender.clone())
    }
}

impl Post for ProcessPost {
    #[inline]
    fn deliver(&mut self, to: Pid, message: &mut Option<Message>) -> Result<(), SendError> {
        let environment = self.sender.environment();
        if let Some(receiver) = &self.receiver
            && receiver.id() == to
        {
            // It has the account of the sender, so it is in its branch.
            return environment.send_to(&self.sender, receiver, message);
        }
        if !self.sender.may_send_to(to) {
            return Err(SendError::Denied);
        }
        let sent = environment.send_taking(Some(&self.sender), to, message);
        self.count(to);
        sent
    }

    fn account(&self) -> &Account {
        self.sender.account()
    }
}
