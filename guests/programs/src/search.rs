//! Text that is searched.

use regex::Regex;

use crate::random::Random;

/// What is looked for.
pub(crate) struct Search(Vec<Regex>);

impl Search {
    pub(crate) fn new() -> Search {
        let patterns = [
            r"[a-z]+@[a-z]+\.(com|org|net)",
            r"\b(\d{1,3}\.){3}\d{1,3}\b",
            r"(?i)warning|error: [a-z ]{4,20}",
        ];
        Search(patterns.iter().flat_map(|it| Regex::new(it)).collect())
    }

    /// How much is found.
    pub(crate) fn count(&self, text: &str) -> u64 {
        let found = self.0.iter().map(|regex| regex.find_iter(text).count());
        found.sum::<usize>() as u64
    }
}

/// Returns a text of about so many bytes.
pub(crate) fn text(bytes: usize) -> String {
    let mut random = Random::new(3);
    let mut text = String::new();
    while text.len() < bytes {
        let word = random.word();
        let next = match random.next() % 40 {
            0 => format!("{word}@{}.org ", random.word()),
            1 => format!("10.{}.7.{} ", random.next() % 256, random.next() % 256),
            2 => format!("Error: {word} {word}\n"),
            _ => word + " ",
        };
        text.push_str(&next);
    }
    text
}
