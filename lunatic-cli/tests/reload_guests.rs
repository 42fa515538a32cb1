//! Guests in Rust, C and WAT go on with new code (ABI §27).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future::yield_now;
use harness::{Observer, Told, World, assert_normal, module, send};
use lunatic_account::{AccountLimits, Kind};
use lunatic_cli::{Config, Reloading, Root};
use lunatic_mailbox::Limits;
use lunatic_process::{Process, ProcessConfig, SpawnOptions};
use lunatic_reload::{Outcome, ReloadOptions, ReloadResult, Report};
use lunatic_testkit::built::{guest_in, rust_guest};
use lunatic_testkit::{TIMEOUT, end_of, wait, wait_until};
use lunatic_wasi::{Capture, Stdio};

/// An application that is reloaded, its first process, and who asks it.
struct App {
    world: World,
    process: Process,
    observer: Observer,
}

impl App {
    fn new(first: &Path) -> App {
        let world = World::new();
        App::start(world, bytes(first), Stdio::default())
    }

    fn start(world: World, first: Vec<u8>, stdio: Stdio) -> App {
        let loading = world.runtime.load_version("app", first);
        let module = wait("compilation", loading).unwrap();
        let process = world.root(&module, Root::new("_start").stdio(stdio));
        App {
            process: process.unwrap(),
            observer: world.observer(),
            world,
        }
    }

    fn reload(&self, version: &Path) -> Report {
        self.reload_bytes(bytes(version))
    }

    fn reload_bytes(&self, bytes: Vec<u8>) -> Report {
        let options = ReloadOptions {
            timeout: TIMEOUT / 2,
            ..ReloadOptions::default()
        };
        let runtime = &self.world.runtime;
        let reload = runtime.reload(
            "app",
            bytes,
            Reloading {
                options,
                ..Reloading::default()
            },
        );
        wait("the reload", reload).unwrap()
    }

    #[track_caller]
    fn moves(&self, version: &Path) {
        let report = self.reload(version);
        assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
        let moved = |outcome: &Outcome| matches!(outcome, Outcome::Moved { .. });
        let mut processes = report.processes.iter();
        assert!(processes.all(|it| moved(&it.outcome)), "{report:?}");
    }

    /// What a counter of `guests/reload` replies: ten times the count and a digit.
    #[track_caller]
    fn count(&self) -> u64 {
        self.wait_for_offer();
        send(&self.process, 0, &count_message(&self.observer.process, 5));
        self.reply()
    }

    #[track_caller]
    fn reply(&self) -> u64 {
        match self.observer.told() {
            Told::Data(5, bytes) => number(&bytes),
            other => panic!("{other:?}"),
        }
    }

    /// What a counter in C replies.
    #[track_caller]
    fn count_in_c(&self) -> u64 {
        self.wait_for_offer();
        let id = self.observer.process.id().to_bits();
        send(&self.process, 0, &id.to_le_bytes());
        match self.observer.told() {
            Told::Data(1, bytes) => u64::from_le_bytes(bytes.try_into().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// A process that has not offered itself yet is no part of a reload.
    fn wait_for_offer(&self) {
        wait_until("the offer", || {
            self.world.runtime.versions()[0].offering > 0
        });
    }

    /// Tells a server of `guests/reload` whom to tell its port, and connects to that.
    fn connect(&self) -> Client {
        let id = self.observer.process.id().to_bits();
        send(&self.process, 0, &id.to_le_bytes());
        let port = match self.observer.told() {
            Told::Data(1, bytes) => u16::from_le_bytes(bytes.try_into().unwrap()),
            other => panic!("{other:?}"),
        };
        Client::new(port)
    }
}

/// A connection to a server that answers lines.
struct Client {
    port: u16,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(port: u16) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Client {
            port,
            stream: BufReader::new(stream),
        }
    }

    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line
    }

    #[track_caller]
    fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\n"));
        self.line()
    }
}

fn rust(name: &str) -> PathBuf {
    rust_guest(name)
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

/// `Ask::Count` of `guests/reload` in MessagePack.
fn count_message(reply_to: &Process, tag: i64) -> Vec<u8> {
    let mut message = b"\x81\xa5Count\x82\xa7process\xcf".to_vec();
    message.extend(reply_to.id().to_bits().to_be_bytes());
    message.extend(b"\xa3tag\xd3");
    message.extend(tag.to_be_bytes());
    message
}

/// A number in MessagePack.
#[track_caller]
fn number(bytes: &[u8]) -> u64 {
    let digits = match bytes {
        [small @ 0..=0x7f] => return u64::from(*small),
        [0xcc..=0xcf, digits @ ..] => digits,
        other => panic!("{other:?} is no number"),
    };
    digits
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What became of the only process.
#[track_caller]
fn why(report: &Report) -> &str {
    match &report.processes[0].outcome {
        Outcome::Failed { why } | Outcome::Declined { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_moves_back_and_forth_with_a_changed_struct_while_many_send() {
    const SENDERS: usize = 8;
    const RELOADS: usize = 100;
    let versions = [rust("reload_counter_v1"), rust("reload_counter_v2")];
    let app = App::new(&versions[0]);
    app.wait_for_offer();
    let is_over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (is_over, server) = (is_over.clone(), app.process.clone());
            let observer = app.observer.process.clone();
            let environment = app.world.runtime.environment();
            let spawned = environment.spawn(SpawnOptions::default(), move |_| async move {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    number += 1;
                    let tag = (sender as i64) << 32 | number;
                    send(&server, 0, &count_message(&observer, tag));
                    if number % 8 == 0 {
                        Timer::after(Duration::from_millis(1)).await;
                    }
                }
                Ok(())
            });
            spawned.unwrap()
        })
        .collect();
    for reload in 1..=RELOADS {
        app.moves(&versions[reload % 2]);
    }
    is_over.store(true, Ordering::Relaxed);
    for sender in &senders {
        assert_normal(sender);
    }
    // Whatever was sent before is answered before.
    send(&app.process, 0, &count_message(&app.observer.process, -1));
    let (mut count, mut of_sender) = (0, [0; SENDERS]);
    let mut by_version = [0; 3];
    loop {
        let Told::Data(tag, bytes) = app.observer.told() else {
            panic!("no reply");
        };
        let reply = number(&bytes);
        count += 1;
        assert_eq!(reply / 10, count);
        by_version[reply as usize % 10] += 1;
        if tag == -1 {
            break;
        }
        let last: &mut i64 = &mut of_sender[(tag >> 32) as usize];
        *last += 1;
        assert_eq!(*last, tag & 0xffff_ffff);
    }
    app.observer.is_told_nothing_more();
    assert!(by_version[1] > 0 && by_version[2] > 0, "{by_version:?}");
    assert!(of_sender.iter().all(|sent| *sent > 0));
}

/// The number of lines in an answer of an echo server, and whose answer it is.
#[track_caller]
fn answered(answer: &str, line: &str) -> (usize, char) {
    let rest = answer.strip_suffix(&format!(" {line}\n")).unwrap();
    let (version, count) = rest.strip_prefix('v').unwrap().split_at(1);
    let count = count.trim_start().split(':').next().unwrap();
    (count.parse().unwrap(), version.chars().next().unwrap())
}

#[test]
fn a_hundred_open_connections_stay_over_a_hundred_reloads() {
    const THREADS: usize = 4;
    const CLIENTS: usize = 25;
    const RELOADS: usize = 100;
    let versions = [rust("reload_echo_v1"), rust("reload_echo_v2")];
    let app = App::new(&versions[0]);
    let port = app.connect().port;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::new(port)).collect();
                    let (mut lines, mut seen) = (0, String::new());
                    while !is_over.load(Ordering::Relaxed) {
                        lines += 1;
                        for client in &mut clients {
                            let (count, version) = answered(&client.ask("more"), "more");
                            assert_eq!(count, lines);
                            if !seen.contains(version) {
                                seen.push(version);
                            }
                        }
                    }
                    seen
                })
            })
            .collect();
        for reload in 1..=RELOADS {
            app.moves(&versions[reload % 2]);
        }
        is_over.store(true, Ordering::Relaxed);
        for thread in threads {
            assert_eq!(
                thread.join().unwrap().len(),
                2,
                "one version has not answered"
            );
        }
    });
}

/// Sends numbered requests to a counter as fast as it answers, until it is told that it is over.
/// Returns how many.
///
/// - `sender`: which of the senders this is. Its requests have the tags behind `sender << 32`.
/// - `answers`: how many of its requests were answered.
async fn flood(
    sender: usize,
    counter: Process,
    observer: Process,
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
) -> u64 {
    /// So many requests wait in the mailbox of the counter.
    const MOST: u64 = 256;
    let mut sent = 0;
    while !is_over.load(Ordering::Relaxed) {
        while sent < answers.load(Ordering::Relaxed) + MOST {
            sent += 1;
            let tag = (sender as i64) << 32 | sent as i64;
            send(&counter, 0, &count_message(&observer, tag));
        }
        yield_now().await;
    }
    sent
}

#[test]
fn a_hundred_times_there_and_back_under_floods_of_messages_and_a_hundred_connections() {
    const SENDERS: usize = 8;
    const THREADS: usize = 4;
    const CLIENTS: usize = 25;
    const ROUNDS: usize = 100;
    let counters = [rust("reload_counter_v1"), rust("reload_counter_v2")];
    let echoes = [rust("reload_echo_v1"), rust("reload_echo_v2")];
    let mut app = App::new(&counters[0]);
    let (runtime, counter) = (app.world.runtime.clone(), app.process.clone());
    app.observer.watch(&counter, 3);
    let module = wait(
        "compilation",
        runtime.load_version("echo", bytes(&echoes[0])),
    );
    let echo = app.world.root(&module.unwrap(), Root::new("_start"));
    app.process = echo.unwrap();
    let port = app.connect().port;
    wait_until("the offers", || {
        runtime.versions().iter().all(|module| module.offering > 0)
    });
    let is_over = Arc::new(AtomicBool::new(false));
    let answers: Vec<Arc<AtomicU64>> = (0..SENDERS).map(|_| Arc::default()).collect();
    let (sent_by, all_sent) = async_channel::unbounded();
    for (number, answers) in answers.iter().enumerate() {
        let flood = flood(
            number,
            counter.clone(),
            app.observer.process.clone(),
            is_over.clone(),
            answers.clone(),
        );
        let sent_by = sent_by.clone();
        let spawned = runtime
            .environment()
            .spawn(SpawnOptions::default(), move |_| async move {
                sent_by.try_send((number, flood.await)).ok();
                Ok(())
            });
        spawned.unwrap();
    }
    let reload = |name: &str, version: &Path| {
        let how = Reloading {
            options: ReloadOptions {
                timeout: TIMEOUT / 2,
                ..ReloadOptions::default()
            },
            ..Reloading::default()
        };
        let reload = runtime.reload(name, bytes(version), how);
        let report = wait("the reload", reload).unwrap();
        assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
    };
    let (observer, answers) = (&app.observer, &answers);
    let counted = thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::new(port)).collect();
                    let mut lines = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        lines += 1;
                        for client in &mut clients {
                            assert_eq!(answered(&client.ask("more"), "more").0, lines);
                        }
                    }
                    lines
                })
            })
            .collect();
        // Each request is counted once, and those of one sender in their order.
        let counting = scope.spawn(move || {
            let mut count = 0;
            loop {
                match observer.told() {
                    Told::Data(END, _) => return count,
                    Told::Data(tag, answer) => {
                        count += 1;
                        assert_eq!(number(&answer) / 10, count);
                        let before = answers[(tag >> 32) as usize].fetch_add(1, Ordering::Relaxed);
                        assert_eq!((tag & 0xffff_ffff) as u64, before + 1);
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        for number in 1..=2 * ROUNDS {
            reload("app", &counters[number % 2]);
            reload("echo", &echoes[number % 2]);
        }
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
        let mut sent = 0;
        for _ in 0..SENDERS {
            let (sender, by_it) = wait("the senders", all_sent.recv()).unwrap();
            wait_until("the last answers", || {
                answers[sender].load(Ordering::Relaxed) == by_it
            });
            sent += by_it;
        }
        send(&observer.process, END, b"");
        let counted = counting.join().unwrap();
        assert_eq!(counted, sent);
        counted
    });
    assert!(counted > (ROUNDS * SENDERS) as u64, "{counted}");
    // It is the process that was linked and monitored at first.
    counter.kill();
    app.observer.is_told_of_failure(&counter, 3);
    app.observer.is_told_nothing_more();
}

/// With this tag the observer is told that nothing more comes.
const END: i64 = -1;

/// The tag with which a request is answered.
#[track_caller]
fn tag_of_reply(request: &[u8]) -> i64 {
    const FIELD: &[u8] = b"\xa3tag";
    let mut places = request.windows(FIELD.len());
    let place = places.position(|window| window == FIELD).unwrap();
    match &request[place + FIELD.len()..] {
        [0xd0..=0xd3, digits @ ..] => digits
            .iter()
            .fold(-i64::from(digits[0] >> 7), |number, byte| {
                number << 8 | i64::from(*byte)
            }),
        digits => number(digits) as i64,
    }
}

/// Another version that does the same: there is a section with another name in it.
fn again(program: &[u8], name: u8) -> Vec<u8> {
    [program, &[0, 2, 1, name]].concat()
}

#[test]
fn a_call_without_a_time_limit_waits_for_its_reply_though_the_process_is_to_move() {
    let program = bytes(&rust("reload_caller"));
    let app = App::start(World::new(), program.clone(), Stdio::default());
    let id = app.observer.process.id().to_bits();
    send(&app.process, 0, &id.to_le_bytes());
    let request = || match app.observer.told() {
        Told::Data(0, request) => tag_of_reply(&request),
        other => panic!("{other:?}"),
    };
    let mut tag = request();
    for answer in 1..=5_u8 {
        thread::scope(|scope| {
            let version = again(&program, b'0' + answer);
            let reload = scope.spawn(|| app.reload_bytes(version));
            let runtime = &app.world.runtime;
            wait_until("the reload", || runtime.versions()[0].progress.is_some());
            // Its wait could end early now.
            thread::sleep(Duration::from_millis(50));
            app.observer.is_told_nothing_more();
            send(&app.process, tag, &[answer]);
            let told = app.observer.told();
            assert_eq!(told, Told::Data(5, u64::from(answer).to_le_bytes().into()));
            tag = request();
            assert_eq!(reload.join().unwrap().result, ReloadResult::Moved);
        });
    }
}

#[test]
fn a_server_whose_account_has_no_memory_left_is_not_ended_by_a_reload() {
    let world = World::new();
    let loading = world
        .runtime
        .load_version("app", bytes(&rust("reload_counter_v1")));
    let module = wait("compilation", loading).unwrap();
    let with_memory = |memory| {
        let process = ProcessConfig {
            account: Some(AccountLimits {
                memory,
                ..AccountLimits::default()
            }),
            ..ProcessConfig::trusted()
        };
        let process = world.spawn_with(&module, "_start", process);
        let runtime = &world.runtime;
        wait_until("the offer", || runtime.versions()[0].offering > 0);
        process
    };
    let rich = with_memory(u64::MAX);
    let needed = rich.account().used(Kind::Memory);
    rich.kill();
    end_of(&rich);
    // For what it does, and not for another stack.
    let poor = with_memory(needed + 200_000);
    let app = App {
        observer: world.observer(),
        process: poor,
        world,
    };
    assert_eq!(app.count(), 11);
    let report = app.reload(&rust("reload_counter_v2"));
    assert!(why(&report).contains("no memory is left"), "{report:?}");
    assert_eq!(app.count(), 21);
}

/// What is no version that can take over from an echo server, and why.
fn bad_versions() -> Vec<(&'static str, Vec<u8>)> {
    let entries = |entry: &str, rest: &str| {
        module(&format!(
            r#"(memory (export "memory") 1)
            (func (export "_lunatic_reload_1_acceptor") {entry})
            (func (export "_lunatic_reload_1_connection") {entry})
            {rest}"#
        ))
    };
    let half = bytes(&rust("reload_echo_v2"));
    let texts = [
        ("traps", entries("unreachable", "")),
        ("returns", entries("", "")),
        ("exits", entries("(call $proc_exit (i32.const 0))", "")),
        (
            "sends",
            entries(
                "(call $write (i64.const 1) (i64.const 1)) (drop (call $send (i64.const 1)))",
                "",
            ),
        ),
        (
            "takes the stream and traps",
            entries(
                "(drop (call $take_tcp_stream (i64.const 0))) unreachable",
                "",
            ),
        ),
        (
            "wants too much memory",
            entries(
                "(if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then unreachable))",
                "",
            ),
        ),
        (
            "refuses",
            entries("(call $refuse (i32.const 0) (i32.const 0))", ""),
        ),
        ("loops", entries("(loop $again (br $again))", "")),
        (
            "traps at its start",
            entries("", "(start $begin) (func $begin unreachable)"),
        ),
        (
            "misses an import",
            entries("", "").replacen(
                "(module",
                r#"(module (import "lunatic::nothing" "nothing" (func))"#,
                1,
            ),
        ),
        ("has no entries", module("(memory (export \"memory\") 1)")),
    ];
    let texts = texts.into_iter();
    let mut bad: Vec<_> = texts
        .map(|(what, text)| (what, text.into_bytes()))
        .collect();
    bad.push(("is half a file", half[..half.len() / 2].to_vec()));
    bad
}

#[test]
fn after_bad_versions_the_old_one_answers_on_the_same_connection_with_what_it_had() {
    let app = App::new(&rust("reload_echo_v1"));
    let mut client = app.connect();
    let mut lines = 0;
    let mut answers = || {
        lines += 1;
        assert_eq!(client.ask("more"), format!("v1 {lines} more\n"));
    };
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mappings = || {
        fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count()
    };
    let has_failed = |version: &[u8]| {
        let options = ReloadOptions {
            timeout: Duration::from_secs(1),
            ..ReloadOptions::default()
        };
        let how = Reloading {
            options,
            ..Reloading::default()
        };
        let reload = app.world.runtime.reload("app", version.to_vec(), how);
        match wait("the reload", reload) {
            Err(_) => true,
            Ok(report) => report.result == ReloadResult::Unchanged,
        }
    };
    answers();
    wait_until("both offers", || {
        app.world.runtime.versions()[0].offering == 2
    });
    // What is made at the first failure and kept: tables of errors, for example.
    let versions = bad_versions();
    assert!(has_failed(&versions[0].1));
    answers();
    let before = (descriptors(), mappings());
    for (what, version) in &versions {
        assert!(has_failed(version), "a version that {what}");
        answers();
        wait_until("its descriptors are closed", || descriptors() == before.0);
    }
    let after = mappings();
    assert!(after <= before.1 + 16, "{} to {after}", before.1);
    app.moves(&rust("reload_echo_v2"));
    assert!(client.ask("more").starts_with("v2 "));
}

/// Waits until the program has taken all that a client has sent out of the system's buffers.
fn wait_until_read(client: &Client) {
    let port = client.stream.get_ref().local_addr().unwrap().port();
    // Who has the connection, behind whom it is with, and what is not read.
    let ends = [format!(":{:04X}", client.port), format!(":{port:04X}")];
    wait_until("all to be read", || {
        let sockets = fs::read_to_string("/proc/self/net/tcp").unwrap();
        let mut sockets = sockets.lines().map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let ends: [_; 2] = std::array::from_fn(|_| fields.next().unwrap_or_default());
            (ends, fields.nth(1).unwrap_or_default())
        });
        let is_it = |(of, _): &([&str; 2], &str)| {
            of.iter().zip(&ends).all(|(of, end)| of.ends_with(&**end))
        };
        let (_, queues) = sockets.find(is_it).unwrap();
        queues.ends_with(":00000000")
    });
}

#[test]
fn a_state_that_is_too_large_for_a_message_leaves_the_connection_with_the_old_version() {
    let world = World::new();
    let loading = world
        .runtime
        .load_version("app", bytes(&rust("reload_echo_v1")));
    let module = wait("compilation", loading).unwrap();
    let process = ProcessConfig {
        mailbox: Limits {
            bytes: 8192,
            ..Limits::default()
        },
        ..ProcessConfig::trusted()
    };
    let config = Config {
        process,
        ..Config::default()
    };
    let root = Root::new("_start").config(config);
    let app = App {
        process: world.root(&module, root).unwrap(),
        observer: world.observer(),
        world,
    };
    let mut client = app.connect();
    assert_eq!(client.ask("more"), "v1 1 more\n");
    wait_until("both offers", || {
        app.world.runtime.versions()[0].offering == 2
    });
    let half = "x".repeat(10_000);
    client.send(&half);
    wait_until_read(&client);
    let report = app.reload(&rust("reload_echo_v2"));
    assert_eq!(report.result, ReloadResult::Partly);
    let mut of_kind = report.processes.iter();
    let connection = of_kind.find(|it| it.kind == "connection").unwrap();
    let Outcome::Declined { why } = &connection.outcome else {
        panic!("{report:?}");
    };
    assert!(why.contains("more than a message may have"), "{why}");
    assert_eq!(client.ask(&half), format!("v1 2 {half}{half}\n"));
    assert_eq!(client.ask("more"), "v1 3 more\n");
    // With a small state it moves.
    app.reload(&rust("reload_echo_v1"));
    app.moves(&rust("reload_echo_v2"));
    assert!(client.ask("more").starts_with("v2 4:"));
}

#[test]
fn a_field_with_a_default_needs_no_new_version() {
    let app = App::new(&rust("reload_counter_v1"));
    assert_eq!([app.count(), app.count()], [11, 21]);
    app.moves(&rust("reload_counter_v1_default"));
    assert_eq!([app.count(), app.count()], [1033, 2043]);
    // The field is unknown to the older code.
    app.moves(&rust("reload_counter_v1"));
    assert_eq!(app.count(), 51);
    app.moves(&rust("reload_counter_v1_default"));
    assert_eq!(app.count(), 1063);
}

#[test]
fn a_panic_in_code_change_leaves_the_old_version_serving_and_is_told() {
    let app = App::new(&rust("reload_counter_v1"));
    assert_eq!([app.count(), app.count()], [11, 21]);
    for attempt in 0..3 {
        let report = app.reload(&rust("reload_counter_v2_panics"));
        assert_eq!(report.result, ReloadResult::Unchanged);
        let why = why(&report);
        let expected = format!("{} is no number for version 2", attempt + 2);
        assert!(why.contains(&expected), "{why}");
        assert!(why.contains("reload_counter_v2_panics.rs"), "{why}");
        assert_eq!(app.count(), (attempt + 3) * 10 + 1);
    }
    app.moves(&rust("reload_counter_v2"));
    assert_eq!(app.count(), 62);
}

#[test]
fn a_panic_in_code_change_back_leaves_the_new_version_serving_and_is_told() {
    let app = App::new(&rust("reload_counter_v2_panics"));
    assert_eq!([app.count(), app.count()], [14, 24]);
    for attempt in 0..3 {
        let report = app.reload(&rust("reload_counter_v1"));
        let why = why(&report);
        let expected = format!("{} is no number for version 1", attempt + 3);
        assert!(why.contains(&expected), "{why}");
        assert_eq!(app.count(), (attempt + 3) * 10 + 4);
        // What is current is not what it runs.
        let report = app.reload(&rust("reload_counter_v2_panics"));
        assert_ne!(report.result, ReloadResult::Partly, "{report:?}");
    }
}

#[test]
fn a_state_that_the_new_code_cannot_read_leaves_the_old_version_serving() {
    let app = App::new(&rust("reload_counter_v2_panics"));
    assert_eq!(app.count(), 14);
    let report = app.reload(&rust("reload_counter_v2"));
    assert_eq!(report.result, ReloadResult::Unchanged);
    let why = why(&report);
    assert!(
        why.contains("cannot be read: missing field `counts`"),
        "{why}"
    );
    assert_eq!(app.count(), 24);
}

#[test]
fn a_server_sees_to_messages_that_it_cannot_read_and_ends_when_it_says_so() {
    let app = App::new(&rust("reload_counter_v1"));
    assert_eq!(app.count(), 11);
    for garbage in [&b""[..], b"\xc1", b"\x81\xa5Count", &[0xff; 4096]] {
        send(&app.process, 3, garbage);
    }
    assert_eq!(app.count(), 21);
    app.moves(&rust("reload_counter_v2"));
    assert_eq!(app.count(), 32);
    send(&app.process, 0, b"\xa3End");
    assert_normal(&app.process);
}

#[test]
fn connections_and_the_listener_stay_while_nothing_is_said() {
    let [old, new] = [rust("reload_echo_v1"), rust("reload_echo_v2")];
    let app = App::new(&old);
    let mut client = app.connect();
    assert_eq!(client.ask("one"), "v1 1 one\n");
    app.moves(&new);
    assert_eq!(client.ask("two"), "v2 2:4 two\n");
    let mut second = Client::new(client.port);
    assert_eq!(second.ask("and"), "v2 1:4 and\n");
    for _ in 0..20 {
        // Half a line crosses too.
        client.send("hal");
        second.send("hal");
        app.moves(&old);
        client.send("f\n");
        assert!(client.line().starts_with("v1"));
        app.moves(&new);
        second.send("f\n");
        assert!(second.line().starts_with("v2"));
    }
    assert_eq!(client.ask("end"), "v2 23:4 end\n");
    let mut third = Client::new(client.port);
    assert_eq!(third.ask("new"), "v2 1:4 new\n");
    // Who hangs up is gone, and no handle keeps the connection open.
    drop((client, second, third));
    app.world.wait_for_count(2);
}

/// The second version does not take over connections of the first, for this reason; the
/// first one goes on.
///
/// - `answer`: how the first version begins its answer to so many lines of 5 bytes.
#[track_caller]
fn connections_stay_with(
    first: &str,
    second: &str,
    why: &str,
    answer: impl Fn(usize) -> String + Sync,
) {
    let (app, second) = (App::new(&rust(first)), rust(second));
    let mut client = app.connect();
    assert_eq!(client.ask("more"), format!("{} more\n", answer(1)));
    thread::scope(|scope| {
        let reload = scope.spawn(|| app.reload(&second));
        let mut lines = 1;
        while !reload.is_finished() {
            lines += 1;
            assert_eq!(client.ask("more"), format!("{} more\n", answer(lines)));
        }
        let report = reload.join().unwrap();
        assert_eq!(report.result, ReloadResult::Unchanged, "{report:?}");
        // Others may have been on their way, and were taken back.
        let has_failed = report
            .processes
            .iter()
            .any(|it| matches!(&it.outcome, Outcome::Failed { why: told } if told.contains(why)));
        assert!(has_failed, "{report:?}");
        assert_eq!(client.ask("more"), format!("{} more\n", answer(lines + 1)));
    });
    let mut another = Client::new(client.port);
    assert_eq!(another.ask("more"), format!("{} more\n", answer(1)));
}

#[test]
fn a_connection_stays_with_the_old_code_if_the_new_one_panics_with_it_in_its_hands() {
    connections_stay_with(
        "reload_echo_v1",
        "reload_echo_v2_panics",
        "stays where it is",
        |lines| format!("v1 {lines}"),
    );
}

#[test]
fn a_connection_and_its_whole_state_stay_with_the_new_code_if_the_old_one_does_not_want_it() {
    connections_stay_with(
        "reload_echo_v2",
        "reload_echo_v1_unreadable",
        "cannot be read: missing field `words`",
        |lines| format!("v2 {lines}:{}", lines * 5),
    );
}

#[test]
fn a_process_in_c_moves_back_and_forth() {
    let guest = |name| guest_in("LUNATIC_C_GUESTS", name);
    let versions = [
        guest("reload_counter_v1.wasm"),
        guest("reload_counter_v2.wasm"),
    ];
    let [Some(old), Some(new)] = versions else {
        return;
    };
    let app = App::new(&old);
    for round in 0..10 {
        assert_eq!(app.count_in_c(), (3 * round + 1) * 10 + 1);
        app.moves(&new);
        assert_eq!(app.count_in_c(), (3 * round + 2) * 10 + 2);
        assert_eq!(app.count_in_c(), (3 * round + 3) * 10 + 2);
        app.moves(&old);
    }
    app.process.kill();
    end_of(&app.process);
}

#[test]
fn the_example_in_wat_ticks_on_in_both_directions() {
    let example = |name: &str| {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/reload");
        let text = fs::read_to_string(examples.join(name)).unwrap();
        assert!(text.contains("(i64.const 1000)"));
        text.replace("(i64.const 1000)", "(i64.const 2)")
            .into_bytes()
    };
    let [old, new] = [example("ticker_v1.wat"), example("ticker_v2.wat")];
    let output = Capture::root();
    let stdio = Stdio::captured(output.clone());
    let app = App::start(World::new(), old.clone(), stdio);
    for (version, ticks) in [(&old, "v1: tick "), (&new, "v2: tick ")].repeat(3) {
        app.wait_for_offer();
        app.reload_bytes(version.clone());
        let so_far = output.text().len();
        wait_until("a tick", || output.text()[so_far..].contains(ticks));
    }
    let text = output.text();
    let ticks = text.lines().filter(|line| line.contains("tick "));
    for (number, line) in ticks.enumerate() {
        let expected = format!("tick {}", number + 1);
        assert!(line.ends_with(&expected), "{line:?} is not {expected:?}");
    }
    let exchanges = text.lines().filter(|line| line.contains("exchange "));
    let exchanges: Vec<_> = exchanges.collect();
    // Version 1 does not know the number.
    assert_eq!(exchanges, ["v2: exchange 1"; 3]);
    app.process.kill();
    end_of(&app.process);
}
