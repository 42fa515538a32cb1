//! Whether a thread of the host has panicked.

use std::cell::Cell;
use std::panic;
use std::sync::{Mutex, Once};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static TRIES: Cell<bool> = const { Cell::new(false) };
}

/// Records panics of other threads than this one from now on: panics of threads of the host are
/// caught there, and would not be noticed otherwise.
pub(crate) fn watch() {
    static WATCH: Once = Once::new();
    TRIES.set(true);
    WATCH.call_once(|| {
        let reported = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !TRIES.get()
                && let Ok(mut seen) = SEEN.lock()
            {
                seen.push(panic.to_string());
            }
            reported(panic);
        }));
    });
}

/// Panics if there was one.
pub(crate) fn assert_none() {
    let seen = std::mem::take(&mut *SEEN.lock().unwrap());
    assert!(seen.is_empty(), "the host has panicked: {seen:?}");
}
