//! The properties that loading needs of a module beside its code.

use serde::{Deserialize, Serialize};

use crate::module_hash::ModuleHash;
use crate::module_info::ModuleInfo;

/// The properties that loading needs of a module beside its code, and for which it would have to
/// read the module.
///
/// If there is a summary, the module has passed the checks that the key of the summary names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModuleSummary {
    /// The hash of the bytes that it is loaded from.
    pub(crate) hash: ModuleHash,
    pub(crate) info: ModuleInfo,
    /// Whether it is compiled to count fuel, and not to share time.
    pub(crate) counts_fuel: bool,
    /// How many bytes the compiler takes for it.
    pub(crate) compiler_memory: u64,
}
