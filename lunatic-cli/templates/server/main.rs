//! Sends back what it is sent, with a process for each connection: `cargo run 127.0.0.1:7000`.

use std::io::{self, Read, Write};

use lunatic::net::{TcpListener, TcpStream};
use lunatic::{Mailbox, Process};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:7000".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener)
}

fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        Process::spawn(stream, echo);
    }
}

/// Returns at the end of the connection, or when it breaks. A panic here would end this
/// connection and no other.
fn echo(mut stream: TcpStream, _: Mailbox<()>) {
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[lunatic::test]
    fn what_is_sent_comes_back(mailbox: Mailbox<SocketAddr>) {
        Process::spawn(mailbox.this(), |parent, _: Mailbox<()>| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            parent.send(listener.local_addr().unwrap());
            serve(listener).unwrap();
        });
        let mut stream = TcpStream::connect(mailbox.receive()).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
    }
}
