//! Random inputs, and mutations of the stored ones.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Target;
use lunatic_testkit::Random;

/// Gives a target inputs.
#[derive(Debug)]
pub struct Driver {
    target: Target,
    random: Random,
    corpus: Vec<Vec<u8>>,
}

/// An input with which something does not hold.
#[derive(Debug)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
}

impl Driver {
    /// Reads the corpus of a target.
    ///
    /// - `seed`: of the random inputs.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read.
    pub fn new(target: Target, seed: u64) -> io::Result<Driver> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder(&target))? {
            paths.push(entry?.path());
        }
        // The order in which a system lists them is not always the same.
        paths.sort();
        let stored: io::Result<Vec<_>> = paths.iter().map(fs::read).collect();
        let mut corpus = stored?;
        corpus.extend((target.examples)());
        Ok(Driver {
            target,
            random: Random::new(seed),
            corpus,
        })
    }

    /// Tries what is stored. Returns how many inputs that are.
    ///
    /// # Errors
    ///
    /// [`Finding`].
    pub fn try_corpus(&self) -> Result<usize, Finding> {
        for input in &self.corpus {
            self.attempt(input)?;
        }
        Ok(self.corpus.len())
    }

    /// Tries random inputs. Returns how many they were.
    ///
    /// - `count`: how many at most.
    /// - `time`: how long at most.
    /// - `last`: where each is written before it is tried, for when the program dies of it.
    ///
    /// # Errors
    ///
    /// [`Finding`].
    pub fn try_some(
        &mut self,
        count: u64,
        time: Duration,
        last: Option<&Path>,
    ) -> Result<u64, Finding> {
        let begin = Instant::now();
        for number in 0..count {
            if begin.elapsed() >= time {
                return Ok(number);
            }
            let input = self.input();
            if let Some(last) = last {
                // Without this file, only an abort is harder to reproduce.
                fs::write(last, &input).ok();
            }
            self.attempt(&input)?;
        }
        Ok(count)
    }

    fn attempt(&self, input: &[u8]) -> Result<(), Finding> {
        let run = self.target.run;
        catch_unwind(AssertUnwindSafe(|| run(input))).map_err(|_| Finding {
            input: input.to_owned(),
        })
    }

    /// The next input.
    fn input(&mut self) -> Vec<u8> {
        let max = self.target.max_bytes;
        if self.corpus.is_empty() || self.random.below(4) == 0 {
            let length = self.random.below(max + 1);
            return self.random.bytes(length);
        }
        let mut input = self.stored();
        for _ in 0..=self.random.below(6) {
            self.mutate(&mut input);
        }
        input.truncate(max);
        input
    }

    fn stored(&mut self) -> Vec<u8> {
        let index = self.random.below(self.corpus.len());
        self.corpus[index].clone()
    }

    /// Changes one thing.
    fn mutate(&mut self, input: &mut Vec<u8>) {
        const TELLING: [u8; 12] = [
            0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'(', b'[', b'{', b'=', b'-',
        ];
        if input.is_empty() {
            input.push(self.random.number() as u8);
            return;
        }
        let at = self.random.below(input.len());
        let length = 1 + self.random.below((input.len() - at).min(64));
        match self.random.below(8) {
            0 => input[at] ^= 1 << self.random.below(8),
            1 => input[at] = self.random.number() as u8,
            2 => input[at] = TELLING[self.random.below(TELLING.len())],
            3 => drop(input.drain(at..at + length)),
            4 => {
                let again = input[at..at + length].to_vec();
                input.splice(at..at, again);
            }
            5 => {
                let new = self.random.bytes(length);
                input.splice(at..at, new);
            }
            6 => input.truncate(at),
            _ => {
                let other = self.stored();
                if !other.is_empty() {
                    let from = self.random.below(other.len());
                    let to = from + 1 + self.random.below(other.len() - from);
                    input.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
    }
}

/// The folder with what is stored.
pub(crate) fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name)
}
