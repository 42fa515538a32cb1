//! What a dashboard answers over HTTP, and to whom.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use futures_lite::{StreamExt, stream};
use lunatic_admin::{
    Answer, Answering, ProcessId, ProcessPage, Refusal, RefusalKind, Request, Response,
    Supervisors, Traced, TracedEvent,
};
use lunatic_dashboard::{Dashboard, Options};
use lunatic_testkit::{TIMEOUT, wait_until};

/// A runtime that notes what it is asked.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(Request, usize)>>>);

impl Answering for Asked {
    async fn answer(&self, request: Request, bytes: Vec<u8>) -> Answer {
        self.0.lock().unwrap().push((request.clone(), bytes.len()));
        match request {
            Request::Measurements => Response::Measurements(Box::default()).into(),
            Request::Processes(_) => Response::Processes(ProcessPage::default()).into(),
            Request::Supervisors => Response::Supervisors(Supervisors::default()).into(),
            Request::Kill(_) => Response::Done.into(),
            Request::Logs(logs) if logs.pid.is_none() => {
                let printed = |text: &str| {
                    Response::Traced(Traced {
                        pid: ProcessId::from_bits(7),
                        at_us: 0,
                        event: TracedEvent::Printed {
                            stderr: false,
                            text: text.to_owned(),
                        },
                    })
                };
                let told = [printed("one\n<script>"), printed("two\n")];
                Answer::stream(stream::iter(told).chain(stream::pending()))
            }
            _ => Refusal::new(RefusalKind::NoProcess, "there is no process").into(),
        }
    }
}

impl Asked {
    fn count(&self, is_it: impl Fn(&Request) -> bool) -> usize {
        let asked = self.0.lock().unwrap();
        asked.iter().filter(|(request, _)| is_it(request)).count()
    }
}

struct Shown {
    asked: Asked,
    dashboard: Dashboard,
    token: String,
}

impl Shown {
    fn start(write: bool) -> Shown {
        let asked = Asked::default();
        let mut options = Options::default();
        options.write = write;
        let address = "127.0.0.1:0".parse().unwrap();
        let dashboard = Dashboard::start(address, options, asked.clone()).unwrap();
        let url = dashboard.url();
        let (_, token) = url.split_once("/?token=").unwrap();
        let token = token.to_owned();
        assert_eq!(token.len(), 64);
        Shown {
            asked,
            dashboard,
            token,
        }
    }

    fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.dashboard.address()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(request.as_bytes()).ok();
        stream
    }

    /// Asks with these further headers, each with its line end, and this body.
    fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let address = self.dashboard.address();
        let length = body.len();
        let mut stream = self.connect(&format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ));
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        let sign = if path.contains('?') { '&' } else { '?' };
        self.ask(&format!("GET {path}{sign}token={}", self.token), "", "")
    }

    fn post(&self, path: &str, secret: &str, body: &str) -> String {
        let line = format!("POST {path}&token={}", self.token);
        self.ask(&line, &format!("X-Lunatic-Write: {secret}\r\n"), body)
    }

    /// Begins a stream of events.
    fn events(&self, view: &str) -> BufReader<TcpStream> {
        let (address, token) = (self.dashboard.address(), &self.token);
        let request =
            format!("GET /events?{view}&token={token} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        BufReader::new(self.connect(&request))
    }

    /// The secret that the page has, if it may write.
    fn write_secret(&self) -> String {
        let page = self.get("/");
        let (_, after) = page.split_once("data-write=\"").unwrap();
        after.split('"').next().unwrap().to_owned()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_wrong_token_gets_nothing_whatever_it_asks_for() {
    let shown = Shown::start(true);
    let wrong = "0".repeat(64);
    for path in [
        "/",
        "/app.js",
        "/events?view=processes",
        "/api/kill?pid=1",
        "/x",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            for credentials in [
                String::new(),
                format!("Cookie: lunatic={wrong}\r\n"),
                format!("X-Lunatic-Write: {wrong}\r\n"),
            ] {
                let answer = shown.ask(&format!("{method} {path}"), &credentials, "");
                assert_eq!(status(&answer), "401", "{method} {path}");
                assert!(answer.len() < 1000 && !answer.contains("Set-Cookie"));
            }
        }
    }
    assert!(shown.asked.0.lock().unwrap().is_empty());
}

#[test]
fn the_page_gives_a_strict_cookie_that_opens_the_rest() {
    let shown = Shown::start(false);
    let page = shown.get("/");
    assert_eq!(status(&page), "200");
    let set = page
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: "));
    let (cookie, attributes) = set.unwrap().split_once(';').unwrap();
    assert_eq!(attributes.trim(), "HttpOnly; SameSite=Strict; Path=/");
    assert!(!page.contains("{{"));
    for path in ["/app.js", "/app.css", "/icon.svg"] {
        let answer = shown.ask(&format!("GET {path}"), &format!("Cookie: {cookie}\r\n"), "");
        assert_eq!(status(&answer), "200", "{path}");
        for header in [
            "Content-Security-Policy: default-src 'none'; script-src 'self';",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
        ] {
            assert!(answer.contains(header), "{path} has no {header}");
        }
    }
    // Nothing comes from elsewhere, and nothing of the script is in the page itself.
    for file in ["/", "/app.js", "/app.css"] {
        let text = shown.get(file);
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !foreign.contains("http://") && !foreign.contains("https://"),
            "{file}"
        );
    }
}

#[test]
fn a_view_is_a_stream_of_what_the_runtime_tells() {
    let shown = Shown::start(false);
    let mut lines = shown.events("view=tree").lines();
    let mut next = |start: &str| lines.find(|line| line.as_ref().unwrap().starts_with(start));
    assert!(next("Content-Type: text/event-stream").is_some());
    assert!(next("data: {\"type\":\"supervisors\"").is_some());
    assert!(next("data: {\"type\":\"measurements\"").is_some());
    // What has not changed is not sent again.
    assert!(next(":").is_some());
    assert_eq!(status(&shown.get("/events?view=x")), "400");
}

#[test]
fn what_processes_print_comes_beside_what_is_measured() {
    let shown = Shown::start(false);
    let mut lines = shown.events("view=logs").lines();
    let mut next = |part: &str| {
        let found = lines.find(|line| line.as_ref().unwrap().contains(part));
        found.unwrap().unwrap()
    };
    let first = next("\"event\":\"printed\"");
    assert!(first.contains("\"type\":\"traced\""), "{first}");
    assert!(first.contains("one\\n<script>"), "{first}");
    next("two\\n");
    for _ in 0..2 {
        next("data: {\"type\":\"measurements\"");
    }
    // One who is not there: the runtime says so, and goes on with what it counts.
    let mut lines = shown.events("view=logs&pid=9").lines();
    let mut next = |part: &str| lines.any(|line| line.unwrap().contains(part));
    assert!(next("there is no process"));
    assert!(next("data: {\"type\":\"measurements\""));
}

#[test]
fn while_nobody_looks_the_runtime_is_not_asked() {
    let shown = Shown::start(false);
    let mut events = shown.events("view=overview");
    events.read_line(&mut String::new()).unwrap();
    drop(events);
    let asked = || shown.asked.count(|_| true);
    wait_until("the end of the stream", || {
        let before = asked();
        std::thread::sleep(std::time::Duration::from_millis(2500));
        asked() == before
    });
}

#[test]
fn only_so_many_pages_are_shown_and_those_that_are_closed_make_room() {
    let shown = Shown::start(false);
    let first_line = |events: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        events.read_line(&mut line).unwrap();
        line
    };
    let mut open: Vec<_> = (0..32).map(|_| shown.events("view=overview")).collect();
    for events in &mut open {
        assert_eq!(status(&first_line(events)), "200");
    }
    let mut more = shown.events("view=overview");
    assert_eq!(status(&first_line(&mut more)), "503");
    drop(open);
    wait_until("room for another page", || {
        status(&first_line(&mut shown.events("view=overview"))) == "200"
    });
}

#[test]
fn nothing_is_changed_by_a_dashboard_that_only_shows() {
    let shown = Shown::start(false);
    assert_eq!(shown.write_secret(), "");
    for secret in ["", &shown.token] {
        assert_eq!(status(&shown.post("/api/kill?pid=1", secret, "")), "403");
    }
    assert_eq!(shown.asked.count(|_| true), 0);
}

#[test]
fn what_changes_something_needs_the_secret_of_the_page() {
    let shown = Shown::start(true);
    let secret = shown.write_secret();
    assert_eq!(secret.len(), 64);
    assert_ne!(secret, shown.token);
    let kill = "/api/kill?pid=7";
    assert_eq!(status(&shown.post(kill, "", "")), "403");
    assert_eq!(status(&shown.post(kill, &shown.token, "")), "403");
    // A link to it does nothing, even with the token.
    assert_eq!(status(&shown.get(kill)), "404");
    assert_eq!(shown.asked.count(|_| true), 0);

    assert_eq!(status(&shown.post(kill, &secret, "")), "200");
    let is_kill = |request: &Request| matches!(request, Request::Kill(target) if target.pid.to_string() == "7");
    assert_eq!(shown.asked.count(is_kill), 1);
    assert_eq!(status(&shown.post("/api/exit?pid=8", &secret, "")), "404");
    for path in ["/api/kill?pid=x", "/api/kill?", "/api/x?", "/?"] {
        assert_eq!(status(&shown.post(path, &secret, "")), "400", "{path}");
    }
}

#[test]
fn a_module_to_reload_is_only_read_from_who_may_reload() {
    let shown = Shown::start(true);
    let secret = shown.write_secret();
    let module = "m".repeat(1 << 20);
    let reload = "/api/reload?module=shop";
    assert_eq!(status(&shown.post(reload, "x", &module)), "413");
    assert_eq!(
        status(&shown.post("/api/kill?pid=1", &secret, &module)),
        "413"
    );
    assert_eq!(shown.asked.count(|_| true), 0);
    shown.post(reload, &secret, &module);
    let asked = shown.asked.0.lock().unwrap();
    let [(Request::Reload(request), bytes)] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(
        (&request.modules[..], *bytes),
        (&["shop".to_owned()][..], 1 << 20)
    );
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let shown = Shown::start(false);
    let address = shown.dashboard.address();
    let error = Dashboard::start(address, Options::default(), Asked::default()).unwrap_err();
    assert!(error.to_string().contains("somebody else listens"));
}
