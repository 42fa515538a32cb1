//! The program `lunatic`: exit codes, and what it says.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use harness::program::Guests;
use lunatic_testkit::program::{self, exit_code, first_line, ran};

const RETURNS: &str = r#"(func (export "_start"))"#;

/// Prints `hello` to standard output.
const HELLO: &str = r#"
    (data (i32.const 0x200) "hello\n")
    (data (i32.const 0x100) "\00\02\00\00\06\00\00\00")
    (func $hello
        (drop (call $fd_write (i32.const 1) (i32.const 0x100) (i32.const 1) (i32.const 0x300))))"#;

// ABI §21 C1
#[test]
fn the_exit_code_is_that_of_the_first_process() {
    let guests = Guests::new();
    guests.run_guest(RETURNS).code(0).is_silent();
    for code in [0, 3, 125, 126, 255] {
        let exits = format!(r#"(func (export "_start") (call $proc_exit (i32.const {code})))"#);
        guests.run_guest(&exits).code(code).is_silent();
    }
}

#[test]
fn a_trap_is_exit_code_1_with_its_cause_and_the_functions_of_the_guest() {
    Guests::new()
        .run_guest(
            r#"(func (export "_start") (call $outer))
            (func $outer (call $inner))
            (func $inner unreachable)"#,
        )
        .code(1)
        .says(&["guest.wat", "unreachable", "inner", "outer"]);
}

#[test]
fn a_trap_of_the_host_names_its_cause_and_the_functions_of_the_guest() {
    Guests::new()
        .run_guest(
            r#"(func (export "_start") (call $outer))
            (func $outer (call $drop_config (i64.const 7)))"#,
        )
        .code(1)
        .says(&["there is no config with id 7", "outer"]);
}

#[test]
fn a_root_that_is_killed_or_dies_of_a_link_is_exit_code_1() {
    let guests = Guests::new();
    guests
        .run_guest(r#"(func (export "_start") (call $kill (call $process_id)) (call $sleep))"#)
        .code(1)
        .says(&["killed"]);
    guests
        .run_guest(
            r#"(func (export "_start") (drop (call $spawn_own (i64.const 1) @child)) (call $sleep))
            (func (export "child") (call $fails))
            (func $fails unreachable)"#,
        )
        .code(1)
        .says(&["the linked process 2 died", "unreachable"]);
}

#[test]
fn the_failure_of_another_process_is_a_warning() {
    Guests::new()
        .run_guest(
            r#"(func (export "_start")
                (call $monitor (call $spawn_own (i64.const 0) @child))
                (call $sleep_ms (i64.const 50)))
            (func (export "child") (call $sleep_ms (i64.const 1)) (call $fails))
            (func $fails unreachable)"#,
        )
        .code(0)
        .says(&["WARN", "failed", "unreachable"]);
}

#[test]
fn what_a_guest_prints_is_printed() {
    let ran = Guests::new().run_guest(&format!(
        r#"{HELLO} (func (export "_start") (call $hello))"#
    ));
    assert_eq!(ran.code(0).out, "hello\n");
}

#[test]
fn run_is_implied() {
    let guests = Guests::new();
    guests.file("guest.wat", harness::module(RETURNS));
    guests.file("no extension", harness::module(RETURNS));
    guests.run(&["guest.wat"]).code(0).is_silent();
    guests.run(&["no extension"]).code(0).is_silent();
    guests.run(&["--dir", ".", "guest.wat"]).code(0).is_silent();
    guests.run(&["run", "guest.wat"]).code(0).is_silent();
}

/// Prints its arguments, each with a 0 behind it.
const PRINTS_ARGS: &str = r#"
    (func (export "_start")
        (drop (call $args_sizes_get (i32.const 0x100) (i32.const 0x104)))
        (drop (call $args_get (i32.const 0x200) (i32.const 0x1000)))
        (i32.store (i32.const 0x100) (i32.const 0x1000))
        (drop (call $fd_write (i32.const 1) (i32.const 0x100) (i32.const 1) (i32.const 0x300))))"#;

#[test]
fn everything_after_the_path_is_the_guests() {
    let guests = Guests::new();
    guests.file("guest.wat", harness::module(PRINTS_ARGS));
    let args = ["--dir", "x", "--help", "-v", "--", "test", ""];
    for before in [&["run", "guest.wat"][..], &["guest.wat"]] {
        let ran = guests.run(&[before, &args].concat());
        let words: Vec<_> = ran.code(0).out.split_terminator('\0').collect();
        assert_eq!(words[0], "guest.wat");
        assert_eq!(words[1..], args);
    }
}

#[test]
fn the_first_argument_is_the_name_of_the_file() {
    let guests = Guests::new();
    let path = guests.file("guest.wat", harness::module(PRINTS_ARGS));
    let ran = guests.run(&["run", path.to_str().unwrap()]);
    assert_eq!(ran.code(0).out, "guest.wat\0");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let guests = Guests::new();
    guests
        .run(&["run", "missing.wasm"])
        .code(1)
        .says(&["error", "missing.wasm", "help"]);
    guests
        .run(&["rnu"])
        .code(1)
        .says(&["rnu", "did you mean the command `lunatic run`"]);
    guests.run(&["xyz"]).code(1).says(&["xyz", "lunatic help"]);
}

#[test]
fn an_option_of_run_that_is_misspelt_is_told_the_one_that_is_meant() {
    let guests = Guests::new();
    for option in ["--max-memry", "--max-memry=3"] {
        guests
            .run(&["run", option, "x.wasm"])
            .code(2)
            .says(&["--max-memry", "a similar argument exists: '--max-memory'"]);
    }
}

#[test]
fn a_flag_of_the_program_that_is_misspelt_is_told_the_one_that_is_meant() {
    let guests = Guests::new();
    guests
        .run(&["--versoin"])
        .code(2)
        .says(&["a similar argument exists: '--version'"]);
}

#[test]
fn a_module_in_the_place_of_a_manifest_is_told_what_runs_it() {
    let guests = Guests::new();
    guests.file("app.wat", "(module)");
    guests.file("app.wasm", b"\0asm\x01\0\0\0\xff");
    for command in ["start", "check"] {
        guests
            .run(&[command, "app.wat"])
            .code(1)
            .says(&["not a manifest", "lunatic run app.wat"]);
        guests
            .run(&[command, "app.wasm"])
            .code(1)
            .says(&["a manifest is TOML", "lunatic run app.wasm"]);
    }
}

#[test]
fn a_directory_is_no_module() {
    let guests = Guests::new();
    std::fs::create_dir(guests.path().join("directory")).unwrap();
    guests
        .run(&["run", "directory"])
        .code(1)
        .says(&["directory", "name the .wasm or .wat file"]);
}

#[test]
fn what_is_not_wasm_is_told_apart() {
    let guests = Guests::new();
    guests.file("text.wasm", "hello");
    guests.file("binary.wasm", [0xff, 0x00, 0x80]);
    for name in ["text.wasm", "binary.wasm"] {
        guests.run(&["run", name]).code(1).says(&[
            name,
            "neither a wasm module nor text format",
            "help",
        ]);
    }
    guests.file("empty.wasm", "");
    guests
        .run(&["run", "empty.wasm"])
        .code(1)
        .says(&["`empty.wasm` is empty", "build it again"]);
    guests.file("native", b"\x7fELF\x02\x01\x01");
    guests
        .run(&["run", "native"])
        .code(1)
        .says(&["a program for a machine", "wasm32-wasip1"]);
    guests.file("app.toml", "[[children]]\nname = \"a\"");
    guests
        .run(&["run", "app.toml"])
        .code(1)
        .says(&["lunatic start app.toml"]);
    guests.file("main.go", "package main");
    guests
        .run(&["run", "main.go"])
        .code(1)
        .says(&["compiled", "lunatic help languages"]);
    guests.file("wrong.wat", "(module (func $f i32.cons))");
    guests
        .run(&["run", "wrong.wat"])
        .code(1)
        .says(&["wrong.wat", "text format", "i32.cons"]);
    guests.file("place.wat", "(module\n  (nonsense))");
    guests
        .run(&["run", "place.wat"])
        .code(1)
        .says(&["--> place.wat:2:4\n  |\n2 |   (nonsense))\n  |    ^"]);
    guests.file("component.wasm", b"\0asm\x0d\0\x01\0");
    guests
        .run(&["run", "component.wasm"])
        .code(1)
        .says(&["component", "wasm32-wasip1"]);
}

#[test]
fn a_module_that_is_cut_off_is_not_valid() {
    let guests = Guests::new();
    // A type section of five bytes, of which one is there.
    guests.file("cut.wasm", b"\0asm\x01\0\0\0\x01\x05\x01");
    guests
        .run(&["run", "cut.wasm"])
        .code(1)
        .says(&["cut.wasm", "not a valid module", "cut off"]);
}

#[test]
fn a_module_that_exports_what_only_the_runtime_may_is_not_said_to_be_damaged() {
    let guests = Guests::new();
    guests.file(
        "budget.wat",
        r#"(module (global (export "lunatic::preemption::budget") i32 (i32.const 1)))"#,
    );
    let output = guests.run(&["run", "budget.wat"]);
    output
        .code(1)
        .says(&["budget.wat", "not accepted", "rename it"]);
    assert!(!output.err.contains("damaged"), "{}", output.err);
}

#[test]
fn a_proposal_that_is_not_enabled_is_named() {
    let guests = Guests::new();
    guests.file("struct.wat", "(module (type (struct)))");
    guests.run(&["run", "struct.wat"]).code(1).says(&[
        "struct.wat",
        "not a valid module",
        "proposal `gc`",
    ]);
}

#[test]
fn all_imports_that_are_not_offered_are_listed_with_what_is() {
    let guests = Guests::new();
    guests.file(
        "imports.wat",
        r#"(module
            (import "lunatic::process" "fork" (func (param i32)))
            (import "lunatic::process" "kill" (func (param i32)))
            (import "env" "abort" (func))
            (func (export "_start")))"#,
    );
    guests.run(&["run", "imports.wat"]).code(1).says(&[
        "imports.wat",
        "lunatic::process::fork (func (param i32))",
        "lunatic::process::kill (func (param i32))",
        "(func (param i64))",
        "env::abort (func)",
        "help",
    ]);
}

#[test]
fn a_module_without_start_is_told_what_it_has() {
    let guests = Guests::new();
    guests.file(
        "library.wat",
        r#"(module (func (export "one")) (func (export "two")))"#,
    );
    guests
        .run(&["run", "library.wat"])
        .code(1)
        .says(&["library.wat", "_start", "`one`", "`two`"]);
}

#[test]
fn a_start_function_that_traps_is_told() {
    let guests = Guests::new();
    guests.file(
        "start.wat",
        r#"(module (start $begin) (func $begin unreachable) (func (export "_start")))"#,
    );
    guests
        .run(&["run", "start.wat"])
        .code(1)
        .says(&["start.wat", "start function", "unreachable"]);
}

#[test]
fn more_than_a_process_may_have_is_told() {
    let guests = Guests::new();
    guests.file(
        "memories.wat",
        format!(
            r#"(module {} (func (export "_start")))"#,
            "(memory 1)".repeat(9)
        ),
    );
    guests
        .run(&["run", "memories.wat"])
        .code(1)
        .says(&["memories.wat", "9 memories"]);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let guests = Guests::new();
    guests.file("guest.wat", harness::module(RETURNS));
    for args in [
        &[][..],
        &["run"],
        &["run", "--nonsense", "guest.wat"],
        &["run", "--dir"],
        &["run", "--dir", "", "guest.wat"],
    ] {
        let ran = guests.run(args);
        ran.code(2);
        // clap shows the usage, or where to find it.
        assert!(
            ran.err.contains("lunatic") || ran.err.contains("--help"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn help_and_version_are_exit_code_0() {
    let guests = Guests::new();
    for args in [
        &["--help"][..],
        &["help"],
        &["--version"],
        &["run", "--help"],
    ] {
        assert!(guests.run(args).code(0).out.contains("lunatic"));
    }
}

#[test]
fn a_log_filter_that_is_none_is_told() {
    let guests = Guests::new();
    guests.file("guest.wat", harness::module(RETURNS));
    let mut command = guests.lunatic();
    command.args(["run", "guest.wat"]).env("RUST_LOG", "a=b=c");
    ran(&mut command).code(1).says(&["RUST_LOG", "help"]);
}

#[test]
fn the_log_filter_makes_more_or_less_visible() {
    let guests = Guests::new();
    let text = harness::module(
        r#"(func (export "_start")
            (call $await (call $spawn_own (i64.const 0) @child))
            (call $sleep_ms (i64.const 100)))
        (func (export "child") (call $sleep_ms (i64.const 5)) unreachable)"#,
    );
    guests.file("guest.wat", text);
    for (filter, is_visible) in [("error", false), ("warn", true), ("debug", true)] {
        let mut command = guests.lunatic();
        command.args(["run", "guest.wat"]).env("RUST_LOG", filter);
        let ran = ran(&mut command);
        let shown = ran.code(0).err.contains("unreachable");
        assert_eq!(shown, is_visible, "{filter}: {}", ran.err);
    }
}

#[test]
fn log_lines_have_a_file_of_their_own_if_one_is_named() {
    let guests = Guests::new();
    let text = harness::module(
        r#"(func (export "_start")
            (call $await (call $spawn_own (i64.const 0) @child))
            (call $sleep_ms (i64.const 100)))
        (func (export "child") (call $sleep_ms (i64.const 5)) unreachable)"#,
    );
    let path = guests.file("guest.wat", text).with_file_name("log");
    for lines in 1..=2 {
        let mut command = guests.lunatic();
        let command = command.args(["run", "guest.wat"]);
        ran(command.env("LUNATIC_LOG_FILE", &path))
            .code(0)
            .is_silent();
        let log = std::fs::read_to_string(&path).unwrap();
        assert_eq!(log.matches("unreachable").count(), lines, "{log}");
        assert!(!log.contains('\x1b'), "{log}");
    }
    let mut command = guests.lunatic();
    let command = command.args(["run", "guest.wat"]);
    let ran = ran(command.env("LUNATIC_LOG_FILE", path.join("none")));
    ran.code(1).says(&["LUNATIC_LOG_FILE", "help"]);
}

// ABI §21 A1
#[test]
fn a_root_that_returns_while_others_are_inside_catches_ends_the_program() {
    let ran = Guests::new().run_guest(
        r#"(table funcref (elem $sleeps $spins))
        (func $sleeps (result i32) (call $sleep) (i32.const 1))
        (func $spins (result i32) (call $spin) (i32.const 1))
        (func (export "sleeper") (drop (call $guarded (i32.const 0))))
        (func (export "spinner") (drop (call $guarded (i32.const 1))))
        (func (export "_start")
            (drop (call $spawn_own (i64.const 0) @sleeper))
            (drop (call $spawn_own (i64.const 0) @spinner))
            (call $sleep_ms (i64.const 20)))"#,
    );
    ran.code(0).is_silent();
}

/// Runs a guest that prints a line when it is ready, sends it a signal, and
/// gives its exit code.
#[track_caller]
fn signalled(body: &str, signal: &str) -> Option<i32> {
    let guests = Guests::new();
    guests.file("guest.wat", harness::module(&format!("{HELLO} {body}")));
    let mut child = guests
        .lunatic()
        .args(["run", "guest.wat"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(first_line(&mut child), "hello\n");
    program::signal(&child, signal);
    exit_code(&mut child)
}

#[test]
fn ctrl_c_ends_a_program_that_sleeps() {
    let sleeps = r#"(func (export "_start") (call $hello) (call $sleep))"#;
    assert_eq!(signalled(sleeps, "-INT"), Some(130));
}

#[test]
fn every_signal_that_asks_for_the_end_ends_a_program() {
    let sleeps = r#"(func (export "_start") (call $hello) (call $sleep))"#;
    for (signal, code) in [("-TERM", 143), ("-HUP", 129), ("-QUIT", 131)] {
        assert_eq!(signalled(sleeps, signal), Some(code), "{signal}");
    }
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_is_ignored() {
    let guests = Guests::new();
    let sleeps = r#"(func (export "_start") (call $hello) (call $sleep))"#;
    guests.file("guest.wat", harness::module(&format!("{HELLO} {sleeps}")));
    let lunatic = guests.lunatic();
    let mut shell = Command::new("sh");
    let script = r#"trap "" HUP; exec "$0" run guest.wat"#;
    shell.args(["-c", script]).arg(lunatic.get_program());
    shell.current_dir(guests.path()).stdout(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    assert_eq!(first_line(&mut child), "hello\n");
    program::signal(&child, "-HUP");
    program::signal(&child, "-TERM");
    assert_eq!(exit_code(&mut child), Some(143));
}

#[test]
fn ctrl_c_ends_a_program_that_spins() {
    let spins = r#"(func (export "_start") (call $hello) (call $spin))"#;
    assert_eq!(signalled(spins, "-INT"), Some(130));
}

#[test]
fn ctrl_c_ends_all_processes() {
    let many = r#"
        (table funcref (elem $spins))
        (func $spins (result i32) (call $spin) (i32.const 1))
        (func (export "child") (drop (call $guarded (i32.const 0))))
        (func (export "_start") (local $rest i32)
            (local.set $rest (i32.const 20))
            (loop $again
                (drop (call $spawn_own (i64.const 0) @child))
                (br_if $again (local.tee $rest (i32.sub (local.get $rest) (i32.const 1)))))
            (call $hello)
            (call $sleep))"#;
    assert_eq!(signalled(many, "-INT"), Some(130));
}

#[test]
fn a_request_to_terminate_ends_a_program() {
    let sleeps = r#"(func (export "_start") (call $hello) (call $sleep))"#;
    assert_eq!(signalled(sleeps, "-TERM"), Some(143));
}

/// So many processes that fail; when all have, it prints `hello`.
fn fails_often(count: u32) -> String {
    let guest = format!(
        r#"{HELLO}
        (memory (export "memory") 4)
        (func (export "fails") unreachable)
        (func (export "_start") (local $number i32)
            (loop $spawns
                (i64.store offset=0x10000 (i32.shl (local.get $number) (i32.const 3))
                    (call $spawn_own (i64.const 0) @fails))
                (local.set $number (i32.add (local.get $number) (i32.const 1)))
                (br_if $spawns (i32.lt_u (local.get $number) (i32.const {count}))))
            (loop $awaits
                (local.set $number (i32.sub (local.get $number) (i32.const 1)))
                (call $await (i64.load offset=0x10000 (i32.shl (local.get $number) (i32.const 3))))
                (br_if $awaits (local.get $number)))
            (call $hello))"#
    );
    harness::module(&guest)
}

/// Runs a guest whose log is not read before it prints `hello`; the log.
fn read_too_late(guest: String) -> Vec<String> {
    let guests = Guests::new();
    guests.file("guest.wat", guest);
    let mut child = guests
        .lunatic()
        .args(["run", "guest.wat"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, first) = mpsc::channel();
    thread::spawn(move || tell.send(lines.next().unwrap().unwrap()));
    let first = first.recv_timeout(Duration::from_secs(60));
    if first.is_err() {
        child.kill().unwrap();
    }
    assert_eq!(first.as_deref(), Ok("hello"));
    let log = BufReader::new(child.stderr.take().unwrap()).lines();
    let log = log.map(Result::unwrap).collect();
    assert_eq!(exit_code(&mut child), Some(0));
    log
}

fn warnings(log: &[String]) -> usize {
    log.iter().filter(|line| line.contains("WARN")).count()
}

#[test]
fn who_does_not_read_the_log_holds_up_no_process_and_misses_nothing() {
    // More than a pipe holds.
    let log = read_too_late(fails_often(1000));
    assert_eq!(warnings(&log), 1000);
}

#[test]
fn a_log_that_nobody_reads_does_not_grow_without_end() {
    let log = read_too_late(fails_often(20_000));
    let kept = warnings(&log);
    assert!((1000..20_000).contains(&kept), "{kept}");
    let last = log.last().unwrap();
    assert!(last.contains("lines of the log were dropped"), "{last}");
}

#[test]
fn what_was_logged_stands_before_the_problem_that_ends_the_program() {
    let guests = Guests::new();
    let ran = guests.run_guest(
        r#"(func (export "fails") unreachable)
        (func (export "_start")
            (call $await (call $spawn_own (i64.const 0) @fails))
            unreachable)"#,
    );
    let logged = ran.code(1).err.find("WARN").unwrap();
    assert!(logged < ran.err.find("error:").unwrap(), "{}", ran.err);
}
