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
use harness::{Observer, Told, World, assert_normal, send};
use lunatic_cli::{Reloading, Root};
use lunatic_process::{Process, SpawnOptions};
use lunatic_reload::{Outcome, ReloadOptions, ReloadResult, Report};
use lunatic_testkit::built::{guest_in, rust_guest};
use lunatic_testkit::{PATIENCE, end_of, wait, wait_until};
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
            timeout: PATIENCE / 2,
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
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
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

#[test]
fn senders_and_open_connections_lose_nothing_over_the_same_reloads() {
    const SENDERS: usize = 8;
    const CLIENTS: usize = 8;
    const RELOADS: usize = 24;
    let counters = [rust("reload_counter_v1"), rust("reload_counter_v2")];
    let echoes = [rust("reload_echo_v1"), rust("reload_echo_v2")];
    let mut app = App::new(&counters[0]);
    let (runtime, counter) = (app.world.runtime.clone(), app.process.clone());
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
    let (is_over, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (is_over, sent) = (is_over.clone(), sent.clone());
            let (counter, observer) = (counter.clone(), app.observer.process.clone());
            let spawned =
                runtime
                    .environment()
                    .spawn(SpawnOptions::default(), move |_| async move {
                        while !is_over.load(Ordering::Relaxed) {
                            for _ in 0..8 {
                                send(&counter, 0, &count_message(&observer, 5));
                                sent.fetch_add(1, Ordering::Relaxed);
                            }
                            Timer::after(Duration::from_millis(1)).await;
                        }
                        Ok(())
                    });
            spawned.unwrap()
        })
        .collect();
    let reload = |name: &str, version: &Path| {
        let reload = runtime.reload(
            name,
            bytes(version),
            Reloading {
                options: ReloadOptions {
                    timeout: PATIENCE / 2,
                    ..ReloadOptions::default()
                },
                ..Reloading::default()
            },
        );
        let report = wait("the reload", reload).unwrap();
        assert_eq!(report.result, ReloadResult::Moved, "{report:?}");
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut client, mut lines) = (Client::new(port), 0);
                    while !is_over.load(Ordering::Relaxed) {
                        lines += 1;
                        assert_eq!(answered(&client.ask("more"), "more").0, lines);
                    }
                    lines
                })
            })
            .collect();
        for number in 1..=RELOADS {
            reload("app", &counters[number % 2]);
            reload("echo", &echoes[number % 2]);
        }
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
    for sender in &senders {
        assert_normal(sender);
    }
    let sent = sent.load(Ordering::Relaxed);
    for count in 1..=sent {
        assert_eq!(app.reply() / 10, count);
    }
    app.observer.is_told_nothing_more();
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
        let failed = report.processes.iter().find_map(|it| match &it.outcome {
            Outcome::Failed { why } => Some(why),
            _ => None,
        });
        assert!(failed.unwrap().contains(why), "{report:?}");
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
