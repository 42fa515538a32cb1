//! Safe points, at which a process moves.

use std::cell::Cell;

use super::state::State;
use super::{encoding, panics};
use crate::error;
use crate::sys::{self, reload};

thread_local! {
    /// What this instance has offered.
    static OFFERED: Cell<Option<(&'static str, i64)>> = const { Cell::new(None) };
}

/// A safe point: moves the process to the current version of its module if it does not run
/// that, and does not return then. From the first one on, the process offers itself as one
/// with this state.
///
/// When it returns, the next wait ends early if the process is to move meanwhile:
/// [`receive_timeout`](crate::process::receive_timeout) returns `None`, reading from a
/// stream, accepting a connection and the like is an error. Then, or after the wait, the
/// next safe point should be reached soon: a reload waits for it. [`wait`] does all that.
///
/// What is in scratch is dropped if the process is to move: a message has to be read
/// before.
///
/// # Panics
///
/// If there are streams in the state, the attempt is refused, and what was written cannot
/// be read again.
///
/// # Streams in a state that cannot be written
///
/// A stream leaves the table of the process as it is written. If an implementation of
/// `Serialize` fails behind it, the stream is lost: it is closed with the next message that is
/// made, and its id in the state is unknown, so that the process traps when it uses it. What
/// can fail should stand before the streams of a state.
pub fn point<S: State>(state: &mut S) {
    const NOT_WANTED: i64 = -1;
    let offer = (S::KIND, S::VERSION);
    if OFFERED.replace(Some(offer)) != Some(offer) {
        reload::offer(S::KIND, S::VERSION);
    }
    loop {
        let version = reload::arm();
        if version == NOT_WANTED {
            return;
        }
        match panics::catch(|| write(state, version)).and_then(|written| written) {
            Ok(written) => {
                if panics::catch(|| sys::message_write(&written.bytes)).is_ok() {
                    // The reload is told why.
                    error::check(reload::hand_over(version)).ok();
                } else {
                    reload::refuse(&format!(
                        "the state has {} bytes: more than a message may have, or than there is \
                         memory for",
                        written.bytes.len()
                    ));
                }
                take_back(state, &written);
            }
            Err(why) => reload::refuse(&format!("the state cannot be written: {why}")),
        }
    }
}

/// Waits for something, with a [safe point](point) before. If the wait ends early because
/// the process is to move, it moves and waits again.
///
/// - `wait`: waits once. An error is returned unless the process is to move.
///
/// # Errors
///
/// What `wait` returns.
///
/// # Panics
///
/// As [`point`].
pub fn wait<S: State, T, E>(
    state: &mut S,
    mut wait: impl FnMut(&mut S) -> Result<T, E>,
) -> Result<T, E> {
    loop {
        point(state);
        match wait(state) {
            Err(_) if is_wanted() => {}
            Err(error) => {
                // To ask has armed another wait, which is none of the caller's.
                sys::sleep_ms(0);
                return Err(error);
            }
            done => return done,
        }
    }
}

/// Whether the process is to move at its next safe point, or its last wait has ended early as it
/// was to. If not, its next wait ends early should that change, as after a [`point`].
pub fn is_wanted() -> bool {
    reload::arm() >= 0
}

/// The process does not offer itself any more, until its next safe point.
pub fn withdraw() {
    if OFFERED.take().is_some() {
        reload::offer("", 0);
    }
}

/// A state that is written; its streams are in the message in scratch.
struct Written {
    /// The state in the version that was asked for. If that is not its own, it is there in its
    /// own behind that.
    bytes: Vec<u8>,
    /// Where it begins in its own.
    own: usize,
}

/// Writes the state in the version that is asked for. Its streams go into a new message in
/// scratch, the bytes do not yet.
fn write<S: State>(state: &S, version: i64) -> Result<Written, String> {
    let previous = S::PREVIOUS.filter(|previous| previous.version() == version);
    let mut bytes = Vec::new();
    sys::message_create(0);
    if let Some(previous) = previous {
        previous.write(state, &mut bytes)?;
    } else if version != S::VERSION {
        let own = S::VERSION;
        return Err(format!(
            "it is of version {own}, and {version} is asked for"
        ));
    }
    let own = bytes.len();
    // Streams that are in no message would stay open until the process ends.
    encoding::write(state, &mut bytes)?;
    Ok(Written { bytes, own })
}

/// Nobody has taken the state. Streams are in scratch, if it has any; otherwise it is what
/// it was.
fn take_back<S: State>(state: &mut S, written: &Written) {
    if reload::message_has_resources() {
        let own = written.bytes.get(written.own..).unwrap_or_default();
        match encoding::read(own) {
            Ok(taken_back) => *state = taken_back,
            Err(why) => panic!("the state that nobody took over cannot be read again: {why}"),
        }
        sys::message_create(0);
    }
}
