//! `lunatic run`: what is given, limits, standard input, and single functions.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs::File;

use harness::program::Guests;
use lunatic_testkit::program::{Ran, ran};

/// Has the exit code 1 if it has an environment variable, 2 more if it has a directory, and
/// 4 more if it can bind a socket.
const TELLS_WHAT_IT_HAS: &str = r#"(module
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $environ_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get"
        (func $fd_prestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (import "lunatic::networking" "tcp_bind"
        (func $tcp_bind (param i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0x100) "\7f\00\00\01")
    (func (export "_start") (local $code i32)
        (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
        (local.set $code (i32.ne (i32.load (i32.const 0)) (i32.const 0)))
        (if (i32.eqz (call $fd_prestat_get (i32.const 3) (i32.const 8)))
            (then (local.set $code (i32.or (local.get $code) (i32.const 2)))))
        (if (i32.eqz (call $tcp_bind (i32.const 4) (i32.const 0x100) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0x200)))
            (then (local.set $code (i32.or (local.get $code) (i32.const 4)))))
        (call $proc_exit (local.get $code))))"#;

#[test]
fn in_a_sandbox_is_nothing_but_what_is_named() {
    let guests = Guests::new();
    guests.file("guest.wat", TELLS_WHAT_IT_HAS);
    for (flags, code) in [
        (&[][..], 7),
        (&["--sandbox"], 0),
        (&["--sandbox", "--env", "A=b"], 1),
        (&["--sandbox", "--dir", "."], 2),
        (&["--sandbox", "--allow-net", "bind:127.0.0.1"], 4),
        (&["--sandbox", "--allow-net", "bind:127.0.0.2"], 0),
        (&["--clear-env"], 6),
        (&["--clear-env", "--env", "A=b"], 7),
    ] {
        let args = [&["run"], flags, &["guest.wat"]].concat();
        let ran = guests.run(&args);
        assert_eq!(ran.code, Some(code), "{flags:?}: {}", ran.err);
    }
    for flag in ["--sandbox", "--clear-env"] {
        guests
            .run(&["run", flag, "--inherit-env", "guest.wat"])
            .code(2);
    }
}

#[test]
fn a_program_that_runs_too_long_is_ended() {
    let guests = Guests::new();
    guests.file(
        "spins.wat",
        r#"(module (func (export "_start") (loop (br 0))))"#,
    );
    guests.file("returns.wat", r#"(module (func (export "_start")))"#);
    guests
        .run(&["run", "--timeout", "200ms", "spins.wat"])
        .code(124)
        .says(&["`spins.wat` was ended", "longer than 200ms"]);
    guests
        .run(&["run", "--timeout", "1h", "returns.wat"])
        .code(0)
        .is_silent();
    for wrong in ["5", "s", "-1s", "5 parsecs"] {
        guests
            .run(&["run", "--timeout", wrong, "returns.wat"])
            .code(2);
    }
}

#[test]
fn a_program_that_uses_up_its_fuel_fails() {
    let guests = Guests::new();
    guests.file(
        "spins.wat",
        r#"(module (func (export "_start") (loop (br 0))))"#,
    );
    guests
        .run(&["run", "--max-fuel", "10", "spins.wat"])
        .code(1)
        .says(&["fuel"]);
    guests.run(&["run", "--max-fuel", "0", "spins.wat"]).code(2);
}

#[test]
fn more_processes_than_are_allowed_are_not_spawned() {
    let guests = Guests::new();
    let body = r#"
        (func (export "child") (call $sleep))
        (func (export "_start")
            (drop (call $spawn_own (i64.const 0) @child))
            (drop (call $spawn_own (i64.const 0) @child)))"#;
    guests.file("spawns.wat", harness::module(body));
    guests
        .run(&["run", "--max-processes", "3", "spawns.wat"])
        .code(0);
    guests
        .run(&["run", "--max-processes", "2", "spawns.wat"])
        .code(1)
        .says(&["spawn_own"]);
}

#[test]
fn a_module_can_come_from_standard_input() {
    let guests = Guests::new();
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (func (export "_start") (call $exit (i32.const 7))))"#;
    let file = guests.file("guest.wat", text);
    for args in [&["run", "-"][..], &["-"], &["run", "--sandbox", "-", "x"]] {
        let mut command = guests.lunatic();
        command.args(args).stdin(File::open(&file).unwrap());
        ran(&mut command).code(7);
    }
    let mut command = guests.lunatic();
    command.args(["run", "--watch", "-"]);
    ran(&mut command).code(1).says(&["cannot be watched"]);
    // What is empty is told as such.
    guests
        .run(&["run", "-"])
        .code(1)
        .says(&["standard input is empty"]);
}

const LIBRARY: &str = r#"(module
    (global $ready (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $ready (i32.const 1)))
    (func (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1)))
    (func (export "half") (param f64) (result f64)
        (f64.div (local.get 0) (f64.const 2)))
    (func (export "both") (param i64) (result i64 i32)
        (local.get 0) (global.get $ready))
    (func (export "nothing"))
    (func (export "traps") unreachable))"#;

#[test]
fn a_function_of_a_library_is_called_and_its_results_are_printed() {
    let guests = Guests::new();
    guests.file("library.wat", LIBRARY);
    for (args, out) in [
        (&["add", "library.wat", "2", "-3"][..], "-1\n"),
        (&["half", "library.wat", "3"], "1.5\n"),
        // `_initialize` has been called.
        (&["both", "library.wat", "0x10"], "16\n1\n"),
        (&["nothing", "library.wat"], ""),
    ] {
        let args = [&["run", "--invoke"], args].concat();
        assert_eq!(guests.run(&args).code(0).out, out, "{args:?}");
    }
    guests
        .run(&["run", "--invoke", "traps", "library.wat"])
        .code(1)
        .says(&["unreachable"]);
}

#[test]
fn what_is_wrong_with_an_invocation_is_told() {
    let guests = Guests::new();
    guests.file("library.wat", LIBRARY);
    for (args, says) in [
        (&["add", "library.wat", "2"][..], "(i32, i32) -> (i32)"),
        (
            &["add", "library.wat", "2"],
            "`add` takes 2 arguments, and one was given",
        ),
        (
            &["half", "library.wat"],
            "`half` takes one argument, and none was given",
        ),
        (
            &["add", "library.wat", "2", "4294967296"],
            "from -2147483648 to 4294967295",
        ),
        (
            &["add", "library.wat", "2", "many"],
            "`many` is no argument",
        ),
        (&["ad", "library.wat"], "did you mean `add`?"),
        (&["zzz", "library.wat"], "`half`"),
    ] {
        let args = [&["run", "--invoke"], args].concat();
        guests.run(&args).code(1).says(&[says]);
    }
    guests
        .run(&["run", "library.wat"])
        .code(1)
        .says(&["lunatic run --invoke"]);
    guests
        .run(&["run", "library.wat", "--invoke", "add", "2", "3"])
        .code(1)
        .says(&["--invoke stands before the path"]);
    guests.file("nothing.wat", "(module)");
    guests
        .run(&["run", "nothing.wat"])
        .code(1)
        .says(&["it exports no function\n"]);
}

#[test]
fn a_profile_that_cannot_be_written_is_told_before_the_program_runs() {
    let guests = Guests::new();
    guests.file("prints.wat", PRINTS_ALL);
    let ran = guests.run(&["run", "--profile", "missing/profile.json", "prints.wat"]);
    ran.code(1).says(&[
        "cannot write `missing/profile.json`",
        "no directory `missing`",
    ]);
    assert_eq!(ran.out, "");
}

/// Prints its arguments, each with a 0 behind it, and then its environment.
const PRINTS_ALL: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get"
        (func $args_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get"
        (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get"
        (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 16)
    (func $print
        (i32.store (i32.const 0) (i32.const 0x10000))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "_start")
        (drop (call $args_sizes (i32.const 0) (i32.const 4)))
        (drop (call $args (i32.const 0x100) (i32.const 0x10000)))
        (call $print)
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $get (i32.const 0x100) (i32.const 0x10000)))
        (call $print)))"#;

#[test]
fn a_program_alone_gets_what_a_manifest_gives_a_child() {
    let guests = Guests::new();
    guests.file("web.wat", PRINTS_ALL);
    guests.file("other.wat", PRINTS_ALL);
    guests.file(
        "app.toml",
        "[[children]]\nname = \"web\"\nmodule = \"web.wat\"\nargs = [\"-v\"]\nenv = { A = \"web\" }\n\
         [[children]]\nname = \"pool\"\n\
         [[children.children]]\nname = \"worker\"\ncount = 3\nmodule = \"other.wat\"\n\
         env = { A = \"worker\" }\nmax_fuel = 1000\n",
    );
    let run = |words: &[&str]| guests.run(&[&["run", "--manifest", "app.toml"], words].concat());
    // The one with this module; its own arguments, or others.
    assert_eq!(run(&["web.wat"]).code(0).out, "web.wat\0-v\0A=web\0");
    assert_eq!(run(&["web.wat", "x"]).code(0).out, "web.wat\0x\0A=web\0");
    // One of several that are given the same.
    assert_eq!(run(&["other.wat"]).code(0).out, "other.wat\0A=worker\0");
    for name in ["worker-2", "pool/worker-2"] {
        let ran = run(&["--as", name, "web.wat", "x"]);
        assert_eq!(ran.code(0).out, "web.wat\0x\0A=worker\0");
    }
    let says = |ran: Ran, code: i32, part: &str| {
        assert!(ran.code(code).err.contains(part), "no {part:?} in {ran:?}");
    };
    says(
        run(&["--as", "workr-1", "web.wat"]),
        1,
        "did you mean `--as",
    );
    says(run(&["--env", "B=c", "web.wat"]), 2, "cannot be used with");
    says(
        guests.run(&["run", "--as", "web", "web.wat"]),
        2,
        "--manifest",
    );
    guests.file("third.wat", PRINTS_ALL);
    says(
        run(&["third.wat"]),
        1,
        "no child of `app.toml` has this module",
    );
    guests.file("bad.toml", "[[children]]\nname = 1\n");
    says(
        guests.run(&["run", "--manifest", "bad.toml", "web.wat"]),
        1,
        "error",
    );
    says(
        guests.run(&["run", "--manifest", "none.toml", "web.wat"]),
        1,
        "cannot read",
    );
}

#[test]
fn a_limit_of_nothing_is_a_mistake() {
    let guests = Guests::new();
    guests.file("guest.wat", "(module (func (export \"_start\")))");
    for option in ["--max-fuel", "--max-processes"] {
        for number in ["0", "-1", "many"] {
            let limit = format!("{option}={number}");
            let ran = guests.run(&["run", &limit, "guest.wat"]);
            ran.code(2)
                .says(&[option, "write a whole number from 1 on"]);
        }
    }
}

#[test]
fn options_take_away_from_what_a_manifest_gives_and_add_nothing() {
    let guests = Guests::new();
    // Grows by 64 MiB, or fails.
    guests.file(
        "grow.wat",
        r#"(module
            (memory (export "memory") 1)
            (func (export "_start")
                (if (i32.eq (memory.grow (i32.const 1024)) (i32.const -1)) (then unreachable))))"#,
    );
    // Burns more than a hundred units of fuel.
    guests.file(
        "burn.wat",
        r#"(module
            (func (export "_start") (local $left i32)
                (local.set $left (i32.const 100000000))
                (loop $again
                    (br_if $again (local.tee $left
                        (i32.sub (local.get $left) (i32.const 1)))))))"#,
    );
    let child = |name: &str, more: &str| {
        format!("[[children]]\nname = \"{name}\"\nmodule = \"{name}.wat\"\n{more}\n")
    };
    let limits = "limits = { memory = \"32MiB\", processes = 16 }";
    guests.file(
        "app.toml",
        child("grow", limits) + &child("burn", "max_fuel = 10"),
    );
    let run = |words: &[&str]| guests.run(&[&["run", "--manifest", "app.toml"], words].concat());
    run(&["grow.wat"]).code(1);
    run(&["--max-processes", "100", "grow.wat"]).code(1);
    run(&["burn.wat"]).code(1).says(&["--max-fuel"]);
    run(&["--max-fuel", "1000000", "burn.wat"]).code(1);
    guests
        .run(&["run", "--max-processes", "100", "grow.wat"])
        .code(0);
    guests
        .run(&["run", "--max-fuel", "1000000", "burn.wat"])
        .code(0);
}

#[test]
fn tests_get_what_a_manifest_gives_a_child() {
    let guests = Guests::new();
    let suite = PRINTS_ALL.replace("\"_start\"", "\"#lunatic_test_prints\"");
    guests.file("suite.wat", suite);
    guests.file(
        "app.toml",
        "[[children]]\nname = \"web\"\nmodule = \"web.wasm\"\nargs = [\"-v\"]\nenv = { A = \"web\" }\n",
    );
    guests
        .run(&[
            "test",
            "--manifest",
            "app.toml",
            "--as",
            "web",
            "suite.wat",
            "--nocapture",
        ])
        .code(0)
        .prints("A=web\0")
        .prints_not("-v\0");
}

#[test]
fn what_is_wrong_with_a_command_line_is_told_as_other_problems_are() {
    let guests = Guests::new();
    let says = |words: &[&str], expected: &str| {
        let ran = guests.run(words);
        assert_eq!(ran.code(2).err, expected, "{words:?}");
    };
    says(
        &["run", "--max-fuel", "0", "a.wasm"],
        "error: invalid value '0' for '--max-fuel <UNITS>': write a whole number from 1 on\n\
         help: `lunatic run --help` lists what can be given\n",
    );
    says(
        &["test", "--timeout", "soon", "a.wasm"],
        "error: invalid value 'soon' for '--timeout <TIME>': `soon` is no time; write one like \
         500ms, 5s or 2m\n\
         help: `lunatic test --help` lists what can be given\n",
    );
    says(
        &["run", "--timeout", "0s", "a.wasm"],
        "error: invalid value '0s' for '--timeout <TIME>': nothing is done in no time; leave it \
         out for no limit\n\
         help: `lunatic run --help` lists what can be given\n",
    );
    says(
        &["run", "--manifest", "app.toml", "--dir", ".", "a.wasm"],
        "error: the argument '--manifest <FILE>' cannot be used with \
         '--dir <HOST[::GUEST][:ro]>'\n\
         help: `lunatic run --help` lists what can be given\n",
    );
    says(
        &["start", "--bogus"],
        "error: unexpected argument '--bogus' found\n\
         help: `lunatic start --help` lists what can be given\n",
    );
    says(
        &["describe"],
        "error: the following required arguments were not provided:\n  <PATH>\n\
         help: `lunatic describe --help` lists what can be given\n",
    );
    says(
        &["run", "--dri", "a", "a.wasm"],
        "error: unexpected argument '--dri' found\n\
         help: a similar argument exists: '--dir'\n",
    );
    let ran = guests.run(&["--verbose"]);
    assert!(ran.code(2).err.contains("Usage: lunatic"), "{ran:?}");
}
