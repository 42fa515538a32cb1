//! `lunatic ps`, `inspect`, `stats`, `kill` and `exit`.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::thread;

use harness::module;
use harness::runtimes::{Running, Runtimes};
use lunatic_testkit::program::exit_code;
use lunatic_testkit::wait_until;
use serde_json::Value;

/// Spawns a child that labels itself and waits, three calls deep, and has two messages.
const SHOP: &str = r#"
    (func (export "_start") (local $child i64)
        (local.set $child (call $spawn_own (i64.const 7) @child))
        (call $post (i64.const 1) (i64.const 1) (local.get $child))
        (call $post (i64.const 2) (i64.const 2) (local.get $child))
        (call $sleep))
    (func (export "child") (call $set_label @kitchen) (call $outer))
    (func $outer (call $middle))
    (func $middle (call $sleeps_here))
    (func $sleeps_here (call $sleep_ms (i64.const -1)))"#;

fn shop(runtimes: &Runtimes, name: &str) -> Running {
    runtimes.guests.file("shop.wat", module(SHOP));
    let running = runtimes.start(&["run", "--name", name, "shop.wat"]);
    wait_until("the shop", || {
        let ran = runtimes.run(&["ps", "--name", name]);
        ran.code == Some(0) && ran.out.contains("kitchen")
    });
    running
}

/// The lines of `lunatic ps`, in words.
fn lines(out: &str) -> Vec<Vec<&str>> {
    let words = |line| str::split_whitespace(line).collect();
    out.lines().map(words).collect()
}

fn json(out: &str) -> Value {
    assert!(
        out.trim_end()
            .chars()
            .all(|char| (' '..='~').contains(&char)),
        "{out}"
    );
    serde_json::from_str(out).unwrap()
}

#[test]
fn processes_are_listed_with_label_state_mailbox_and_parent() {
    let runtimes = Runtimes::new();
    let _shop = shop(&runtimes, "shop");
    let ran = runtimes.run(&["ps"]);
    let lines = lines(&ran.code(0).out);
    assert_eq!(lines[0][..4], ["PID", "LABEL", "MODULE", "VERSION"]);
    let version = lines[1][3];
    assert_eq!(version.len(), 12);
    let expected = |pid, label, mailbox, parent| {
        vec![
            pid, label, "shop", version, "sleep_ms", mailbox, "64K", "-", "-", "1", parent,
        ]
    };
    assert_eq!(
        lines[1..],
        [
            expected("1", "-", "0", "-"),
            expected("2", "kitchen", "2", "1"),
        ]
    );
}

#[test]
fn lists_are_sorted_filtered_and_put_into_a_tree() {
    let runtimes = Runtimes::new();
    let _shop = shop(&runtimes, "shop");
    let pids = |args: &[&str]| {
        let args = [&["ps", "--name", "shop"], args].concat();
        let ran = runtimes.run(&args);
        let lines = lines(&ran.code(0).out);
        lines[1..]
            .iter()
            .map(|line| line[0].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(pids(&["--sort", "mailbox"]), ["2", "1"]);
    assert_eq!(pids(&["--sort", "label"]), ["2", "1"]);
    for field in [
        "pid", "module", "state", "memory", "restarts", "links", "parent",
    ] {
        assert_eq!(pids(&["--sort", field]), ["1", "2"], "{field}");
    }
    // Which of the two has run longer is open.
    let ran = runtimes.run(&["ps", "--name", "shop", "--sort", "cpu", "--json"]);
    let list = json(&ran.code(0).out);
    let microseconds = |index: usize| list[index]["cpu_us"].as_u64().unwrap_or(0);
    assert!(microseconds(0) >= microseconds(1), "{list}");
    assert_eq!(pids(&["--filter", "KITCHEN"]), ["2"]);
    assert_eq!(pids(&["--filter", "nobody", "--json"]), [""; 0]);
    assert_eq!(pids(&["--ask", "--tree"]), ["1", "2"]);
    runtimes
        .run(&["ps", "--sort", "beauty"])
        .code(2)
        .says(&["mailbox"]);
    let ran = runtimes.run(&["ps", "--tree"]);
    assert!(ran.code(0).out.contains("    kitchen"), "{}", ran.out);
}

#[test]
fn programs_read_json() {
    let runtimes = Runtimes::new();
    let _shop = shop(&runtimes, "shop");
    let list = json(&runtimes.run(&["ps", "--json"]).code(0).out);
    let kitchen = &list[1];
    assert_eq!(kitchen["pid"], "2");
    assert_eq!(kitchen["parent"], "1");
    assert_eq!(kitchen["label"], "kitchen");
    assert_eq!(kitchen["mailbox"], 2);
    assert_eq!(
        kitchen["described"]["waiting_in"],
        "lunatic::process::sleep_ms"
    );
    assert_eq!(
        kitchen["described"]["module_hash"].as_str().map(str::len),
        Some(12)
    );
    let process = json(&runtimes.run(&["inspect", "--json", "2"]).code(0).out);
    assert_eq!(process["pid"], "2");
    assert_eq!(process["backtrace"][0], "sleeps_here");
    assert_eq!(process["linked_to"][0], "1");
    let stats = json(&runtimes.run(&["stats", "--json"]).code(0).out);
    assert_eq!(stats["environments"][0]["processes"], 2);
    assert_eq!(stats["protocol"], 1);
}

#[test]
fn a_process_is_inspected_with_its_backtrace() {
    let runtimes = Runtimes::new();
    let _shop = shop(&runtimes, "shop");
    let ran = runtimes.run(&["inspect", "2"]);
    let ran = ran.code(0);
    for part in [
        "process 2, kitchen\n",
        "state         waits in lunatic::process::sleep_ms\n",
        "mailbox       2 messages\n",
        "CPU time      ",
        "linked to     1\n",
        "   0: sleeps_here\n   1: middle\n   2: outer\n",
        "linear memory: 64K of 4",
        "queued messages: 2 of ",
    ] {
        ran.prints(part);
    }
}

#[test]
fn a_runtime_tells_its_stats() {
    let runtimes = Runtimes::new();
    let _shop = shop(&runtimes, "shop");
    let ran = runtimes.run(&["stats"]);
    let version = concat!("lunatic ", env!("CARGO_PKG_VERSION"), ", process ");
    ran.code(0)
        .prints(version)
        .prints("processes     2 alive, 2 spawned\n");
}

#[test]
fn a_killed_process_takes_its_link_along_and_is_no_more() {
    let runtimes = Runtimes::new();
    let mut shop = shop(&runtimes, "shop");
    runtimes
        .run(&["kill", "2", "--name", "shop"])
        .code(0)
        .is_silent();
    assert_eq!(exit_code(&mut shop.0), Some(1));
    runtimes
        .run(&["ps"])
        .code(1)
        .says(&["no runtime is running"]);
}

#[test]
fn a_process_exits_for_the_reason_that_is_given() {
    let runtimes = Runtimes::new();
    let shop = shop(&runtimes, "shop");
    // It traps nothing, and a normal exit of another is nothing to it.
    runtimes.run(&["exit", "1", "normal"]).code(0).is_silent();
    runtimes.run(&["inspect", "1"]).code(0);
    drop(shop);
    let mut command = runtimes.lunatic(&["run", "--name", "told", "sleeps.wat"]);
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the runtime", || {
        let ran = runtimes.run(&["exit", "1", "we close \u{1b}[2J", "--name", "told"]);
        ran.code == Some(0)
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(r"we close \u{1b}[2J"), "{said}");
}

#[test]
fn who_is_not_there_is_told_clearly() {
    let runtimes = Runtimes::new();
    runtimes
        .run(&["ps"])
        .code(1)
        .says(&["no runtime is running", "lunatic run"]);
    let _shop = shop(&runtimes, "shop");
    for command in ["inspect", "kill", "exit"] {
        let ran = runtimes.run(&[command, "99"]);
        ran.code(1).says(&["there is no process 99", "lunatic ps"]);
        runtimes
            .run(&[command, "cook"])
            .code(2)
            .says(&["a process id is a number"]);
    }
    let ran = runtimes.run(&["ps", "--name", "shed"]);
    ran.code(1).says(&["there is no runtime `shed`", "`shop`"]);
    let _second = shop(&runtimes, "second");
    for command in [&["ps"][..], &["stats"], &["inspect", "1"], &["kill", "1"]] {
        let ran = runtimes.run(command);
        ran.code(1)
            .says(&["several runtimes are running: `second`, `shop`", "--name"]);
    }
}

#[test]
fn a_runtime_of_another_protocol_is_told_with_both_versions() {
    let runtimes = Runtimes::new();
    let _shop = runtimes.start_named("shop");
    let path = runtimes.directory().path().join("old.sock");
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let hello = b"{\"lunatic_admin\":0,\"version\":\"0.1\"}\n";
            stream.unwrap().write_all(hello).ok();
        }
    });
    let ran = runtimes.run(&["ps", "--name", "old"]);
    let own = format!(
        "this is lunatic {} with protocol 1",
        env!("CARGO_PKG_VERSION")
    );
    ran.code(1)
        .says(&["lunatic 0.1 with protocol 0", &own, "same version"]);
}

#[test]
fn a_hostile_label_stays_on_its_line_and_controls_no_terminal() {
    let runtimes = Runtimes::new();
    let label = r#"\1b]0;x\07\0a<script>\c2\9b2J\e2\80\ae"#;
    let filler = "x".repeat(200);
    let guest = format!(
        r#"(data (i32.const 0x100) "{label}{filler}")
        (func (export "_start") (call $set_label (i32.const 0x100) (i32.const 220)) (call $sleep))"#
    );
    runtimes.guests.file("hostile.wat", module(&guest));
    let _running = runtimes.start(&["run", "--name", "hostile", "hostile.wat"]);
    wait_until("the label", || runtimes.run(&["ps"]).out.contains("script"));
    for command in [&["ps"][..], &["ps", "--tree"], &["inspect", "1"]] {
        let ran = runtimes.run(command);
        let out = &ran.code(0).out;
        let is_plain = |char: char| char == '\n' || char == '…' || (' '..='~').contains(&char);
        assert!(out.chars().all(is_plain), "{out:?}");
        assert!(out.contains(r"\u{1b}]0;x\u{7}\n<script>"), "{out}");
        assert!(out.lines().all(|line| line.len() < 200), "{out}");
    }
    assert_eq!(lines(&runtimes.run(&["ps"]).out).len(), 2);
    let list = json(&runtimes.run(&["ps", "--json"]).code(0).out);
    let told = list[0]["label"].as_str().unwrap();
    assert!(
        told.starts_with("\u{1b}]0;x\u{7}\n<script>\u{9b}2J\u{202e}xxx"),
        "{told:?}"
    );
}

#[test]
fn a_supervision_tree_is_shown_with_its_restarts() {
    let runtimes = Runtimes::new();
    runtimes.guests.file(
        "app.toml",
        "[[children]]\nname = \"kitchen\"\nintensity = 10\nperiod = \"60s\"\n\
         [[children.children]]\nname = \"cook\"\ncount = 2\nmodule = \"sleeps.wat\"\n",
    );
    let _running = runtimes.start(&["start", "--name", "diner", "app.toml"]);
    let labels = || {
        let ran = runtimes.run(&["ps", "--tree"]);
        let lines = ran.out.lines().skip(1);
        let label = |line: &str| {
            line.split_whitespace()
                .nth(1)
                .unwrap_or_default()
                .to_owned()
        };
        lines.map(label).collect::<Vec<_>>()
    };
    let tree = ["app", "app/kitchen", "cook-1", "cook-2"];
    wait_until("the tree", || labels() == tree);
    let cook = || {
        let list = json(
            &runtimes
                .run(&["ps", "--json", "--filter", "cook-1"])
                .code(0)
                .out,
        );
        let pid = list[0]["pid"].as_str().unwrap_or_default().to_owned();
        (pid, list[0]["restarts"].as_u64())
    };
    let (first, restarts) = cook();
    assert_eq!(restarts, Some(0));
    runtimes.run(&["kill", &first]).code(0);
    wait_until("the restart", || {
        let (second, restarts) = cook();
        second != first && restarts == Some(1)
    });
    let supervisor = json(&runtimes.run(&["ps", "--json", "--filter", "kitchen"]).out);
    let pid = supervisor[0]["pid"].as_str().unwrap();
    let ran = runtimes.run(&["inspect", pid]);
    ran.code(0)
        .prints("state         supervisor\n")
        .prints("children\n");
    assert!(ran.out.contains("cook-1"), "{}", ran.out);
}
