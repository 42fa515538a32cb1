//! `lunatic node` as a program: what other nodes may do there, `lunatic nodes`, and the files to
//! deploy it with.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
#![allow(clippy::print_stdout, reason = "what is measured is told")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

use futures_lite::future::block_on;

use harness::program::Guests;
use harness::runtimes::{Running, Runtimes};
use harness::shop::Shop;
use lunatic_distributed::{Node, NodeConfig};
use lunatic_testkit::program::{exit_code, ran, signal};
use lunatic_testkit::{skipped, wait_until};
use lunatic_trust::{Authority, Credentials, IdentityFiles};

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
fn a_name_that_is_taken_is_told_with_where_and_what_to_do() {
    let shop = Shop::new();
    let _one = shop.start("one", &[]);
    let _two = shop.start("two", &[]);
    shop.wait_for("one", "two", "connected");
    // A runtime of another user has names of its own, and asks the same node.
    let other = Runtimes::new();
    let directory = shop.runtimes.guests.path().join("shop");
    let directory = directory.to_str().unwrap();
    let node = ["node", "--name", "two", "--cluster", directory];
    let dials = ["--listen", "127.0.0.1:0", "--join", &shop.address];
    other.run(&[&node[..], &dials].concat()).code(1).says(&[
        &format!("the node at {} refuses this one", shop.address),
        "a node of the same name lives already: choose another with --name",
    ]);
}

#[test]
fn what_others_would_not_take_is_told_as_a_node_starts() {
    let shop = Shop::new();
    let long = format!("big={}", "a".repeat(1100));
    let ran = shop.run("one", &["--tag", &long]);
    ran.code(1)
        .says(&["the longest of 1103 bytes", "1024 bytes each", "--tag"]);
    let many: Vec<_> = (0..65).map(|tag| format!("--tag=t{tag}=1")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    shop.run("one", &many).code(1).says(&["65 tags", "64 of"]);
    let ran = shop.run("one", &["--advertise", "0.0.0.0:4369"]);
    ran.code(1)
        .says(&["others cannot reach 0.0.0.0:4369", "--advertise"]);
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
    // Without IPv6, nobody is reached by it.
    let seed = [
        "--listen",
        "127.0.0.1:0",
        "--join",
        "[::1]:4369",
        "ends.wat",
    ];
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    run(&seed)
        .code(0)
        .says(&["to reach IPv6 as well", "listen at [::]:"]);
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
        "start both with the directory, a token, or certificates of the same cluster",
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
fn a_node_with_a_token_asks_until_somebody_is_there_or_it_is_told_to_end() {
    let shop = Shop::new();
    token(&shop, "token");
    let seed = ["--listen", "127.0.0.1:0", "--join", &shop.address];
    let node = [
        &["node", "--name", "worker"][..],
        &seed,
        &["--token-file", "token"],
    ]
    .concat();
    let log = || fs::read_to_string(shop.runtimes.guests.path().join("worker.log")).unwrap();
    let start = || {
        let log_file = fs::File::create(shop.runtimes.guests.path().join("worker.log")).unwrap();
        let mut worker = shop.runtimes.lunatic(&node);
        worker.stdout(std::process::Stdio::null()).stderr(log_file);
        Running(worker.spawn().unwrap())
    };
    let mut worker = start();
    let asked = "are asked until one answers";
    wait_until(asked, || log().contains(asked));
    signal(&worker.0, "-TERM");
    assert_eq!(exit_code(&mut worker.0), Some(0));
    let _worker = start();
    wait_until(asked, || log().contains(asked));
    let _one = shop.start("one", &[]);
    shop.wait_for("one", "worker", "connected");
}

#[test]
fn why_a_node_is_not_let_in_is_in_the_log_of_the_node_that_was_asked() {
    let shop = Shop::new();
    let _one = shop.start_logging("one", "one.log");
    let log = || fs::read_to_string(shop.runtimes.guests.path().join("one.log")).unwrap();
    token(&shop, "token");
    let join = ["--listen", "127.0.0.1:0", "--join", &shop.address];
    let node = |name: &'static str, token: &'static str, state: &'static str| {
        let token = ["--token-file", token, "--state", state];
        [&["node", "--name", name][..], &join, &token].concat()
    };
    let worker = shop.runtimes.start(&node("worker-1", "token", "first"));
    shop.wait_for("one", "worker-1", "connected");
    drop(worker);
    token(&shop, "unused");
    for (name, token, why) in [
        ("worker-2", "token", "the token was used by worker-1 at 20"),
        ("other", "unused", "the token is for worker*, not for other"),
    ] {
        // Strangers cause one line in a second.
        std::thread::sleep(Duration::from_millis(1100));
        shop.runtimes
            .run(&node(name, token, "second"))
            .code(1)
            .says(&[
                "the cluster has refused; why is in the log of the node that was asked",
                "make another token",
            ]);
        wait_until(why, || log().contains(why));
    }
    // One that was let in before, and is refused from now on.
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    let revoked = shop
        .runtimes
        .run(&["cluster", "revoke", "shop", "worker-1"]);
    revoked
        .code(0)
        .prints("revoked the certificates of worker-1");
    let ends = [node("worker-1", "token", "first"), vec!["ends.wat"]].concat();
    // By then, the node has read which names are revoked.
    std::thread::sleep(Duration::from_secs(6));
    shop.runtimes.run(&ends).code(0).says(&[
        &format!("cannot connect to the node at {}", shop.address),
        "it does not accept this node, and its log says why",
        "no node was found by",
    ]);
    for why in [
        "worker-1 was revoked at 20",
        "it can join with a token that is made from now on",
    ] {
        wait_until(why, || log().contains(why));
    }
    shop.write("token", "lunatic-token");
    shop.runtimes
        .run(&node("worker-3", "token", "third"))
        .code(1)
        .says(&[
            "the token in `token`: this is no token",
            "the whole line that `lunatic cluster token DIR` prints",
        ]);
}

#[test]
fn a_node_has_the_name_of_its_certificate_and_cannot_be_given_another_one() {
    let shop = Shop::new();
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    let folder = shop.runtimes.guests.path();
    let authority = Authority::open(&folder.join("shop")).unwrap();
    let state = folder.join("state");
    let worker = "worker".parse().unwrap();
    Credentials::from_authority(&authority, &worker, Some(&state), SystemTime::now()).unwrap();
    let files = ["shop/ca.pem", "state/identity.pem"].map(|file| folder.join(file));
    let [ca, own] = [&files[0], &files[1]].map(|file| file.to_str().unwrap());
    let node = ["node", "--ca", ca, "--cert", own, "--key", own];
    let run = |name: &[&str]| {
        let rest = ["--listen", "127.0.0.1:0", "ends.wat"];
        shop.runtimes.run(&[&node[..], name, &rest].concat())
    };
    run(&["--name", "other"]).code(1).says(&[
        &format!("the certificate in `{own}` is that of a node named worker"),
        "leave --name out, or use --name worker",
        "a node named other needs a certificate of that name",
    ]);
    for name in [&[][..], &["--name", "worker"]] {
        run(name).code(0).says(&["node worker listens at"]);
    }
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
fn a_node_whose_seed_is_itself_says_so() {
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

/// Two programs that start `child` on the other node, with their own id as its argument, and say "ready"
/// when it has sent them something. Then they wait.
///
/// The child of `watched` says how that has ended. `worker` tells its child when it is asked to end, and
/// waits for the answer; its child says "nodes" when the other node is not among the nodes any more,
/// "refused" if nothing can be started there, and "answered" when it has answered.
fn with_child(child: &str, then: &str) -> String {
    let guest = r#"(module
        (import "lunatic::distributed" "get_nodes" (func $get_nodes (param i32 i32) (result i32)))
        (import "lunatic::distributed" "nodes_count" (func $nodes_count (result i32)))
        (import "lunatic::distributed" "module_id" (func $module_id (result i64)))
        (import "lunatic::distributed" "spawn"
            (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
        (import "lunatic::process" "process_id" (func $process_id (result i64)))
        (import "lunatic::process" "die_when_link_dies" (func $die_when_link_dies (param i32)))
        (import "lunatic::process" "monitor_with_reason" (func $monitor (param i64 i64)))
        (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
        (import "lunatic::message" "read_data" (func $read_data (param i32 i32) (result i32)))
        (import "lunatic::message" "send" (func $send (param i64) (result i32)))
        (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "child")
        (data (i32.const 16) "ready\nreason 0\nnodes\nrefused\nanswered\n")
        (func $say (param $from i32) (param $length i32)
            (i32.store (i32.const 400) (local.get $from))
            (i32.store (i32.const 404) (local.get $length))
            (drop (call $fd_write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 408))))
        (func $tell (param $to i64)
            (call $create_data (i64.const 1) (i64.const 0))
            (if (call $send (local.get $to)) (then unreachable)))
        (func $wait (result i32)
            (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
        ;; The other node, and a child there.
        (func $other (result i64)
            (drop (call $get_nodes (i32.const 64) (i32.const 8)))
            (i64.load (i32.const 72)))
        (func $start (param $on i64) (result i32)
            (i32.store8 (i32.const 128) (i32.const 0x7e))
            (i64.store (i32.const 129) (call $process_id))
            (call $spawn
                (local.get $on) (i64.const -1) (call $module_id)
                (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 17) (i32.const 256)))
        (func (export "child") (param $parent i64) (local $node i64)
            {child})
        (func (export "_start")
            (call $die_when_link_dies (i32.const 0))
            (if (call $start (call $other)) (then unreachable))
            (drop (call $wait))
            (call $say (i32.const 16) (i32.const 6))
            (drop (call $wait))
            {then}))"#;
    guest.replace("{child}", child).replace("{then}", then)
}

#[test]
fn others_are_told_that_a_node_has_left_and_not_how_its_processes_end_then() {
    let shop = Shop::new();
    let says_reason = "
        (call $monitor (i64.const 1) (local.get $parent))
        (call $tell (local.get $parent))
        (drop (call $wait))
        (drop (call $read_data (i32.const 512) (i32.const 12)))
        (i32.store8 (i32.const 29) (i32.add (i32.const 48) (i32.load (i32.const 520))))
        (call $say (i32.const 22) (i32.const 9))";
    shop.write("watched.wat", &with_child(says_reason, ""));
    let mut one = shop.start_heard("one", &[]);
    let mut two = shop.start_heard("two", &["watched.wat"]);
    assert!(reads(&mut two.0, "ready"));
    signal(&two.0, "-TERM");
    // There is no connection to its node.
    assert!(reads(&mut one.0, "reason 5"));
    assert_eq!(exit_code(&mut two.0), Some(0));
    shop.wait_for("one", "two", "left");
}

#[test]
fn an_application_that_is_told_to_end_talks_to_others_until_it_has_and_nothing_new_is_started() {
    let shop = Shop::new();
    let asks_and_answers = "
        (local.set $node (call $other))
        (call $tell (local.get $parent))
        (drop (call $wait))
        (loop $again
            (if (i32.gt_u (call $nodes_count) (i32.const 1))
                (then
                    (drop (call $receive (i32.const 0) (i32.const 0) (i64.const 10)))
                    (br $again))))
        (call $say (i32.const 31) (i32.const 6))
        (if (i32.eq (call $start (local.get $node)) (i32.const 1))
            (then (call $say (i32.const 37) (i32.const 8))))
        (call $tell (local.get $parent))
        (call $say (i32.const 45) (i32.const 9))";
    let tells = "
        (call $tell (i64.load (i32.const 256)))
        (drop (call $wait))";
    shop.write("worker.wat", &with_child(asks_and_answers, tells));
    let worker = "name = \"worker\"\nmodule = \"worker.wat\"\nshutdown = \"infinity\"\n";
    shop.write("app.toml", &format!("[[children]]\n{worker}"));
    let mut one = shop.start_heard("one", &[]);
    let mut two = shop.start_heard("two", &["--app", "app.toml"]);
    assert!(reads(&mut two.0, "ready"));
    signal(&two.0, "-TERM");
    let lines = BufReader::new(one.0.stdout.as_mut().unwrap()).lines();
    let said: Vec<_> = lines.map_while(Result::ok).take(3).collect();
    assert_eq!(said, ["nodes", "refused", "answered"]);
    assert_eq!(exit_code(&mut two.0), Some(0));
    shop.wait_for("one", "two", "left");
}

#[test]
fn a_signal_while_a_node_starts_is_not_lost_if_it_is_the_first_process_of_a_container() {
    let shop = Shop::new();
    // For a namespace of processes, which a container has.
    let unshare = ["--user", "--pid", "--fork", "--kill-child"];
    let is_possible = Command::new("unshare").args(unshare).arg("true").output();
    if !is_possible.is_ok_and(|output| output.status.success()) {
        return skipped("no namespace of processes can be made");
    }
    // Nothing answers there, so that the node is starting for some seconds.
    let silent = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let seed = silent.local_addr().unwrap().to_string();
    let node = ["node", "--name", "two", "--cluster", "shop"];
    let reached = ["--listen", "127.0.0.1:0", "--join", &seed];
    let program = shop.runtimes.lunatic(&[&node[..], &reached].concat());
    let mut first = Command::new("unshare");
    first.args(unshare).arg(program.get_program());
    first.args(program.get_args());
    if let Some(folder) = program.get_current_dir() {
        first.current_dir(folder);
    }
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => first.env(name, value),
            None => first.env_remove(name),
        };
    }
    let mut first = Running(first.spawn().unwrap());
    // It dials, so it listens for signals.
    silent.recv(&mut [0; 2048]).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", first.0.id());
    let child = fs::read_to_string(children).unwrap();
    ran(Command::new("kill").arg(child.trim())).code(0);
    assert_eq!(exit_code(&mut first.0), Some(0));
}

/// So long before or after now the certificates of some nodes are valid.
const LONG: Duration = Duration::from_secs(60 * 24 * 3600);

#[test]
fn a_certificate_that_is_over_or_not_valid_yet_is_told_with_both_clocks() {
    let shop = Shop::new();
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    let folder = shop.runtimes.guests.path();
    let authority = Authority::open(&folder.join("shop")).unwrap();
    let now = SystemTime::now();
    for (name, then, what) in [
        ("late", now - LONG, "has expired"),
        ("early", now + LONG, "is not valid yet"),
    ] {
        let state = folder.join(name);
        let parsed = name.parse().unwrap();
        Credentials::from_authority(&authority, &parsed, Some(&state), then).unwrap();
        let files = IdentityFiles {
            authorities: folder.join("shop/ca.pem"),
            certificate: state.join("identity.pem"),
            key: state.join("identity.pem"),
        };
        let says = [
            &format!("the certificate of {name} {what}: it is valid from 20"),
            ", and the clock of this host says 20",
        ];
        // By its own node,
        let paths = [&files.authorities, &files.certificate, &files.key];
        let [ca, cert, key] = paths.map(|path| path.to_str().unwrap());
        let own = [
            "node", "--name", name, "--ca", ca, "--cert", cert, "--key", key,
        ];
        shop.runtimes.run(&own).code(1).says(&says);
        // and by one that dials it.
        let credentials = Credentials::from_files(files.clone(), None, then).unwrap();
        let config = NodeConfig::new(credentials, ([127, 0, 0, 1], 0).into());
        let node = block_on(Node::start(config)).unwrap();
        let address = node.info().address.to_string();
        let two = ["node", "--name", "two", "--cluster", "shop", "ends.wat"];
        let dials = ["--listen", "127.0.0.1:0", "--join", &address];
        let ran = shop.runtimes.run(&[&two[..5], &dials, &two[5..]].concat());
        ran.code(0).says(&says);
        ran.says(&[
            &format!("cannot connect to the node at {address}"),
            "the clock that is wrong",
        ]);
        block_on(node.stop());
    }
}

#[test]
fn a_seed_from_which_nothing_comes_is_told_with_what_may_be_in_the_way() {
    let shop = Shop::new();
    shop.write("ends.wat", r#"(module (func (export "_start")))"#);
    // As behind a firewall that drops UDP.
    let silent = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let seed = silent.local_addr().unwrap().to_string();
    let node = ["node", "--name", "two", "--cluster", "shop"];
    let reached = ["--listen", "127.0.0.1:0", "--join", &seed, "ends.wat"];
    let alone = shop.runtimes.run(&[&node[..], &reached].concat());
    alone.code(0).says(&[
        &format!("no node was found by {seed}"),
        "nothing has answered: no node is there, or no UDP passes on the way",
    ]);
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
