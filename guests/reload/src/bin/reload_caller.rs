//! Calls a server over and over, and tells it each answer with the tag 5. It can go on with new
//! code before each call.

use lunatic_guest::process::{self, ProcessId};
use lunatic_guest::reload;
use reload_guests::Ask;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Caller {
    server: ProcessId,
}

lunatic_guest::reload_entries!("caller", 1 => Caller, go_on);

fn main() {
    let server = reload_guests::observer();
    go_on(Caller { server });
}

fn go_on(mut caller: Caller) {
    loop {
        reload::point(&mut caller);
        // The call waits for as long as it takes, also while the process is to move.
        let answer: Option<u64> = reload::call(caller.server, None, Ask::Count);
        let answer = answer.expect("an answer");
        process::send(caller.server, 5, &answer.to_le_bytes());
    }
}
