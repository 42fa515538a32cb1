//! Gives a child one directory, and other children nothing.

use std::fs;

use lunatic::{Mailbox, Process, ProcessConfig};
use lunatic_guest::account::{Kind, Limits};
use lunatic_guest::{account, directory};

#[lunatic::main]
fn main(mailbox: Mailbox<String>) {
    fs::create_dir_all("notes").unwrap();
    fs::write("notes/one.txt", "a note\n").unwrap();
    fs::write("secret.txt", "a secret\n").unwrap();
    let this = mailbox.this();

    let nothing = ProcessConfig::new().unwrap();
    Process::spawn_config(&nothing, this, reads);
    println!("a child without rights: {}", mailbox.receive());

    let notes = ProcessConfig::new().unwrap();
    directory::preopen(notes.id() as u64, "notes");
    Process::spawn_config(&notes, this, reads);
    println!("a child with one directory: {}", mailbox.receive());

    let limited = ProcessConfig::new().unwrap();
    Limits::default().memory(32 << 20).set(limited.id() as u64);
    Process::spawn_config(&limited, this, fills);
    println!("a child with 32 MiB: {}", mailbox.receive());
}

fn reads(parent: Process<String>, _: Mailbox<()>) {
    let can = |path| match fs::read_to_string(path) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => "refused".to_owned(),
    };
    parent.send(format!("{}, {}", can("notes/one.txt"), can("secret.txt")));
}

/// Takes memory until there is no more.
fn fills(parent: Process<String>, _: Mailbox<()>) {
    let mut blocks = Vec::new();
    loop {
        let mut block: Vec<u8> = Vec::new();
        if block.try_reserve_exact(1 << 20).is_err() {
            break;
        }
        blocks.push(block);
    }
    let within = account::used(Kind::Memory) <= 32 << 20;
    parent.send(format!("refused within its limit: {within}"));
}
