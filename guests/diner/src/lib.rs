//! What waiter and cook agree on.

use lunatic::Process;
use lunatic_guest::group::{Group, Member};
use lunatic_guest::process;
use serde::{Deserialize, Serialize};

/// A dish that somebody wants.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    pub dish: String,
    /// Who waits for it.
    pub guest: Process<Meal>,
}

impl Order {
    /// Sends it to a cook, who has a `Mailbox<Order>`.
    pub fn send(&self, cook: Member) {
        const NO_TAG: i64 = 0;
        let bytes = bincode::serialize(self).expect("an order can be written");
        process::send(cook.process, NO_TAG, &bytes);
    }
}

/// A dish as it comes from the kitchen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Meal {
    pub dish: String,
    /// The process that made it.
    pub cook: u64,
}

/// The group in which cooks are found.
pub fn kitchen() -> Group {
    Group::new("kitchen")
}
