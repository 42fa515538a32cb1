//! The program `lunatic`: directories, environment and standard input of a guest.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use harness::module;
use harness::program::Guests;
use lunatic_testkit::program::{Ran, ran};

/// Tries to make the directory `made` in each preopened directory, from
/// descriptor 3 on, and prints name and result of each: `NAME NUMBER.`
const PRINTS_PREOPENS: &str = r#"
    (data (i32.const 0x200) "made")
    (data (i32.const 0x100) "\00\10\00\00")
    (func (export "_start") (local $fd i32) (local $errno i32) (local $length i32)
        (local.set $fd (i32.const 3))
        (block $end
            (loop $next
                (br_if $end (call $fd_prestat_get (local.get $fd) (i32.const 0x300)))
                (local.set $length (i32.load (i32.const 0x304)))
                (drop (call $fd_prestat_dir_name
                    (local.get $fd) (i32.const 0x1000) (local.get $length)))
                (local.set $errno (call $path_create_directory
                    (local.get $fd) (i32.const 0x200) (i32.const 4)))
                ;; A space, two digits and a full stop behind the name.
                (i32.store (i32.add (i32.const 0x1000) (local.get $length))
                    (i32.or (i32.const 0x2e303020) (i32.or
                        (i32.shl (i32.div_u (local.get $errno) (i32.const 10)) (i32.const 8))
                        (i32.shl (i32.rem_u (local.get $errno) (i32.const 10)) (i32.const 16)))))
                (i32.store (i32.const 0x104) (i32.add (local.get $length) (i32.const 4)))
                (drop (call $fd_write
                    (i32.const 1) (i32.const 0x100) (i32.const 1) (i32.const 0x300)))
                (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
                (br $next))))"#;

/// What [`PRINTS_PREOPENS`] prints with these options, in a directory that has
/// the directories `one` and `two`.
fn preopens(options: &[&str]) -> (Guests, Ran) {
    let guests = Guests::new();
    guests.file("guest.wat", module(PRINTS_PREOPENS));
    for name in ["one", "two"] {
        fs::create_dir(guests.path().join(name)).unwrap();
    }
    let ran = guests.run(&[&["run"], options, &["guest.wat"]].concat());
    (guests, ran)
}

#[test]
fn without_any_dir_the_current_directory_is_given() {
    let (guests, ran) = preopens(&[]);
    // By its path and as `.`, where what the first one made exists already (20).
    let path = guests.path().canonicalize().unwrap();
    assert_eq!(ran.code(0).out, format!("{} 00.. 20.", path.display()));
    assert!(guests.path().join("made").is_dir());
}

#[test]
fn directories_come_in_their_order_and_nothing_else_does() {
    let (guests, ran) = preopens(&["--dir", "two", "--dir", "one::/", "--dir", "two::."]);
    // What the first one made exists already (20) in the last.
    assert_eq!(ran.code(0).out, "two 00./ 00.. 20.");
    assert!(guests.path().join("one/made").is_dir());
    assert!(!guests.path().join("made").exists());
}

#[test]
fn a_directory_can_be_read_only() {
    let options = [
        "--dir",
        "one:ro",
        "--dir",
        "two::data:ro",
        "--dir",
        "two::rw",
    ];
    let (guests, ran) = preopens(&options);
    // 63 is `perm`.
    assert_eq!(ran.code(0).out, "one 63.data 63.rw 00.");
    assert!(!guests.path().join("one/made").exists());
}

#[test]
fn a_directory_is_given_by_an_absolute_path_too() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().to_str().unwrap();
    let (_guests, ran) = preopens(&["--dir", path, "--dir", &format!("{path}::fs-tests.dir")]);
    assert_eq!(ran.code(0).out, format!("{path} 00.fs-tests.dir 20."));
}

#[test]
fn a_directory_that_cannot_be_opened_is_named() {
    for (option, named) in [
        ("missing", "missing"),
        ("missing::/", "missing"),
        ("guest.wat::data:ro", "guest.wat"),
    ] {
        let (_guests, ran) = preopens(&["--dir", "one", "--dir", option]);
        ran.code(1).says(&[named, "--dir"]);
        assert_eq!(ran.out, "");
    }
    let (_guests, ran) = preopens(&["--dir", "::/"]);
    ran.code(2).says(&["HOST::GUEST"]);
}

/// Grants its home directory to a child.
const GRANTS_HOME: &str = r#"
    (data (i32.const 0x200) "~")
    (func (export "_start")
        (call $config_preopen_dir
            (call $create_config) (i32.const 0x200) (i32.const 1)))"#;

#[test]
fn the_home_directory_is_the_one_that_the_environment_names() {
    let guests = Guests::new();
    guests.file("guest.wat", module(GRANTS_HOME));
    let home = guests.path().canonicalize().unwrap();
    let home = home.to_str().unwrap();
    let run = |command: &mut std::process::Command| {
        ran(command.args(["run", "--no-cache", "--dir", home, "guest.wat"]))
    };
    run(guests.lunatic().env("HOME", home)).code(0);
    run(guests.lunatic().env("HOME", "/"))
        .code(1)
        .says(&["not below"]);
    for command in [
        guests.lunatic().env_remove("HOME"),
        guests.lunatic().env("HOME", ""),
    ] {
        run(command).code(1).says(&["HOME is not set"]);
    }
}

/// Prints its environment, each variable with a 0 behind it.
const PRINTS_ENVIRONMENT: &str = r#"
    (func (export "_start")
        (drop (call $environ_sizes_get (i32.const 0x100) (i32.const 0x104)))
        (drop (call $environ_get (i32.const 0x200) (i32.const 0x1000)))
        (i32.store (i32.const 0x100) (i32.const 0x1000))
        (drop (call $fd_write (i32.const 1) (i32.const 0x100) (i32.const 1) (i32.const 0x300))))"#;

/// The environment that a guest has, in its order, if the host's is `A=1`,
/// `B=2`, and these options are given.
fn environment(options: &[&str]) -> Vec<String> {
    let guests = Guests::new();
    guests.file("guest.wat", module(PRINTS_ENVIRONMENT));
    guests.file("first.env", "# a comment\n\n C = from a file \nD=x=y\n");
    guests.file("second.env", "C=later\n");
    let mut command = guests.lunatic();
    command
        .env_clear()
        .envs([("A", "1"), ("B", "2")])
        .args([&["run"], options, &["guest.wat"]].concat());
    let ran = ran(&mut command);
    let mut variables: Vec<String> = ran
        .code(0)
        .out
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    // The host's own have no order.
    variables.sort_by_key(|variable| variable.as_bytes()[0]);
    variables
}

#[test]
fn without_any_env_the_whole_environment_is_inherited() {
    assert_eq!(environment(&[]), ["A=1", "B=2"]);
}

#[test]
fn with_an_env_exactly_what_is_named_is_given() {
    assert_eq!(environment(&["--env", "K=V"]), ["K=V"]);
    assert_eq!(environment(&["--env", "A"]), ["A=1"]);
    assert_eq!(environment(&["--env", "MISSING", "--env", "B"]), ["B=2"]);
    assert_eq!(environment(&["--env", "K="]), ["K="]);
    let quoted = [
        "--env",
        "a=text",
        "--env",
        "b=escap \" ing",
        "--env",
        "c=new\nline",
    ];
    assert_eq!(
        environment(&quoted),
        ["a=text", "b=escap \" ing", "c=new\nline"]
    );
}

#[test]
fn variables_come_from_files() {
    let first = ["--env-file", "first.env"];
    assert_eq!(environment(&first), ["C=from a file", "D=x=y"]);
    let both = ["--env-file", "first.env", "--env-file", "second.env"];
    assert_eq!(environment(&both), ["C=later", "D=x=y"]);
    assert_eq!(environment(&["--env-file", "/dev/null"]), [""; 0]);
}

#[test]
fn what_is_named_goes_before_what_is_inherited() {
    let named = ["--inherit-env", "--env", "A=new", "--env", "K=V"];
    assert_eq!(environment(&named), ["A=new", "B=2", "K=V"]);
    assert_eq!(environment(&["--inherit-env"]), ["A=1", "B=2"]);
    let all = [
        "--inherit-env",
        "--env-file",
        "first.env",
        "--env",
        "C=said",
        "--env",
        "D",
    ];
    assert_eq!(environment(&all), ["A=1", "B=2", "C=said", "D=x=y"]);
}

#[test]
fn a_file_of_variables_that_cannot_be_read_is_named() {
    let guests = Guests::new();
    guests.file("guest.wat", module(PRINTS_ENVIRONMENT));
    guests.file("bad.env", "A=1\nno sign\n");
    let missing = guests.run(&["run", "--env-file", "missing.env", "guest.wat"]);
    missing.code(1).says(&["missing.env", "--env-file"]);
    let bad = guests.run(&["run", "--env-file", "bad.env", "guest.wat"]);
    bad.code(1).says(&["bad.env", "line 2", "no sign"]);
    // A variable has a name.
    guests.file("nameless.env", "A=1\n=x\n");
    let nameless = guests.run(&["run", "--env-file", "nameless.env", "guest.wat"]);
    nameless.code(1).says(&["nameless.env", "line 2", "=x"]);
    let nameless = guests.run(&["run", "--env", "=x", "guest.wat"]);
    nameless.code(1).says(&["--env =x", "K=V"]);
}

/// Twenty processes read from the standard input, more than there are worker
/// threads; the first one prints meanwhile, waits for the one that gets
/// something, and prints again.
const READS_AND_PRINTS: &str = r#"
    (data (i32.const 0x200) "working\n")
    (data (i32.const 0x100) "\00\02\00\00\08\00\00\00" "\00\03\00\00\40\00\00\00")
    (func (export "reader")
        (drop (call $fd_read (i32.const 0) (i32.const 0x108) (i32.const 1) (i32.const 0x400)))
        (i32.store (i32.const 0x10c) (i32.load (i32.const 0x400)))
        (drop (call $fd_write (i32.const 1) (i32.const 0x108) (i32.const 1) (i32.const 0x400))))
    (func (export "_start") (local $rest i32) (local $reader i64)
        (local.set $rest (i32.const 20))
        (loop $again
            (local.set $reader (call $spawn_own (i64.const 0) @reader))
            (br_if $again (local.tee $rest (i32.sub (local.get $rest) (i32.const 1)))))
        (call $sleep_ms (i64.const 20))
        (drop (call $fd_write (i32.const 1) (i32.const 0x100) (i32.const 1) (i32.const 0x400)))
        (call $await (local.get $reader)))"#;

#[test]
fn who_waits_for_the_standard_input_holds_up_nobody() {
    let guests = Guests::new();
    guests.file("guest.wat", module(READS_AND_PRINTS));
    let mut child = guests
        .lunatic()
        .args(["run", "guest.wat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Nothing has been typed yet.
    assert_eq!(lines.next().unwrap().unwrap(), "working");
    input.write_all(b"typed\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "typed");
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
