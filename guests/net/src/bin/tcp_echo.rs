//! Sends back what it is sent: `tcp_echo [ADDRESS]`.
//!
//! Each connection has a process of its own, so none waits for another.

use std::io::{self, Read, Write};

use lunatic::net::{TcpListener, TcpStream};
use lunatic::{Mailbox, Process};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(net::address())?;
    net::announce(listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                Process::spawn(stream, echo);
            }
            // The others go on; the runtime sees to it that this is no spin.
            Err(error) => eprintln!("cannot accept a connection: {error}"),
        }
    }
}

/// Returns at the end of the connection, or when it breaks.
fn echo(mut stream: TcpStream, _: Mailbox<()>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}
