//! A web server with a process for each connection serves many at once, and one
//! connection crashes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use lunatic::net::{TcpListener, TcpStream};
use lunatic::{Mailbox, Process};
use net::http;
use serde::{Deserialize, Serialize};

use crate::narrator::say;

const CLIENTS: u32 = 200;
const REQUESTS: u32 = 50;

/// What the storyteller hears.
#[derive(Serialize, Deserialize)]
pub enum News {
    Listening(SocketAddr),
    /// One client has had all its answers, from the process with this id.
    Served(u64),
}

pub fn tell(audience: Process<()>, mailbox: Mailbox<News>) {
    let this = mailbox.this();
    let server = Process::spawn(this, serve);
    let News::Listening(address) = mailbox.receive() else {
        panic!("a server listens before it serves");
    };
    say("server", format_args!("listens on {address}"));

    let start = Instant::now();
    for _ in 0..CLIENTS {
        Process::spawn_link((this, address), client);
    }
    let mut processes: Vec<u64> = (0..CLIENTS)
        .map(|_| match mailbox.receive() {
            News::Served(process) => process,
            News::Listening(_) => panic!("the server listens already"),
        })
        .collect();
    let took = start.elapsed().as_secs_f64();
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), CLIENTS as usize);
    let total = CLIENTS * REQUESTS;
    say(
        "clients",
        format_args!("{CLIENTS} got {total} answers in {:.0} ms", took * 1e3),
    );

    let mut calm = Connection::open(address).unwrap();
    let before = calm.get("/process").unwrap();
    let mut reckless = Connection::open(address).unwrap();
    assert!(reckless.get("/crash").is_err());
    assert_eq!(calm.get("/process").unwrap(), before);
    say(
        "server",
        "one connection crashed, the others noticed nothing",
    );
    server.kill();
    audience.send(());
}

/// The server's process.
fn serve(storyteller: Process<News>, _: Mailbox<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    storyteller.send(News::Listening(listener.local_addr().unwrap()));
    http::serve(&listener, http::PATIENCE)
}

/// A client, in a process of its own too.
fn client((storyteller, address): (Process<News>, SocketAddr), _: Mailbox<()>) {
    let mut connection = Connection::open(address).unwrap();
    let process = connection.get("/process").unwrap();
    for _ in 1..REQUESTS {
        assert_eq!(connection.get("/process").unwrap(), process);
    }
    storyteller.send(News::Served(process.trim().parse().unwrap()));
}

/// The client's side of a connection.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Connection> {
        TcpStream::connect(address).map(|stream| Connection(BufReader::new(stream)))
    }

    /// Asks for a page and returns its text.
    fn get(&mut self, path: &str) -> io::Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: demo\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            match self.0.read_line(&mut line)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if line == "\r\n" => break,
                _ => {}
            }
            if let Some(digits) = line.strip_prefix("Content-Length: ") {
                length = digits.trim().parse().unwrap();
            }
        }
        let mut text = vec![0; length];
        self.0.read_exact(&mut text)?;
        Ok(String::from_utf8(text).unwrap())
    }
}
