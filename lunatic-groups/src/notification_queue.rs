//! The messages to monitors that are not sent yet, in order.

use std::collections::VecDeque;

use lunatic_account::Account;
use lunatic_mailbox::{DataMessage, Pid, SendError};
use lunatic_process::Environment;
use parking_lot::Mutex;

use crate::group_table::Notice;

/// Notices that are sent one after the other, in the order in which they were put in,
/// whichever threads put and send them.
#[derive(Debug, Default)]
pub(crate) struct NotificationQueue {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Each with the account of who has caused it.
    notices: VecDeque<(Notice, Option<Account>)>,
    /// Whether a call of [`NotificationQueue::send`] is sending the notices, including
    /// those that are put in meanwhile.
    sending: bool,
}

impl NotificationQueue {
    /// Appends notices.
    ///
    /// - `payer`: to whom they are charged until they are received.
    pub(crate) fn put(&self, notices: Vec<Notice>, payer: Option<&Account>) {
        if !notices.is_empty() {
            let notices = notices.into_iter().map(|notice| (notice, payer.cloned()));
            self.queue.lock().notices.extend(notices);
        }
    }

    /// Sends the notices, unless another call is doing so. That may be a call further
    /// up on the same stack: a message can end its receiver, whose memberships then
    /// end, which calls this again.
    pub(crate) fn send(&self, environment: &Environment) {
        let mut is_sending = false;
        while let Some((notice, payer)) = self.next(&mut is_sending) {
            let event = notice
                .event
                .to_bytes(|process| environment.node_of(process));
            let message = DataMessage::new(notice.tag, event);
            deliver(environment, payer.as_ref(), notice.watcher, message);
        }
    }

    fn next(&self, is_sending: &mut bool) -> Option<(Notice, Option<Account>)> {
        let mut queue = self.queue.lock();
        if queue.sending && !*is_sending {
            return None;
        }
        let notice = queue.notices.pop_front();
        *is_sending = notice.is_some();
        queue.sending = *is_sending;
        notice
    }
}

/// Sends a notice. Whoever has caused it pays; if that is refused, nobody does, as a monitor is
/// told all that happens. Who joins is asked before whether there is room, so there is no more
/// of that than there are memberships to leave.
fn deliver(environment: &Environment, payer: Option<&Account>, watcher: Pid, message: DataMessage) {
    let mut message = Some(message.into());
    let Some(payer) = payer else {
        environment.send_taking(None, watcher, &mut message).ok();
        return;
    };
    let sent = environment.send_charged(payer, watcher, &mut message);
    if let (Err(SendError::Refused(_)), Some(message)) = (sent, message) {
        // It has been counted.
        environment.deliver(None, watcher, message).ok();
    }
}
