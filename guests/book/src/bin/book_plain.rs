//! An ordinary program: it counts the words of a file and knows nothing of Lunatic.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    fs::write("words.txt", "one two two three three three\n")?;
    let mut counts = BTreeMap::new();
    for word in fs::read_to_string("words.txt")?.split_whitespace() {
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    for (word, count) in counts {
        println!("{word}: {count}");
    }
    Ok(())
}
