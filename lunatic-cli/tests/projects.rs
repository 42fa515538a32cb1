//! `lunatic new` and `lunatic init`, and what a person types then.
//!
//! Projects in Rust need a toolchain with `wasm32-wasip1` (`cargo xtask test` names one) and
//! the packages that `guests/` uses, those in C need clang with a C library for WASI. Where
//! they are not, the test is skipped loudly.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::program::{Guests, lunatic};
use harness::runtimes::Running;
use harness::watched::Watched;
use lunatic_testkit::program::{Ran, ran};
use lunatic_testkit::{TIMEOUT, skipped};

/// How `cargo xtask test` names the variables for cargo that it builds guests with.
const PREFIX: &str = "LUNATIC_GUEST_CARGO_";

/// A folder with projects, and what is typed there.
struct Desk {
    guests: Guests,
    bin: PathBuf,
}

impl Desk {
    fn new() -> Desk {
        let guests = Guests::new();
        let bin = guests.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let program = lunatic().get_program().to_owned();
        std::os::unix::fs::symlink(program, bin.join("lunatic")).unwrap();
        Desk { guests, bin }
    }

    /// A command in a project.
    fn command(&self, project: &str, line: &str) -> Command {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        // What cargo and xtask tell this test is not for the project.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let is_foreign =
                name.starts_with("NEXTEST") || name.starts_with("CARGO_") && name != "CARGO_HOME";
            if is_foreign || ["RUSTC", "RUSTFLAGS", "RUST_LOG"].contains(&name.as_str()) {
                command.env_remove(&name);
            }
        }
        for (name, value) in std::env::vars() {
            if let Some(name) = name.strip_prefix(PREFIX) {
                command.env(name, value);
            }
        }
        let path = std::env::var("PATH").unwrap();
        command
            .args(words)
            .current_dir(self.guests.path().join(project))
            .env("PATH", format!("{}:{path}", self.bin.display()))
            .env("CARGO_NET_OFFLINE", "true")
            .env("XDG_RUNTIME_DIR", self.guests.path())
            .stdin(Stdio::null());
        command
    }

    fn types(&self, project: &str, line: &str) -> Ran {
        ran(&mut self.command(project, line))
    }

    /// Starts a command that watches, waits until it prints a line, changes the first word of that
    /// in its source, and waits until it prints it so.
    ///
    /// - `text`: how the line begins, as it stands in the source.
    fn edits(&self, project: &str, watching: Command, source: &str, text: &str) {
        let (word, rest) = text.split_once(' ').unwrap();
        let shown = rest.split('{').next().unwrap();
        let is_tree = watching.get_args().any(|argument| argument == "start");
        let program = Watched::start(watching);
        program.begins(&format!("{word} {shown}"));
        let source = self.guests.path().join(project).join(source);
        let old = fs::read_to_string(&source).unwrap();
        assert_eq!(old.matches(&format!("\"{text}")).count(), 1, "{old}");
        let new = old.replace(&format!("\"{text}"), &format!("\"fresh {rest}"));
        // A mistake first: the old code stays.
        fs::write(&source, new.replacen('(', "[", 1)).unwrap();
        program.says("has failed");
        fs::write(&source, new).unwrap();
        program.begins(&format!("fresh {shown}"));
        // A supervision tree is closed in good order.
        program.interrupt(if is_tree { 0 } else { 130 });
    }

    /// Copies what is to be put onto a machine into a folder of its own, and starts it there.
    fn elsewhere(&self, project: &str, files: &[&str], line: &str) -> Command {
        let place = format!("{project}-elsewhere");
        fs::create_dir(self.guests.path().join(&place)).unwrap();
        for file in files {
            let from = self.guests.path().join(project).join(file);
            let name = Path::new(file).file_name().unwrap();
            fs::copy(from, self.guests.path().join(&place).join(name)).unwrap();
        }
        self.command(&place, line)
    }

    /// Makes a project in Rust. It shares its `target` with all others, and has the versions
    /// of its dependencies that were fetched for `guests/`.
    fn rust_project(&self, template: &str) -> String {
        self.named_rust_project(template, &format!("my-{template}"))
    }

    /// The same, under a name that no other test gives: what is built of two projects of one
    /// name would be mistaken for each other.
    fn named_rust_project(&self, template: &str, name: &str) -> String {
        self.types("", &format!("lunatic new --template {template} {name}"))
            .code(0)
            .prints(&format!("cd {name}"));
        let project = self.guests.path().join(name);
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("projects");
        fs::create_dir_all(&target).unwrap();
        std::os::unix::fs::symlink(target, project.join("target")).unwrap();
        let versions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/Cargo.lock");
        fs::copy(versions, project.join("Cargo.lock")).unwrap();
        name.to_owned()
    }
}

/// Whether cargo can build guests here.
fn can_build_rust() -> bool {
    if std::env::vars().any(|(name, _)| name.starts_with(PREFIX)) {
        return true;
    }
    let mut rustc = Command::new("rustc");
    rustc.args(["--print=target-libdir", "--target", "wasm32-wasip1"]);
    let is_there = rustc.output().is_ok_and(|output| {
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&path).is_dir()
    });
    if !is_there {
        skipped("there is no Rust with wasm32-wasip1; `cargo xtask test` finds one");
    }
    is_there
}

#[test]
fn a_new_program_in_rust_builds_passes_its_test_and_runs() {
    if !can_build_rust() {
        return;
    }
    let desk = Desk::new();
    let name = desk.rust_project("bin");
    desk.types(&name, "cargo build").code(0);
    desk.types(&name, "cargo test")
        .code(0)
        .prints("test my_bin::tests::squares_are_added_up ... ok\n")
        .prints("test result: ok. 1 passed");
    desk.types(&name, "cargo run")
        .code(0)
        .prints("a hundred processes say 328350\n");
    // It is as `lunatic init` wants it already.
    desk.types(&name, "lunatic init")
        .code(0)
        .prints("is as it should be");
    let module = format!("target/wasm32-wasip1/debug/{name}.wasm");
    let watch = desk.command(&name, &format!("lunatic run --watch {module}"));
    desk.edits(&name, watch, "src/main.rs", "a hundred processes say");
    desk.types(&name, "cargo package --allow-dirty --no-verify --quiet")
        .code(0);
    let run = format!("lunatic run --sandbox {name}.wasm");
    ran(&mut desk.elsewhere(&name, &[&module], &run))
        .code(0)
        .prints("fresh hundred processes say 328350\n");
}

/// Tests of both kinds, of which some fail.
const MIXED: &str = r#"
fn main() {}

#[cfg(test)]
mod tests {
    #[test]
    fn plain_adds() {
        println!("said by a plain test");
        assert_eq!(1 + 1, 2);
    }

    #[test]
    fn plain_fails() {
        assert_eq!(1 + 1, 3, "the sum");
    }

    #[test]
    fn plain_returns_an_error() -> Result<(), String> {
        Err("no luck".into())
    }

    #[test]
    #[ignore]
    fn plain_rests() {}

    #[test]
    #[should_panic]
    fn plain_panics() {
        panic!();
    }

    #[lunatic::test]
    fn process_passes() {}

    #[lunatic::test]
    fn process_fails() {
        assert_eq!("one", "two");
    }
}
"#;

#[test]
fn plain_tests_beside_those_of_lunatic_are_run_and_show_their_assertions() {
    if !can_build_rust() {
        return;
    }
    let desk = Desk::new();
    let name = desk.named_rust_project("bin", "my-mixed");
    fs::write(desk.guests.path().join(&name).join("src/main.rs"), MIXED).unwrap();
    let tests = desk.types(&name, "cargo test");
    assert_ne!(tests.code, Some(0), "{tests:?}");
    tests
        .prints("running 7 tests\n")
        .prints("test tests::plain_adds ... ok\n")
        .prints("test tests::plain_fails ... FAILED\n")
        .prints("test tests::plain_rests ... ignored\n")
        .prints("test tests::plain_panics ... ignored\n")
        .prints("test my_mixed::tests::process_passes ... ok\n")
        .prints("assertion `left == right` failed: the sum\n  left: 2\n right: 3\n")
        .prints("---- tests::plain_returns_an_error stdout ----\nError: \"no luck\"\n")
        .prints_not("said by a plain test")
        .prints("test result: FAILED. 2 passed; 3 failed; 2 ignored; ");
    desk.types(&name, "cargo test -- plain_adds --nocapture")
        .code(0)
        .prints("said by a plain test\ntest tests::plain_adds ... ok\n")
        .prints("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 6 filtered out");
    desk.types(&name, "cargo test -- --list --format terse --ignored")
        .code(0)
        .prints("tests::plain_rests: test\n")
        .prints_not("plain_adds");
}

#[test]
fn nextest_lists_and_runs_the_tests() {
    if !can_build_rust() {
        return;
    }
    let desk = Desk::new();
    let there = desk.command("", "cargo nextest --version").output();
    if !there.is_ok_and(|output| output.status.success()) {
        return skipped("there is no cargo-nextest");
    }
    let name = desk.named_rust_project("bin", "my-nextest");
    desk.types(&name, "cargo nextest run --no-fail-fast")
        .code(0);
    fs::write(desk.guests.path().join(&name).join("src/main.rs"), MIXED).unwrap();
    let tests = desk.types(&name, "cargo nextest run --no-fail-fast --color never");
    assert_eq!(tests.code, Some(100), "{tests:?}");
    for part in [
        "my-nextest::bin/my-nextest my_nextest::tests::process_passes\n",
        "my-nextest::bin/my-nextest tests::plain_adds\n",
        "assertion `left == right` failed: the sum\n",
        "Summary [",
        "6 tests run: 3 passed, 3 failed, 1 skipped",
    ] {
        assert!(tests.err.contains(part), "no {part:?} in {}", tests.err);
    }
    desk.types(&name, "cargo nextest run --run-ignored only")
        .code(0);
}

#[test]
fn a_new_server_builds_passes_its_test_and_serves() {
    if !can_build_rust() {
        return;
    }
    let desk = Desk::new();
    let name = desk.rust_project("server");
    desk.types(&name, "cargo test")
        .code(0)
        .prints("test result: ok. 1 passed");
    desk.types(&name, "cargo build").code(0);
    let line = format!("lunatic target/wasm32-wasip1/debug/{name}.wasm 127.0.0.1:0");
    let mut command = desk.command(&name, &line);
    let mut server = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(server.0.stdout.take().unwrap());
    let mut said = String::new();
    out.read_line(&mut said).unwrap();
    let address = said.trim().strip_prefix("listening on ").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
    drop((stream, server));

    let module = format!("target/wasm32-wasip1/debug/{name}.wasm");
    let watch = format!("lunatic run --watch {module} 127.0.0.1:0");
    let watch = desk.command(&name, &watch);
    desk.edits(&name, watch, "src/main.rs", "listening on");
    let run = format!("lunatic run --sandbox --allow-net bind:127.0.0.1 {name}.wasm 127.0.0.1:0");
    let copy = Watched::start(desk.elsewhere(&name, &[&module], &run));
    copy.begins("fresh on 127.0.0.1:");
    copy.interrupt(130);
}

#[test]
fn a_new_supervised_worker_builds_passes_its_tests_and_is_restarted() {
    if !can_build_rust() {
        return;
    }
    let desk = Desk::new();
    let name = desk.rust_project("supervised");
    desk.types(&name, "cargo test")
        .code(0)
        .prints("test result: ok. 2 passed");
    desk.types(&name, "cargo build").code(0);
    desk.types(&name, "lunatic check app.toml").code(0);
    let tree = Watched::start(desk.command(&name, "lunatic start app.toml"));
    assert!(tree.says("restarting after").contains("child=worker-"));
    tree.interrupt(0);
    let watch = desk.command(&name, "lunatic start --watch app.toml");
    desk.edits(&name, watch, "src/main.rs", "round {round}");
    // What is put onto a machine: the manifest, and the module beside it.
    let module = format!("target/wasm32-wasip1/debug/{name}.wasm");
    let copy = desk.elsewhere(&name, &[&module, "app.toml"], "lunatic start app.toml");
    let manifest = desk
        .guests
        .path()
        .join(format!("{name}-elsewhere/app.toml"));
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("target/wasm32-wasip1/debug/", "")).unwrap();
    let copy = Watched::start(copy);
    copy.begins("fresh 2");
    copy.interrupt(0);
}

#[test]
fn a_new_program_in_c_builds_passes_its_test_and_runs() {
    let desk = Desk::new();
    desk.types("", "lunatic new --template c sums").code(0);
    let built = desk.command("sums", "make").output();
    match built {
        Ok(output) if output.status.success() => {}
        other => {
            let has_c = std::env::var_os("LUNATIC_C_GUESTS").is_some();
            assert!(!has_c, "{other:?}");
            skipped("there is no `make`, or no clang with a C library for WASI");
            return;
        }
    }
    desk.types("sums", "make test").code(0);
    desk.types("sums", "make run")
        .code(0)
        .prints("two processes say 25\n");
    let mut watch = desk.command("sums", "lunatic run --watch");
    watch.args(["--build", "make", "sums.wasm"]);
    desk.edits("sums", watch, "main.c", "two processes say");
    let mut copy = desk.elsewhere("sums", &["sums.wasm"], "lunatic run --sandbox sums.wasm");
    ran(&mut copy).code(0).prints("fresh processes say 25\n");
}

#[test]
fn a_new_program_in_go_builds_passes_its_test_and_runs() {
    let desk = Desk::new();
    desk.types("", "lunatic new --template go sums").code(0);
    // `cargo xtask languages --fetch` brings one.
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/languages/python/bin/go");
    let go = match fetched.exists() {
        true => fetched.canonicalize().unwrap(),
        false => "go".into(),
    };
    let with_go = |mut command: Command| {
        command
            .env("GO", &go)
            .env(
                "GOCACHE",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"),
            )
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local");
        command
    };
    let command = |line: &str| with_go(desk.command("sums", line));
    // Whether there is one is not known by its name: older ones cannot do it.
    let mut version = Command::new(&go);
    let version = version.arg("version").output();
    if !version.is_ok_and(|output| can_build_go(&String::from_utf8_lossy(&output.stdout))) {
        return skipped("there is no Go 1.24 or later");
    }
    // With the Go of the environment.
    ran(&mut command("make -e test")).code(0);
    ran(&mut command("make -e run"))
        .code(0)
        .prints("two processes say 25\na linked process has failed: true\n");
    let mut watch = command("lunatic run --watch");
    watch.args(["--build", "make -e", "sums.wasm"]);
    desk.edits("sums", watch, "main.go", "two processes say");
    let mut copy = desk.elsewhere("sums", &["sums.wasm"], "lunatic run --sandbox sums.wasm");
    ran(&mut copy).code(0).prints("fresh processes say 25\n");
}

/// Whether this is what Go 1.24 or later says of its version.
fn can_build_go(version: &str) -> bool {
    let minor = version
        .strip_prefix("go version go1.")
        .and_then(|rest| rest.split(['.', ' ']).next()?.parse().ok());
    minor.is_some_and(|minor: u32| minor >= 24)
}

#[test]
fn a_new_program_in_assemblyscript_builds_passes_its_test_and_runs() {
    let desk = Desk::new();
    desk.types("", "lunatic new --template assemblyscript sums")
        .code(0);
    // The compiler as `cargo xtask guests` has installed it, in place of `npm install`.
    let modules =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/assemblyscript/node_modules");
    if !modules.join("assemblyscript").exists() {
        return skipped("there is no compiler of AssemblyScript; `cargo xtask guests` installs it");
    }
    let project = desk.guests.path().join("sums");
    std::os::unix::fs::symlink(
        modules.canonicalize().unwrap(),
        project.join("node_modules"),
    )
    .unwrap();
    desk.types("sums", "npm --silent test").code(0);
    desk.types("sums", "npm --silent start")
        .code(0)
        .prints("two processes say 25\na linked process has failed: true\n");
    let mut watch = desk.command("sums", "lunatic run --watch");
    watch.args(["--build", "npm --silent run build", "sums.wasm"]);
    desk.edits("sums", watch, "main.ts", "two processes say");
    let mut copy = desk.elsewhere("sums", &["sums.wasm"], "lunatic run --sandbox sums.wasm");
    ran(&mut copy).code(0).prints("fresh processes say 25\n");
}

#[test]
fn what_cannot_be_a_new_project_is_told() {
    let guests = Guests::new();
    fs::create_dir(guests.path().join("there")).unwrap();
    guests
        .run(&["new", "there"])
        .code(1)
        .says(&["`there` is there already", "lunatic init"]);
    for (name, help) in [
        ("1st", "a letter from a to z"),
        ("a b", "a letter from a to z"),
        ("ä", "a letter from a to z"),
        ("lunatic", "a package that the project needs"),
        ("fn", "a keyword of Rust"),
        ("proc-macro", "a library of Rust"),
        ("examples", "a directory that cargo makes"),
    ] {
        guests
            .run(&["new", name])
            .code(1)
            .says(&["cannot be the name of a project", help]);
        assert!(!guests.path().join(name).join("Cargo.toml").exists());
    }
    for name in [".", "..", "/"] {
        guests
            .run(&["new", name])
            .code(1)
            .says(&["names no new directory", "lunatic init"]);
        assert!(!guests.path().join(name).join("Cargo.toml").exists());
    }
    guests
        .run(&["new", "--template", "cobol", "x"])
        .code(2)
        .says(&["supervised"]);
}

#[test]
fn names_are_those_of_the_language_of_the_template() {
    let guests = Guests::new();
    // It is a package of Go's, and a keyword of Rust.
    for (template, name) in [("go", "fmt"), ("assemblyscript", "as"), ("c", "fn")] {
        let args = ["new", "--template", template, name];
        guests.run(&args).code(0).prints(&format!("made `{name}`"));
    }
    let module = fs::read_to_string(guests.path().join("fmt/go.mod")).unwrap();
    assert!(module.starts_with("module example.com/fmt\n"), "{module}");
    for (template, name) in [("go", "vendor"), ("assemblyscript", "node_modules")] {
        let args = ["new", "--template", template, name];
        guests.run(&args).code(1).says(&["take `my-"]);
    }
}

#[test]
fn what_the_compiler_of_a_new_project_lacks_is_told() {
    let guests = Guests::new();
    for (template, hint) in [
        ("c", "clang"),
        ("go", "https://go.dev"),
        ("assemblyscript", "npm"),
    ] {
        let mut command = guests.lunatic();
        command
            .args(["new", "--template", template, &format!("in-{template}")])
            .env("PATH", guests.path());
        ran(&mut command).code(0).prints(hint);
    }
}

#[test]
fn a_new_project_in_a_workspace_stands_alone_unless_it_is_a_member() {
    let guests = Guests::new();
    guests.file(
        "Cargo.toml",
        "[workspace]\nmembers = [\"guests/*\"]\nexclude = [\"others\"]\n",
    );
    for (path, stands_alone) in [("squares", true), ("guests/a", false), ("others/a", false)] {
        guests.run(&["new", path]).code(0);
        let manifest = guests.path().join(path).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        assert_eq!(text.contains("\n[workspace]\n"), stands_alone, "{path}");
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]);
        // Cargo refuses what is in a workspace by its place and not by its members.
        ran(cargo.current_dir(guests.path().join(path))).code(0);
    }
}

#[test]
fn a_project_in_a_directory_with_a_space_is_entered_by_what_is_printed() {
    let guests = Guests::new();
    let made = guests.run(&["new", "--template", "c", "my projects/squares"]);
    let told = made.code(0).out.clone();
    let enter = told.lines().find(|line| line.contains("cd ")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{enter} && ls main.c")]);
    ran(shell.current_dir(guests.path()))
        .code(0)
        .prints("main.c");
}

#[test]
fn a_project_whose_manifest_cannot_be_read_is_not_initialised() {
    let guests = Guests::new();
    guests.file("Cargo.toml", "[package");
    guests
        .run(&["init"])
        .code(1)
        .says(&["Cargo.toml cannot be read", "nothing was changed"]);
    assert!(!guests.path().join(".cargo").exists());
}

#[test]
fn a_project_is_initialised_once_and_keeps_its_comments() {
    let guests = Guests::new();
    guests
        .run(&["init"])
        .code(1)
        .says(&["no Cargo.toml here", "lunatic new"]);
    guests.file("Cargo.toml", "[package]\nname = \"own\"\n");
    fs::create_dir(guests.path().join(".cargo")).unwrap();
    let config = guests.file(
        ".cargo/config.toml",
        "# mine\n[target.wasm32-wasip1]\nrunner = \"wasmtime\" # until now\n",
    );
    guests
        .run(&["init"])
        .code(0)
        .prints("build.target is `wasm32-wasip1`\n")
        .prints("target.wasm32-wasip1.runner is `lunatic run`, and was \"wasmtime\"")
        .prints("cargo add lunatic");
    let text = fs::read_to_string(&config).unwrap();
    for part in [
        "# mine\n",
        "runner = \"lunatic run\" # until now\n",
        "[build]\ntarget = \"wasm32-wasip1\"\n",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    guests.run(&["init"]).code(0).prints("is as it should be");
    assert_eq!(fs::read_to_string(&config).unwrap(), text);
    fs::write(&config, "[build").unwrap();
    guests.run(&["init"]).code(1).says(&["nothing was changed"]);
}
