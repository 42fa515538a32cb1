//! `lunatic trace`, `lunatic logs` and `lunatic restart`.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use harness::module;
use harness::runtimes::{Running, Runtimes};
use lunatic_testkit::{TIMEOUT, wait_until};
use serde_json::Value;

/// Spawns a child every few milliseconds and sends it a message, upon which that ends.
const SPAWNS: &str = r#"
    (func (export "_start") (local $child i64)
        (loop $again
            (local.set $child (call $spawn_own (i64.const 7) @child))
            (call $post (i64.const 9) (i64.const 1) (local.get $child))
            (call $sleep_ms (i64.const 5))
            (br $again)))
    (func (export "child")
        (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1))))"#;

/// Prints a hostile line to each stream, again and again.
const PRINTS: &str = r#"
    (data (i32.const 0x100) "\1b]0;x\07\9b2J \c2\9bred\0done\0a")
    (data (i32.const 0x200) "\00\01\00\00\14\00\00\00")
    (func (export "_start")
        (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 0x200) (i32.const 1) (i32.const 0x300)))
            (drop (call $fd_write (i32.const 2) (i32.const 0x200) (i32.const 1) (i32.const 0x300)))
            (call $sleep_ms (i64.const 5))
            (br $again)))"#;

/// Prints 64 KiB, as fast as it can.
const FLOODS: &str = r#"
    (data (i32.const 0x200) "\00\04\00\00\00\80\00\00")
    (func (export "_start")
        (memory.fill (i32.const 0x400) (i32.const 0x61) (i32.const 0x8000))
        (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 0x200) (i32.const 1) (i32.const 0x300)))
            (br $again)))"#;

fn start(runtimes: &Runtimes, guest: &str) -> Running {
    runtimes.guests.file("guest.wat", module(guest));
    let running = runtimes.start(&["run", "--name", "guest", "guest.wat"]);
    wait_until("the guest", || {
        let ran = runtimes.run(&["ps", "--name", "guest"]);
        ran.code == Some(0) && ran.out.lines().count() > 1
    });
    running
}

/// A command that goes on, and its lines.
struct Follows(Child, mpsc::Receiver<String>);

impl Follows {
    /// The next line; `None` if there are no more.
    #[track_caller]
    fn line(&self) -> Option<String> {
        match self.1.recv_timeout(TIMEOUT) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line comes"),
        }
    }
}

impl Drop for Follows {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn follow(runtimes: &Runtimes, args: &[&str]) -> Follows {
    let mut command = runtimes.lunatic(args);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::sync_channel(16);
    thread::spawn(move || {
        for line in out.lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    Follows(child, lines)
}

fn events(out: &str) -> Vec<Value> {
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_trace_tells_spawns_messages_links_and_ends_of_a_tree() {
    let runtimes = Runtimes::new();
    let _guest = start(&runtimes, SPAWNS);
    let ran = runtimes.run(&["trace", "1", "--tree", "--json", "--count", "60"]);
    let events = events(&ran.code(0).out);
    assert_eq!(events.len(), 60);
    let spawned = events
        .iter()
        .find(|it| it["event"] == "spawned" && it["pid"] == "1");
    let child = spawned.unwrap()["child"].as_str().unwrap().to_owned();
    let of_child: Vec<_> = events
        .iter()
        .filter(|it| it["pid"] == child.as_str())
        .collect();
    let kinds: Vec<_> = of_child
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["linked", "received", "ended"]);
    assert_eq!(of_child[1]["from"], "1");
    assert_eq!(of_child[1]["tag"], 9);
    assert_eq!(of_child[1]["bytes"], 8);
    let sent = |it: &&Value| it["event"] == "sent" && it["to"] == child.as_str();
    assert!(events.iter().any(|it| sent(&it)), "{events:?}");
    let times: Vec<_> = events
        .iter()
        .map(|it| it["at_us"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted());
}

#[test]
fn a_trace_of_one_process_leaves_others_out_and_ends_by_itself() {
    let runtimes = Runtimes::new();
    let _guest = start(&runtimes, SPAWNS);
    let ran = runtimes.run(&["trace", "1", "--for", "300ms"]);
    let out = &ran.code(0).out;
    assert!(out.contains("  1 spawns "), "{out}");
    assert!(out.contains("  1 sends 8 B to "), "{out}");
    let of_one = |line: &str| line.split_whitespace().nth(1) == Some("1");
    assert!(out.lines().all(of_one), "{out}");
    runtimes
        .run(&["trace", "999999"])
        .code(1)
        .says(&["there is no process 999999"]);
    runtimes
        .run(&["trace", "1", "--for", "soon"])
        .code(2)
        .says(&["no time"]);
}

#[test]
fn a_trace_ends_with_the_process() {
    let runtimes = Runtimes::new();
    let _guest = runtimes.start_named("sleeps");
    let trace = follow(&runtimes, &["trace", "1", "--for", "1h", "--json"]);
    // It has begun when it tells something.
    wait_until("the trace", || {
        runtimes.run(&["exit", "1", "normal"]).code(0);
        trace.1.recv_timeout(Duration::from_millis(10)).is_ok()
    });
    runtimes.run(&["kill", "1"]).code(0);
    let mut last = String::new();
    while let Some(line) = trace.line() {
        last = line;
    }
    // The program ends with its first process, perhaps before the very last line is sent.
    let event = events(&last)[0]["event"].clone();
    assert!(event == "ended" || event == "killed", "{last}");
}

#[test]
fn logs_are_lines_that_control_no_terminal() {
    let runtimes = Runtimes::new();
    let _guest = start(&runtimes, PRINTS);
    for args in [&["logs"][..], &["logs", "--follow", "1"]] {
        let logs = follow(&runtimes, args);
        let mut seen = [false; 2];
        for _ in 0..20 {
            let text = logs.line().unwrap();
            let is_plain = |char: char| char == '\u{fffd}' || (' '..='~').contains(&char);
            assert!(text.chars().all(is_plain), "{text:?}");
            let rest = text.strip_prefix("1 ").unwrap();
            let is_error = rest.starts_with("! ");
            assert!(is_error || rest.starts_with("| "), "{text}");
            assert!(rest.contains(r"\u{1b}]0;x\u{7}"), "{text}");
            seen[usize::from(is_error)] = true;
        }
        assert_eq!(seen, [true; 2]);
    }
    let logs = follow(&runtimes, &["logs", "--json"]);
    let line = logs.line().unwrap();
    assert!(line.chars().all(|char| (' '..='~').contains(&char)));
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["event"], "printed");
    assert!(
        event["text"]
            .as_str()
            .unwrap()
            .starts_with("\u{1b}]0;x\u{7}")
    );
    runtimes
        .run(&["logs", "42"])
        .code(1)
        .says(&["there is no process 42"]);
}

#[test]
fn a_client_that_never_reads_loses_output_and_keeps_nobody_waiting() {
    let runtimes = Runtimes::new();
    let _guest = start(&runtimes, FLOODS);
    let path = runtimes.directory().path().join("guest.sock");
    let mut silent = UnixStream::connect(path).unwrap();
    let hello = format!(
        "{{\"lunatic_admin\":1,\"version\":\"{}\"}}\n",
        env!("CARGO_PKG_VERSION")
    );
    silent.write_all(hello.as_bytes()).unwrap();
    silent.write_all(b"{\"id\":1,\"type\":\"logs\"}\n").unwrap();
    // Others are answered, and the guest goes on printing.
    for _ in 0..3 {
        runtimes.run(&["stats"]).code(0);
    }
    let logs = follow(&runtimes, &["logs", "1", "--json"]);
    for _ in 0..200 {
        logs.line().unwrap();
    }
    silent.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut reader = BufReader::new(silent);
    let mut told = 0;
    for _ in 0..3000 {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            break;
        }
        let event: Value = serde_json::from_str(&line).unwrap();
        told += event["count"].as_u64().unwrap_or(0);
    }
    assert!(told > 0, "nothing was lost");
}

#[test]
fn a_supervisor_starts_a_process_again_when_asked() {
    let runtimes = Runtimes::new();
    runtimes.guests.file(
        "app.toml",
        "[[children]]\nname = \"cook\"\nmodule = \"sleeps.wat\"\n",
    );
    let _running = runtimes.start(&["start", "--name", "diner", "app.toml"]);
    let cook = || {
        let ran = runtimes.run(&["ps", "--json", "--filter", "cook"]);
        let list: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        list[0]["pid"].as_str().unwrap_or_default().to_owned()
    };
    wait_until("the cook", || !cook().is_empty());
    let first = cook();
    let ran = runtimes.run(&["restart", "--json", &first]);
    assert_eq!(ran.code(0).out, "{\"type\":\"done\"}\n");
    let second = cook();
    assert!(!second.is_empty() && second != first, "{second}");
    runtimes
        .run(&["restart", &first])
        .code(1)
        .says(&["there is no process"]);
    runtimes
        .run(&["restart", "1"])
        .code(1)
        .says(&["has no supervisor"]);
    let ran = runtimes.run(&["kill", "--json", &second]);
    assert_eq!(ran.code(0).out, "{\"type\":\"done\"}\n");
}
