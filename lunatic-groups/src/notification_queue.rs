//! What is still to be told, in order.

use std::collections::VecDeque;

use lunatic_mailbox::DataMessage;
use lunatic_process::Environment;
use parking_lot::Mutex;

use crate::group_table::Notice;

/// Notices that leave one after the other, whoever puts them in.
#[derive(Debug, Default)]
pub(crate) struct NotificationQueue {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    notices: VecDeque<Notice>,
    /// Somebody sends what is in the queue, and what is put in meanwhile.
    sending: bool,
}

impl NotificationQueue {
    /// Puts notices in behind those that are there.
    pub(crate) fn put(&self, notices: Vec<Notice>) {
        if !notices.is_empty() {
            self.queue.lock().notices.extend(notices);
        }
    }

    /// Sends what is there, unless somebody else is doing so: that may be a
    /// caller of this very function, since a message may end its receiver and
    /// that be the end of memberships.
    pub(crate) fn send(&self, environment: &Environment) {
        let mut is_sending = false;
        while let Some(notice) = self.next(&mut is_sending) {
            let event = notice
                .event
                .to_bytes(|process| environment.node_of(process));
            let message = DataMessage::new(notice.tag, event);
            environment.send(notice.watcher, message.into());
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
