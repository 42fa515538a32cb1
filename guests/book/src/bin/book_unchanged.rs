//! A program for the earlier runtime, which runs unmodified: it knows only the
//! `lunatic` crate.

use std::time::Duration;

use lunatic::ap::{AbstractProcess, Config};
use lunatic::{abstract_process, Mailbox};

struct Stock(u32);

#[abstract_process]
impl Stock {
    #[init]
    fn init(_: Config<Self>, items: u32) -> Result<Self, ()> {
        Ok(Self(items))
    }

    #[terminate]
    fn terminate(self) {
        println!("{} items are left", self.0);
    }

    #[handle_message]
    fn add(&mut self, items: u32) {
        self.0 += items;
    }

    #[handle_request]
    fn take(&mut self, items: u32) -> bool {
        let enough = self.0 >= items;
        if enough {
            self.0 -= items;
        }
        enough
    }
}

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let stock = Stock::link().start(1).unwrap();
    stock.add(2);
    println!("takes 5: {}", stock.take(5));
    let stock = stock.with_timeout(Duration::from_secs(5));
    println!("takes 2: {:?}", stock.take(2));
    stock.shutdown().unwrap();
}
