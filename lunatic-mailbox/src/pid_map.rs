//! Maps and sets of ids of processes.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

use crate::pid::Pid;

/// A map whose keys are processes.
///
/// # Examples
///
/// ```
/// use lunatic_mailbox::{Pid, PidMap};
///
/// let mut names = PidMap::default();
/// names.insert(Pid::from_bits(1), "one");
/// assert_eq!(names.get(&Pid::from_bits(1)), Some(&"one"));
/// ```
pub type PidMap<V> = HashMap<Pid, V, PidHashing>;

/// A set of processes.
pub type PidSet = HashSet<Pid, PidHashing>;

/// How ids of processes are hashed: fast, and with a random seed.
///
/// Ids are drawn by the runtime, but a guest chooses which of its processes live on, and
/// names processes of other nodes by any id. Without knowing the seed it cannot choose
/// ids that collide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PidHashing;

impl BuildHasher for PidHashing {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        let (start, shared) = &*SEED;
        FoldHasher::with_seed(*start, shared)
    }
}

/// The seed, from the random numbers of the operating system that the standard library uses; the
/// seeds of foldhash itself come from addresses only.
static SEED: LazyLock<(u64, SharedSeed)> = LazyLock::new(|| {
    let random = || RandomState::new().hash_one(());
    (random(), SharedSeed::from_u64(random()))
});

#[cfg(test)]
mod tests {
    use rustc_hash::FxBuildHasher;

    use super::*;

    #[test]
    fn ids_that_collide_without_a_seed_do_not_collide() {
        const BUCKETS: u64 = 1 << 10;
        let bucket = |hash: u64| hash % BUCKETS;
        let collide = |id: &Pid| bucket(FxBuildHasher.hash_one(id)) == 0;
        let ids: Vec<_> = (1..1 << 18).map(Pid::from_bits).filter(collide).collect();
        assert!(ids.len() > 100);
        let buckets: HashSet<_> = ids
            .iter()
            .map(|id| bucket(PidHashing.hash_one(id)))
            .collect();
        assert!(buckets.len() > ids.len() / 2, "{} buckets", buckets.len());
    }

    #[test]
    fn all_maps_hash_alike() {
        let id = Pid::from_bits(7);
        assert_eq!(PidHashing.hash_one(id), PidHashing.hash_one(id));
    }
}
