//! `--watch` and `--build`: files that change while a program runs.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use harness::module;
use harness::runtimes::Runtimes;
use harness::watched::Watched;
use lunatic_testkit::built::rust_guest;
use lunatic_testkit::{TIMEOUT, wait_until};

/// A program that prints a line and then does something.
fn says(line: &str, then: &str) -> String {
    let length = line.len() + 1;
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
        (memory (export "memory") 1)
        (data (i32.const 16) "{line}\n")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const {length}))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            {then}))"#
    )
}

const LIVES_ON: &str = "(call $sleep_ms (i64.const -1))";

/// A version of the program that ticks, with ten ticks in the time of one.
fn ticker(version: u32) -> String {
    let path = format!("../examples/reload/ticker_v{version}.wat");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(path).unwrap();
    text.replace("(i64.const 1000)", "(i64.const 100)")
}

/// The number of the next tick of a version.
#[track_caller]
fn tick(program: &Watched, version: u32) -> u64 {
    let begin = format!("v{version}: tick ");
    loop {
        if let Some(number) = program.line().strip_prefix(&begin) {
            return number.parse().unwrap();
        }
    }
}

#[test]
fn a_program_moves_to_what_is_in_its_file_and_what_does_not_load_is_left_out() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("ticker.wat", ticker(1));
    let program = Watched::start(runtimes.lunatic(&["run", "--watch", "ticker.wat"]));
    let first = tick(&program, 1);
    runtimes.guests.file("ticker.wat", &ticker(2)[..300]);
    program.says("goes on with the old version");
    tick(&program, 1);
    runtimes.guests.file("ticker.wat", ticker(2));
    let second = tick(&program, 2);
    assert!(second > first);
    program.says("reloaded");
    runtimes.guests.file("ticker.wat", ticker(1));
    assert!(tick(&program, 1) > second);
    program.interrupt(130);
}

/// A request on a connection, and the answer.
fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> String {
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    answer
}

/// Puts a file in the place of another one, as compilers do.
fn replace(runtimes: &Runtimes, name: &str, content: &[u8]) {
    let written = runtimes.guests.file("new", content);
    fs::rename(written, runtimes.guests.path().join(name)).unwrap();
}

#[test]
fn the_next_request_on_the_same_connection_has_the_answer_of_the_new_code() {
    let [old, new] =
        ["reload_echo_v1", "reload_echo_v2"].map(|name| fs::read(rust_guest(name)).unwrap());
    let runtimes = Runtimes::new();
    runtimes.guests.file("echo.wasm", &old);
    let program = Watched::start(runtimes.lunatic(&["run", "--watch", "echo.wasm", "print"]));
    let port: u16 = program.line().parse().unwrap();
    let connect = || {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        BufReader::new(stream)
    };
    let mut open = connect();
    assert_eq!(ask(&mut open, "one\n"), "v1 1 one\n");
    replace(&runtimes, "echo.wasm", &new);
    program.says("reloaded");
    assert_eq!(ask(&mut open, "two\n"), "v2 2:4 two\n");
    assert_eq!(ask(&mut connect(), "new\n"), "v2 1:4 new\n");
    replace(&runtimes, "echo.wasm", &old);
    program.says("reloaded");
    assert_eq!(ask(&mut open, "three\n"), "v1 3 three\n");
    program.interrupt(130);
}

/// A program that offers nothing, with a child that moves and prints its version.
fn with_a_child(version: u32) -> String {
    module(&format!(
        r#"(data (i32.const 0) "child")
        (data (i32.const 16) "v{version}\n")
        (func (export "_start") (drop (call $spawn_own (i64.const 0) @child)) (call $sleep))
        (func (export "child") (call $serve))
        (func (export "_lunatic_reload_1_child") (call $accept) (call $serve))
        (func $serve (local $version i64)
            (call $offer (i32.const 0) (i32.const 5) (i64.const 1))
            (i32.store (i32.const 64) (i32.const 16))
            (i32.store (i32.const 68) (i32.const 3))
            (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72)))
            (loop $again
                (local.set $version (call $arm))
                (if (i64.ge_s (local.get $version) (i64.const 0)) (then
                    (call $write (i64.const 0) (i64.const 0))
                    (drop (call $hand_over (local.get $version) (i32.const 80)))
                    (br $again)))
                (call $sleep)
                (br $again)))"#
    ))
}

#[test]
fn a_change_during_another_reload_is_not_lost() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("ticker.wat", ticker(1));
    runtimes.guests.file("other.wat", ticker(2));
    let program = Watched::start(runtimes.lunatic(&["run", "--watch", "ticker.wat"]));
    tick(&program, 1);
    thread::scope(|scope| {
        let reload = scope.spawn(|| runtimes.run(&["reload", "other.wat", "--trial", "1s"]));
        tick(&program, 2);
        let third = ticker(1).replace("v1: tick", "v3: tick");
        runtimes.guests.file("ticker.wat", third);
        // It says something ten times in a second.
        let is_third = (0..300).any(|_| program.line().starts_with("v3: tick "));
        assert!(is_third, "the change was lost");
        reload.join().unwrap().code(0);
    });
    program.interrupt(130);
}

#[test]
fn a_program_whose_children_have_moved_goes_on_and_is_replaced_at_the_next_change() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("app.wat", with_a_child(1));
    let program = Watched::start(runtimes.lunatic(&["run", "--watch", "app.wat"]));
    program.prints("v1");
    runtimes.guests.file("app.wat", with_a_child(2));
    program.prints("v2");
    let told = program.says("some processes have not moved");
    assert!(told.contains("the root process offers nothing"), "{told}");
    // The child moves, and its place is taken by one of the new root process.
    runtimes.guests.file("app.wat", with_a_child(3));
    program.prints("v3");
    program.prints("v3");
    program.says("reloaded");
    program.interrupt(130);
}

#[test]
fn a_program_that_has_ended_is_started_again_as_its_next_version() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("app.wat", says("one", ""));
    let program = Watched::start(runtimes.lunatic(&["run", "--watch", "app.wat"]));
    program.prints("one");
    program.says("waits for its next version");
    runtimes.guests.file("app.wat", says("two", "unreachable"));
    program.prints("two");
    program.says("unreachable");
    program.says("waits for its next version");
    // One that cannot be loaded changes nothing.
    runtimes.guests.file("app.wat", "(module");
    program.says("waits for its next version");
    runtimes.guests.file("app.wat", says("three", LIVES_ON));
    program.prints("three");
    program.interrupt(130);
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let runtimes = Runtimes::new();
    let program = Watched::start(runtimes.lunatic(&["run", "--watch", "app.wat"]));
    program.says("app.wat");
    runtimes.guests.file("app.wat", says("here", LIVES_ON));
    program.prints("here");
    program.interrupt(130);
}

#[test]
fn a_program_that_has_ended_is_not_started_again_for_a_file_with_the_same_content() {
    let runtimes = Runtimes::new();
    runtimes.guests.file("app.wat", says("one", ""));
    let program = Watched::start(runtimes.lunatic(&["run", "--watch", "app.wat"]));
    assert_eq!(program.line(), "one");
    program.says("has ended");
    // A command that makes the file may write it each time.
    runtimes.guests.file("app.wat", says("one", ""));
    thread::sleep(Duration::from_secs(1));
    runtimes.guests.file("app.wat", says("two", ""));
    assert_eq!(program.line(), "two");
    program.says("has ended");
    program.interrupt(130);
}

#[test]
fn a_file_that_its_command_does_not_make_is_told_of() {
    let runtimes = Runtimes::new();
    let args = ["run", "--watch", "--build", "true", "misspelt.wat"];
    let program = Watched::start(runtimes.lunatic(&args));
    program.says("has not made `misspelt.wat`");
    program.interrupt(130);
}

#[test]
fn a_command_makes_the_file_whenever_a_source_changes() {
    let runtimes = Runtimes::new();
    let directory = runtimes.guests.path();
    fs::create_dir(directory.join("src")).unwrap();
    fs::create_dir(directory.join("target")).unwrap();
    runtimes.guests.file("src/app.txt", says("one", LIVES_ON));
    // A result that is none of the files of modules; and it fails with an empty source.
    let build = "date +%N > log.txt && test -s src/app.txt && cp src/app.txt target/app.wat";
    let args = ["run", "--watch", "--build", build, "target/app.wat"];
    let program = Watched::start(runtimes.lunatic(&args));
    program.prints("one");
    runtimes.guests.file("src/app.txt", says("two", LIVES_ON));
    program.prints("two");
    runtimes.guests.file("src/app.txt", "");
    program.says("has failed");
    runtimes.guests.file("src/app.txt", says("three", LIVES_ON));
    program.prints("three");
    // It is not run for its own results again and again.
    let log = || fs::read(directory.join("log.txt")).unwrap_or_default();
    let mut seen = log();
    wait_until("the command to be at rest", || {
        thread::sleep(Duration::from_millis(1500));
        let before = std::mem::replace(&mut seen, log());
        before == seen
    });
    program.interrupt(130);
}

/// The files of a package of cargo's, below `packages`: its manifest, and an empty source.
fn package(runtimes: &Runtimes, name: &str, dependencies: &str) {
    let directory = runtimes.guests.path().join("packages").join(name);
    fs::create_dir_all(directory.join("src")).unwrap();
    fs::write(directory.join("src/lib.rs"), "").unwrap();
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\n\
         [dependencies]\n{dependencies}\n[workspace]\n"
    );
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
}

#[test]
fn packages_elsewhere_that_a_project_depends_on_are_sources_too() {
    let runtimes = Runtimes::new();
    let packages = runtimes.guests.path().join("packages");
    package(&runtimes, "app", "library = { path = \"../library\" }\n");
    package(&runtimes, "library", "macros = { path = \"../macros\" }\n");
    package(&runtimes, "macros", "");
    package(&runtimes, "stranger", "");
    let source = packages.join("macros/src/text.wat");
    fs::write(&source, says("one", LIVES_ON)).unwrap();
    // Cargo knows the packages when it has written `Cargo.lock`, which the first build does.
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let build = format!(
        "{cargo} generate-lockfile --offline -q && echo ran >> ../ran.txt && cp {} app.wat",
        source.display()
    );
    let mut command = runtimes.lunatic(&["run", "--watch", "--build", &build, "app.wat"]);
    command.current_dir(packages.join("app"));
    let program = Watched::start(command);
    program.prints("one");
    fs::write(&source, says("two", LIVES_ON)).unwrap();
    program.prints("two");
    let ran = || {
        fs::read_to_string(packages.join("ran.txt"))
            .unwrap()
            .lines()
            .count()
    };
    let at_rest = || {
        let mut seen = ran();
        wait_until("the command to be at rest", || {
            thread::sleep(Duration::from_millis(1500));
            let before = std::mem::replace(&mut seen, ran());
            before == seen
        });
        seen
    };
    let before = at_rest();
    fs::write(packages.join("stranger/src/lib.rs"), "// no source yet").unwrap();
    assert_eq!(
        at_rest(),
        before,
        "it was built for a package that is not needed"
    );
    // One that is needed from now on is watched from now on.
    let stranger = "library = { path = \"../library\" }\nstranger = { path = \"../stranger\" }\n";
    package(&runtimes, "app", stranger);
    wait_until("a build with the new manifest", || ran() > before);
    // Until cargo was asked, an edit is not seen.
    let before = at_rest();
    wait_until("a build for the package that is needed now", || {
        fs::write(packages.join("stranger/src/lib.rs"), "// a source").unwrap();
        thread::sleep(Duration::from_secs(1));
        ran() > before
    });
    program.interrupt(130);
}

#[test]
fn children_of_a_manifest_are_those_of_the_files_that_change() {
    let runtimes = Runtimes::new();
    let manifest = r#"
        [[children]]
        name = "ticker"
        module = "ticker.wat"
        [[children]]
        name = "silent"
        module = "silent.wat"
    "#;
    runtimes.guests.file("app.toml", manifest);
    runtimes.guests.file("ticker.wat", ticker(1));
    runtimes.guests.file("silent.wat", says("first", LIVES_ON));
    let program = Watched::start(runtimes.lunatic(&["start", "--watch", "app.toml"]));
    let first = tick(&program, 1);
    // One that offers its state moves.
    runtimes.guests.file("ticker.wat", ticker(2));
    assert!(tick(&program, 2) > first);
    // One that offers nothing is started again.
    runtimes.guests.file("silent.wat", says("second", LIVES_ON));
    program.prints("second");
    runtimes
        .guests
        .file("silent.wat", "(module (func (export \"_start\") nonsense))");
    program.says("goes on with the old version");
    tick(&program, 2);
}

#[test]
fn a_command_without_a_watch_is_a_mistake() {
    let runtimes = Runtimes::new();
    let ran = runtimes.run(&["run", "--build", "true", "app.wat"]);
    ran.code(2).says(&["--watch"]);
    let ran = runtimes.run(&["run", "--build", "true", "--invoke", "add", "app.wat"]);
    ran.code(2).says(&["--build"]);
}
