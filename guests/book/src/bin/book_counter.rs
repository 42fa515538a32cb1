//! A counter that can be reloaded: version 2, which knows how often it was added to.

use std::ops::ControlFlow;

use lunatic::{Mailbox, Process};
use lunatic_guest::process::ProcessId;
use lunatic_guest::reload::{self, CodeChange, ReplyTo, Server};
use serde::{Deserialize, Serialize};

/// What version 1 writes.
#[derive(Serialize, Deserialize)]
struct CounterV1 {
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct Counter {
    sum: u64,
    times: u64,
}

impl CodeChange<CounterV1> for Counter {
    fn code_change(CounterV1 { count: sum }: CounterV1) -> Counter {
        Counter { sum, times: 0 }
    }

    fn code_change_back(&self) -> CounterV1 {
        CounterV1 { count: self.sum }
    }
}

#[derive(Serialize, Deserialize)]
enum Ask {
    Add(u64),
    Get(ReplyTo<u64>),
    Times(ReplyTo<u64>),
}

impl Server for Counter {
    type Init = u64;
    type Message = Ask;

    fn init(sum: u64) -> Counter {
        Counter { sum, times: 0 }
    }

    fn handle(&mut self, ask: Ask) -> ControlFlow<()> {
        match ask {
            Ask::Add(more) => {
                self.sum += more;
                self.times += 1;
            }
            Ask::Get(reply) => reply.send(&self.sum),
            Ask::Times(reply) => reply.send(&self.times),
        }
        ControlFlow::Continue(())
    }
}

lunatic_guest::reload_entries!("counter", 2 => Counter, 1 => CounterV1, reload::serve);

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let counter = Process::spawn(40, |sum, _: Mailbox<()>| reload::start::<Counter>(sum));
    let counter = ProcessId(counter.id());
    reload::send(counter, &Ask::Add(2));
    let sum: Option<u64> = reload::call(counter, None, Ask::Get);
    let times: Option<u64> = reload::call(counter, None, Ask::Times);
    println!("the sum is {sum:?}, added to {times:?} times");
}
