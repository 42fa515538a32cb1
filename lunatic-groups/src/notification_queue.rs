//! The messages to monitors that are not sent yet, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_lite::future;
use lunatic_account::Charge;
use lunatic_mailbox::{DataMessage, SendError};
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
    notices: VecDeque<Queued>,
    /// Whether a call of [`NotificationQueue::send_piece`] is sending notices, including those that
    /// are added during the call.
    sending: bool,
    /// Whether a task sends the notices that were too many for the process that caused them.
    has_task: bool,
}

/// A notice, and what is charged for it until it is in a mailbox, and is charged there.
#[derive(Debug)]
pub(crate) struct Paid {
    notice: Notice,
    charge: Charge,
}

/// Notices in the queue.
#[derive(Debug)]
enum Queued {
    One(Paid),
    /// Many that are not moved one by one. They are at least one.
    Many(VecDeque<Paid>),
}

impl Queue {
    /// Returns the notice that is taken next.
    fn front(&self) -> Option<&Paid> {
        match self.notices.front()? {
            Queued::One(paid) => Some(paid),
            Queued::Many(many) => many.front(),
        }
    }

    fn pop_front(&mut self) -> Option<Paid> {
        if let Some(Queued::Many(many)) = self.notices.front_mut()
            && many.len() > 1
        {
            return many.pop_front();
        }
        match self.notices.pop_front()? {
            Queued::One(paid) => Some(paid),
            Queued::Many(mut many) => many.pop_front(),
        }
    }
}

impl Paid {
    /// - `charge`: at least the [size](Notice::size) of the notice.
    pub(crate) fn new(notice: Notice, charge: Charge) -> Paid {
        Paid { notice, charge }
    }

    pub(crate) fn notice(&self) -> &Notice {
        &self.notice
    }
}

impl NotificationQueue {
    /// Appends notices.
    pub(crate) fn put(&self, notices: impl IntoIterator<Item = Paid>) {
        let mut notices = notices.into_iter().peekable();
        if notices.peek().is_some() {
            let notices = notices.map(Queued::One);
            self.queue.lock().notices.extend(notices);
        }
    }

    /// Appends notices that have waited, in a time that does not depend on their number.
    pub(crate) fn put_many(&self, notices: VecDeque<Paid>) {
        if !notices.is_empty() {
            self.queue.lock().notices.push_back(Queued::Many(notices));
        }
    }

    /// Sends some of the notices, unless another call is doing so. That may be a call further
    /// up on the same stack: a message can end its receiver, whose memberships then
    /// end, which calls this again. A task sends the others.
    pub(crate) fn send(self: &Arc<Self>, environment: &Environment) {
        self.send_piece(environment);
        let mut queue = self.queue.lock();
        if queue.sending || queue.has_task {
            return;
        }
        let Some(next) = queue.front() else {
            return;
        };
        let share = next.charge.account().share().cloned();
        queue.has_task = true;
        drop(queue);
        let (queue, environment) = (self.clone(), environment.clone());
        let scheduler = environment.scheduler().clone();
        scheduler.spawn_in(share, async move { queue.send_all(&environment).await });
    }

    /// Sends what is there, with pauses.
    async fn send_all(&self, environment: &Environment) {
        loop {
            self.send_piece(environment);
            {
                let mut queue = self.queue.lock();
                if queue.notices.is_empty() {
                    queue.has_task = false;
                    return;
                }
            }
            future::yield_now().await;
        }
    }

    /// Sends as many notices as one step may.
    fn send_piece(&self, environment: &Environment) {
        const NOTICES: usize = 256;
        const BYTES: u64 = 1 << 18;
        let (mut sent, mut bytes) = (0, 0);
        let mut is_sending = false;
        while let Some(paid) = self.next(&mut is_sending, sent < NOTICES && bytes < BYTES) {
            sent += 1;
            bytes += paid.charge.amount();
            deliver(environment, paid);
        }
    }

    /// Takes the next notice out for the sending task; `None` ends the sending.
    ///
    /// - `goes_on`: whether it may send another notice.
    fn next(&self, is_sending: &mut bool, goes_on: bool) -> Option<Paid> {
        let mut queue = self.queue.lock();
        if queue.sending && !*is_sending {
            return None;
        }
        let paid = match goes_on {
            true => queue.pop_front(),
            false => None,
        };
        *is_sending = paid.is_some();
        queue.sending = *is_sending;
        paid
    }
}

/// Sends a notice. It stays charged to the same account, or is charged to the receiver if that is
/// refused now.
fn deliver(environment: &Environment, Paid { notice, charge }: Paid) {
    let event = notice
        .event
        .to_bytes(|process| environment.node_of(process));
    let mut message = Some(DataMessage::new(notice.tag, event).into());
    let payer = charge.account().clone();
    let mut send = || environment.send_charged(&payer, notice.watcher, &mut message);
    let mut sent = send();
    if let Err(SendError::Refused(_)) = sent {
        drop(charge);
        sent = send();
    }
    if let (Err(SendError::Refused(_)), Some(message)) = (sent, message)
        && let Some(watcher) = environment.process(notice.watcher)
    {
        watcher.deliver_or_end(message);
    }
}
