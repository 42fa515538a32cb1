//! Shows the guest book in the web, a process for each connection. What somebody writes is
//! sent to the keeper, and a change of the database tells that it is in the book.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

use guestbook::{keepers, Wish, BOOK, TABLE};
use lunatic::net::{TcpListener, TcpStream};
use lunatic::{Mailbox, Process};
use lunatic_guest::params;
use lunatic_guest::process;
use lunatic_guest::sqlite::{self, Connection};
use serde::Deserialize;

/// An entry of the book.
#[derive(Debug, Deserialize)]
struct Entry {
    number: i64,
    author: String,
    text: String,
}

/// The tag of messages about changes.
const CHANGED: i64 = 1000;

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let address = env::var("GUESTBOOK_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address[..])
        .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
    let address = listener.local_addr().expect("a listener has an address");
    println!("the guest book is open: http://{address}/");
    loop {
        match listener.accept() {
            Ok((stream, _)) => drop(Process::spawn(stream, serve)),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

/// Answers one request.
fn serve(mut stream: TcpStream, _: Mailbox<()>) {
    const PATIENCE: Duration = Duration::from_secs(60);
    stream.set_read_timeout(Some(PATIENCE)).ok();
    let mut reader = BufReader::new(stream.clone());
    // An error means that the guest is gone, or does not speak HTTP.
    let Ok((method, path, body)) = read_request(&mut reader) else {
        return;
    };
    let (status, text) = match (method.as_str(), path.as_str()) {
        ("GET", "/") => answer(show()),
        ("POST", "/") => write(&body),
        _ => (
            "404 Not Found",
            "GET / shows the book, POST / writes `author: text` into it\n".into(),
        ),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(response.as_bytes()).ok();
}

fn answer(text: sqlite::Result<String>) -> (&'static str, String) {
    match text {
        Ok(text) => ("200 OK", text),
        Err(error) => ("500 Internal Server Error", format!("{error}\n")),
    }
}

fn open() -> sqlite::Result<Connection> {
    let book = Connection::open(BOOK)?;
    book.execute(TABLE)?;
    Ok(book)
}

/// The newest entries, the last one first.
fn show() -> sqlite::Result<String> {
    let sql = "SELECT number, author, text FROM entries ORDER BY number DESC LIMIT 20";
    let entries: Vec<Entry> = open()?.query(sql, params![])?;
    let lines = entries.into_iter().map(|entry| {
        let Entry {
            number,
            author,
            text,
        } = entry;
        format!("{number}. {author}: {text}\n")
    });
    Ok(lines.collect())
}

/// Sends a wish to the keeper, and waits until the book has changed.
fn write(body: &str) -> (&'static str, String) {
    let Some((author, text)) = body.split_once(':') else {
        return ("400 Bad Request", "write `author: text`\n".into());
    };
    let (author, text) = (author.trim().to_owned(), text.trim().to_owned());
    if author.is_empty() || text.is_empty() {
        return ("400 Bad Request", "write `author: text`\n".into());
    }
    let Some(keeper) = keepers().next() else {
        return ("503 Service Unavailable", "there is no keeper\n".into());
    };
    // The keeper may die of it: then this process is told instead.
    process::monitor(keeper.process);
    let written = open().and_then(|book| {
        let watch = book.watch("entries", CHANGED)?;
        let wish = Wish { author, text };
        let bytes = bincode::serialize(&wish).expect("a wish can be written");
        process::send(keeper.process, 0, &bytes);
        match process::receive(&[]) {
            process::Message::Data { .. } => Ok(true),
            _ => {
                drop(watch);
                Ok(false)
            }
        }
    });
    match written {
        Ok(true) => ("201 Created", "it is in the book\n".into()),
        Ok(false) => ("502 Bad Gateway", "the keeper has died of it\n".into()),
        Err(error) => answer(Err(error)),
    }
}

/// Method, path and body.
fn read_request(reader: &mut impl BufRead) -> io::Result<(String, String, String)> {
    /// The most bytes of a request.
    const LIMIT: u64 = 16 * 1024;
    let mut reader = reader.take(LIMIT);
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "not a request");
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().ok_or_else(bad)?, words.next().ok_or_else(bad)?);
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Err(bad());
        }
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| bad())?;
        }
    }
    let mut body = vec![0; length];
    if length as u64 > LIMIT {
        return Err(bad());
    }
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(|_| bad())?;
    Ok((method.to_owned(), path.to_owned(), body))
}
