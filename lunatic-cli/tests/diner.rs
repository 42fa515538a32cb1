//! The example `examples/diner`, started as its manifest says: a web front, and
//! workers behind it that crash and come back.
//!
//! Without the modules that `cargo xtask guests` builds, it is skipped loudly.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use harness::program::Guests;
use lunatic_testkit::built::rust_guests;
use lunatic_testkit::program::{exit_code, first_line, signal};
use lunatic_testkit::{TIMEOUT, wait_until};

/// The running example.
struct Diner {
    /// Keeps its directory.
    _directory: Guests,
    child: Child,
    address: String,
}

impl Diner {
    fn open() -> Option<Diner> {
        let modules = rust_guests(&["waiter.wasm", "cook.wasm"])?;
        let manifest = include_str!("../../examples/diner/app.toml");
        let written = "../../target/guests/wasm32-wasip1/release";
        assert_eq!(manifest.matches(written).count(), 2);
        let manifest = manifest.replace(written, modules.to_str().unwrap());
        let directory = Guests::new();
        directory.file("app.toml", manifest);
        directory.run(&["check", "app.toml"]).code(0);
        let mut child = directory
            .lunatic()
            .args(["start", "app.toml"])
            .env("DINER_ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let line = first_line(&mut child);
        let address = line
            .trim()
            .strip_prefix("the diner is open: http://")
            .and_then(|rest| rest.strip_suffix('/'))
            .unwrap_or_else(|| panic!("{line:?} names no address"));
        Some(Diner {
            _directory: directory,
            child,
            address: address.to_owned(),
        })
    }

    fn connect(&self) -> Connection {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Connection(BufReader::new(stream))
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.connect().get(path)
    }

    fn cooks(&self) -> Vec<String> {
        let (status, body) = self.get("/cooks");
        assert_eq!(status, 200);
        body.lines().map(str::to_owned).collect()
    }

    /// Waits for three cooks of whom this one is none. The waiter answers all
    /// the time.
    #[track_caller]
    fn wait_for_another(&self, dead: &str) {
        wait_until("three cooks without the dead one", || {
            let cooks = self.cooks();
            cooks.len() == 3 && !cooks.iter().any(|cook| cook == dead)
        });
    }
}

/// A connection that is kept alive.
struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Status and body.
    #[track_caller]
    fn get(&mut self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: diner\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut status = String::new();
        self.0.read_line(&mut status).unwrap();
        let mut length = 0;
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header).unwrap();
            match header.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let code = code.unwrap_or_else(|| panic!("{status:?} is no status"));
        (code, String::from_utf8(body).unwrap())
    }
}

#[test]
fn cooks_crash_and_come_back_while_the_waiter_answers() {
    let Some(mut diner) = Diner::open() else {
        return;
    };
    assert!(diner.get("/").1.contains("the diner"));
    assert_eq!(diner.get("/pie").0, 404);
    assert_eq!(diner.cooks().len(), 3);

    // The cooks are asked round robin.
    let mut guest = diner.connect();
    let mut served: Vec<String> = (0..3).map(|_| guest.get("/cook/soup").1).collect();
    served.sort_unstable();
    served.dedup();
    assert_eq!(served.len(), 3, "{served:?}");
    assert!(served[0].starts_with("soup, by process "), "{served:?}");

    for _ in 0..3 {
        let (status, body) = guest.get("/cook/fugu");
        assert_eq!(status, 502, "{body}");
        let dead = body.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(body, format!("process {dead} has died of it\n"));
        diner.wait_for_another(&dead);
        // Who was there before the crash is still served.
        assert_eq!(guest.get("/cook/soup").0, 200);
    }

    let mut guests: Vec<_> = (0..20).map(|_| diner.connect()).collect();
    for round in 0..3 {
        for guest in &mut guests {
            let (status, body) = guest.get(&format!("/cook/dish-{round}"));
            assert_eq!(status, 200, "{body}");
        }
    }

    signal(&diner.child, "-TERM");
    assert_eq!(exit_code(&mut diner.child), Some(0));
    let mut said = String::new();
    let mut err = diner.child.stderr.take().unwrap();
    err.read_to_string(&mut said).unwrap();
    let restarts = said.matches("restarting after").count();
    assert_eq!(restarts, 3, "{said}");
    assert!(said.contains("supervisor=\"app/kitchen\""), "{said}");
    assert!(said.contains("the cook has tasted the fugu"), "{said}");
    assert!(TcpStream::connect(&diner.address).is_err());
}
