//! The command line.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::command_line::admin::{self, Naming, ReloadArguments, VersionsArguments};
#[cfg(feature = "distribution")]
use crate::command_line::cluster::ClusterArguments;
use crate::command_line::completions::{Completions, Man};
use crate::command_line::count::at_least_one;
use crate::command_line::doctor::Doctor;
use crate::command_line::engine::Engine;
use crate::command_line::from_manifest::FromManifest;
use crate::command_line::grants::Grants;
use crate::command_line::help::{self, Help};
use crate::command_line::new::New;
#[cfg(not(feature = "distribution"))]
use crate::command_line::no_cluster::{ClusterArguments, NodeArguments};
#[cfg(feature = "distribution")]
use crate::command_line::node::arguments::NodeArguments;
use crate::command_line::recording::Recording;
use crate::command_line::similar::most_similar;
use crate::command_line::testing;
use crate::command_line::time::time_limit;
use crate::command_line::views::Views;

/// An Erlang-inspired runtime for WebAssembly.
///
/// `lunatic PATH` is short for `lunatic run PATH`.
#[derive(Debug, Parser)]
#[command(
    name = "lunatic",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// When to print in colour; `auto` is on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// With `--version`: what the program was built from, too.
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a module: its `_start` is the first process.
    Run(Run),
    /// Run the tests of a module.
    Test(Test),
    /// Start an application: the supervision tree that a manifest describes.
    Start(Start),
    /// Run a node of a cluster, and a program on it.
    Node(Box<NodeArguments>),
    /// Make a cluster, and decide who may join it.
    Cluster(ClusterArguments),
    /// Make a project that builds, runs and has a test.
    New(New),
    /// Have cargo build the project in this directory to WebAssembly, and run it here.
    Init,
    /// Describe a module without running it: what it imports, needs, exports and takes.
    #[command(alias = "inspect-module")]
    Describe(Describe),
    /// Look at this machine: kernel, limits, directories, and toolchains for guests.
    Doctor(Doctor),
    /// Look for mistakes in a manifest, and in what it names, without running it.
    Check(Application),
    /// Exchange the code of processes of a running program, while they live.
    ///
    /// Exits with 0 if all have moved, 1 if nothing has changed, 3 if some have moved.
    Reload(ReloadArguments),
    /// Show the versions of the modules of a running program, and what keeps them.
    Versions(VersionsArguments),
    /// Delete the compiled modules that are kept, or print where they are.
    Cache(Cache),
    /// List the processes of a runtime.
    Ps(admin::Ps),
    /// Tell all that is known of a process: what it waits in, its backtrace, links, names.
    Inspect(admin::Inspect),
    /// Tell what there is of a runtime as a whole.
    Stats(admin::Stats),
    /// List the nodes of a cluster, as one of them knows them.
    Nodes(admin::NodesArguments),
    /// Says what has taken the place of the control server.
    #[command(hide = true)]
    Control(Control),
    /// Kill a process of a runtime.
    Kill(admin::Kill),
    /// Ask a process to exit, as a linked process that ends does: it may trap that.
    Exit(admin::Exit),
    /// Watch a runtime: its processes, and what it did in the last minutes.
    Top(admin::TopArguments),
    /// Stop a process and have its supervisor start it again.
    Restart(admin::Restart),
    /// Show what processes print from now on, and how they end.
    Logs(admin::Logs),
    /// Show what a process does for some time: spawns, messages, links, its end.
    Trace(admin::Trace),
    /// Explain a command, or a topic such as permissions, limits or tests.
    Help(Help),
    /// Print what makes a shell complete the command line.
    Completions(Completions),
    /// Print the manual page of the program or of a command, or write all of them.
    Man(Man),
}

/// What the control server of earlier versions took.
#[derive(Debug, Args)]
pub(crate) struct Control {
    /// Anything.
    #[arg(num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) _arguments: Vec<OsString>,
}

/// A module to describe.
#[derive(Debug, Args)]
pub(crate) struct Describe {
    #[command(flatten)]
    pub(crate) engine: Engine,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// A `.wasm` or `.wat` file.
    pub(crate) path: PathBuf,
}

/// What is to be done with the compiled modules.
#[derive(Debug, Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) action: CacheAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheAction {
    /// Delete all compiled modules.
    Clear,
    /// Print the directory they are in.
    Dir,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  lunatic run app.wasm one --two             # everything after the path is the program's
  lunatic run --dir ./data::/data:ro --env LANG=C --allow-net localhost:5432 app.wasm
  lunatic run --sandbox --timeout 5s --max-processes 100 plugin.wasm
  lunatic run --invoke add library.wasm 2 3
  lunatic run --watch target/wasm32-wasip1/debug/app.wasm     # cargo builds it
  lunatic run --watch --build make app.wasm
  lunatic run --manifest app.toml --as web web.wasm
  lunatic run - < app.wasm")]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) grants: Grants,

    #[command(flatten)]
    pub(crate) from_manifest: FromManifest,

    #[command(flatten)]
    pub(crate) engine: Engine,

    #[command(flatten)]
    pub(crate) naming: Naming,

    #[command(flatten)]
    pub(crate) recording: Recording,

    /// Write which functions run to this file, for the Firefox Profiler
    /// (profiler.firefox.com).
    ///
    /// Of each process of this module that runs, the active functions are noted each
    /// millisecond. Processes that count fuel are not in it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["watch", "max_fuel"])]
    pub(crate) profile: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) views: Views,

    /// Look whether the file changes, and let the new version take the place of the old one.
    ///
    /// Processes that offer their state move to the new version. A program that offers
    /// nothing is replaced: a new `_start` runs beside the old one, takes over its
    /// sockets when it accepts its first connection, and the old processes end with
    /// their connections. If the new version does not load or start, the old one goes on.
    /// If the program ends, its next version is waited for.
    #[arg(long)]
    pub(crate) watch: bool,

    /// What makes the file, for example 'cargo build'.
    ///
    /// It is run at first, and whenever a file below the current directory has changed, or
    /// one of a package elsewhere that the project of cargo's here depends on by its path.
    /// Hidden files do not count, nor what is in `target` or `node_modules`.
    ///
    /// Without it, `cargo build` makes what is in `target/wasm32-wasip1` of the project of
    /// cargo's in the current directory.
    #[arg(long, value_name = "COMMAND", requires = "watch")]
    pub(crate) build: Option<String>,

    /// Call this exported function instead of `_start`, with what follows the path as its
    /// arguments, and print what it returns.
    ///
    /// If the module is a library (a reactor of WASI), its `_initialize` is called before.
    #[arg(long, value_name = "EXPORT", conflicts_with_all = ["watch", "build", "bench"])]
    pub(crate) invoke: Option<String>,

    /// End the program after this time, for example 500ms, 5s, 2m or 1h, with exit code 124.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = time_limit,
        conflicts_with = "watch",
        help_heading = "Limits"
    )]
    pub(crate) timeout: Option<Duration>,

    /// How much the first process may execute in all, in units of about 100 000
    /// instructions; processes that it spawns have no more each.
    #[arg(long, value_name = "UNITS", value_parser = at_least_one::<NonZeroU64>, help_heading = "Limits")]
    pub(crate) max_fuel: Option<NonZeroU64>,

    /// The most processes that there may be at once.
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU64>, help_heading = "Limits")]
    pub(crate) max_processes: Option<NonZeroU64>,

    /// Pass `--bench` to the guest, as cargo does for benchmarks.
    #[arg(long)]
    pub(crate) bench: bool,

    /// A `.wasm` or `.wat` file, or `-` for standard input; everything after it is the
    /// guest's.
    #[arg(
        value_names = ["PATH", "ARGS"],
        num_args = 1..,
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    path_and_args: Vec<OsString>,
}

/// An application that is started.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  lunatic start app.toml
  lunatic start --watch --build make app.toml")]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) naming: Naming,

    #[command(flatten)]
    pub(crate) recording: Recording,

    #[command(flatten)]
    pub(crate) views: Views,

    /// Look whether the files of modules change, and reload them.
    ///
    /// Processes that offer their state move to the new version; supervisors restart
    /// those that do not. If the new version does not load, the old one goes on.
    #[arg(long)]
    pub(crate) watch: bool,

    /// What makes the files, for example 'cargo build'.
    ///
    /// It is run at first, and whenever a file below the current directory has changed, or
    /// one of a package elsewhere that the project of cargo's here depends on by its path.
    /// Hidden files do not count, nor what is in `target` or `node_modules`.
    ///
    /// Without it, `cargo build` makes what is in `target/wasm32-wasip1` of the project of
    /// cargo's in the current directory.
    #[arg(long, value_name = "COMMAND", requires = "watch")]
    pub(crate) build: Option<String>,

    #[command(flatten)]
    pub(crate) application: Application,
}

/// An application, and how its modules are compiled.
#[derive(Debug, Args)]
pub(crate) struct Application {
    #[command(flatten)]
    pub(crate) engine: Engine,

    /// The manifest, `app.toml` for example.
    pub(crate) manifest: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  lunatic test suite.wasm                              # all tests
  lunatic test suite.wasm cart --skip slow             # names with `cart`, without `slow`
  lunatic test suite.wasm --timeout 10s --junit results.xml
  lunatic test suite.wasm --test-threads 1 --shuffle random
In a project of cargo: cargo test -- --timeout 10s")]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) grants: Grants,

    #[command(flatten)]
    pub(crate) from_manifest: FromManifest,

    #[command(flatten)]
    pub(crate) engine: Engine,

    /// A `.wasm` or `.wat` file with test exports.
    pub(crate) path: PathBuf,

    #[command(flatten)]
    pub(crate) options: testing::Options,
}

impl Arguments {
    /// A flag where a path should be: because the guest may be given any flag,
    /// clap takes one that it does not know for a path.
    fn unknown_flag(&self) -> Option<String> {
        let Command::Run(run) = &self.command else {
            return None;
        };
        let first = run.path_and_args[0].to_string_lossy();
        (first.starts_with('-') && first != "-").then(|| first.into_owned())
    }
}

/// The command line as clap has it, with its commands in groups.
pub(crate) fn command() -> clap::Command {
    help::grouped(plain_command())
}

/// The same, without groups.
pub(crate) fn plain_command() -> clap::Command {
    Arguments::command()
}

/// Reads a command line, which begins with the name of the program.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Arguments, clap::Error> {
    // Help and errors of this line are printed so too.
    let mut command = command().color(color(&words));
    let matches = command.try_get_matches_from_mut(with_command(words))?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    if let Some(flag) = arguments.unknown_flag() {
        let mut what = format!("unexpected argument '{flag}' found");
        command.build();
        let longs = |command: &clap::Command| -> Vec<String> {
            let longs = command.get_arguments().filter_map(clap::Arg::get_long);
            longs.map(str::to_owned).collect()
        };
        let mut known = longs(&command);
        let run = command.find_subcommand_mut("run");
        let run = run.expect("there is a command `run`");
        known.extend(longs(run));
        let word = flag.trim_start_matches('-').split('=').next();
        let known = known.iter().map(String::as_str);
        if let Some(similar) = word.and_then(|word| most_similar(word, known)) {
            what += &format!("\n\n  tip: a similar argument exists: '--{similar}'");
        }
        return Err(run.error(ErrorKind::UnknownArgument, what));
    }
    Ok(arguments)
}

/// Where the command is: behind the flags that stand before commands.
fn place_of_command(words: &[OsString]) -> usize {
    let mut place = 1;
    while let Some(word) = words.get(place) {
        match &*word.to_string_lossy() {
            "--color" => place += 2,
            word if word.starts_with("--color=") => place += 1,
            _ => break,
        }
    }
    place.min(words.len())
}

/// What is said of colours in a line that may be wrong: before the command, or among its flags.
pub(crate) fn color(words: &[OsString]) -> ColorChoice {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let mut choice = "";
    for (place, word) in words.iter().enumerate() {
        if word == "--" {
            break;
        }
        choice = match (word.strip_prefix("--color="), &**word) {
            (Some(value), _) => value,
            (None, "--color") => words.get(place + 1).map_or("", |value| value),
            _ => continue,
        };
    }
    match choice {
        "always" => ColorChoice::Always,
        "never" => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// Inserts `run` where no command is named.
fn with_command(mut words: Vec<OsString>) -> Vec<OsString> {
    const GENERAL: [&str; 7] = ["-h", "--help", "-V", "--version", "-v", "--verbose", "-vV"];
    let place = place_of_command(&words);
    let names_command = words.get(place).is_none_or(|first| {
        let first = first.to_string_lossy();
        GENERAL.contains(&&*first) || Arguments::command().find_subcommand(&*first).is_some()
    });
    if !names_command {
        words.insert(place, "run".into());
    }
    words
}

/// The command that a line names: `lunatic`, and the names of commands within each other.
pub(crate) fn command_in(words: &[OsString]) -> String {
    let words = with_command(words.to_vec());
    let mut names = "lunatic".to_owned();
    let mut command = &plain_command();
    for word in &words[place_of_command(&words)..] {
        let Some(next) = command.find_subcommand(word) else {
            break;
        };
        command = next;
        names.push(' ');
        names.push_str(command.get_name());
    }
    names
}

/// The command that is most similar to a word, if one is.
pub(crate) fn similar_command(word: &str) -> Option<String> {
    let arguments = Arguments::command();
    let names = arguments.get_subcommands().map(clap::Command::get_name);
    most_similar(word, names).map(str::to_owned)
}

impl Run {
    /// The file to run.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(&self.path_and_args[0])
    }

    /// What the guest is given as its own arguments, without the name.
    pub(crate) fn guest_args(&self) -> impl Iterator<Item = OsString> {
        let bench = self.bench.then(|| OsString::from("--bench"));
        self.path_and_args.iter().skip(1).cloned().chain(bench)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn run(line: &[&str]) -> Run {
        match parse(words(line)).expect("it is a command line").command {
            Command::Run(run) => run,
            other => panic!("expected run, got {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_path_alone_is_run() {
        assert_eq!(
            run(&["lunatic", "app.wat"]).path(),
            PathBuf::from("app.wat")
        );
    }

    #[test]
    fn everything_after_the_path_is_the_guests() {
        let run = run(&["lunatic", "--dir", ".", "app.wasm", "--dir", "x", "--help"]);
        let args: Vec<_> = run.guest_args().collect();
        assert_eq!(args, words(&["--dir", "x", "--help"]));
    }

    #[test]
    fn an_unknown_flag_is_not_a_path() {
        let parse = |line| Arguments::parse_from(with_command(words(line)));
        let flag = parse(&["lunatic", "run", "--nonsense", "app.wasm"]).unknown_flag();
        assert_eq!(flag.as_deref(), Some("--nonsense"));
        assert_eq!(
            parse(&["lunatic", "app.wasm", "--own"]).unknown_flag(),
            None
        );
    }

    #[test]
    fn colours_can_be_chosen_before_the_command_and_behind_it() {
        for line in [
            &["lunatic", "--color", "never", "app.wasm"][..],
            &["lunatic", "--color=never", "run", "app.wasm"],
            &["lunatic", "run", "--color", "never", "app.wasm"],
        ] {
            let arguments = parse(words(line)).expect("it is a command line");
            assert_eq!(arguments.color, ColorChoice::Never, "{line:?}");
        }
        assert_eq!(
            color(&words(&["lunatic", "--color", "always", "ps"])),
            ColorChoice::Always
        );
        assert_eq!(color(&words(&["lunatic", "--color"])), ColorChoice::Auto);
        assert_eq!(color(&words(&["lunatic"])), ColorChoice::Auto);
    }

    #[test]
    fn the_command_of_a_line_is_known_though_the_rest_of_it_is_wrong() {
        for (line, command) in [
            (
                &["lunatic", "run", "--max-fuel", "0", "app.wasm"][..],
                "lunatic run",
            ),
            (&["lunatic", "--max-fuel", "0", "app.wasm"], "lunatic run"),
            (
                &["lunatic", "--color", "never", "ps", "--nonsense"],
                "lunatic ps",
            ),
            (&["lunatic", "cache", "clear", "x"], "lunatic cache clear"),
            (&["lunatic", "--nonsense"], "lunatic run"),
            (&["lunatic"], "lunatic"),
        ] {
            assert_eq!(command_in(&words(line)), command, "{line:?}");
        }
    }

    #[test]
    fn what_is_said_of_colours_is_known_though_the_rest_of_the_line_is_wrong() {
        for (line, choice) in [
            (
                &["lunatic", "--color", "never", "ps", "--nonsense"][..],
                ColorChoice::Never,
            ),
            (
                &["lunatic", "ps", "--nonsense", "--color=always"],
                ColorChoice::Always,
            ),
            (
                &["lunatic", "run", "--color", "never", "--nonsense"],
                ColorChoice::Never,
            ),
            (&["lunatic", "run", "--color"], ColorChoice::Auto),
            (
                &["lunatic", "run", "--nonsense", "--", "--color", "never"],
                ColorChoice::Auto,
            ),
            (&["lunatic", "--nonsense"], ColorChoice::Auto),
        ] {
            assert_eq!(color(&words(line)), choice, "{line:?}");
        }
    }

    #[test]
    fn bench_is_passed_on() {
        let run = run(&["lunatic", "run", "--bench", "app.wasm", "filter"]);
        let args: Vec<_> = run.guest_args().collect();
        assert_eq!(args, words(&["filter", "--bench"]));
    }
}
