//! `lunatic check` and `lunatic start`: what they say, and how a tree ends.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use harness::module;
use harness::program::Guests;
use lunatic_testkit::program::{exit_code, signal};

/// Prints its arguments, each with a 0 behind it.
const PRINT: &str = r#"
    (func $print
        (drop (call $args_sizes_get (i32.const 0x100) (i32.const 0x104)))
        (drop (call $args_get (i32.const 0x200) (i32.const 0x1000)))
        (i32.store (i32.const 0x100) (i32.const 0x1000))
        (drop (call $fd_write (i32.const 1) (i32.const 0x100) (i32.const 1) (i32.const 0x300))))"#;

/// Prints, waits until it is asked to end, prints again, and ends.
const POLITE: &str = r#"
    (func (export "_start")
        (call $die_when_link_dies (i32.const 0))
        (call $print)
        (drop (call $next))
        (call $print))"#;

/// Prints, and hears of nothing.
const STUBBORN: &str = r#"
    (func (export "_start")
        (call $die_when_link_dies (i32.const 0))
        (call $print)
        (call $sleep))"#;

/// Modules for all tests, and this manifest.
fn app(manifest: &str) -> Guests {
    let guests = Guests::new();
    let file = |name: &str, body: &str| drop(guests.file(name, module(&format!("{PRINT}{body}"))));
    file("polite.wat", POLITE);
    file("stubborn.wat", STUBBORN);
    file("prints.wat", r#"(func (export "_start") (call $print))"#);
    file("traps.wat", r#"(func (export "_start") unreachable)"#);
    file(
        "joins.wat",
        r#"(func (export "_start")
            (call $ok (call $group_join (i32.const 0) (i32.const 0) @pool
                (call $process_id) (i32.const 0x100)))
            (call $sleep))"#,
    );
    file(
        "finds.wat",
        r#"(func (export "_start")
            (loop $again
                (call $sleep_ms (i64.const 1))
                (br_if $again (i32.ne (i32.const 3) (call $group_members
                    (i32.const 0) (i32.const 0) @pool (i32.const 0x100) (i32.const 9)))))
            (call $print))"#,
    );
    guests.file(
        "takes.wat",
        r#"(module (memory (export "memory") 2)
            (func (export "_start")) (func (export "takes") (param i32)))"#,
    );
    guests.file(
        "start.wat",
        "(module (start $begin) (func $begin unreachable) (func (export \"_start\")))",
    );
    guests.file("app.toml", manifest);
    guests
}

/// A running application.
struct Running {
    /// Keeps its directory.
    _guests: Guests,
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn start(manifest: &str) -> Running {
        let guests = app(manifest);
        let mut child = guests
            .lunatic()
            .args(["start", "app.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Running {
            _guests: guests,
            child,
            out,
        }
    }

    /// The arguments that children print next, without the names of their files.
    #[track_caller]
    fn prints(&mut self, expected: &[&str]) {
        for expected in expected {
            let file = self.word();
            assert!(file.ends_with(".wat"), "{file:?} instead of {expected:?}");
            assert_eq!(self.word(), *expected);
        }
    }

    #[track_caller]
    fn word(&mut self) -> String {
        let mut word = Vec::new();
        self.out.read_until(0, &mut word).unwrap();
        if word.pop() == Some(0) {
            return String::from_utf8(word).unwrap();
        }
        panic!("it ended after {word:?}: {}", self.said());
    }

    /// Its exit code, and what it has said.
    #[track_caller]
    fn ends(mut self) -> (Option<i32>, String) {
        let code = exit_code(&mut self.child);
        let said = self.said();
        let mut rest = Vec::new();
        self.out.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
        (code, said)
    }

    fn said(&mut self) -> String {
        let mut said = String::new();
        let mut err = self.child.stderr.take().unwrap();
        err.read_to_string(&mut said).unwrap();
        said
    }
}

const ONE: &str = "[[children]]\nname = \"one\"\n";

#[test]
fn what_is_in_order_is_summed_up_and_not_run() {
    let guests = app(r#"
        [[children]]
        name = "prints"
        module = "prints.wat"
        [[children]]
        name = "pool"
        [[children.children]]
        name = "worker"
        count = 2
        module = "takes.wat"
        "#);
    let ran = guests.run(&["check", "app.toml"]);
    let expected = "`app.toml` is in order: 2 supervisors, 3 programs of 2 modules\n";
    assert_eq!(ran.code(0).out, expected);
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let guests = app("strateg = \"one_for_one\"\nperiod = \"-1s\"\n[[children]]\nname = \"a\"\n");
    for command in ["check", "start"] {
        let ran = guests.run(&[command, "app.toml"]);
        ran.code(1).says(&[
            "unknown key `strateg`",
            "app.toml:1:1",
            "1 | strateg = \"one_for_one\"",
            "  | ^^^^^^^",
            "did you mean `strategy`?",
            "`period` is negative",
            "app.toml:2:10",
            "neither a `module` nor `children`",
            "app.toml:3:1",
            "`app.toml` has 3 errors",
        ]);
        assert_eq!(ran.out, "");
    }
}

#[test]
fn what_the_manifest_names_is_looked_at() {
    let manifest = r#"
[[children]]
name = "gone"
module = "gone.wasm"
[[children]]
name = "text"
module = "app.toml"
[[children]]
name = "export"
module = "takes.wat"
export = "_strat"
[[children]]
name = "arguments"
module = "takes.wat"
export = "takes"
[[children]]
name = "directory"
module = "takes.wat"
dirs = ["missing::/data"]
[[children]]
name = "memory"
module = "takes.wat"
max_memory = "64KiB"
"#;
    let guests = app(manifest);
    for command in ["check", "start"] {
        guests.run(&[command, "app.toml"]).code(1).says(&[
            "cannot read `gone.wasm`",
            "app.toml:4:10",
            "taken from the directory of the manifest",
            "neither a wasm module nor text format",
            "app.toml:7:10",
            "exports no function `_strat`",
            "app.toml:11:10",
            "did you mean `_start`?",
            "takes arguments or returns something",
            "app.toml:15:10",
            "cannot open the directory `missing`",
            "app.toml:19:9",
            "memory minimum size",
            "app.toml:23:14",
            "`app.toml` has 6 errors",
        ]);
    }
}

#[test]
fn mistakes_of_the_manifest_and_of_what_it_names_are_told_together() {
    let guests = app(&format!(
        "strategie = \"one_for_one\"\n{ONE}module = \"gone.wasm\"\nrestart = \"sometimes\"\n"
    ));
    for command in ["check", "start"] {
        guests.run(&[command, "app.toml"]).code(1).says(&[
            "unknown key `strategie`",
            "`restart` cannot be `sometimes`",
            "cannot read `gone.wasm`",
            "`app.toml` has 3 errors",
        ]);
    }
}

#[test]
fn a_permanent_child_that_ends_normally_is_advised_to_be_transient() {
    let below = "[[children]]\nname = \"below\"\nintensity = 0\n[[children.children]]\n";
    for text in [
        format!("{ONE}module = \"prints.wat\"\n"),
        format!("{below}name = \"one\"\nmodule = \"prints.wat\"\n"),
    ] {
        app(&text).run(&["start", "app.toml"]).code(1).says(&[
            "gave up",
            "`one` ended normally",
            "restart = \"transient\"",
        ]);
    }
}

#[test]
fn that_no_child_runs_any_more_is_told() {
    let manifest =
        format!("{ONE}module = \"prints.wat\"\nargs = [\"once\"]\nrestart = \"transient\"\n");
    let mut running = Running::start(&manifest);
    running.prints(&["once"]);
    let mut said = BufReader::new(running.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("no child runs any more") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0);
    }
    running.child.kill().unwrap();
    running.child.wait().unwrap();
}

#[test]
fn paths_begin_at_the_manifest() {
    let guests = Guests::new();
    let app = guests.0.path().join("app");
    fs::create_dir(&app).unwrap();
    fs::create_dir(app.join("data")).unwrap();
    fs::write(
        app.join("prints.wat"),
        module(r#"(func (export "_start"))"#),
    )
    .unwrap();
    fs::write(
        app.join("app.toml"),
        format!("{ONE}module = \"prints.wat\"\ndirs = [\"data\"]"),
    )
    .unwrap();
    guests.run(&["check", "app/app.toml"]).code(0);
}

#[test]
fn a_file_that_is_no_manifest_is_told() {
    let guests = app("");
    fs::create_dir(guests.0.path().join("directory")).unwrap();
    guests.file("binary.wasm", b"\0asm\x01\0\0\0\xff");
    for command in ["check", "start"] {
        for (file, says) in [
            ("missing.toml", "check the path"),
            ("directory", "name the manifest inside of it"),
            ("binary.wasm", "lunatic run"),
            ("polite.wat", "lunatic run polite.wat"),
            ("app.toml", "there are no `children`"),
        ] {
            guests.run(&[command, file]).code(1).says(&[file, says]);
        }
        guests.run(&[command]).code(2);
    }
}

#[test]
fn a_child_gets_its_arguments_and_an_end_by_the_rules_is_exit_code_0() {
    let manifest = r#"
        auto_shutdown = "any_significant"
        [[children]]
        name = "prints"
        module = "prints.wat"
        args = ["hello"]
        restart = "transient"
        significant = true
        "#;
    let mut running = Running::start(manifest);
    running.prints(&["hello"]);
    assert_eq!(running.ends(), (Some(0), String::new()));
}

#[test]
fn all_processes_of_a_tree_find_each_other() {
    let manifest = r#"
        auto_shutdown = "any_significant"
        [[children]]
        name = "pool"
        [[children.children]]
        name = "worker"
        count = 3
        module = "joins.wat"
        [[children]]
        name = "finds"
        module = "finds.wat"
        args = ["found"]
        restart = "transient"
        significant = true
        "#;
    let mut running = Running::start(manifest);
    running.prints(&["found"]);
    assert_eq!(running.ends().0, Some(0));
}

#[test]
fn a_tree_that_gives_up_is_exit_code_1_and_each_restart_is_told() {
    let manifest = format!("intensity = 2\n{ONE}module = \"traps.wat\"\n");
    let (code, said) = Running::start(&manifest).ends();
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "WARN",
        "child=one",
        "unreachable",
        "1 of 2",
        "2 of 2",
        "`app.toml` gave up: more than 2 restarts in 5s",
        "`one`",
        "`intensity` and `period` set the limit",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn each_start_of_a_child_begins_with_all_of_its_fuel() {
    let manifest = format!(
        "intensity = 2\n{ONE}module = \"traps.wat\"\nmax_fuel = 3\nlimits = {{ fuel = 3 }}\n"
    );
    let (code, said) = Running::start(&manifest).ends();
    assert_eq!(code, Some(1), "{said}");
    // A third start happened, and was no more refused than the first one.
    for part in [
        "unreachable",
        "(restart 2 of 2 in 5s",
        "(more than 2 restarts in 5s)",
        "gave up: more than 2 restarts",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!said.contains("fuel"), "{said}");
}

#[test]
fn a_supervisor_that_gives_up_is_a_child_that_ended() {
    let manifest = r#"
        intensity = 0
        [[children]]
        name = "below"
        [[children.children]]
        name = "traps"
        module = "traps.wat"
        "#;
    let (code, said) = Running::start(manifest).ends();
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "app/below",
        "gave up: more than 0 restarts",
        "`below`: shutdown",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn a_child_that_does_not_start_is_the_end() {
    let manifest = format!(
        "{ONE}module = \"joins.wat\"\n\
         [[children]]\nname = \"two\"\nmodule = \"start.wat\"\n"
    );
    let (code, said) = Running::start(&manifest).ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot start `app.toml`"), "{said}");
    assert!(
        said.contains("`two`") && said.contains("unreachable"),
        "{said}"
    );
}

#[test]
fn children_are_stopped_in_reverse_order_when_the_program_is_told_to_end() {
    let child = |table: &str, name: &str| {
        let module = "module = \"polite.wat\"";
        format!("[[{table}]]\nname = \"{name}\"\n{module}\nargs = [\"{name}\"]\n")
    };
    let manifest = [
        child("children", "one"),
        "[[children]]\nname = \"below\"\n".to_owned(),
        child("children.children", "two"),
        child("children.children", "three"),
        child("children", "four"),
    ]
    .concat();
    for stop in ["-TERM", "-INT", "-HUP", "-QUIT"] {
        let mut running = Running::start(&manifest);
        // They are started one after the other, but each prints in its own time.
        let mut started: Vec<String> = (0..8).map(|_| running.word()).collect();
        started.retain(|word| !word.ends_with(".wat"));
        started.sort_unstable();
        assert_eq!(started, ["four", "one", "three", "two"]);
        signal(&running.child, stop);
        running.prints(&["four", "three", "two", "one"]);
        assert_eq!(running.ends(), (Some(0), String::new()));
    }
}

#[test]
fn a_child_that_does_not_hear_is_killed_when_its_time_is_over() {
    let manifest =
        format!("{ONE}module = \"stubborn.wat\"\nargs = [\"stubborn\"]\nshutdown = \"50ms\"\n");
    let mut running = Running::start(&manifest);
    running.prints(&["stubborn"]);
    signal(&running.child, "-TERM");
    let (code, said) = running.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("child=one") && said.contains("50ms"),
        "{said}"
    );
}

#[test]
fn a_second_signal_does_not_wait() {
    let manifest = format!(
        "{ONE}module = \"stubborn.wat\"\nargs = [\"stubborn\"]\nshutdown = \"infinity\"\n\
         [[children]]\nname = \"two\"\nmodule = \"polite.wat\"\nargs = [\"polite\"]\n"
    );
    let mut running = Running::start(&manifest);
    let mut started: Vec<String> = (0..4).map(|_| running.word()).collect();
    started.sort_unstable();
    assert_eq!(
        started,
        ["polite", "polite.wat", "stubborn", "stubborn.wat"]
    );
    signal(&running.child, "-TERM");
    // The first signal is heard: the last child ends, the first one does not.
    running.prints(&["polite"]);
    signal(&running.child, "-TERM");
    assert_eq!(running.ends().0, Some(143));
}

#[test]
fn any_second_signal_does_not_wait() {
    let manifest = format!(
        "{ONE}module = \"stubborn.wat\"\nargs = [\"stubborn\"]\nshutdown = \"infinity\"\n\
         [[children]]\nname = \"two\"\nmodule = \"polite.wat\"\nargs = [\"polite\"]\n"
    );
    for (second, code) in [("-HUP", 129), ("-QUIT", 131)] {
        let mut running = Running::start(&manifest);
        for _ in 0..4 {
            running.word();
        }
        signal(&running.child, "-TERM");
        running.prints(&["polite"]);
        signal(&running.child, second);
        assert_eq!(running.ends().0, Some(code), "{second}");
    }
}
