//! What becomes of panics while a process moves.

use std::cell::{Cell, RefCell};
use std::panic;

use crate::sys::reload as sys;

/// What is done with the text of a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// What would have been done without this module.
    Usual,
    /// It ends the attempt.
    Refuse,
    /// It is kept.
    Keep,
}

thread_local! {
    static MODE: Cell<Option<Mode>> = const { Cell::new(None) };
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Lets a panic end the attempt with its text, until [`accepted`] is called.
pub(super) fn refuse() {
    set(Mode::Refuse);
}

/// The attempt is over, and panics are what they were.
pub(super) fn accepted() {
    set(Mode::Usual);
}

/// Calls a function of which nothing is left if it panics.
///
/// # Errors
///
/// The text of the panic.
pub(super) fn catch<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    set(Mode::Keep);
    let mut has_begun = false;
    let result = sys::catch(|| {
        has_begun = true;
        call()
    });
    set(Mode::Usual);
    result.ok_or_else(|| match TEXT.take() {
        text if !text.is_empty() => text,
        _ if has_begun => "it trapped".to_owned(),
        _ => "no memory is left for another stack".to_owned(),
    })
}

/// The hook is there from the first use on: it cannot be exchanged any more when a panic
/// was caught.
fn set(mode: Mode) {
    if MODE.replace(Some(mode)).is_some() {
        return;
    }
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| match MODE.get() {
        Some(Mode::Refuse) => sys::refuse(&info.to_string()),
        Some(Mode::Keep) => TEXT.set(info.to_string()),
        Some(Mode::Usual) | None => usual(info),
    }));
}
