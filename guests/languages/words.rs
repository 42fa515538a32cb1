//! Counts words: the same program in every language.

use std::collections::BTreeMap;
use std::{env, fs, io, process};

fn main() -> io::Result<()> {
    let text = io::read_to_string(io::stdin())?;
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_insert(0) += 1;
    }
    for (word, count) in &counts {
        println!("{word} {count}");
    }
    let greeting = env::var("GREETING").unwrap_or("-".into());
    println!("{greeting}, {}", env::args().nth(1).unwrap_or("-".into()));
    let count: i32 = counts.values().sum();
    fs::write("count.txt", format!("{count} words\n"))?;
    print!("{}", fs::read_to_string("count.txt")?);
    fs::remove_file("count.txt")?;
    process::exit(3);
}
