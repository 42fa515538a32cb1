//! A counter, version 2, that panics when it takes over from version 1, and when it is to
//! write its state in that.

use std::ops::ControlFlow;

use lunatic_guest::reload::{self, CodeChange, Server};
use reload_guests::Ask;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct CounterV1 {
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct Counter {
    count_from_1: u64,
}

impl CodeChange<CounterV1> for Counter {
    fn code_change(previous: CounterV1) -> Counter {
        panic!("{} is no number for version 2", previous.count)
    }

    fn code_change_back(&self) -> CounterV1 {
        panic!("{} is no number for version 1", self.count_from_1)
    }
}

impl Server for Counter {
    type Init = ();
    type Message = Ask;

    fn init((): ()) -> Counter {
        Counter { count_from_1: 1 }
    }

    fn handle(&mut self, ask: Ask) -> ControlFlow<()> {
        match ask {
            Ask::Count(reply) => {
                reply.send(&(self.count_from_1 * 10 + 4));
                self.count_from_1 += 1;
                ControlFlow::Continue(())
            }
            Ask::End => ControlFlow::Break(()),
        }
    }
}

lunatic_guest::reload_entries!("counter", 2 => Counter, 1 => CounterV1, reload::serve);

fn main() {
    reload::start::<Counter>(());
}
