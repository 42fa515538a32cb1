//! The events that the owner hasn't taken yet.

use std::collections::VecDeque;

use crate::event::Event;

/// Bytes that each event counts for beside its content.
const OVERHEAD: usize = 128;
/// Events about strangers that are kept.
const MAX_REJECTED: usize = 64;

/// Bytes that an event counts for as unread.
pub(crate) fn cost(event: &Event) -> usize {
    match event {
        Event::Frame { bytes, .. } | Event::Datagram { bytes, .. } => OVERHEAD + bytes.len(),
        _ => 0,
    }
}

/// The events that the owner hasn't taken yet, in order, but for datagrams: these take turns with
/// all others, so that they don't wait behind many frames.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    events: VecDeque<Event>,
    datagrams: VecDeque<Event>,
    /// A datagram was taken last.
    datagram_was_last: bool,
    rejected: usize,
}

impl EventQueue {
    /// Adds an event. One about a stranger is dropped if there are many of those.
    pub(crate) fn push(&mut self, event: Event) {
        if matches!(event, Event::Rejected { .. }) {
            if self.rejected == MAX_REJECTED {
                return;
            }
            self.rejected += 1;
        }
        if let Event::Closed { id: closed, .. } = &event {
            // Nothing is told of it afterwards.
            let is_of_it =
                |event: &Event| matches!(event, Event::Datagram { id, .. } if id == closed);
            self.datagrams.retain(|event| !is_of_it(event));
        }
        match event {
            Event::Datagram { .. } => self.datagrams.push_back(event),
            event => self.events.push_back(event),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        let datagram_first = !self.datagram_was_last || self.events.is_empty();
        if datagram_first && let Some(datagram) = self.datagrams.pop_front() {
            self.datagram_was_last = true;
            return Some(datagram);
        }
        self.datagram_was_last = false;
        let event = self.events.pop_front()?;
        if matches!(event, Event::Rejected { .. }) {
            self.rejected -= 1;
        }
        Some(event)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.datagrams.is_empty()
    }
}
