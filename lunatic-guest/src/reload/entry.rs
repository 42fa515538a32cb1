//! Where the new code takes over.

use serde::de::DeserializeOwned;

use super::{encoding, panics};
use crate::sys::{self, reload};

/// Takes over with the state in scratch, and goes on. What [`reload_entries!`] calls.
///
/// [`reload_entries!`]: crate::reload_entries
#[doc(hidden)]
pub fn enter<P: DeserializeOwned, S>(code_change: impl FnOnce(P) -> S, go_on: impl FnOnce(S)) {
    panics::refuse();
    let state = match encoding::read(&sys::message_bytes()) {
        Ok(state) => code_change(state),
        Err(why) => panic!("the state cannot be read: {why}"),
    };
    panics::accepted();
    reload::accept();
    // Streams that the state has not taken are closed.
    sys::message_create(0);
    go_on(state);
}

/// Makes the entries by which a module takes over processes of a kind, and implements
/// [`State`](crate::reload::State).
///
/// - the kind: a literal, at most 256 bytes.
/// - the version and the type of the state that the code writes.
/// - the version and the type of the state that it can read and write too, if there is one.
///   The first implements [`CodeChange`](crate::reload::CodeChange) for it.
/// - a function that is called with the state when the new code has taken over; the
///   process ends when it returns. [`serve`](crate::reload::serve) for servers.
///
/// ```no_run
/// use lunatic_guest::reload;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Ticker {
///     ticks: u64,
/// }
///
/// lunatic_guest::reload_entries!("ticker", 1 => Ticker, tick);
///
/// fn tick(mut ticker: Ticker) {
///     loop {
///         reload::point(&mut ticker);
///         ticker.ticks += 1;
///     }
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! reload_entries {
    ($kind:literal, $version:literal => $state:ty, $go_on:expr $(,)?) => {
        $crate::reload_entries!(@state $kind, $version, $state, ::core::option::Option::None);
        $crate::reload_entries!(@entry $kind, $version, $state, |state: $state| state, $go_on);
    };
    (
        $kind:literal, $version:literal => $state:ty,
        $previous_version:literal => $previous:ty, $go_on:expr $(,)?
    ) => {
        $crate::reload_entries!(
            @state $kind, $version, $state,
            ::core::option::Option::Some($crate::reload::Previous::new::<$previous>($previous_version))
        );
        $crate::reload_entries!(@entry $kind, $version, $state, |state: $state| state, $go_on);
        $crate::reload_entries!(
            @entry $kind, $previous_version, $state,
            <$state as $crate::reload::CodeChange<$previous>>::code_change, $go_on
        );
    };
    (@state $kind:literal, $version:literal, $state:ty, $before:expr) => {
        impl $crate::reload::State for $state {
            const KIND: &'static str = $kind;
            const VERSION: i64 = $version;
            const PREVIOUS: ::core::option::Option<$crate::reload::Previous<$state>> = $before;
        }
    };
    (@entry $kind:literal, $version:literal, $state:ty, $code_change:expr, $go_on:expr) => {
        const _: () = {
            #[export_name = concat!("_lunatic_reload_", $version, "_", $kind)]
            extern "C" fn entry() {
                let go_on: fn($state) = $go_on;
                $crate::reload::enter($code_change, go_on);
            }
        };
    };
}
