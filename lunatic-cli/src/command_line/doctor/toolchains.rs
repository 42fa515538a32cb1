//! What compiles guests, by language.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command_line::doctor::Finding;

/// A program that takes longer to tell its version is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The languages, in the order in which they are listed.
const LANGUAGES: [&str; 7] = ["Rust", "C", "C++", "Zig", "Go", "TinyGo", "AssemblyScript"];

pub(super) fn toolchains() -> Vec<Finding> {
    LANGUAGES.into_iter().filter_map(toolchain).collect()
}

/// What there is of one language; `None` if it is none of [`LANGUAGES`].
pub(super) fn toolchain(language: &str) -> Option<Finding> {
    Some(match language {
        "Rust" => rust(),
        "C" => c(&C),
        "C++" => c(&CPP),
        "Zig" => by_version(
            "Zig",
            "zig",
            &["version"],
            "zig build-exe -target wasm32-wasi",
        ),
        "Go" => by_version(
            "Go",
            "go",
            &["version"],
            "GOOS=wasip1 GOARCH=wasm go build; Go is at https://go.dev/dl",
        ),
        "TinyGo" => by_version(
            "TinyGo",
            "tinygo",
            &["version"],
            "tinygo build -target=wasip1; TinyGo is at https://tinygo.org",
        ),
        "AssemblyScript" => by_version(
            "AssemblyScript",
            "npm",
            &["--version"],
            "npm install assemblyscript @assemblyscript/wasi-shim (the version is that of npm)",
        ),
        _ => return None,
    })
}

fn rust() -> Finding {
    const TARGET: &str = "wasm32-wasip1";
    let Some(version) = output("rustc", &["--version"]) else {
        return Finding::new("Rust", false, "not found", "https://rustup.rs");
    };
    let libraries = output("rustc", &["--print=target-libdir", "--target", TARGET]);
    match libraries.is_some_and(|path| Path::new(&path).is_dir()) {
        true => Finding::new(
            "Rust",
            true,
            format!("{version}, with {TARGET}"),
            "cargo build --target wasm32-wasip1",
        ),
        false => Finding::new(
            "Rust",
            false,
            format!("{version}, without {TARGET}"),
            "rustup target add wasm32-wasip1",
        ),
    }
}

/// What clang compiles.
struct Clang {
    language: &'static str,
    program: &'static str,
    usage: &'static str,
    /// What it needs: the question to clang where that is, and its name.
    parts: &'static [(&'static str, &'static str)],
}

const C: Clang = Clang {
    language: "C",
    program: "clang",
    usage: "clang --target=wasm32-wasi; it needs lld and a C library: Debian's lld, wasi-libc and \
            libclang-rt-dev-wasm32, or wasi-sdk",
    parts: &[LINKER, C_LIBRARY],
};

const CPP: Clang = Clang {
    language: "C++",
    program: "clang++",
    usage: "clang++ --target=wasm32-wasi -fno-exceptions; it needs what C needs, and a C++ library: \
            Debian's libc++-dev-wasm32 and libc++abi-dev-wasm32, or wasi-sdk",
    parts: &[
        LINKER,
        C_LIBRARY,
        ("-print-file-name=libc++.a", "a C++ library"),
    ],
};

const LINKER: (&str, &str) = ("-print-prog-name=wasm-ld", "`wasm-ld`");
const C_LIBRARY: (&str, &str) = ("-print-file-name=crt1.o", "a C library");

/// A compiler alone makes no program: it needs a linker and libraries.
fn c(clang: &Clang) -> Finding {
    let Clang {
        language,
        program,
        usage,
        parts,
    } = *clang;
    let Some(version) = output(program, &["--version"]) else {
        let found = format!("there is no `{program}`");
        return Finding::new(language, false, found, usage);
    };
    // Of what it does not find, clang prints the name alone.
    let has = |what: &str| {
        let path = output(program, &["--target=wasm32-wasi", what]);
        path.is_some_and(|path| Path::new(&path).is_absolute())
    };
    let missing = parts.iter().filter(|(what, _)| !has(what));
    let missing: Vec<_> = missing.map(|(_, name)| *name).collect();
    match missing.is_empty() {
        true => Finding::new(language, true, version, usage),
        false => Finding::new(
            language,
            false,
            format!("{version}, without {}", missing.join(" and ")),
            usage,
        ),
    }
}

fn by_version(language: &'static str, program: &str, arguments: &[&str], usage: &str) -> Finding {
    match output(program, arguments) {
        Some(version) => Finding::new(language, true, version, usage),
        None => Finding::new(language, false, format!("there is no `{program}`"), usage),
    }
}

/// The first line that a program prints, if it can be run and succeeds in time.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().ok();
                child.wait().ok();
                return None;
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut text = String::new();
    let mut out = child.stdout.take()?.take(4096);
    out.read_to_string(&mut text).ok()?;
    status
        .success()
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}
