//! `lunatic node` as a program: what other nodes may do there, `lunatic nodes`, and the files to
//! deploy it with.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![allow(clippy::print_stdout, reason = "what is measured is told")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use harness::program::Guests;
use harness::runtimes::Runtimes;
use harness::shop::Shop;
use lunatic_testkit::program::{exit_code, ran, signal};
use lunatic_testkit::{skipped, wait_until};

/// Starts `child` on the other node, as `_start`; its directory is `data`. The exit code is
/// the result of the spawn.
const SPAWNS: &str = r#"(module
    (import "lunatic::distributed" "get_nodes" (func $get_nodes (param i32 i32) (result i32)))
    (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
    (import "lunatic::distributed" "spawn"
        (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "child")
    (func (export "child"))
    (func (export "_start")
        (drop (call $get_nodes (i32.const 64) (i32.const 8)))
        (call $proc_exit (i32.add (i32.const 40) (call $spawn
            (i64.load (i32.const 72)) (i64.const -1) (call $module_id)
            (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 0) (i32.const 256))))))"#;

#[test]
fn nodes_are_listed_with_how_they_are_connected() {
    let shop = Shop::new();
    let _one = shop.start("one", &[]);
    let two = shop.start("two", &[]);
    wait_until("both nodes", || {
        shop.nodes_of("two").out.contains("connected")
    });
    let listed = shop.nodes_of("two");
    let lines: Vec<_> = listed.code(0).out.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("NAME") && lines[0].ends_with("RECEIVED"));
    assert!(lines[1].starts_with("two") && lines[1].contains("this one"));
    assert!(lines[2].starts_with("one") && lines[2].contains(&shop.address));
    let json = shop.runtimes.run(&["nodes", "--json", "--name", "one"]);
    for part in [
        "\"name\":\"two\"",
        "\"state\":\"connected\"",
        "\"round_trip_us\":",
    ] {
        assert!(json.out.replace(": ", ":").contains(part), "{}", json.out);
    }
    drop(two);
    shop.wait_for("one", "two", "lost");
}

#[test]
fn a_node_that_is_gone_is_told_as_lost_or_left_and_since_when() {
    let shop = Shop::new();
    let _one = shop.start("one", &[]);
    let [killed, mut leaving] = ["killed", "leaving"].map(|name| shop.start(name, &[]));
    for name in ["killed", "leaving"] {
        shop.wait_for("one", name, "connected");
    }
    drop(killed);
    let begun = std::time::Instant::now();
    let lost = shop.wait_for("one", "killed", "lost");
    println!("{lost} {:?} after it was killed", begun.elapsed());
    signal(&leaving.0, "-TERM");
    exit_code(&mut leaving.0);
    shop.wait_for("one", "leaving", "left");
    let json = shop.runtimes.run(&["nodes", "--json", "--name", "one"]);
    let json: serde_json::Value = serde_json::from_str(&json.code(0).out).unwrap();
    let of = |name: &str| {
        let mut all = json.as_array().unwrap().iter();
        all.find(|node| node["name"] == name).unwrap().clone()
    };
    for (name, state) in [("killed", "lost"), ("leaving", "left")] {
        assert_eq!(of(name)["state"], state);
        let ago = of(name)["since_ms"].as_u64().unwrap();
        assert!(ago <= begun.elapsed().as_millis() as u64, "{ago}");
        assert!(of(name)["connection"].is_null());
    }
    assert!(of("killed")["since_ms"].as_u64() > of("leaving")["since_ms"].as_u64());
    // The same name again is there, and gone no longer.
    let _again = shop.start("killed", &[]);
    shop.wait_for("one", "killed", "connected");
    let lines = shop.nodes_of("one").out;
    assert_eq!(lines.matches("killed").count(), 1, "{lines}");
}

/// The lines of the metrics of a node.
fn scraped(address: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().map(str::to_owned).collect()
}

/// The value of a line of metrics; 0 if there is none.
fn value(lines: &[String], what: &str) -> f64 {
    let mut values = lines.iter().filter_map(|line| line.strip_prefix(what));
    values
        .next()
        .map_or(0.0, |value| value.trim().parse().unwrap())
}

#[test]
fn the_metrics_of_a_node_tell_of_its_sessions() {
    let shop = Shop::new();
    let (_one, address) = shop.start_showing("one", &["--metrics", "0"], "metrics: http://");
    let address = address.strip_suffix("/metrics").unwrap();
    assert_eq!(value(&scraped(address), "lunatic_peers "), 0.0);
    let two = shop.start("two", &[]);
    wait_until("the session", || {
        value(&scraped(address), "lunatic_peers ") == 1.0
    });
    let of_two = |what: &str| format!("{what}{{node=\"two\"}} ");
    wait_until("bytes both ways", || {
        let lines = scraped(address);
        let is_counted = |what: &str| value(&lines, &of_two(what)) > 0.0;
        is_counted("lunatic_peer_sent_bytes_total")
            && is_counted("lunatic_peer_received_bytes_total")
            && is_counted("lunatic_peer_round_trip_seconds")
    });
    let queued = of_two("lunatic_peer_queued_bytes");
    assert!(
        scraped(address)
            .iter()
            .any(|line| line.starts_with(&queued))
    );
    assert_eq!(value(&scraped(address), "lunatic_peers_lost_total "), 0.0);
    drop(two);
    wait_until("the loss", || {
        let lines = scraped(address);
        value(&lines, "lunatic_peers ") == 0.0
            && value(&lines, "lunatic_peers_lost_total ") == 1.0
            && !lines.iter().any(|line| line.contains("node=\"two\""))
    });
}

#[test]
fn a_runtime_that_is_no_node_says_so() {
    let runtimes = Runtimes::new();
    let _shop = runtimes.start_named("shop");
    let listed = runtimes.run(&["nodes", "--name", "shop"]);
    listed
        .code(1)
        .says(&["this runtime is no node of a cluster"]);
}

#[test]
fn the_control_server_is_gone_and_says_what_took_its_place() {
    let runtimes = Runtimes::new();
    let control = runtimes.run(&["control", "--bind-socket", "127.0.0.1:3030"]);
    control.code(1).says(&[
        "no control server any more",
        "lunatic cluster init",
        "--join",
    ]);
}

#[test]
fn a_file_says_what_other_nodes_may_do() {
    let shop = Shop::new();
    shop.write("nobody.toml", "[remote]\nnodes = \"friend-*\"\n");
    shop.write("spawns.wat", SPAWNS);
    let one = shop.start("one", &["--remote", "nobody.toml"]);
    // The spawn is refused with 1: no rule is for the node.
    shop.run("two", &["spawns.wat"]).code(41);
    shop.run("friend-1", &["spawns.wat"]).code(40);
    drop(one);
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_place_before_others_know_of_the_node() {
    let shop = Shop::new();
    shop.write("wrong.toml", "[remote]\nmax_memory = \"64 MB\"\n");
    let ran = shop.run("one", &["--remote", "wrong.toml"]);
    ran.code(1)
        .says(&["wrong.toml:2:14", "unknown unit `MB`", "MiB"]);
    let missing = shop.run("one", &["--remote", "nowhere.toml"]);
    missing.code(1).says(&["cannot read `nowhere.toml`"]);
}

#[test]
fn a_node_whose_address_is_in_use_says_so() {
    let shop = Shop::new();
    let _one = shop.start("one", &[]);
    let cluster = ["--cluster", "shop", "--listen", &shop.address];
    let ran = shop
        .runtimes
        .run(&[&["node", "--name", "two"][..], &cluster].concat());
    ran.code(1)
        .says(&["cannot listen at", &shop.address, "--listen"]);
}

#[test]
fn a_seed_that_is_none_or_does_not_answer_is_told() {
    let shop = Shop::new();
    let node = ["node", "--name", "two", "--cluster", "shop"];
    let run = |more: &[&str]| shop.runtimes.run(&[&node[..], more].concat());
    run(&["--join", "2001:db8::5:4369"]).code(2).says(&[
        "`2001:db8::5:4369` does not say where a node is",
        "[2001:db8::5]:4369",
    ]);
    // Nobody is there.
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    let listen = ["--listen", "127.0.0.1:0", "--join", &shop.address];
    let alone = run(&[&listen[..], &["ends.wat"]].concat());
    alone.code(0).says(&[
        "no node was found by",
        &shop.address,
        "is asked as long as this node lives",
    ]);
}

#[test]
fn why_a_certificate_is_refused_is_told_by_who_refuses_it() {
    let shop = Shop::new();
    let _one = shop.start("one", &[]);
    shop.runtimes.run(&["cluster", "init", "other"]).code(0);
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    let seed = ["--join", &shop.address, "--listen", "127.0.0.1:0"];
    let stranger = ["node", "--name", "stranger", "--cluster", "other"];
    let ran = shop
        .runtimes
        .run(&[&stranger[..], &seed, &["ends.wat"]].concat());
    ran.code(0).says(&[
        &format!("cannot connect to the node at {}", shop.address),
        "the peer is of the cluster shop, and this is other",
        "no node was found by",
    ]);
}

/// A token for the worker of a shop, in a file.
fn token(shop: &Shop, file: &str) {
    let token = shop
        .runtimes
        .run(&["cluster", "token", "shop", "--for", "worker*"]);
    shop.write(file, &token.code(0).out);
}

#[test]
fn a_node_joins_with_a_token_keeps_what_it_was_given_and_needs_another_when_that_is_revoked() {
    let shop = Shop::new();
    let _one = shop.start("one", &[]);
    token(&shop, "token");
    let arguments = |name: &'static str| {
        let seed = ["--listen", "127.0.0.1:0", "--join", &shop.address];
        let token = ["--token-file", "token", "--state", "state"];
        [&["node", "--name", name][..], &seed, &token].concat()
    };
    // A token for others is of no use.
    let other = shop.runtimes.run(&arguments("other"));
    other.code(1).says(&["refused", "make another token"]);
    fs::remove_dir_all(shop.runtimes.guests.path().join("state")).ok();
    let worker = shop.runtimes.start(&arguments("worker"));
    shop.wait_for("one", "worker", "connected");
    drop(worker);
    shop.wait_for("one", "worker", "lost");
    // It starts again without using the token, which is good for one node.
    let worker = shop.runtimes.start(&arguments("worker"));
    shop.wait_for("one", "worker", "connected");
    let revoked = shop.runtimes.run(&["cluster", "revoke", "shop", "worker"]);
    revoked.code(0).prints("revoked the certificates of worker");
    shop.wait_for("one", "worker", "lost");
    drop(worker);
    // With another token it joins anew, though it may not know that it was revoked.
    token(&shop, "token");
    let _worker = shop.runtimes.start(&arguments("worker"));
    shop.wait_for("one", "worker", "connected");
}

#[test]
fn a_node_ends_in_good_order_at_sigterm() {
    let shop = Shop::new();
    let mut one = shop.start("one", &[]);
    let id = one.0.id().to_string();
    ran(Command::new("kill").arg(&id)).code(0);
    assert_eq!(exit_code(&mut one.0), Some(0));
}

/// Starts `child` on the other node and sends it 100 messages of 60 KiB, all of which wait to be sent
/// at first; says "sent", and waits. The child says "all" when it has received them.
const SENDS: &str = r#"(module
    (import "lunatic::distributed" "get_nodes" (func $get_nodes (param i32 i32) (result i32)))
    (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
    (import "lunatic::distributed" "spawn"
        (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "child")
    (data (i32.const 16) "sent\nall\n")
    (func $say (param $from i32) (param $length i32)
        (i32.store (i32.const 400) (local.get $from))
        (i32.store (i32.const 404) (local.get $length))
        (drop (call $fd_write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 408))))
    (func (export "child") (local $left i32)
        (local.set $left (i32.const 100))
        (loop $next
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $say (i32.const 21) (i32.const 4)))
    (func (export "_start") (local $left i32)
        (drop (call $get_nodes (i32.const 64) (i32.const 8)))
        (if (call $spawn
            (i64.load (i32.const 72)) (i64.const -1) (call $module_id)
            (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 0) (i32.const 256))
            (then unreachable))
        (local.set $left (i32.const 100))
        (loop $next
            (call $create_data (i64.const 1) (i64.const 0))
            (drop (call $write_data (i32.const 1024) (i32.const 61440)))
            (if (call $send (i64.load (i32.const 256))) (then unreachable))
            (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $say (i32.const 16) (i32.const 5))
        (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))))"#;

/// Waits until a program has written a line to its standard output.
fn reads(child: &mut Child, line: &str) -> bool {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    lines.map_while(Result::ok).any(|read| read == line)
}

#[test]
fn what_a_program_has_sent_before_sigterm_arrives_and_the_node_has_left() {
    let shop = Shop::new();
    shop.write("sends.wat", SENDS);
    let mut one = shop.start_heard("one", &[]);
    let mut two = shop.start_heard("two", &["sends.wat"]);
    assert!(reads(&mut two.0, "sent"));
    signal(&two.0, "-TERM");
    assert!(reads(&mut one.0, "all"));
    assert_eq!(exit_code(&mut two.0), Some(0));
    shop.wait_for("one", "two", "left");
}

#[test]
fn a_node_whose_seed_is_itself_says_so_and_does_not_ask_it_again() {
    let shop = Shop::new();
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    let alone = shop.run("one", &["--join", &shop.address, "ends.wat"]);
    alone.code(0).says(&[
        "no other node was found by",
        &shop.address,
        "it is this node itself",
    ]);
    assert!(!alone.err.contains("asked as long"), "{}", alone.err);
}

/// A file of `docs/deploy`.
fn deployed(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_files_to_deploy_with_use_flags_that_there_are() {
    let runtimes = Runtimes::new();
    let help = runtimes.run(&["node", "--help"]).out;
    let mut count = 0;
    for name in ["lunatic-node.service", "kubernetes.yaml"] {
        let text = deployed(name);
        let words = text.split(|char: char| !(char.is_ascii_lowercase() || char == '-'));
        for flag in words.filter(|word| word.starts_with("--") && word.len() > 3) {
            assert!(help.contains(flag), "{name}: there is no {flag}");
            count += 1;
        }
    }
    assert!(count > 8, "{count} flags were found");
}

#[test]
fn systemd_finds_no_mistake_in_the_unit() {
    let is_there = Command::new("systemd-analyze").arg("--version").output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        return skipped("there is no systemd-analyze");
    }
    // The program has to be there for systemd.
    let unit = deployed("lunatic-node.service");
    let program = env!("CARGO_BIN_EXE_lunatic");
    let unit = unit.replace("/usr/local/bin/lunatic", program);
    assert!(unit.contains(program));
    let guests = Guests::new();
    let path = guests.file("lunatic-node.service", unit);
    let verified = ran(Command::new("systemd-analyze").arg("verify").arg(&path));
    verified.code(0);
    assert!(!verified.err.contains("lunatic-node"), "{}", verified.err);
}
