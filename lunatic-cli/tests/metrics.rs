//! `lunatic::metrics`, and `--metrics`: what is served over HTTP.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![allow(clippy::print_stdout, reason = "what is measured is told")]

mod harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Instant;

use futures_lite::future;
use harness::module;
use harness::program::Guests;
use harness::runtimes::Running;
use lunatic_cli::{MetricsServer, Root, Runtime};
use lunatic_mailbox::DataMessage;
use lunatic_process::{Failure, Process, SpawnOptions};
use lunatic_testkit::program::{exit_code, signal};
use lunatic_testkit::{TIMEOUT, wait, wait_until};
use prometheus_parse::{Sample, Scrape, Value};

/// A runtime in this program, with metrics.
struct Measured {
    runtime: Runtime,
    server: MetricsServer,
}

impl Measured {
    fn start() -> Measured {
        let runtime = Runtime::builder().start().unwrap();
        let server = MetricsServer::start(&runtime, "127.0.0.1:0".parse().unwrap()).unwrap();
        Measured { runtime, server }
    }

    fn spawn(&self, options: SpawnOptions) -> Process {
        let environment = self.runtime.environment();
        environment
            .spawn(options, |own| async move {
                let _kept = own;
                future::pending().await
            })
            .unwrap()
    }

    fn run(&self, guest: &str) {
        let environment = self.runtime.environment();
        let before = environment.process_count();
        future::block_on(async {
            let module = self.runtime.load(module(guest).into()).await.unwrap();
            let process = self.runtime.spawn(&module, Root::new("run")).await.unwrap();
            let reason = process.wait().await;
            assert!(reason.is_normal(), "{reason}");
        });
        // Who waits for a process is told before it is no longer counted.
        wait_until("its end is counted", || {
            environment.process_count() <= before
        });
    }

    fn samples(&self, query: &str) -> Vec<Sample> {
        scraped(self.server.address(), query)
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        future::block_on(self.runtime.shut_down());
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn scraped(address: SocketAddr, query: &str) -> Vec<Sample> {
    let answer = get(address, &format!("/metrics{query}"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: application/openmetrics-text; version=1.0.0"));
    assert!(body.ends_with("\n# EOF\n"));
    let lines = body.lines().map(|line| Ok(line.to_owned()));
    Scrape::parse(lines).unwrap().samples
}

fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let is_it = |sample: &&Sample| {
        let mut labels = labels.iter();
        sample.metric == name && labels.all(|(key, value)| sample.labels.get(key) == Some(value))
    };
    match samples.iter().find(is_it)?.value {
        Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => Some(value),
        _ => None,
    }
}

#[test]
fn a_scrape_has_all_that_the_runtime_counts_and_can_be_parsed() {
    let measured = Measured::start();
    let idle = measured.spawn(SpawnOptions::default());
    for _ in 0..7 {
        let message = DataMessage::default().into();
        let environment = measured.runtime.environment();
        environment.send(None, idle.id(), message).unwrap();
    }
    let environment = measured.runtime.environment();
    let killed = measured.spawn(SpawnOptions::default());
    killed.kill();
    let failed = environment.spawn(SpawnOptions::default(), |_| async {
        Err(Failure::new("broken"))
    });
    for ended in [killed, failed.unwrap()] {
        wait("the end of a process", ended.wait());
    }
    wait_until("their ends are counted", || {
        environment.process_count() == 1
    });
    measured.run("(func (export \"run\"))");

    // On a busy machine a scrape does not wait until the delay is known.
    let mut samples = Vec::new();
    wait_until("a scrape with the delay", || {
        samples = measured.samples("");
        value(&samples, "lunatic_scheduler_delay_seconds", &[]).is_some()
    });
    let value = |name, labels: &[_]| value(&samples, name, labels);
    assert_eq!(value("lunatic_processes", &[]), Some(1.0));
    assert_eq!(value("lunatic_processes_spawned_total", &[]), Some(4.0));
    for reason in ["normal", "killed", "failed"] {
        let ended = value("lunatic_processes_ended_total", &[("reason", reason)]);
        assert_eq!(ended, Some(1.0), "{reason}");
    }
    assert_eq!(value("lunatic_messages_sent_total", &[]), Some(7.0));
    assert_eq!(value("lunatic_mailbox_messages", &[]), Some(7.0));
    assert_eq!(value("lunatic_mailbox_longest", &[]), Some(7.0));
    assert!(value("lunatic_worker_tasks_total", &[]).unwrap() >= 1.0);
    assert!(value("lunatic_resident_memory_bytes", &[]).unwrap() > 1e6);
    for name in [
        "lunatic_worker_busy_seconds_total",
        "lunatic_run_queue",
        "lunatic_compile_cache_hits_total",
        "lunatic_restarts_total",
        "lunatic_sockets",
        "lunatic_reloads_total",
        "lunatic_account_used",
        "lunatic_timers",
        "lunatic_build",
    ] {
        assert!(value(name, &[]).is_some(), "{name}");
    }
    if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
        assert!(value("lunatic_arena_slots", &[("kind", "stack")]).is_some());
        let guarded = [("kind", "guarded memory"), ("state", "used")];
        assert_eq!(value("lunatic_arena_slots", &guarded), Some(0.0));
    }
}

#[test]
fn busy_workers_are_seen_and_idle_ones_too() {
    let measured = Measured::start();
    let busy = || -> f64 {
        let samples = measured.samples("");
        let of = |number: usize| {
            let labels = [("worker", &*number.to_string())];
            value(&samples, "lunatic_worker_busy_seconds_total", &labels)
        };
        (0..).map_while(of).sum()
    };
    let before = busy();
    let begun = Instant::now();
    measured.run(
        "(func (export \"run\") (local $n i64)
            (loop $again
                (local.set $n (i64.add (local.get $n) (i64.const 1)))
                (br_if $again (i64.lt_u (local.get $n) (i64.const 100000000)))))",
    );
    let took = begun.elapsed().as_secs_f64();
    let used = busy() - before;
    assert!(used > 0.0);
    // One worker ran; the others have hardly looked for something to do.
    let all = measured.runtime.environment().scheduler().workers() as f64;
    assert!(used <= took * all + 1.0, "{used} s in {took} s");
}

#[test]
fn what_a_guest_records_is_served_and_what_it_may_not_is_counted() {
    let measured = Measured::start();
    measured.run(
        "(data (i32.const 25000) \"shop::orders\")
         (data (i32.const 25100) \"oven\")
         (data (i32.const 25200) \"lunatic_processes\")
         (data (i32.const 25300) \"seconds\")
         (func (export \"run\")
            (call $counter (i32.const 25000) (i32.const 12) (i64.const 41))
            (call $increment_counter (i32.const 25000) (i32.const 12))
            (call $gauge (i32.const 25100) (i32.const 4) (f64.const 5))
            (call $increment_gauge (i32.const 25100) (i32.const 4) (f64.const 3))
            (call $decrement_gauge (i32.const 25100) (i32.const 4) (f64.const 0.5))
            (call $gauge (i32.const 25200) (i32.const 17) (f64.const 9999))
            (call $histogram (i32.const 25300) (i32.const 7) (f64.const 0.3)))",
    );
    let samples = measured.samples("");
    let value = |name, labels: &[_]| value(&samples, name, labels);
    // The parser takes no colons in names, which there may be.
    let answer = get(measured.server.address(), "/metrics");
    assert!(answer.contains("\n# TYPE shop::orders counter\nshop::orders_total 42\n"));
    assert_eq!(value("oven", &[]), Some(7.5));
    assert_eq!(value("lunatic_processes", &[]), Some(0.0));
    let refused = value("lunatic_guest_metrics_refused_total", &[("reason", "name")]);
    assert_eq!(refused, Some(1.0));
    let histogram = samples.iter().find(|sample| sample.metric == "seconds");
    assert!(matches!(histogram.unwrap().value, Value::Histogram(_)));
}

#[test]
fn processes_have_series_of_their_own_only_if_that_is_asked_for_and_hostile_labels_are_escaped() {
    let measured = Measured::start();
    let hostile = "a\"} 1\nlunatic_processes 666\n# EOF\n\\<script>\u{1b}[2J";
    for label in [hostile, &"x".repeat(1 << 20)] {
        measured.spawn(SpawnOptions {
            label: Some(label.into()),
            ..SpawnOptions::default()
        });
    }
    let is_of_process = |sample: &&Sample| sample.metric.starts_with("lunatic_process_");
    assert_eq!(measured.samples("").iter().filter(is_of_process).count(), 0);
    let answer = get(measured.server.address(), "/metrics?processes=10");
    assert_eq!(answer.matches("\n# EOF").count(), 1, "{answer}");
    assert!(!answer.contains("\nlunatic_processes 666"), "{answer}");
    assert!(answer.contains("\nlunatic_processes 2\n"), "{answer}");
    let longest = answer.lines().map(str::len).max().unwrap();
    assert!(longest < 1000, "{longest}");
    assert!(get(measured.server.address(), "/metrics?processes=x").starts_with("HTTP/1.1 400"));
}

#[test]
fn nothing_else_is_served() {
    let measured = Measured::start();
    let address = measured.server.address();
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}

#[test]
fn a_runtime_that_shuts_down_while_it_is_scraped_ends_and_hurts_nobody() {
    let measured = Measured::start();
    for _ in 0..10_000 {
        measured.spawn(SpawnOptions::default());
    }
    let address = measured.server.address();
    let scraping = std::thread::spawn(move || {
        let mut answers = 0;
        while let Ok(mut stream) = TcpStream::connect(address) {
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            write!(stream, "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").ok();
            let mut answer = Vec::new();
            // A connection may end early, but no answer hangs.
            if stream.read_to_end(&mut answer).is_ok() && answer.ends_with(b"# EOF\n") {
                answers += 1;
            }
        }
        answers
    });
    let samples = measured.samples("");
    assert_eq!(value(&samples, "lunatic_processes", &[]), Some(10_000.0));
    wait("the end of the runtime", measured.runtime.shut_down());
    let samples = measured.samples("");
    assert_eq!(value(&samples, "lunatic_processes", &[]), Some(0.0));
    drop(measured);
    assert!(scraping.join().unwrap() > 0);
}

/// Starts `lunatic run` on a guest that sleeps, and returns the lines of its standard error.
fn run(guests: &Guests, options: &[&str]) -> (Running, impl Iterator<Item = String> + use<>) {
    guests.file(
        "sleeps.wat",
        module("(func (export \"_start\") (call $sleep_ms (i64.const -1)))"),
    );
    let mut child = guests
        .lunatic()
        .args(["run", "--no-admin"])
        .args(options)
        .arg("sleeps.wat")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    (Running(child), errors.lines().map_while(Result::ok))
}

#[test]
fn the_program_says_where_its_metrics_are_and_ends_with_them() {
    let guests = Guests::new();
    let (mut running, mut errors) = run(&guests, &["--metrics", "0"]);
    let line = errors.next().unwrap();
    let address = line.strip_prefix("metrics: http://").unwrap();
    let address: SocketAddr = address.strip_suffix("/metrics").unwrap().parse().unwrap();
    assert!(address.ip().is_loopback());
    wait_until("the process", || {
        value(&scraped(address, ""), "lunatic_processes", &[]) == Some(1.0)
    });
    signal(&running.0, "-TERM");
    assert_eq!(exit_code(&mut running.0), Some(143));
    TcpStream::connect(address).unwrap_err();
}

#[test]
fn a_port_that_is_taken_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let guests = Guests::new();
    for what in ["metrics", "dashboard"] {
        let option = format!("--{what}");
        let (mut running, errors) = run(&guests, &[&option, &address.port().to_string()]);
        assert_eq!(exit_code(&mut running.0), Some(1));
        let said: Vec<_> = errors.collect();
        assert_eq!(
            said,
            [
                format!("error: no {what}: somebody else listens at {address} already"),
                format!("help: take another port with --{what}, or 0 for a free one"),
            ]
        );
    }
}

/// Prints how long a scrape takes; see docs/operating.md.
#[test]
#[ignore = "measures, and asserts nothing about time"]
fn a_scrape_of_a_hundred_thousand_processes() {
    let measured = Measured::start();
    for _ in 0..100_000 {
        measured.spawn(SpawnOptions::default());
    }
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            assert!(measured.samples("").len() > 30);
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("scrape: median {:?}, slowest {:?}", times[10], times[19]);
}
