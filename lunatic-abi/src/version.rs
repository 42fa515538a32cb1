//! The namespace `lunatic::version` (ABI §12).
//!
//! It answers with the version of the *interface*, which is what guests ask
//! for, and not with the version of these crates.

use wasmtime::{Linker, Result};

const MAJOR: u32 = 0;
const MINOR: u32 = 13;
const PATCH: u32 = 2;

pub(crate) fn add_to_linker<T: 'static>(linker: &mut Linker<T>) -> Result<()> {
    const NAMESPACE: &str = "lunatic::version";
    linker.func_wrap(NAMESPACE, "major", || MAJOR)?;
    linker.func_wrap(NAMESPACE, "minor", || MINOR)?;
    linker.func_wrap(NAMESPACE, "patch", || PATCH)?;
    Ok(())
}
