//! What somebody is told who tries the program for the first time.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::program::{Guests, lunatic};
use lunatic_testkit::program::ran;
use lunatic_testkit::skipped;

const RETURNS: &str = r#"(module (func (export "_start")))"#;

#[test]
fn flags_are_checked_before_the_module_is_looked_at() {
    let guests = Guests::new();
    guests.file("broken.wat", "(module (nonsense))");
    for command in ["run", "test"] {
        let ran = guests.run(&[command, "--dir", "missing", "broken.wat"]);
        ran.code(1)
            .says(&["cannot open the directory `missing`", "--dir"]);
        assert!(!ran.err.contains("nonsense"), "{}", ran.err);
        let ran = guests.run(&[command, "--env-file", "missing", "broken.wat"]);
        ran.code(1).says(&["cannot read --env-file `missing`"]);
        assert!(!ran.err.contains("nonsense"), "{}", ran.err);
    }
}

#[test]
fn a_directory_can_be_given_to_read_and_write_in_so_many_words() {
    let guests = Guests::new();
    guests.file("guest.wat", RETURNS);
    std::fs::create_dir(guests.path().join("d")).unwrap();
    for dir in ["d:rw", "d::data:rw", "d:ro"] {
        guests.run(&["run", "--dir", dir, "guest.wat"]).code(0);
    }
}

/// A binary module that takes a second or more to compile.
fn large() -> Vec<u8> {
    const FUNCTIONS: u32 = 12_000;
    let leb = |mut value: u32| {
        let mut bytes = Vec::new();
        loop {
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                bytes.push(byte);
                return bytes;
            }
            bytes.push(byte | 0x80);
        }
    };
    let section = |id: u8, content: &[u8]| [&[id], &*leb(content.len() as u32), content].concat();
    // One local; it is added to itself, stored and loaded, often.
    let step = [
        0x41, 0, 0x20, 0, 0x36, 2, 0, 0x41, 0, 0x28, 2, 0, 0x20, 0, 0x6a, 0x21, 0,
    ];
    let body = [&[1, 1, 0x7f][..], &step.repeat(60), &[0x0b]].concat();
    let body = [leb(body.len() as u32), body].concat();
    let count = leb(FUNCTIONS);
    let start = [&[1, 6][..], b"_start", &[0, 0]].concat();
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(section(1, &[1, 0x60, 0, 0]));
    module.extend(section(
        3,
        &[&count, &vec![0; FUNCTIONS as usize][..]].concat(),
    ));
    module.extend(section(5, &[1, 0, 1]));
    module.extend(section(7, &start));
    module.extend(section(
        10,
        &[&count, &body.repeat(FUNCTIONS as usize)[..]].concat(),
    ));
    module
}

/// What the program says on a terminal, if there is `script` to make one.
fn on_a_terminal(guests: &Guests, arguments: &str) -> Option<String> {
    let program = lunatic().get_program().to_owned();
    let line = format!("{} {arguments}", program.to_str().unwrap());
    let mut script = Command::new("script");
    script
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_remove("RUST_LOG")
        .current_dir(guests.path())
        .stdin(Stdio::null());
    let Ok(output) = script.output() else {
        skipped("there is no program `script`");
        return None;
    };
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_long_compilation_is_told_on_a_terminal() {
    let guests = Guests::new();
    guests.file("large.wasm", large());
    let Some(said) = on_a_terminal(&guests, "run --no-cache large.wasm") else {
        return;
    };
    assert!(said.contains("compiling large.wasm ("), "{said}");
    // It is for people.
    guests
        .run(&["run", "--no-cache", "large.wasm"])
        .code(0)
        .is_silent();
}

/// How many compiled modules are kept.
fn compiled(caches: &Path) -> usize {
    let entries = fs::read_dir(caches.join("lunatic")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "code")
        })
        .count()
}

#[test]
fn a_module_whose_imports_are_missing_is_not_compiled() {
    let guests = Guests::new();
    let run = |name: &str, caches: &str| {
        let mut command = guests.lunatic();
        let caches = guests.path().join(caches);
        command.args(["run", name]).env("XDG_CACHE_HOME", &caches);
        (ran(&mut command), caches)
    };
    for number in 1..=3 {
        let with = |import: &str| {
            format!("(module {import} (func (export \"_start\") i32.const {number} drop))")
        };
        guests.file("imports.wat", with("(import \"elsewhere\" \"f\" (func))"));
        let (ran, caches) = run("imports.wat", "refused");
        ran.code(1).says(&["elsewhere::f (func)"]);
        assert_eq!(compiled(&caches), 0);
        guests.file("plain.wat", with(""));
        let (ran, caches) = run("plain.wat", "accepted");
        ran.code(0);
        assert_eq!(compiled(&caches), number);
    }
}

#[test]
fn a_second_start_uses_what_the_first_has_compiled() {
    let guests = Guests::new();
    guests.file("guest.wat", RETURNS);
    let caches = guests.path().join("caches");
    let run = || {
        let mut command = guests.lunatic();
        command.args(["run", "guest.wat"]);
        ran(command.env("XDG_CACHE_HOME", &caches))
            .code(0)
            .is_silent();
        let entries = fs::read_dir(caches.join("lunatic")).unwrap();
        let files = entries.map(|entry| entry.unwrap());
        // A file that is written again is another one.
        let mut files: Vec<_> = files.map(|file| (file.file_name(), file.ino())).collect();
        files.sort();
        files
    };
    let first = run();
    assert_eq!(first.len(), 2, "{first:?}");
    assert_eq!(run(), first);
    // Whatever has become of them.
    for (name, _) in &first {
        fs::write(caches.join("lunatic").join(name), "garbage").unwrap();
    }
    let third = run();
    assert!(
        first
            .iter()
            .zip(&third)
            .all(|(first, third)| first.0 == third.0 && first.1 != third.1)
    );
    assert_eq!(run(), third);
}

#[test]
fn imports_of_other_hosts_are_told_with_a_remedy() {
    let guests = Guests::new();
    for (namespace, name, says) in [
        ("wasi_unstable", "fd_write", "WASI of 2019"),
        ("wbg", "__wbg_log_1", "wasm-bindgen"),
        (
            "__wbindgen_placeholder__",
            "__wbindgen_describe",
            "wasm-bindgen",
        ),
        ("env", "abort", "@assemblyscript/wasi-shim"),
        ("env", "emscripten_resize_heap", "-sSTANDALONE_WASM"),
        ("env", "invoke_vi", "Emscripten"),
        ("gojs", "runtime.wasmExit", "GOOS=wasip1"),
        ("wasi", "thread-spawn", "processes in place of threads"),
        ("wasi:cli/environment@0.2.0", "get-environment", "component"),
        ("rb-js-abi-host", "eval-js", "ruby.wasm"),
        ("javy_quickjs_provider_v3", "invoke", "-C dynamic"),
        ("env", "of_my_own", "--allow-undefined"),
        ("elsewhere", "f", "host interface of version 0.13"),
    ] {
        let text = format!(r#"(module (import "{namespace}" "{name}" (func)))"#);
        guests.file("imports.wat", text);
        guests
            .run(&["run", "imports.wat"])
            .code(1)
            .says(&[&format!("{namespace}::{name}"), says]);
    }
}

#[test]
fn a_long_list_of_imports_is_cut() {
    let guests = Guests::new();
    let imports: String = (0..50)
        .map(|number| format!(r#"(import "env" "f{number:02}" (func))"#))
        .collect();
    guests.file("imports.wat", format!("(module {imports})"));
    let ran = guests.run(&["run", "imports.wat"]);
    ran.code(1).says(&["env::f09", "and 40 more"]);
    assert!(!ran.err.contains("f10"), "{}", ran.err);
}

#[test]
fn a_component_is_told_in_text_too() {
    let guests = Guests::new();
    guests.file("component.wat", "(component)");
    guests.file("component.wasm", b"\0asm\x0d\0\x01\0");
    for name in ["component.wat", "component.wasm"] {
        guests
            .run(&["run", name])
            .code(1)
            .says(&["is a component", "wasm32-wasip1"]);
    }
}

#[test]
fn a_proposal_that_is_off_is_named_with_the_switch_of_the_compiler() {
    let guests = Guests::new();
    for (text, proposal, switch) in [
        (
            "(func try catch_all end)",
            "legacy-exceptions",
            "-wasm-use-legacy-eh=false",
        ),
        ("(type (struct))", "gc", "Kotlin"),
        ("(memory i64 1)", "memory64", "wasm32"),
        ("(memory 1 1 shared)", "threads", "-pthread"),
        (
            "(func (param i64 i64) (drop (drop (i64.mul_wide_s (local.get 0) (local.get 1)))))",
            "wide-arithmetic",
            "-mno-wide-arithmetic",
        ),
    ] {
        guests.file("uses.wat", format!("(module {text})"));
        let ran = guests.run(&["run", "uses.wat"]);
        ran.code(1)
            .says(&["uses.wat", &format!("proposal `{proposal}`"), switch]);
    }
}

#[test]
fn a_module_without_tests_is_told_what_tests_are() {
    let guests = Guests::new();
    guests.file("program.wat", RETURNS);
    guests.file("library.wat", "(module)");
    guests.run(&["test", "program.wat"]).code(1).says(&[
        "`program.wat` has no tests",
        "#[lunatic::test]",
        "lunatic run program.wat",
    ]);
    guests
        .run(&["test", "library.wat"])
        .code(1)
        .says(&["has no tests", "cargo test --no-run"]);
}

#[test]
fn functions_of_c_keep_their_names_in_a_backtrace() {
    let guests = Guests::new();
    let text = r#"(module
        (func $i unreachable)
        (func $f (call $i))
        (func $_Z3addii (call $f))
        (func (export "_start") (call $_Z3addii)))"#;
    guests.file("names.wat", text);
    let ran = guests.run(&["run", "names.wat"]);
    ran.code(1).says(&["!i\n", "!f\n", "!add\n"]);
    for word in ["float", "WASMTIME"] {
        assert!(!ran.err.contains(word), "{}", ran.err);
    }
}

#[test]
fn a_start_that_takes_a_parameter_is_told() {
    let guests = Guests::new();
    guests.file(
        "takes.wat",
        r#"(module (func (export "_start") (param i32)))"#,
    );
    guests
        .run(&["run", "takes.wat"])
        .code(1)
        .says(&["`_start` takes parameters", "proc_exit"]);
}

#[test]
fn an_environment_that_is_too_long_is_not_repeated() {
    let guests = Guests::new();
    guests.file("guest.wat", RETURNS);
    let long = "x".repeat(100_000);
    let lines: String = (0..30).map(|n| format!("V{n}={long}\n")).collect();
    guests.file("variables", lines);
    let ran = guests.run(&["run", "--env-file", "variables", "guest.wat"]);
    ran.code(1).says(&["take more than"]);
    assert!(ran.err.len() < 1000, "{}", ran.err.len());
}

#[test]
fn a_misspelt_command_is_told_the_one_that_was_meant() {
    let guests = Guests::new();
    guests
        .run(&["chekc"])
        .code(1)
        .says(&["did you mean", "lunatic check"]);
    guests
        .run(&["frobnicate"])
        .code(1)
        .says(&["no command of that name", "lunatic help"]);
}

/// Prints its environment variables, each with a 0 behind it.
const PRINTS_ENVIRONMENT: &str = r#"(module
    (import "wasi_snapshot_preview1" "environ_sizes_get"
        (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get"
        (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 16)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $get (i32.const 0x100) (i32.const 0x10000)))
        (i32.store (i32.const 0) (i32.const 0x10000))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

#[test]
fn the_working_directory_is_not_passed_on_unless_it_is_named() {
    let guests = Guests::new();
    guests.file("guest.wat", PRINTS_ENVIRONMENT);
    let run = |args: &[&str]| {
        let mut command = guests.lunatic();
        command
            .args(args)
            .env("PWD", "/here")
            .env("OLDPWD", "/there")
            .env("GREETING", "hello");
        ran(&mut command)
    };
    run(&["run", "guest.wat"])
        .code(0)
        .prints("GREETING=hello\0")
        .prints_not("PWD");
    run(&["run", "--inherit-env", "--env", "A=b", "guest.wat"])
        .code(0)
        .prints("A=b\0")
        .prints_not("PWD");
    let named = run(&["run", "--env", "PWD", "guest.wat"]);
    assert_eq!(named.code(0).out, "PWD=/here\0");
}

/// Prints the names of its directories, each with a zero byte behind it.
const PRINTS_DIRECTORIES: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_prestat_get"
        (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
        (func $name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $fd i32)
        (local.set $fd (i32.const 3))
        (loop $next
            (if (call $get (local.get $fd) (i32.const 0)) (then (return)))
            (memory.fill (i32.const 0x100) (i32.const 0) (i32.const 0x1000))
            (drop (call $name (local.get $fd) (i32.const 0x100) (i32.load (i32.const 4))))
            (i32.store (i32.const 12) (i32.add (i32.load (i32.const 4)) (i32.const 1)))
            (i32.store (i32.const 8) (i32.const 0x100))
            (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))
            (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
            (br $next))))"#;

#[test]
fn the_current_directory_is_given_by_its_path_first_where_relative_paths_of_go_begin() {
    let guests = Guests::new();
    guests.file("guest.wat", PRINTS_DIRECTORIES);
    let path = guests.path().canonicalize().unwrap();
    let by_default = guests.run(&["run", "guest.wat"]);
    assert_eq!(by_default.code(0).out, format!("{}\0.\0", path.display()));
    let named = guests.run(&["run", "--dir", ".", "guest.wat"]);
    assert_eq!(named.code(0).out, ".\0");
    let none = guests.run(&["run", "--sandbox", "guest.wat"]);
    assert_eq!(none.code(0).out, "");
}

#[test]
fn a_cache_that_cannot_be_written_is_told() {
    let guests = Guests::new();
    guests.file("guest.wat", RETURNS);
    let file = guests.file("no directory", "");
    for command in ["run", "check"] {
        guests.file(
            "app.toml",
            "[[children]]\nname = \"one\"\nmodule = \"guest.wat\"\n",
        );
        let name = if command == "run" {
            "guest.wat"
        } else {
            "app.toml"
        };
        let mut lunatic = guests.lunatic();
        lunatic.args([command, name]).env("XDG_CACHE_HOME", &file);
        ran(&mut lunatic)
            .code(0)
            .says(&["WARN", "compiled modules are not kept"]);
    }
}
