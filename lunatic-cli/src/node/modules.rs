//! The modules of a node that other nodes name.

use std::collections::HashMap;

use lunatic_account::{Account, Charge, Exceeded, Kind};
use lunatic_engine::{Module, ModuleHash, WeakModule};
use parking_lot::Mutex;

use crate::state::State;

/// So many modules are kept that nothing uses.
const MAX_UNUSED: usize = 64;

/// The modules of a node that other nodes name.
#[derive(Default)]
pub(super) struct NodeModules {
    modules: Mutex<Modules>,
}

#[derive(Default)]
struct Modules {
    /// By the first bytes of their hash.
    kept: HashMap<u64, Kept>,
    /// Those that processes of this node have named to others, in the same way. Who runs one keeps it.
    own: HashMap<u64, WeakModule<State>>,
    /// How many there may be before those that are gone are left out.
    most_own: usize,
    /// So many were ever kept.
    count: u64,
}

struct Kept {
    module: Module<State>,
    /// The number of those that were kept before.
    age: u64,
    /// What the node pays that has sent it.
    paid: Charge,
}

impl NodeModules {
    /// Remembers a module of this node as long as somebody has it, and returns its number.
    pub(super) fn remember(&self, module: &Module<State>) -> u64 {
        const FEW: usize = 64;
        let number = number_of(module.hash());
        let Modules { own, most_own, .. } = &mut *self.modules.lock();
        if own.len() >= (*most_own).max(FEW) {
            own.retain(|_, module| !module.is_gone());
            *most_own = 2 * own.len();
        }
        own.insert(number, module.downgrade());
        number
    }

    /// Keeps a module that another node has sent, which pays for it. Of many that nothing else uses,
    /// the oldest is forgotten. If it has no memory left,
    /// modules of it are forgotten that nothing uses, the oldest first.
    ///
    /// # Errors
    ///
    /// It has no memory left for it.
    pub(super) fn keep_for(&self, payer: &Account, module: &Module<State>) -> Result<(), Exceeded> {
        let mut modules = self.modules.lock();
        if modules.kept.contains_key(&number_of(module.hash())) {
            return Ok(());
        }
        let paid = loop {
            match Charge::new(payer, Kind::Memory, module.size() as u64) {
                Ok(paid) => break paid,
                Err(_) if modules.forget_oldest(|kept| kept.is_paid_by(payer)) => {}
                Err(exceeded) => return Err(exceeded),
            }
        };
        modules.insert(module, paid);
        Ok(())
    }

    pub(super) fn by_number(&self, number: u64) -> Option<Module<State>> {
        let modules = self.modules.lock();
        let kept = modules.kept.get(&number).map(|kept| kept.module.clone());
        kept.or_else(|| modules.own.get(&number)?.upgrade())
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
        self.paid.account().is(account)
    }
}

impl Modules {
    fn insert(&mut self, module: &Module<State>, paid: Charge) {
        let number = number_of(module.hash());
        let unused = self.kept.values().filter(|kept| kept.is_unused());
        if unused.count() >= MAX_UNUSED {
            self.forget_oldest(|_| true);
        }
        let (module, age) = (module.clone(), self.count);
        self.count += 1;
        self.kept.insert(number, Kept { module, age, paid });
    }

    /// Forgets the oldest module that nothing uses, of some; returns whether there was one.
    fn forget_oldest(&mut self, of: impl Fn(&Kept) -> bool) -> bool {
        let unused = self.kept.iter().filter(|(_, kept)| kept.is_unused());
        let oldest = unused
            .filter(|(_, kept)| of(kept))
            .min_by_key(|(_, kept)| kept.age)
            .map(|(number, _)| *number);
        oldest.is_some_and(|number| self.kept.remove(&number).is_some())
    }
}

/// Never 0, which is no module.
fn number_of(hash: ModuleHash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use futures_lite::future::block_on;
    use lunatic_account::AccountLimits;

    use super::*;
    use crate::Runtime;

    /// Loads modules that differ.
    fn loader() -> impl Fn(usize) -> Module<State> {
        let runtime = Runtime::builder().start().unwrap();
        move |number| {
            let text = format!("(module (memory 1) (data (i32.const 0) \"{number}\"))");
            block_on(runtime.load(text.into_bytes())).unwrap()
        }
    }

    #[test]
    fn of_many_modules_that_nothing_uses_the_oldest_is_forgotten() {
        let load = loader();
        let modules = NodeModules::default();
        let payer = Account::default();
        let keep = |module: &Module<State>| {
            modules.keep_for(&payer, module).unwrap();
            number_of(module.hash())
        };
        let used = load(MAX_UNUSED + 1);
        let number_of_used = keep(&used);
        let numbers: Vec<u64> = (0..=MAX_UNUSED).map(|number| keep(&load(number))).collect();
        assert!(modules.by_number(numbers[0]).is_none());
        assert!(
            numbers[1..]
                .iter()
                .chain([&number_of_used])
                .all(|number| modules.by_number(*number).is_some())
        );
    }

    #[test]
    fn a_module_of_this_node_is_known_as_long_as_somebody_has_it_and_takes_no_place_of_others() {
        let load = loader();
        let modules = NodeModules::default();
        let payer = Account::default();
        let sent = load(0);
        modules.keep_for(&payer, &sent).unwrap();
        let number_of_sent = number_of(sent.hash());
        drop(sent);
        let used = load(1);
        let number_of_used = modules.remember(&used);
        for number in 2..=2 * MAX_UNUSED {
            let module = load(number);
            let number = modules.remember(&module);
            assert!(modules.by_number(number).is_some());
            drop(module);
            assert!(modules.by_number(number).is_none());
        }
        assert!(modules.by_number(number_of_used).is_some());
        assert!(modules.by_number(number_of_sent).is_some());
        assert!(modules.modules.lock().own.len() <= 65);
    }

    #[test]
    fn a_node_without_memory_loses_its_oldest_modules_only() {
        let load = loader();
        let modules = NodeModules::default();
        let [first, second, third] = [1, 2, 3].map(load);
        let sizes = [&first, &second, &third].map(|module| module.size() as u64);
        let payer = Account::root(AccountLimits {
            memory: sizes[0] + sizes[1],
            ..AccountLimits::UNLIMITED
        });
        let numbers = [&first, &second, &third].map(|module| number_of(module.hash()));
        for module in [first, second, third] {
            modules.keep_for(&payer, &module).unwrap();
        }
        let kept = numbers.map(|number| modules.by_number(number).is_some());
        assert_eq!(kept, [false, true, true]);
        assert_eq!(payer.used(Kind::Memory), sizes[1] + sizes[2]);
    }
}
