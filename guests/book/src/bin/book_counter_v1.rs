//! A counter that can be reloaded: version 1, whose state is one number.

use std::ops::ControlFlow;

use lunatic::{Mailbox, Process};
use lunatic_guest::process::ProcessId;
use lunatic_guest::reload::{self, ReplyTo, Server};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[derive(Serialize, Deserialize)]
enum Ask {
    Add(u64),
    Get(ReplyTo<u64>),
}

impl Server for Counter {
    type Init = u64;
    type Message = Ask;

    fn init(count: u64) -> Counter {
        Counter { count }
    }

    fn handle(&mut self, ask: Ask) -> ControlFlow<()> {
        match ask {
            Ask::Add(more) => self.count += more,
            Ask::Get(reply) => reply.send(&self.count),
        }
        ControlFlow::Continue(())
    }
}

lunatic_guest::reload_entries!("counter", 1 => Counter, reload::serve);

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let counter = Process::spawn(40, |start, _: Mailbox<()>| {
        reload::start::<Counter>(start);
    });
    let counter = ProcessId(counter.id());
    reload::send(counter, &Ask::Add(2));
    let count: Option<u64> = reload::call(counter, None, Ask::Get);
    println!("the count is {count:?}");
}
