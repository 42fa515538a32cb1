//! The messages to monitors that are not sent yet, in order.

use std::collections::VecDeque;

use lunatic_mailbox::DataMessage;
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
    notices: VecDeque<Notice>,
    /// Whether a call of [`NotificationQueue::send`] is sending the notices, including
    /// those that are put in meanwhile.
    sending: bool,
}

impl NotificationQueue {
    /// Appends notices.
    pub(crate) fn put(&self, notices: Vec<Notice>) {
        if !notices.is_empty() {
            self.queue.lock().notices.extend(notices);
        }
    }

    /// Sends the notices, unless another call is doing so. That may be a call further
    /// up on the same stack: a message can end its receiver, whose memberships then
    /// end, which calls this again.
    pub(crate) fn send(&self, environment: &Environment) {
        let mut is_sending = false;
        while let Some(notice) = self.next(&mut is_sending) {
            let event = notice
                .event
                .to_bytes(|process| environment.node_of(process));
            let message = DataMessage::new(notice.tag, event);
            environment.send(None, notice.watcher, message.into()).ok();
        }
    }

    fn next(&self, is_sending: &mut bool) -> Option<Notice> {
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
