//! A counter, version 2: it counts for each process that asks.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use lunatic_guest::process::ProcessId;
use lunatic_guest::reload::{self, CodeChange, Server};
use reload_guests::Ask;
use serde::{Deserialize, Serialize};

/// What version 1 writes.
#[derive(Serialize, Deserialize)]
struct CounterV1 {
    count: u64,
}

#[derive(Serialize, Deserialize)]
struct Counter {
    counts: BTreeMap<ProcessId, u64>,
}

impl Counter {
    fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl CodeChange<CounterV1> for Counter {
    fn code_change(previous: CounterV1) -> Counter {
        const SOMEBODY: ProcessId = ProcessId(0);
        Counter {
            counts: [(SOMEBODY, previous.count)].into(),
        }
    }

    fn code_change_back(&self) -> CounterV1 {
        CounterV1 {
            count: self.total(),
        }
    }
}

impl Server for Counter {
    type Init = ();
    type Message = Ask;

    fn init((): ()) -> Counter {
        Counter {
            counts: BTreeMap::new(),
        }
    }

    fn handle(&mut self, ask: Ask) -> ControlFlow<()> {
        match ask {
            Ask::Count(reply) => {
                *self.counts.entry(reply.process()).or_default() += 1;
                reply.send(&(self.total() * 10 + 2));
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
