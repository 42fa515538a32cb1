//! The order in which tests are started, if it is not that of their names.

use std::str::FromStr;

/// Where an order comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed(u64);

impl Seed {
    /// The number that makes the same order again.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Seed, String> {
        if text != "random" {
            let number = text.parse().map(Seed);
            return number.map_err(|_| "it is a whole number, or `random`".to_owned());
        }
        let number = getrandom::u64().map_err(|error| error.to_string())?;
        // Short enough to be typed.
        Ok(Seed(number % 1_000_000))
    }
}

/// Puts the items into the order that the seed stands for, the same on every machine.
pub(super) fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        let other = next(&mut state) % (last as u64 + 1);
        items.swap(last, other as usize);
    }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> Vec<u8> {
        let mut items: Vec<_> = (0..20).collect();
        shuffle(&mut items, seed);
        items
    }

    #[test]
    fn a_seed_makes_the_same_order_again_and_another_one_another() {
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_seed_is_a_number_or_random() {
        assert_eq!("42".parse(), Ok(Seed(42)));
        assert!("random".parse::<Seed>().is_ok());
        assert!("abc".parse::<Seed>().is_err());
    }
}
