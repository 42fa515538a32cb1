//! Lets users talk, line by line: `chat_server [ADDRESS]`.
//!
//! A user has a process that writes and one that reads, linked to each other; the
//! room is one more, which monitors the users.

use std::io;

use lunatic::net::TcpListener;
use net::chat;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(net::address())?;
    net::announce(listener.local_addr()?);
    chat::serve(&listener)
}
