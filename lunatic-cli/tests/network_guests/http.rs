//! `http_server`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use crate::server::Server;

/// A connection and what has been read of it.
struct Client {
    reader: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Client {
    fn connect(server: &Server) -> Client {
        Client {
            reader: BufReader::new(server.connect()),
        }
    }

    fn sends(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.strip_suffix("\r\n").unwrap().to_owned()
    }

    fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    fn answer_to(&mut self, method: &str) -> Answer {
        let first = self.line();
        let status = first.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse();
        let mut answer = Answer {
            status: status.unwrap(),
            fields: Vec::new(),
            body: String::new(),
        };
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            answer.fields.push((name.to_lowercase(), value.to_owned()));
        }
        if answer.status >= 200 && method != "HEAD" {
            let length = answer.field("content-length").unwrap().parse().unwrap();
            let mut body = vec![0; length];
            self.reader.read_exact(&mut body).unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        answer
    }

    /// Whether the server has closed the connection in good order.
    fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        matches!(self.reader.read_to_end(&mut rest), Ok(0))
    }

    fn get(&mut self, path: &str) -> Answer {
        self.sends(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"));
        self.answer()
    }
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name)?;
        Some(&field.1)
    }
}

fn start() -> Server {
    Server::start("http_server", &[])
}

#[test]
fn a_connection_is_one_process_for_all_of_its_requests() {
    let server = start();
    let (mut one, mut other) = (Client::connect(&server), Client::connect(&server));
    let id = one.get("/process").body;
    assert_eq!(one.get("/process?again").body, id);
    assert_ne!(other.get("/process").body, id);
    let home = one.get("/");
    assert_eq!(home.status, 200);
    assert!(home.field("date").unwrap().ends_with(" GMT"));
    assert_eq!(one.get("http://here/process").body, id);
    assert_eq!(one.get("/nowhere").status, 404);
    assert_eq!(one.get("/process").body, id);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = start();
    let mut client = Client::connect(&server);
    let mut requests = String::new();
    for number in 0..500 {
        let body = format!("number {number}");
        requests += &format!(
            "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    client.sends(requests);
    for number in 0..500 {
        assert_eq!(client.answer().body, format!("number {number}"));
    }
}

#[test]
fn the_client_decides_when_the_connection_is_over() {
    let server = start();
    let mut client = Client::connect(&server);
    client.sends("GET / HTTP/1.1\r\nHost: here\r\nConnection: foo, Close\r\n\r\n");
    assert_eq!(client.answer().field("connection"), Some("close"));
    assert!(client.is_closed());

    let mut client = Client::connect(&server);
    client.sends("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());

    let mut client = Client::connect(&server);
    client.sends("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.answer().field("connection"), Some("keep-alive"));
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_client_that_has_said_all_it_wants_to_say_is_answered() {
    let server = start();
    let mut client = Client::connect(&server);
    client.sends("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
    client.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_head_has_no_body_and_a_method_that_is_not_for_a_page_says_which_are() {
    let server = start();
    let mut client = Client::connect(&server);
    client.sends("HEAD / HTTP/1.1\r\nHost: here\r\n\r\n");
    let length = client
        .answer_to("HEAD")
        .field("content-length")
        .map(str::len);
    assert!(length > Some(0));
    client.sends("DELETE / HTTP/1.1\r\nHost: here\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 405);
    assert_eq!(answer.field("allow"), Some("GET, HEAD"));
    client.sends("BREW /echo HTTP/1.1\r\nHost: here\r\n\r\n");
    assert_eq!(client.answer().status, 501);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = start();
    let mut client = Client::connect(&server);
    let request = "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello";
    for byte in request.bytes() {
        client.sends([byte]);
    }
    assert_eq!(client.answer().body, "hello");
}

#[test]
fn a_client_is_told_to_go_on_with_its_body() {
    let server = start();
    let mut client = Client::connect(&server);
    client.sends(
        "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.answer().status, 100);
    client.sends("hi");
    assert_eq!(client.answer().body, "hi");
}

#[test]
fn what_is_not_a_request_is_refused_and_the_connection_closed() {
    let server = start();
    let many_fields = "a: b\r\n".repeat(100);
    let long_field = format!("a: {}\r\n", "b".repeat(9000));
    let cases: [(String, u16); 17] = [
        ("nonsense\r\n\r\n".into(), 400),
        ("\x16\x03\x01\x02\x00".into(), 400),
        ("GET  / HTTP/1.1\r\nHost: here\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost : here\r\n\r\n".into(), 400),
        (
            "GET / HTTP/1.1\r\nHost: here\r\n folded\r\n\r\n".into(),
            400,
        ),
        ("GET / HTTP/1.1\r\nHo\0st: here\r\n\r\n".into(), 400),
        ("GET / HTTP/2.0\r\nHost: here\r\n\r\n".into(), 505),
        (post("Content-Length: -1"), 400),
        (post("Content-Length: 1x"), 400),
        (post("Content-Length: 1\r\nContent-Length: 2"), 400),
        (post("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400),
        (post("Transfer-Encoding: chunked"), 411),
        (post("Content-Length: 99999999999999999999"), 413),
        (post(&many_fields[..many_fields.len() - 2]), 431),
        (post(&long_field[..long_field.len() - 2]), 431),
    ];
    for (request, status) in cases {
        let mut client = Client::connect(&server);
        client.sends(&request);
        let answer = client.answer();
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.field("connection"), Some("close"), "{request:?}");
        // More of it changes nothing.
        let _ = client.reader.get_mut().write_all(b"GET / HTTP/1.1\r\n");
        let _ = client.reader.get_ref().shutdown(Shutdown::Write);
        assert!(client.is_closed(), "{request:?}");
    }
    assert_eq!(Client::connect(&server).get("/").status, 200);
}

fn post(fields: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: here\r\n{fields}\r\n\r\n")
}

#[test]
fn a_head_without_an_end_is_not_collected_for_ever() {
    let server = start();
    let mut client = Client::connect(&server);
    client.sends("GET / HTTP/1.1\r\nHost: here\r\n");
    let field = format!("a: {}\r\n", "b".repeat(1000));
    for _ in 0..20 {
        client.sends(&field);
    }
    assert_eq!(client.answer().status, 431);
}

#[test]
fn slow_clients_are_told_that_they_are_too_slow_while_others_are_served() {
    let server = Server::start("http_server", &["300"]);
    let mut slow: Vec<Client> = (0..50).map(|_| Client::connect(&server)).collect();
    for client in &mut slow {
        client.sends("GET / HTTP/1.1\r\nHo");
    }
    let mut idle = Client::connect(&server);
    let mut good = Client::connect(&server);
    // A byte now and then gives a request no more time.
    for _ in 0..20 {
        for client in &mut slow {
            let _ = client.reader.get_mut().write_all(b"x");
        }
        assert_eq!(good.get("/").status, 200);
        thread::sleep(Duration::from_millis(50));
    }
    for client in &mut slow {
        assert_eq!(client.answer().status, 408);
    }
    assert!(idle.is_closed());
}

#[test]
fn a_crash_takes_one_connection_along() {
    let server = start();
    let mut others: Vec<Client> = (0..20).map(|_| Client::connect(&server)).collect();
    let ids: Vec<String> = others
        .iter_mut()
        .map(|one| one.get("/process").body)
        .collect();
    let mut client = Client::connect(&server);
    client.sends("GET /crash HTTP/1.1\r\nHost: here\r\n\r\n");
    assert!(client.is_closed());
    for (other, id) in others.iter_mut().zip(&ids) {
        assert_eq!(other.get("/process").body, *id);
    }
}

#[test]
fn a_connection_that_is_reset_in_the_middle_hurts_nobody() {
    let server = start();
    for _ in 0..50 {
        let mut client = Client::connect(&server);
        // Closed with bytes unread, the connection is reset.
        client.sends("GET / HTTP/1.1\r\nHost: here\r\n\r\nGET / HT");
        let stream = client.reader.get_ref();
        stream.peek(&mut [0]).unwrap();
    }
    assert_eq!(Client::connect(&server).get("/").status, 200);
}
