//! Shows many processes, and what happens when some of them crash.
//!
//! Each chapter is a process too, so that it has a mailbox of its own.

mod crowd;
mod links;
mod monitors;
mod narrator;
mod supervision;
mod web;

use std::time::Instant;

use lunatic::{Mailbox, Process};

#[lunatic::main]
fn main(mailbox: Mailbox<()>) {
    let start = Instant::now();
    let this = mailbox.this();
    narrator::title("Lunatic: thousands of processes, and a few that crash");

    narrator::chapter("A crowd: every process has its own memory and mailbox");
    Process::spawn_link(this, crowd::tell);
    mailbox.receive();

    narrator::chapter("Links: a boss hears of each crash among its workers");
    Process::spawn_link(this, links::tell);
    mailbox.receive();

    narrator::chapter("Monitors: watching others without being hurt");
    Process::spawn_link(this, monitors::tell);
    mailbox.receive();

    narrator::chapter("Supervision: a crashed child goes back to work");
    Process::spawn_link(this, supervision::tell);
    mailbox.receive();

    narrator::chapter("Web: a server with a process for each connection");
    Process::spawn_link(this, web::tell);
    mailbox.receive();

    narrator::closing(start.elapsed());
}
