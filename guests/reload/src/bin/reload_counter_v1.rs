//! A counter, version 1: its state is one number.

use std::ops::ControlFlow;

use lunatic_guest::reload::{self, Server};
use reload_guests::Ask;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Counter {
    count: u64,
}

impl Server for Counter {
    type Init = ();
    type Message = Ask;

    fn init((): ()) -> Counter {
        Counter { count: 0 }
    }

    fn handle(&mut self, ask: Ask) -> ControlFlow<()> {
        match ask {
            Ask::Count(reply) => {
                self.count += 1;
                reply.send(&(self.count * 10 + 1));
                ControlFlow::Continue(())
            }
            Ask::End => ControlFlow::Break(()),
        }
    }
}

lunatic_guest::reload_entries!("counter", 1 => Counter, reload::serve);

fn main() {
    reload::start::<Counter>(());
}
