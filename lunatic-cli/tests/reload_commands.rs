//! `lunatic reload` and `lunatic versions`.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use harness::runtimes::{Running, Runtimes};
use lunatic_admin::{Request, Response};
use lunatic_testkit::built::rust_guest;
use lunatic_testkit::{TIMEOUT, wait, wait_until};
use serde_json::Value;

/// A version of the program that ticks, with ten ticks in the time of one.
fn ticker(version: u32) -> String {
    let path = format!("../examples/reload/ticker_v{version}.wat");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(path).unwrap();
    text.replace("(i64.const 1000)", "(i64.const 100)")
}

/// A program whose lines are read.
struct Printing {
    _running: Running,
    lines: BufReader<ChildStdout>,
}

impl Printing {
    fn start(runtimes: &Runtimes, args: &[&str]) -> Printing {
        let mut command = runtimes.lunatic(args);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Printing {
            _running: Running(child),
            lines,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// The number in the next line that begins like this.
    fn tick(&mut self, begin: &str) -> u64 {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the program has ended");
            if let Some(rest) = line.strip_prefix(begin) {
                let number = rest.split_whitespace().next().unwrap();
                return number.parse().unwrap();
            }
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_program_goes_on_with_new_code_and_back() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("ticker_v1.wat", ticker(1));
    runtimes.guests.file("ticker_v2.wat", ticker(2));
    let mut program = Printing::start(&runtimes, &["run", "--name", "ticker", "ticker_v1.wat"]);
    let before = program.tick("v1: tick ");
    let moved = runtimes.run(&["reload", "ticker_v2.wat", "--json"]);
    let moved = json(&moved.code(0).out);
    assert_eq!(
        (&moved["module"], &moved["result"]),
        (&"ticker".into(), &"moved".into())
    );
    assert_eq!(moved["processes"][0]["kind"], "ticker");
    assert!(moved["processes"][0]["pause_us"].is_u64());
    let after = program.tick("v2: tick ");
    assert!(after > before, "{before}, {after}");

    let versions = json(&runtimes.run(&["versions", "--json"]).code(0).out);
    let ticker = &versions["modules"][0];
    assert_eq!(ticker["current"]["hash"], moved["to"]);
    assert_eq!(ticker["old"]["hash"], moved["from"]);
    assert_eq!(
        (&ticker["current"]["processes"], &ticker["old"]["processes"]),
        (&1.into(), &0.into())
    );
    runtimes
        .run(&["versions"])
        .code(0)
        .prints("takes over ticker 1, ticker 2");

    for version in ["current", "old"] {
        assert_eq!(ticker[version]["handles"], 0, "{version}");
    }

    let back = runtimes.run(&["reload", "--name", "ticker", "ticker_v1.wat"]);
    back.code(0).prints("ticker: 1 moved, longest pause");
    assert!(program.tick("v1: tick ") > after);
    let again = runtimes.run(&["reload", "ticker_v1.wat"]);
    again.code(1).prints("this version is current already");
}

#[test]
fn what_cannot_be_done_is_told_and_changes_nothing() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("ticker_v1.wat", ticker(1));
    runtimes.guests.file("ticker_v2.wat", ticker(2));
    runtimes
        .run(&["reload", "ticker_v2.wat"])
        .code(1)
        .says(&["no runtime"]);
    let mut program = Printing::start(&runtimes, &["run", "ticker_v1.wat"]);
    program.tick("v1: tick ");
    runtimes
        .run(&["reload", "nothing.wat"])
        .code(1)
        .says(&["nothing.wat"]);
    let wrong = runtimes.run(&["reload", "--module", "tocker", "ticker_v2.wat"]);
    wrong.code(1).says(&["no module `tocker`", "`ticker_v1`"]);
    runtimes.guests.file("half.wat", &ticker(2)[..500]);
    runtimes
        .run(&["reload", "half.wat"])
        .code(1)
        .says(&["cannot be loaded"]);
    runtimes
        .guests
        .file("other.wat", "(module (func (export \"_start\")))");
    let other = runtimes.run(&["reload", "other.wat"]);
    other
        .code(1)
        .says(&["`ticker`", "_lunatic_reload_1_ticker"]);
    let other = runtimes.run(&["reload", "other.wat", "--json"]);
    let error = json(&other.code(1).out)["error"].clone();
    assert!(error.as_str().unwrap().contains("_lunatic_reload_1_ticker"));
    let refuses = ticker(2).replace("(call $accept)", "unreachable");
    runtimes.guests.file("refuses.wat", refuses);
    let refuses = runtimes.run(&["reload", "refuses.wat"]);
    refuses
        .code(1)
        .prints("failed: ")
        .prints("nothing has changed");
    runtimes
        .run(&["reload", "ticker_v2.wat", "--timeout", "soon"])
        .code(2)
        .says(&["`soon` is no time"]);
    let dry = runtimes.run(&["reload", "ticker_v2.wat", "--dry-run"]);
    dry.code(0).prints("1 process would move");
    program.tick("v1: tick ");
}

/// A program that offers nothing and says its version again and again.
fn repeats(version: u32) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
        (memory (export "memory") 1)
        (data (i32.const 16) "version {version}\n")
        (func (export "_start")
            (loop $again
                (i32.store (i32.const 0) (i32.const 16))
                (i32.store (i32.const 4) (i32.const 10))
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (call $sleep_ms (i64.const 20))
                (br $again))))"#
    )
}

/// The number of the version that the next line is of.
fn version(program: &mut Printing) -> u32 {
    let line = program.line();
    let version = line.trim_end().rsplit(' ').next().unwrap();
    version.parse().unwrap()
}

#[test]
fn processes_that_offer_nothing_are_kept_or_restarted_by_their_supervisor() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("worker.wat", repeats(1));
    runtimes.guests.file("second.wat", repeats(2));
    let manifest = "[[children]]\nname = \"worker\"\ncount = 2\nmodule = \"worker.wat\"\n";
    runtimes.guests.file("app.toml", manifest);
    let mut program = Printing::start(&runtimes, &["start", "app.toml"]);
    assert_eq!(version(&mut program), 1);
    runtimes.run(&["reload", "second.wat"]).code(0);
    for _ in 0..10 {
        assert_eq!(version(&mut program), 1);
    }
    // One that dies comes back as the current version.
    let listed = runtimes.run(&["ps", "--json", "--filter", "worker-1"]);
    let pid = json(&listed.code(0).out)[0]["pid"]
        .as_str()
        .unwrap()
        .to_owned();
    runtimes.run(&["kill", &pid]).code(0);
    while version(&mut program) != 2 {}
    runtimes.guests.file("worker.wat", repeats(1));
    runtimes
        .run(&["reload", "worker.wat", "--others", "restart"])
        .code(0);
    let versions = json(&runtimes.run(&["versions", "--json"]).code(0).out);
    assert_eq!(versions["modules"][0]["old"]["processes"], 0);
    // What was printed before is read first.
    let mut of_first = 0;
    while of_first < 20 {
        of_first = match version(&mut program) {
            1 => of_first + 1,
            _ => 0,
        };
    }
}

/// A program with a section that says nothing: another version that does the same.
fn version_of(program: &[u8], number: u8) -> Vec<u8> {
    let section = [0, 4, 2, b'v', b'0' + number, number];
    [program, &section].concat()
}

/// A request on a connection; whether it is answered.
fn is_answered(stream: &mut TcpStream) -> bool {
    const REQUEST: &[u8] = b"GET /process HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if stream.write_all(REQUEST).is_err() {
        return false;
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    // A number and a line end behind the headers.
    while !(answer.ends_with(b"\n")
        && answer.windows(4).any(|end| end == b"\r\n\r\n")
        && !answer.ends_with(b"\r\n"))
    {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Starts a web server of a version of a program, which is in `web.wasm`.
fn web(runtimes: &Runtimes, program: &[u8]) -> (Running, SocketAddr) {
    runtimes.guests.file("web.wasm", version_of(program, 0));
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let port = address.to_string();
    let web = runtimes.start(&["run", "--name", "web", "web.wasm", &port]);
    wait_until("the server", || match TcpStream::connect(address) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            false
        }
    });
    (web, address)
}

#[test]
fn connections_of_replaced_processes_end_when_their_time_is_up() {
    let runtimes = Runtimes::new();
    let program = fs::read(rust_guest("http_server")).unwrap();
    let (_web, address) = web(&runtimes, &program);
    let mut kept = connect(address);
    assert!(is_answered(&mut kept));
    runtimes.guests.file("web.wasm", version_of(&program, 1));
    let reload = [
        "reload", "--others", "replace", "--drain", "50ms", "web.wasm",
    ];
    let replaced = runtimes.run(&reload);
    replaced.code(0).prints("replaced by a new root process");
    // Its end is seen as one, or as a reset.
    if let Err(error) = kept.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert!(is_answered(&mut connect(address)));
}

#[test]
fn some_that_have_not_moved_are_told_by_the_exit_code() {
    let runtimes = Runtimes::new();
    // It reaches no safe point for a while.
    let busy = ticker(1).replace(
        "(call $sleep_ms (i64.const 100))",
        "(call $sleep_ms (i64.const 0)) (call $sleep_ms (i64.const 5000))",
    );
    runtimes.guests.file("ticker_v1.wat", busy);
    runtimes.guests.file("ticker_v2.wat", ticker(2));
    let mut program = Printing::start(&runtimes, &["run", "--name", "ticker", "ticker_v1.wat"]);
    program.tick("v1: tick ");
    let partly = runtimes.run(&["reload", "ticker_v2.wat", "--timeout", "50ms"]);
    partly.code(3).prints("some processes have not moved");
    // It moves when it can.
    program.tick("v2: tick ");
}

#[test]
fn a_program_that_was_kept_is_replaced_later() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("first.wat", repeats(1));
    runtimes.guests.file("second.wat", repeats(2));
    let mut program = Printing::start(&runtimes, &["run", "first.wat"]);
    assert_eq!(version(&mut program), 1);
    runtimes.run(&["reload", "second.wat"]).code(0);
    assert_eq!(version(&mut program), 1);
    let again = ["reload", "second.wat", "--others", "restart"];
    let again = runtimes.run(&again);
    again.code(1).prints("it has no supervisor");
    let replaced = [
        "reload",
        "second.wat",
        "--others",
        "replace",
        "--drain",
        "0s",
    ];
    let told = runtimes.run(&replaced);
    told.code(0).prints("replaced by a new root process");
    while version(&mut program) != 2 {}
    let told = runtimes.run(&replaced);
    told.code(1).prints("this version is current already");
}

#[test]
fn an_unmodified_server_is_replaced_under_load_and_no_request_fails() {
    const CLIENTS: usize = 8;
    const REPLACEMENTS: u8 = 5;
    /// Of one connection.
    const REQUESTS: usize = 5;
    let runtimes = Runtimes::new();
    let program = fs::read(rust_guest("http_server")).unwrap();
    let (_web, address) = web(&runtimes, &program);
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut stream = connect(address);
                    for _ in 0..REQUESTS {
                        assert!(is_answered(&mut stream), "a request has failed");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut kept = Some(connect(address));
        assert!(is_answered(kept.as_mut().unwrap()));
        for number in 1..=REPLACEMENTS {
            let before = answered.load(Ordering::Relaxed);
            runtimes
                .guests
                .file("web.wasm", version_of(&program, number));
            let replaced = runtimes.run(&["reload", "--others", "replace", "web.wasm"]);
            replaced.code(0).prints("replaced by a new root process");
            wait_until("more answers", || {
                answered.load(Ordering::Relaxed) > before + 2 * CLIENTS * REQUESTS
            });
            // The old processes go on with the connections that they have, and end with them.
            if let Some(mut kept) = kept.take() {
                assert!(is_answered(&mut kept));
            }
            wait_until("the end of the old processes", || {
                let versions = json(&runtimes.run(&["versions", "--json"]).code(0).out);
                versions["modules"][0]["old"]["processes"] == 0
            });
        }
        // One that ends before it accepts changes nothing.
        runtimes
            .guests
            .file("web.wasm", "(module (func (export \"_start\")))");
        let ended = runtimes.run(&["reload", "--others", "replace", "web.wasm"]);
        ended.code(1).prints("has ended before it took over");
        let before = answered.load(Ordering::Relaxed);
        wait_until("more answers", || {
            answered.load(Ordering::Relaxed) > before + 100
        });
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn processes_are_listed_with_the_name_and_the_version_of_their_module() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("ticker_v1.wat", ticker(1));
    runtimes.guests.file("ticker_v2.wat", ticker(2));
    let mut program = Printing::start(&runtimes, &["run", "--name", "ticker", "ticker_v1.wat"]);
    program.tick("v1: tick ");
    let listed = || {
        let text = runtimes.run(&["ps"]).code(0).out.clone();
        let words =
            |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let mut lines = text.lines();
        let (head, line) = (words(lines.next().unwrap()), words(lines.next().unwrap()));
        assert_eq!((&*head[2], &*head[3]), ("MODULE", "VERSION"));
        (line[2].clone(), line[3].clone())
    };
    let current = || {
        let versions = json(&runtimes.run(&["versions", "--json"]).code(0).out);
        let hash = versions["modules"][0]["current"]["hash"].as_str().unwrap();
        hash[..12].to_owned()
    };
    let first = current();
    assert_eq!(listed(), ("ticker".to_owned(), first.clone()));
    runtimes.run(&["reload", "ticker_v2.wat"]).code(0);
    assert_ne!(current(), first);
    assert_eq!(listed(), ("ticker".to_owned(), current()));
    let described = json(&runtimes.run(&["ps", "--json"]).code(0).out)[0]["described"].clone();
    assert_eq!(described["module_name"], "ticker");
    assert_eq!(described["module_hash"], current().as_str());
}

#[test]
fn how_far_a_reload_has_come_is_told_while_it_goes_on() {
    let runtimes = Runtimes::new();
    // Its second wait is not armed: it reaches no safe point until that ends.
    let busy = |version| {
        let sleep = "(call $sleep_ms (i64.const 100))";
        let longer = "(call $sleep_ms (i64.const 0)) (call $sleep_ms (i64.const 2000))";
        ticker(version).replace(sleep, longer)
    };
    runtimes.guests.file("ticker_v1.wat", busy(1));
    runtimes.guests.file("ticker_v2.wat", busy(2));
    let mut program = Printing::start(&runtimes, &["run", "--name", "ticker", "ticker_v1.wat"]);
    program.tick("v1: tick ");
    let progress = || {
        let mut client = runtimes.connect("ticker").unwrap();
        let answer = wait("an answer", client.request(&Request::Progress));
        match answer.unwrap() {
            Response::Progress(told) => told.reloads,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(progress(), []);
    thread::scope(|scope| {
        let reload = scope.spawn(|| runtimes.run(&["reload", "ticker_v2.wat"]));
        wait_until("the reload", || !progress().is_empty());
        let told = &progress()[0];
        assert_eq!((&*told.module, told.done, told.total), ("ticker", 0, 1));
        reload.join().unwrap().code(0);
    });
    assert_eq!(progress(), []);
}

#[test]
fn a_reload_goes_on_when_the_command_that_asked_for_it_is_killed() {
    let runtimes = Runtimes::new();
    // It reaches its safe point after a while in which it cannot be asked.
    let busy = ticker(1).replace(
        "(call $sleep_ms (i64.const 100))",
        "(call $sleep_ms (i64.const 0)) (call $sleep_ms (i64.const 1000))",
    );
    runtimes.guests.file("ticker_v1.wat", &busy);
    runtimes.guests.file("ticker_v2.wat", ticker(2));
    let mut program = Printing::start(&runtimes, &["run", "--name", "ticker", "ticker_v1.wat"]);
    program.tick("v1: tick ");
    let mut client = runtimes.connect("ticker").unwrap();
    let mut is_reloading = || {
        let answer = wait("an answer", client.request(&Request::Progress));
        match answer.unwrap() {
            Response::Progress(told) => !told.reloads.is_empty(),
            other => panic!("{other:?}"),
        }
    };
    let mut asking = runtimes.start(&["reload", "--name", "ticker", "ticker_v2.wat"]);
    // If it comes just before the safe point, it may be over at once.
    wait_until("the reload", || {
        is_reloading() || asking.0.try_wait().unwrap().is_some()
    });
    // It is killed as it is dropped.
    drop(asking);
    program.tick("v2: tick ");
    wait_until("the end of the reload", || !is_reloading());
    let back = runtimes.run(&["reload", "--name", "ticker", "ticker_v1.wat"]);
    back.code(0).prints("1 moved");
    program.tick("v1: tick ");
}

#[test]
fn a_reload_by_the_name_of_a_module_finds_the_only_runtime() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("ticker_v1.wat", ticker(1));
    runtimes.guests.file("next.wat", ticker(2));
    let mut program = Printing::start(&runtimes, &["run", "ticker_v1.wat"]);
    program.tick("v1: tick ");
    let moved = runtimes.run(&["reload", "--name", "ticker_v1", "next.wat"]);
    moved.code(0).prints("the new version is current");
    program.tick("v2: tick ");
    let unknown = runtimes.run(&["reload", "--name", "tocker", "next.wat"]);
    unknown.code(1).says(&["no module `tocker`", "`ticker_v1`"]);
    // With several runtimes it has to be the name of one.
    let _other = runtimes.start_named("other");
    let unknown = runtimes.run(&["reload", "--name", "tocker", "next.wat"]);
    unknown.code(1).says(&["tocker", "other"]);
}

/// A program of four workers, of which those with an odd id do something in the entry, or a
/// while after they have moved. Each says its version again and again.
fn workers(version: u32, entry: &str, after: &str) -> String {
    let if_odd = |then: &str| {
        let is_odd = "(i32.wrap_i64 (i64.and (call $process_id) (i64.const 1)))";
        format!("(if {is_odd} (then {then}))")
    };
    let (entry, after) = (if_odd(entry), if_odd(after));
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
        (import "lunatic::process" "process_id" (func $process_id (result i64)))
        (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
        (import "lunatic::error" "drop" (func $error_drop (param i64)))
        (import "lunatic::reload" "offer" (func $offer (param i32 i32 i64)))
        (import "lunatic::reload" "arm" (func $arm (result i64)))
        (import "lunatic::reload" "hand_over" (func $hand_over (param i64 i32) (result i32)))
        (import "lunatic::reload" "accept" (func $accept))
        (memory (export "memory") 1)
        (data (i32.const 16) "version {version}\n")
        (data (i32.const 32) "worker")
        (func (export "_start") (call $serve))
        (func (export "_lunatic_reload_1_worker")
            {entry}
            (call $accept)
            (call $sleep_ms (i64.const 50))
            {after}
            (call $serve))
        (func $serve (local $state i64)
            (call $offer (i32.const 32) (i32.const 6) (i64.const 1))
            (loop $again
                (local.set $state (call $arm))
                (if (i64.ge_s (local.get $state) (i64.const 0)) (then
                    (call $create_data (i64.const 0) (i64.const 0))
                    (if (i32.eq (i32.const 1) (call $hand_over (local.get $state) (i32.const 48)))
                        (then (call $error_drop (i64.load (i32.const 48)))))
                    (br $again)))
                (i32.store (i32.const 0) (i32.const 16))
                (i32.store (i32.const 4) (i32.const 10))
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (call $sleep_ms (i64.const 20))
                (br $again))))"#
    )
}

/// Starts children of a manifest from `worker.wat`.
fn start_workers(runtimes: &Runtimes, first: String, count: usize) -> Printing {
    runtimes.guests.file("worker.wat", first);
    let manifest = format!(
        "intensity = 100\n\
        [[children]]\nname = \"worker\"\ncount = {count}\nmodule = \"worker.wat\"\n"
    );
    runtimes.guests.file("app.toml", manifest);
    let mut program = Printing::start(runtimes, &["start", "app.toml"]);
    assert_eq!(version(&mut program), 1);
    program
}

/// What `lunatic versions` tells of the only module.
fn versions(runtimes: &Runtimes) -> Value {
    let versions = json(&runtimes.run(&["versions", "--json"]).code(0).out);
    versions["modules"][0].clone()
}

/// Waits until so many workers offer themselves.
fn wait_for_offers(runtimes: &Runtimes, count: usize) {
    wait_until("the offers", || versions(runtimes)["offering"] == count);
}

/// The outcomes of the processes of a reload, in order.
fn outcomes(reload: &Value) -> Vec<String> {
    let processes = reload["processes"].as_array().unwrap().iter();
    let outcomes = processes.map(|process| process["outcome"].as_str().unwrap().to_owned());
    let mut outcomes: Vec<_> = outcomes.collect();
    outcomes.sort();
    outcomes
}

#[test]
fn all_go_back_on_the_command_line_if_some_fail_within_the_trial() {
    let runtimes = Runtimes::new();
    let _program = start_workers(&runtimes, workers(1, "", ""), 4);
    wait_for_offers(&runtimes, 4);
    let first = versions(&runtimes)["current"]["hash"].clone();
    runtimes
        .guests
        .file("fails.wat", workers(2, "", "unreachable"));
    let reload = ["reload", "fails.wat", "--trial", "20s", "--json"];
    let reload = json(&runtimes.run(&reload).code(1).out);
    assert_eq!(reload["result"], "unchanged");
    let outcomes = outcomes(&reload);
    assert!(outcomes.contains(&"went_back".to_owned()), "{outcomes:?}");
    assert!(outcomes.contains(&"ended".to_owned()), "{outcomes:?}");
    assert_eq!(versions(&runtimes)["current"]["hash"], first);
    // Those that have failed were started again.
    wait_for_offers(&runtimes, 4);
    runtimes.guests.file("second.wat", workers(2, "", ""));
    let trial = runtimes.run(&["reload", "second.wat", "--trial", "100ms"]);
    trial.code(0).prints("worker: 4 moved");
}

#[test]
fn those_that_have_moved_stay_on_the_command_line_if_that_is_asked_for() {
    let runtimes = Runtimes::new();
    let _program = start_workers(&runtimes, workers(1, "", ""), 4);
    wait_for_offers(&runtimes, 4);
    runtimes
        .guests
        .file("refuses.wat", workers(2, "unreachable", ""));
    let back = runtimes.run(&["reload", "refuses.wat"]);
    back.code(1).prints("nothing has changed");
    wait_for_offers(&runtimes, 4);
    let partly = runtimes.run(&["reload", "refuses.wat", "--keep-going"]);
    partly
        .code(3)
        .prints("failed: ")
        .prints("worker: 2 moved")
        .prints("some processes have not moved");
    let versions = versions(&runtimes);
    let running = |version: &str| versions[version]["processes"].clone();
    assert_eq!((running("current"), running("old")), (2.into(), 2.into()));
}

#[test]
fn a_third_version_is_refused_with_a_list_or_ends_those_that_run_the_first() {
    let runtimes = Runtimes::new();
    let mut program = start_workers(&runtimes, repeats(1), 2);
    runtimes.guests.file("second.wat", repeats(2));
    runtimes.guests.file("third.wat", repeats(3));
    let kept = runtimes.run(&["reload", "second.wat"]);
    kept.code(0)
        .prints("it offers nothing")
        .prints("nothing has moved");
    let listed = json(
        &runtimes
            .run(&["ps", "--json", "--filter", "worker"])
            .code(0)
            .out,
    );
    let listed = listed.as_array().unwrap().iter();
    let pids: Vec<_> = listed
        .map(|it| it["pid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(pids.len(), 2);
    let refused = runtimes.run(&["reload", "third.wat"]);
    refused.code(1).says(&[
        "processes still run the version",
        &pids[0],
        &pids[1],
        "--purge",
    ]);
    assert_eq!(version(&mut program), 1);
    let purged = runtimes.run(&["reload", "third.wat", "--purge", "--json"]);
    let purged = json(&purged.code(0).out);
    assert_eq!(outcomes(&purged), ["killed", "killed"]);
    // Their supervisor starts them again as the current version.
    while version(&mut program) != 3 {}
}

#[test]
fn those_that_offer_nothing_are_killed_on_the_command_line() {
    let runtimes = Runtimes::new();
    let mut program = start_workers(&runtimes, repeats(1), 2);
    runtimes.guests.file("second.wat", repeats(2));
    let killed = runtimes.run(&["reload", "second.wat", "--others", "kill", "--json"]);
    assert_eq!(outcomes(&json(&killed.code(0).out)), ["killed", "killed"]);
    while version(&mut program) != 2 {}
    let versions = versions(&runtimes);
    assert_eq!(versions["old"]["processes"], 0);
}

/// A program whose process moves, and has a supervisor with the record of a child that has
/// ended and is not started again.
fn with_a_record(version: u32) -> String {
    workers(version, "", "")
        .replace(
            r#"(memory (export "memory") 1)"#,
            r#"(import "lunatic::supervisor" "create_spec"
                (func $create_spec (param i32 i32 i32 i32 i64 i32) (result i64)))
            (import "lunatic::supervisor" "add_child"
                (func $add_child (param i64 i32 i32) (result i32)))
            (import "lunatic::supervisor" "start"
                (func $start_supervisor (param i64 i64 i32) (result i32)))
            (import "lunatic::supervisor" "drop_spec" (func $drop_spec (param i64)))
            (memory (export "memory") 1)
            (data (i32.const 0x200) "child")
            (func (export "child"))
            (func $begin (local $spec i64)
                (local.set $spec (call $create_spec
                    (i32.const 0x200) (i32.const 5) (i32.const 0) (i32.const 1)
                    (i64.const 5000) (i32.const 0)))
                (i32.store (i32.const 0x100) (i32.const 0x200))
                (i32.store (i32.const 0x104) (i32.const 5))
                (i64.store (i32.const 0x108) (i64.const -1))
                (i64.store (i32.const 0x110) (i64.const -1))
                (i32.store (i32.const 0x118) (i32.const 0x200))
                (i32.store (i32.const 0x11c) (i32.const 5))
                (i64.store (i32.const 0x128) (i64.const -2))
                (i32.store (i32.const 0x130) (i32.const 1))
                (drop (call $add_child (local.get $spec) (i32.const 0x100) (i32.const 0x180)))
                (drop (call $start_supervisor (local.get $spec) (i64.const 7) (i32.const 0x180)))
                (call $drop_spec (local.get $spec)))"#,
        )
        .replace(
            r#"(func (export "_start") (call $serve))"#,
            r#"(func (export "_start") (call $begin) (call $serve))"#,
        )
}

#[test]
fn a_version_that_only_the_record_of_a_child_keeps_is_told_of() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("worker.wat", with_a_record(1));
    let mut program = Printing::start(&runtimes, &["run", "worker.wat"]);
    assert_eq!(version(&mut program), 1);
    wait_for_offers(&runtimes, 1);
    wait_until("the record", || {
        versions(&runtimes)["current"]["child_records"] == 1
    });
    runtimes.guests.file("worker.wat", with_a_record(2));
    let moved = runtimes.run(&["reload", "worker.wat"]);
    moved.code(0).prints("worker: 1 moved");
    while version(&mut program) != 2 {}
    // The old instance is given back a moment after the move.
    wait_until("the record alone keeps it", || {
        let old = &versions(&runtimes)["old"];
        old["processes"] == 0 && old["child_records"] == 1 && old["handles"] == 0
    });
    let current = &versions(&runtimes)["current"];
    assert_eq!(current["processes"], 1);
    assert_eq!(current["child_records"], 0);
    let listed = runtimes.run(&["versions"]);
    listed
        .code(0)
        .prints("0 processes, 1 child record, 0 other handles");
}
