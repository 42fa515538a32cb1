//! Hash maps.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

use crate::random::Random;

/// Hashes the same each time (FNV-1a).
struct Fixed(u64);

impl Default for Fixed {
    fn default() -> Fixed {
        Fixed(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fixed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<Fixed>>;

pub(crate) fn count_and_look_up(seed: u64) -> u64 {
    let mut random = Random::new(seed);
    let mut words: Map<String, u32> = Map::default();
    let mut numbers: Map<u64, u64> = Map::default();
    for _ in 0..40_000 {
        let mut word = random.word();
        word.truncate(3);
        *words.entry(word).or_default() += 1;
        numbers.insert(random.next() % 100_000, random.next());
    }
    let found = (0..100_000).filter_map(|number| numbers.get(&number));
    let found = found.fold(0, |sum: u64, number| sum.wrapping_add(*number));
    found ^ u64::from(words.values().copied().max().unwrap_or(0))
}
