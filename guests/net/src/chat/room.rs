//! The process that knows who is there, and tells all of them what one says.

use std::collections::BTreeMap;

use lunatic::{Mailbox, MessageSignal, Process, ProcessDiedSignal};
use serde::{Deserialize, Serialize};

use super::user::Shown;

/// What a user tells the room.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// A line; the first one is the name the user wants to have.
    Line { user: Process<Shown>, text: String },
    /// Who is there?
    Who { user: Process<Shown> },
}

/// How long a name may be.
const MAX_NAME: usize = 20;

#[derive(Default)]
struct Room {
    /// By the ids of their processes.
    users: BTreeMap<u64, User>,
}

struct User {
    name: String,
    process: Process<Shown>,
}

/// The entry of the room's process. It hears of each user's death, whatever the
/// cause.
pub(super) fn open(_: (), mailbox: Mailbox<Said>) {
    let mailbox = mailbox.monitorable();
    let mut room = Room::default();
    loop {
        match mailbox.receive() {
            MessageSignal::Message(Said::Line { user, text }) => {
                if room.line(user, &text) {
                    mailbox.monitor(user);
                }
            }
            MessageSignal::Message(Said::Who { user }) => room.who(user),
            MessageSignal::Signal(ProcessDiedSignal(user)) => room.leave(user),
        }
    }
}

impl Room {
    /// Tells all what a user says, or takes it for a name; whether the user is new.
    fn line(&mut self, user: Process<Shown>, text: &str) -> bool {
        match self.users.get(&user.id()) {
            Some(User { name, .. }) => {
                self.tell_all(&format!("{name}: {text}"));
                false
            }
            None => self.join(user, text.chars().take(MAX_NAME).collect()),
        }
    }

    fn join(&mut self, process: Process<Shown>, name: String) -> bool {
        if self.users.values().any(|user| user.name == name) {
            process.send(Shown::Taken);
            return false;
        }
        process.send(Shown::Welcome(self.users.len()));
        self.tell_all(&format!("* {name} is here"));
        self.users.insert(process.id(), User { name, process });
        true
    }

    fn who(&self, user: Process<Shown>) {
        let names: Vec<&str> = self.users.values().map(|user| &*user.name).collect();
        user.send(Shown::Line(format!("* here are {}", names.join(", "))));
    }

    fn leave(&mut self, user: u64) {
        if let Some(User { name, .. }) = self.users.remove(&user) {
            self.tell_all(&format!("* {name} is gone"));
        }
    }

    fn tell_all(&self, line: &str) {
        for user in self.users.values() {
            user.process.send(Shown::Line(line.to_owned()));
        }
    }
}
