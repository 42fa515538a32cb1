//! The modules of a node that other nodes name.

use std::collections::HashMap;

use lunatic_engine::{Module, ModuleHash};
use parking_lot::Mutex;

use crate::state::State;

/// So many modules are kept that nothing uses.
const MAX_UNUSED: usize = 64;

/// The modules of a node that other nodes name, by the first bytes of their hash.
#[derive(Default)]
pub(super) struct NodeModules {
    modules: Mutex<HashMap<u64, Module<State>>>,
}

impl NodeModules {
    /// Keeps a module, and returns its number. Of those that nothing else uses, some are
    /// forgotten.
    pub(super) fn keep(&self, module: &Module<State>) -> u64 {
        let number = number_of(module.hash());
        let mut modules = self.modules.lock();
        if modules.contains_key(&number) {
            return number;
        }
        let unused = modules.iter().filter(|(_, module)| module.handles() == 1);
        let unused: Vec<u64> = unused.map(|(number, _)| *number).collect();
        if unused.len() >= MAX_UNUSED {
            for number in unused {
                modules.remove(&number);
            }
        }
        modules.insert(number, module.clone());
        number
    }

    pub(super) fn by_number(&self, number: u64) -> Option<Module<State>> {
        self.modules.lock().get(&number).cloned()
    }

    pub(super) fn by_hash(&self, hash: ModuleHash) -> Option<Module<State>> {
        let module = self.by_number(number_of(hash))?;
        (module.hash() == hash).then_some(module)
    }
}

/// Never 0, which is no module.
fn number_of(hash: ModuleHash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first).max(1)
}
