//! Answers over HTTP with the report of what has become of the plugins.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};

use lunatic::net::{TcpListener, TcpStream};
use lunatic::{Mailbox, Process};
use plugins::report;

#[lunatic::main]
fn main(_: Mailbox<()>) {
    let address = env::var("PLUGINS_ADDRESS").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address[..])
        .unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
    let address = listener.local_addr().expect("a listener has an address");
    println!("the report is at http://{address}/");
    loop {
        match listener.accept() {
            Ok((stream, _)) => drop(Process::spawn(stream, answer)),
            Err(error) => eprintln!("cannot accept: {error}"),
        }
    }
}

/// Answers one request, whatever it asks for, and closes the connection.
fn answer(mut stream: TcpStream, _: Mailbox<()>) {
    /// The most bytes of a request.
    const LIMIT: u64 = 16 * 1024;
    let reader = BufReader::new(stream.clone()).take(LIMIT);
    // A request without a body ends with an empty line.
    let headers = reader.lines().map_while(Result::ok);
    headers.take_while(|line| !line.is_empty()).for_each(drop);
    let report = report::read().unwrap_or_else(|| "there is no report yet\n".to_owned());
    let length = report.len();
    let response = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{report}"
    );
    // Whoever does not wait for the answer does not need it.
    stream.write_all(response.as_bytes()).ok();
}
