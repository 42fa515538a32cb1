//! Where a handler of exceptions is.

use wasmparser::Catch;

/// The label that a handler of a `try_table` branches to, counted from outside of that.
pub(crate) fn catch_label(catch: &Catch) -> u32 {
    match *catch {
        Catch::One { label, .. }
        | Catch::OneRef { label, .. }
        | Catch::All { label }
        | Catch::AllRef { label } => label,
    }
}
