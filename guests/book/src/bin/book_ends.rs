//! Is told of the ends of other processes: by a link, by a monitor, after a kill. Then
//! it catches a panic of its own.

use lunatic::panic::catch_panic;
use lunatic::{Mailbox, Process, Signal, Tag};
use lunatic_guest::process::{self, ProcessId};

#[lunatic::main]
fn main(mailbox: Mailbox<()>) {
    // From here on, the death of a linked process is a message.
    let mailbox = mailbox.catch_link_failure().monitorable();

    let tag = Tag::new();
    Process::spawn_link_tag((), tag, fails);
    match mailbox.receive().unwrap_signal() {
        Signal::LinkDied(dead) => println!("link died: {}", dead == tag),
        Signal::ProcessDied(_) => println!("nobody is monitored yet"),
    }

    let waiting = Process::spawn((), waits);
    process::monitor(ProcessId(waiting.id()));
    waiting.kill();
    match mailbox.receive().unwrap_signal() {
        Signal::LinkDied(_) => println!("nobody is linked now"),
        Signal::ProcessDied(id) => println!("process died: {}", id == waiting.id()),
    }

    let empty: Vec<u32> = Vec::new();
    println!("caught: {:?}", catch_panic(|| empty[0]));
}

fn fails(_: (), _: Mailbox<()>) {
    panic!("this one fails on purpose");
}

fn waits(_: (), mailbox: Mailbox<()>) {
    mailbox.receive();
}
