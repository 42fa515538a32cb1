//! What programs compute: each export does a piece of work of some tens of milliseconds, so often
//! as it is told, with libraries as they are on crates.io. It calls nobody, and returns a number
//! that depends on all of it.

#![allow(
    unsafe_code,
    reason = "an export that is found by its name is `no_mangle`"
)]

mod image;
mod interpreter;
mod json;
mod maps;
mod random;
mod search;

use sha2::{Digest, Sha256};

use crate::random::Random;

/// Hashes 4 MiB.
#[no_mangle]
pub extern "C" fn sha256(times: u32) -> u64 {
    let bytes = Random::new(1).bytes(4 << 20);
    repeat(times, |_| {
        let digest = Sha256::digest(&bytes);
        first_number(&digest)
    })
}

/// Reads a document of some hundred KiB, and writes it again.
#[no_mangle]
pub extern "C" fn json(times: u32) -> u64 {
    let text = json::document(2000);
    repeat(times, |_| json::read_and_write(&text))
}

/// Looks for addresses in a text of 256 KiB.
#[no_mangle]
pub extern "C" fn regex(times: u32) -> u64 {
    let search = search::Search::new();
    let text = search::text(256 << 10);
    repeat(times, |_| search.count(&text))
}

/// Sorts 200 000 numbers, and as many strings.
#[no_mangle]
pub extern "C" fn sort(times: u32) -> u64 {
    repeat(times, |seed| {
        let mut random = Random::new(seed);
        let mut numbers: Vec<u64> = (0..200_000).map(|_| random.next()).collect();
        let mut words: Vec<String> = (0..50_000).map(|_| random.word()).collect();
        numbers.sort_unstable();
        words.sort();
        numbers[numbers.len() / 2] ^ words[words.len() / 2].len() as u64
    })
}

/// Counts words, and looks numbers up.
#[no_mangle]
pub extern "C" fn maps(times: u32) -> u64 {
    repeat(times, maps::count_and_look_up)
}

/// Blurs a picture of 512 by 512 points.
#[no_mangle]
pub extern "C" fn image(times: u32) -> u64 {
    let mut picture = image::Picture::at_random(512, 512);
    repeat(times, |_| picture.blur())
}

/// Runs a program in Rhai.
#[no_mangle]
pub extern "C" fn interpreter(times: u32) -> u64 {
    repeat(times, |_| interpreter::run())
}

/// Does the work so often, and puts the results together.
fn repeat(times: u32, mut work: impl FnMut(u64) -> u64) -> u64 {
    (0..u64::from(times)).fold(0, |sum, round| {
        sum.rotate_left(7).wrapping_add(work(round + 1))
    })
}

fn first_number(bytes: &[u8]) -> u64 {
    let first = bytes.first_chunk().copied();
    first.map_or(0, u64::from_le_bytes)
}
