//! The modules of a node that other nodes name.

use std::collections::HashMap;

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_engine::{Module, ModuleHash};
use parking_lot::Mutex;

use crate::state::State;

/// So many modules are kept that nothing uses.
const MAX_UNUSED: usize = 64;

/// The modules of a node that other nodes name, by the first bytes of their hash.
#[derive(Default)]
pub(super) struct NodeModules {
    modules: Mutex<HashMap<u64, Kept>>,
}

struct Kept {
    module: Module<State>,
    /// What the node pays that has sent it.
    paid: Option<Charge>,
}

impl NodeModules {
    /// Keeps a module of this node, and returns its number. Of those that nothing else uses,
    /// some are forgotten.
    pub(super) fn keep(&self, module: &Module<State>) -> u64 {
        let mut modules = self.modules.lock();
        insert(&mut modules, module, None)
    }

    /// Keeps a module that another node has sent, which pays for it. If it has no memory left,
    /// modules of it are forgotten that nothing uses.
    ///
    /// # Errors
    ///
    /// It has no memory left for it.
    pub(super) fn keep_for(&self, payer: &Account, module: &Module<State>) -> Result<(), Exceeded> {
        let charge = || Charge::new(payer, Kind::Memory, module.size() as u64);
        let mut modules = self.modules.lock();
        if modules.contains_key(&number_of(module.hash())) {
            return Ok(());
        }
        let paid = charge().or_else(|_| {
            modules.retain(|_, kept| !kept.is_unused() || !kept.is_paid_by(payer));
            charge()
        })?;
        insert(&mut modules, module, Some(paid));
        Ok(())
    }

    pub(super) fn by_number(&self, number: u64) -> Option<Module<State>> {
        let modules = self.modules.lock();
        modules.get(&number).map(|kept| kept.module.clone())
    }

    pub(super) fn by_hash(&self, hash: ModuleHash) -> Option<Module<State>> {
        let module = self.by_number(number_of(hash))?;
        (module.hash() == hash).then_some(module)
    }
}

impl Kept {
    fn is_unused(&self) -> bool {
        self.module.handles() == 1
    }

    fn is_paid_by(&self, account: &Account) -> bool {
        self.paid
            .as_ref()
            .is_some_and(|paid| paid.account().is(account))
    }
}

fn insert(modules: &mut HashMap<u64, Kept>, module: &Module<State>, paid: Option<Charge>) -> u64 {
    let number = number_of(module.hash());
    if modules.contains_key(&number) {
        return number;
    }
    let unused = modules.iter().filter(|(_, kept)| kept.is_unused());
    if unused.count() >= MAX_UNUSED {
        modules.retain(|_, kept| !kept.is_unused());
    }
    let module = module.clone();
    modules.insert(number, Kept { module, paid });
    number
}

/// Never 0, which is no module.
fn number_of(hash: ModuleHash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first).max(1)
}
