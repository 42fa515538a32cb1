//! A TCP server with a process for each connection, and clients of it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;

use lunatic::net::{TcpListener, TcpStream};
use lunatic::{Mailbox, Process};

#[lunatic::main]
fn main(mailbox: Mailbox<SocketAddr>) {
    Process::spawn_link(mailbox.this(), serve);
    let address = mailbox.receive();

    let mut calm = TcpStream::connect(address).unwrap();
    let mut rude = TcpStream::connect(address).unwrap();
    println!("{}", ask(&mut calm, "hello").unwrap());
    println!("{:?}", ask(&mut rude, "crash"));
    println!("{}", ask(&mut calm, "hello again").unwrap());
}

fn serve(parent: Process<SocketAddr>, _: Mailbox<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    parent.send(listener.local_addr().unwrap());
    while let Ok((stream, _)) = listener.accept() {
        // The stream moves into the process of the connection.
        Process::spawn(stream, answer);
    }
}

/// Sends each line back, and fails at one of them.
fn answer(mut stream: TcpStream, _: Mailbox<()>) {
    let lines = BufReader::new(stream.clone()).lines();
    for line in lines.map_while(Result::ok) {
        assert_ne!(line, "crash");
        if writeln!(stream, "you said {line}").is_err() {
            return;
        }
    }
}

/// Sends a line; the answer, or nothing if the connection has ended.
fn ask(stream: &mut TcpStream, line: &str) -> Option<String> {
    writeln!(stream, "{line}").ok()?;
    let mut answer = String::new();
    let read = BufReader::new(stream.clone()).read_line(&mut answer);
    read.ok().filter(|bytes| *bytes > 0)?;
    Some(answer.trim().to_owned())
}
