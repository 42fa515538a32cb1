//! Sends lines back, version 2, that panics when it takes over a connection
//! from version 1, with the stream in its hands. Each connection has a process of its own; all can go on
//! with new code while they wait.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use lunatic::net::TcpStream;
use lunatic::{Mailbox, Process};
use lunatic_guest::net::TcpListener;
use lunatic_guest::reload::{self, CodeChange};
use serde::{Deserialize, Serialize};

/// A port that the system chooses.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[derive(Serialize, Deserialize)]
struct Acceptor {
    listener: TcpListener,
}

/// What version 1 writes.
#[derive(Serialize, Deserialize)]
struct ConnectionV1 {
    stream: TcpStream,
    rest: Vec<u8>,
    lines: u64,
}

#[derive(Serialize, Deserialize)]
struct Connection {
    stream: TcpStream,
    /// What was read behind the last line.
    rest: Vec<u8>,
    lines: u64,
    bytes: u64,
}

lunatic_guest::reload_entries!("acceptor", 1 => Acceptor, accept);
lunatic_guest::reload_entries!("connection", 2 => Connection, 1 => ConnectionV1, echo);

impl CodeChange<ConnectionV1> for Connection {
    fn code_change(previous: ConnectionV1) -> Connection {
        panic!("{:?} stays where it is", previous.stream)
    }

    fn code_change_back(&self) -> ConnectionV1 {
        ConnectionV1 {
            stream: self.stream.clone(),
            rest: self.rest.clone(),
            lines: self.lines,
        }
    }
}

fn main() {
    let listener = TcpListener::bind(ANY_PORT).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    reload_guests::tell_port(port);
    accept(Acceptor { listener });
}

fn accept(mut acceptor: Acceptor) {
    loop {
        match reload::wait(&mut acceptor, |acceptor| acceptor.listener.accept()) {
            Ok((stream, _)) => {
                Process::spawn(stream, |stream: TcpStream, _: Mailbox<()>| {
                    let connection = Connection {
                        stream,
                        rest: Vec::new(),
                        lines: 0,
                        bytes: 0,
                    };
                    echo(connection);
                });
            }
            Err(error) => eprintln!("cannot accept a connection: {error}"),
        }
    }
}

/// Returns at the end of the connection, or when it breaks.
fn echo(mut connection: Connection) {
    let mut buffer = [0; 1024];
    let mut more = 0;
    loop {
        let line = reload_guests::take_line(&mut connection.rest, &buffer[..more]);
        more = 0;
        match line {
            Ok(Some(line)) => {
                connection.lines += 1;
                connection.bytes += line.len() as u64;
                let answer = format!("v2 {}:{} {line}", connection.lines, connection.bytes);
                if connection.stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            Ok(None) => match reload::wait(&mut connection, |it| it.stream.read(&mut buffer)) {
                Ok(count @ 1..) => more = count,
                _ => return,
            },
            Err(_) => return,
        }
    }
}
