//! Brings orders from the web to the kitchen: HTTP/1.1, a process for each
//! connection.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

use diner::{kitchen, Meal, Order};
use lunatic::net::{TcpListener, TcpStream};
use lunatic::{Mailbox, MessageSignal, Process, ProcessDiedSignal};
use lunatic_guest::group::Member;
use lunatic_guest::process;

const MENU: &str = "the diner\n\n  /cook/DISH  to order; everything but fugu is safe\n  /cooks      who is in the kitchen\n";

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let address = env::var("DINER_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address[..])
        .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
    let address = listener.local_addr().expect("a listener has an address");
    println!("the diner is open: http://{address}/");
    loop {
        match listener.accept() {
            // Not linked: one guest that falls off the chair is no matter for
            // the others.
            Ok((stream, _)) => drop(Process::spawn(stream, serve)),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

type Inbox = Mailbox<Meal, lunatic::serializer::Bincode, ProcessDiedSignal>;

/// Answers requests until the guest leaves.
fn serve(mut stream: TcpStream, mailbox: Mailbox<Meal>) {
    const PATIENCE: Duration = Duration::from_secs(60);
    let this = mailbox.this();
    let mailbox = mailbox.monitorable();
    stream.set_read_timeout(Some(PATIENCE)).ok();
    let mut reader = BufReader::new(stream.clone());
    // An error means that the guest is gone, or does not speak HTTP.
    while let Ok(Some(request)) = Request::read(&mut reader) {
        let mut response = answer(&request, this, &mailbox);
        response.is_last |= !request.keeps_connection;
        if response.write(&mut stream).is_err() || response.is_last {
            return;
        }
    }
}

fn answer(request: &Request, this: Process<Meal>, mailbox: &Inbox) -> Response {
    if request.method != "GET" {
        return Response::new("405 Method Not Allowed", "only GET\n");
    }
    match (request.path.as_str(), request.path.strip_prefix("/cook/")) {
        ("/", _) => Response::new("200 OK", MENU),
        ("/cooks", _) => Response::new("200 OK", cooks()),
        (_, Some(dish)) if !dish.is_empty() => cook(dish, this, mailbox),
        _ => Response::new("404 Not Found", "that is not on the menu\n"),
    }
}

fn cooks() -> String {
    let mut cooks: Vec<Member> = kitchen().members();
    cooks.sort_unstable();
    cooks
        .iter()
        .map(|cook| format!("{}\n", cook.process))
        .collect()
}

/// Lets the next cook make a dish.
fn cook(dish: &str, this: Process<Meal>, mailbox: &Inbox) -> Response {
    const PATIENCE: Duration = Duration::from_secs(10);
    let Some(cook) = kitchen().next() else {
        return Response::new("503 Service Unavailable", "there is no cook\n");
    };
    process::monitor(cook.process);
    if !process::exists(cook.process) {
        return Response::new("503 Service Unavailable", "the cook has just left\n");
    }
    let dish = dish.to_owned();
    Order { dish, guest: this }.send(cook);
    let response = loop {
        match mailbox.receive_timeout(PATIENCE) {
            Ok(MessageSignal::Message(Meal { dish, cook })) => {
                break Response::new("200 OK", format!("{dish}, by process {cook}\n"));
            }
            // A cook of an earlier order may have died since.
            Ok(MessageSignal::Signal(ProcessDiedSignal(dead))) if dead != cook.process.0 => {}
            Ok(MessageSignal::Signal(ProcessDiedSignal(dead))) => {
                break Response::new(
                    "502 Bad Gateway",
                    format!("process {dead} has died of it\n"),
                );
            }
            // The meal may come later, and is not the answer to another order.
            Err(_) => {
                break Response::new("504 Gateway Timeout", "the cook takes too long\n").last();
            }
        }
    };
    process::stop_monitoring(cook.process);
    response
}

/// What a guest wants.
struct Request {
    method: String,
    path: String,
    keeps_connection: bool,
}

impl Request {
    /// `None` at the end of the connection.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
        /// The most bytes of a request.
        const LIMIT: u64 = 16 * 1024;
        let mut reader = reader.take(LIMIT);
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "not a request");
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().ok_or_else(bad)?, words.next().ok_or_else(bad)?);
        let mut request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            keeps_connection: words.next() == Some("HTTP/1.1"),
        };
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 {
                return Err(bad());
            }
            let header = header.trim_end().to_ascii_lowercase();
            match header.split_once(':') {
                None if header.is_empty() => return Ok(Some(request)),
                None => return Err(bad()),
                // Bodies are not read, so nothing may follow one.
                Some(("content-length" | "transfer-encoding", _)) => {
                    request.keeps_connection = false;
                }
                Some(("connection", value)) if value.trim() == "close" => {
                    request.keeps_connection = false;
                }
                Some(_) => {}
            }
        }
    }
}

struct Response {
    status: &'static str,
    body: String,
    /// The connection ends with it.
    is_last: bool,
}

impl Response {
    fn new(status: &'static str, body: impl Into<String>) -> Response {
        Response {
            status,
            body: body.into(),
            is_last: false,
        }
    }

    fn last(self) -> Response {
        Response {
            is_last: true,
            ..self
        }
    }

    fn write(&self, stream: &mut TcpStream) -> io::Result<()> {
        let Response {
            status,
            body,
            is_last,
        } = self;
        let connection = if *is_last { "close" } else { "keep-alive" };
        let length = body.len();
        let response = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
             content-length: {length}\r\nconnection: {connection}\r\n\r\n{body}"
        );
        stream.write_all(response.as_bytes())
    }
}
