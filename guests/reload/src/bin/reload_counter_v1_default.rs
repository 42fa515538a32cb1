//! A counter whose state has one more field than that of version 1, with a default, and so
//! is of version 1 too.

use std::ops::ControlFlow;

use lunatic_guest::reload::{self, Server};
use reload_guests::Ask;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Counter {
    /// How much of `count` was counted by this code.
    #[serde(default)]
    by_this: u64,
    count: u64,
}

impl Server for Counter {
    type Init = ();
    type Message = Ask;

    fn init((): ()) -> Counter {
        Counter {
            by_this: 0,
            count: 0,
        }
    }

    fn handle(&mut self, ask: Ask) -> ControlFlow<()> {
        match ask {
            Ask::Count(reply) => {
                self.count += 1;
                self.by_this += 1;
                reply.send(&(self.by_this * 1000 + self.count * 10 + 3));
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
