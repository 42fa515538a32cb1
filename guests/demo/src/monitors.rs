//! A watcher monitors two linked partners: one crashes, both die, it lives.

use lunatic::{Mailbox, MessageSignal, Process, ProcessDiedSignal};

use crate::narrator::{crash, say};

pub fn tell(audience: Process<()>, mailbox: Mailbox<()>) {
    let mailbox = mailbox.monitorable();
    let patient = Process::spawn((), patient);
    let reckless = Process::spawn(patient, reckless);
    mailbox.monitor(patient);
    mailbox.monitor(reckless);
    say("watcher", "monitors two partners who are linked");

    reckless.send(());
    let mut dead = [death(&mailbox), death(&mailbox)];
    dead.sort_unstable();
    assert_eq!(dead, [patient.id(), reckless.id()]);
    say("watcher", "both died: the link pulled the second one along");
    audience.send(());
}

/// Waits for the death of a monitored process and returns its id.
fn death(mailbox: &Mailbox<(), lunatic::serializer::Bincode, ProcessDiedSignal>) -> u64 {
    loop {
        if let MessageSignal::Signal(ProcessDiedSignal(id)) = mailbox.receive() {
            return id;
        }
    }
}

/// Waits for a message that never comes.
fn patient(_: (), mailbox: Mailbox<()>) {
    mailbox.receive();
}

/// Links itself to its partner, and crashes when it is told to.
fn reckless(partner: Process<()>, mailbox: Mailbox<()>) {
    partner.link();
    mailbox.receive();
    crash("partner", "reckless as ever");
}
