//! Cooks what is ordered, one dish after the other.

use diner::{kitchen, Meal, Order};
use lunatic::Mailbox;

#[lunatic::main]
fn main(mailbox: Mailbox<Order>) {
    let cook = mailbox.this().id();
    kitchen().join().expect("a kitchen has room");
    loop {
        let Order { dish, guest } = mailbox.receive();
        // Whoever supervises cooks has to live with this one.
        if dish == "fugu" {
            panic!("the cook has tasted the fugu");
        }
        guest.send(Meal { dish, cook });
    }
}
