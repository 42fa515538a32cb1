//! What `lunatic help TOPIC` says.

/// Something that is not a command.
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// All topics.
pub(super) const TOPICS: &[Topic] = &[
    Topic {
        name: "permissions",
        text: PERMISSIONS,
    },
    Topic {
        name: "limits",
        text: LIMITS,
    },
    Topic {
        name: "tests",
        text: TESTS,
    },
    Topic {
        name: "cargo",
        text: CARGO,
    },
    Topic {
        name: "manifests",
        text: MANIFESTS,
    },
    Topic {
        name: "reloading",
        text: RELOADING,
    },
    Topic {
        name: "languages",
        text: LANGUAGES,
    },
    Topic {
        name: "exit-codes",
        text: EXIT_CODES,
    },
    Topic {
        name: "variables",
        text: VARIABLES,
    },
];

const PERMISSIONS: &str = "\
What a program may touch is what the command line names. Without any of these flags it has
the current directory, the environment and the network; with one, exactly what is named of
that kind; with --sandbox, nothing but what is named.

  lunatic run --dir ./data::/data:ro app.wasm             # one directory, to read
  lunatic run --env LANG=C --env HOME app.wasm            # two variables
  lunatic run --clear-env app.wasm                        # none
  lunatic run --allow-net localhost:5432 app.wasm         # one host and port
  lunatic run --deny-net 169.254.0.0/16 app.wasm          # all but this network
  lunatic run --sandbox --dir ./in::/in:ro plugin.wasm    # nothing else at all
  lunatic run --manifest app.toml --as web web.wasm       # what a manifest gives a child

A process gives those that it spawns what it has, or less. `lunatic describe` tells what a
module imports, and so what it may want.
";

const LIMITS: &str =
    "  lunatic run --timeout 5s app.wasm           # ends after this time, with exit code 124
  lunatic run --max-fuel 1000 app.wasm        # some 100 million instructions for each process
  lunatic run --max-processes 100 app.wasm    # so many at once
  lunatic run --max-memory 512M app.wasm      # of the whole program
  lunatic run --memory dense app.wasm         # one kind of code for any number of processes
  lunatic run --memory guarded app.wasm       # faster code, and some 16 000 processes at most

A manifest sets `max_memory` and `max_fuel` of each child. `lunatic doctor` tells what this
machine limits.
";

const TESTS: &str = "\
Functions with #[lunatic::test] each run in a process of their own, and so do those with
#[test]. In a project, `cargo test` and `cargo nextest run` run them; of a file:

  lunatic test suite.wasm                                  # all
  lunatic test suite.wasm shop cart                        # names with one of these in them
  lunatic test suite.wasm --exact shop::tests::adds_up     # this one
  lunatic test suite.wasm --skip slow --nocapture
  lunatic test suite.wasm --timeout 10s                    # who hangs is named, with its stack
  lunatic test suite.wasm --test-threads 1 --shuffle random
  lunatic test suite.wasm --junit results.xml              # for a CI server
  lunatic test suite.wasm --format json

Options of the runner stand behind `--` with cargo: cargo test -- --timeout 10s
";

const CARGO: &str = "\
A cargo project is built for wasm32-wasip1 and run by `lunatic run`, as `.cargo/config.toml`
says; `lunatic new` makes such a project and `lunatic init` makes one of what is there.

  lunatic new shop && cd shop && cargo run && cargo test
  lunatic new --template server shop          # or supervised, c, go, assemblyscript
  lunatic init                                # in a project that is there

Without a configuration, `cargo lunatic` says the same on the command line:

  cargo lunatic new shop
  cargo lunatic build --release
  cargo lunatic run -- its own arguments
  cargo lunatic test -- --nocapture
  cargo lunatic watch                         # builds, runs, and reloads after each edit
";

const MANIFESTS: &str = "\
A manifest describes a supervision tree in TOML, without a line of code:

  [[children]]
  name = \"web\"
  module = \"web.wasm\"
  dirs = [\"public::/public:ro\"]
  allow_net = [\"bind:127.0.0.1:8080\"]

  lunatic check app.toml             # all mistakes at once, those in its modules too
  lunatic start app.toml
  lunatic start --watch --build 'cargo build' app.toml
  lunatic run --manifest app.toml --as web web.wasm    # one child alone, with its rights
  lunatic test --manifest app.toml --as web suite.wasm

docs/manifest.md has every key.
";

const RELOADING: &str = "\
A process that offers its state goes on with new code; a program that offers nothing is
replaced as a whole.

  lunatic run --name shop shop.wasm &
  lunatic reload --name shop shop.wasm         # the file is another one by now
  lunatic versions --name shop                 # what runs what
  lunatic run --watch shop.wasm                # reloads whenever the file changes
  lunatic run --watch --build 'cargo build' target/wasm32-wasip1/debug/shop.wasm
";

const LANGUAGES: &str = "\
Everything that compiles to WebAssembly with WASI preview 1 runs; docs/languages.md has a
table with versions, and what works in each.

  Rust            cargo build --target wasm32-wasip1
  C, C++          clang --target=wasm32-wasi -o app.wasm app.c     (wasi-libc, compiler-rt)
  Zig             zig build-exe -target wasm32-wasi app.zig
  Go              GOOS=wasip1 GOARCH=wasm go build -o app.wasm
  AssemblyScript  npx asc app.ts --config node_modules/@assemblyscript/wasi-shim/asconfig.json
  JavaScript, Python, Lua, Ruby                an interpreter that is a module, and the program:
                  lunatic run python.wasm app.py

  lunatic doctor                               # which of these compilers are here
  lunatic new --template go shop               # a project in Go; or c, assemblyscript
";

const EXIT_CODES: &str = "  0        the first process returned, or all tests passed
  1        it trapped or was killed, a test failed, or something cannot be done: the message
           says what, and what to do about it
  2        the command line is wrong
  3        `lunatic reload`: some processes have moved to the new version, and not all
  124      `lunatic run --timeout`: it ran too long
  129-143  a signal ended it
  others   what the program gave to `proc_exit`
";

const VARIABLES: &str =
    "  RUST_LOG            what is logged: error, warn (by default), info, debug, trace
  NO_COLOR            if it is set, nothing is printed in colour; CLICOLOR_FORCE is the contrary
  XDG_CACHE_HOME      where compiled modules are kept, in `lunatic`; by default ~/.cache
  XDG_RUNTIME_DIR     where `lunatic ps` and others find what runs
  CARGO_MANIFEST_DIR  set by cargo: a binary with tests is tested by `lunatic run`
  RUST_TEST_THREADS, RUST_TEST_NOCAPTURE   as the options of the test runner
  RUST_BACKTRACE      has the runtime show where in itself it panicked; each trap and each
                      exception of a guest takes longer then
";
