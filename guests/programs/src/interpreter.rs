//! A program in a language that is interpreted.

use rhai::{Engine, INT};

/// Finds primes, and puts text together.
const PROGRAM: &str = r#"
    let primes = [];
    let number = 2;
    while primes.len() < 400 {
        let is_prime = true;
        for prime in primes {
            if prime * prime > number { break; }
            if number % prime == 0 { is_prime = false; break; }
        }
        if is_prime { primes.push(number); }
        number += 1;
    }
    let text = "";
    for prime in primes { text += `${prime},`; }
    primes[399] + text.len()
"#;

pub(crate) fn run() -> u64 {
    let result = Engine::new().eval::<INT>(PROGRAM);
    result.map_or(0, |result| result as u64)
}
