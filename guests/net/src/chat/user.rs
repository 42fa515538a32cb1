//! The two processes of a user: one writes what the room shows, one reads what
//! the user types. The end of one is the end of both.

use std::io::{Result, Write};
use std::time::Duration;

use lunatic::net::TcpStream;
use lunatic::{Mailbox, Process};
use serde::{Deserialize, Serialize};

use super::lines::Lines;
use super::room::Said;

/// How long a user may let what others say wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the room, or the own reader, tells a user.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Shown {
    /// So many others are there.
    Welcome(usize),
    /// Another user has this name.
    Taken,
    Line(String),
    /// The user has left.
    Bye,
}

/// The entry of the process that writes. It is the one the room knows.
pub(super) fn welcome((stream, room): (TcpStream, Process<Said>), mailbox: Mailbox<Shown>) {
    let this = mailbox.this();
    let typed = stream.clone();
    let reader = Process::spawn_link((typed, room, this), read);
    // Who doesn't read what others say is gone.
    let _ = write(stream, &mailbox);
    reader.kill();
}

fn write(mut stream: TcpStream, mailbox: &Mailbox<Shown>) -> Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"* what is your name?\n")?;
    loop {
        let line = match mailbox.receive() {
            Shown::Welcome(others) => format!("* welcome; others here: {others}"),
            Shown::Taken => "* that name is taken, what is yours?".to_owned(),
            Shown::Line(line) => line,
            Shown::Bye => return Ok(()),
        };
        stream.write_all(format!("{line}\n").as_bytes())?;
    }
}

/// The entry of the process that reads.
fn read((stream, room, user): (TcpStream, Process<Said>, Process<Shown>), _: Mailbox<()>) {
    let mut lines = Lines::new(stream);
    // A connection that breaks is one that ends.
    while let Ok(Some(text)) = lines.next() {
        match &*text {
            "" => {}
            "/quit" => break,
            "/who" => room.send(Said::Who { user }),
            _ => room.send(Said::Line { user, text }),
        }
    }
    user.send(Shown::Bye);
}
