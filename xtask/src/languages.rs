//! `cargo xtask languages`: the same program in every language, built and run, and the table in
//! docs/languages.md that this comes to.

mod rows;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::rows::{Native, ROWS, Row};
use crate::command;
use crate::programs;
use crate::workspace;

/// The input of the programs.
const INPUT: &str = "the quick brown fox jumps over the lazy dog, the end\n";

/// The output that is expected of them, wherever they run.
const EXPECTED: &str = "brown 1\ndog, 1\nend 1\nfox 1\njumps 1\nlazy 1\nover 1\nquick 1\nthe 3\n\
                        hello, one\n11 words\n";

/// The exit code of the programs.
const CODE: i32 = 3;

/// How long one may take: an interpreter may be compiled first.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The table is between these lines.
const BEGIN: &str = "<!-- The table is written by `cargo xtask languages`. -->";
const END: &str = "<!-- End of the table. -->";

/// How a language did.
#[derive(Debug)]
enum Outcome {
    /// The guest printed what it should, and so did the native program if there is one.
    Works { toolchain: String, natively: bool },
    /// There is no toolchain.
    Absent(String),
}

/// Builds and runs all programs, and writes the table.
///
/// - `fetch`: whether packages with toolchains are installed below `target/languages`.
pub(crate) fn main(fetch: bool) -> Result<()> {
    if fetch {
        rows::fetch(&folder()?)?;
    }
    write_table(&try_all()?)
}

/// Builds and runs the programs whose toolchain is there. The table stays as it is.
pub(crate) fn try_those_that_can_be_built() -> Result<()> {
    try_all().map(|_| ())
}

fn folder() -> Result<PathBuf> {
    let folder = workspace::target_dir().join("languages");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn try_all() -> Result<Vec<Outcome>> {
    let folder = folder()?;
    let lunatic = programs::build_only("lunatic")?;
    let sources = crate::guests::workspace().join("languages");
    let mut outcomes = Vec::new();
    for row in ROWS {
        let place = folder.join(row.folder);
        let outcome = try_row(row, &lunatic, &sources, &place, &folder)
            .with_context(|| format!("{}, guests/languages/{}", row.language, row.source))?;
        match &outcome {
            Outcome::Works {
                toolchain,
                natively,
            } => {
                let also = if *natively { ", and natively" } else { "" };
                println!(
                    "{:<16} prints what it should{also}: {toolchain}",
                    row.language
                );
            }
            Outcome::Absent(why) => println!("!!! SKIPPED: {}, because {why}", row.language),
        }
        outcomes.push(outcome);
    }
    let works = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Works { .. }));
    println!("{} of {} languages were tried", works.count(), ROWS.len());
    Ok(outcomes)
}

fn try_row(
    row: &Row,
    lunatic: &Path,
    sources: &Path,
    place: &Path,
    tools: &Path,
) -> Result<Outcome> {
    let toolchain = match (row.toolchain)(tools) {
        Ok(toolchain) => toolchain,
        Err(error) => return Ok(Outcome::Absent(format!("{error:#}"))),
    };
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    fs::create_dir_all(place)?;
    let source = place.join(row.source);
    fs::copy(sources.join(row.source), &source)?;
    if let Some(build) = row.build {
        let mut build = build(tools);
        build.args(row.arguments("guest.wasm")).current_dir(place);
        command::capture(&mut build)?;
    }
    let mut guest = Command::new(lunatic);
    guest.arg("run");
    guest.args((row.guest)(tools)).arg("one");
    check(&mut guest, place).context("as a guest")?;
    let natively = match row.native {
        Native::Nothing => false,
        Native::Compiler(compiler) => {
            let mut compile = compiler(tools);
            compile.args(row.arguments("native")).current_dir(place);
            command::capture(&mut compile).context("natively")?;
            let mut program = Command::new(place.join("native"));
            check(program.arg("one"), place).context("natively")?;
            true
        }
        Native::Interpreter(name) => {
            let is_there = Command::new(name).arg("--version").output().is_ok();
            if is_there {
                let mut program = Command::new(name);
                check(program.args([row.source, "one"]), place).context("natively")?;
            }
            is_there
        }
    };
    Ok(Outcome::Works {
        toolchain,
        natively,
    })
}

/// Runs a program, and looks at what it printed.
fn check(command: &mut Command, place: &Path) -> Result<()> {
    let input = place.join("input.txt");
    fs::write(&input, INPUT)?;
    let mut timed = Command::new("timeout");
    timed
        .arg(TIME_LIMIT.as_secs().to_string())
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(place)
        .env("GREETING", "hello")
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::from(fs::File::open(&input)?));
    let output = timed.output().context("cannot start `timeout`")?;
    let printed = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    if printed != EXPECTED || output.status.code() != Some(CODE) {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}, and printed:\n{printed}{said}", output.status);
    }
    Ok(())
}

/// Writes the rows of the languages that were tried; what stands there of others stays.
fn write_table(outcomes: &[Outcome]) -> Result<()> {
    let path = document();
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).context("the table has no begin")?;
    let (old, after) = rest.split_once(END).context("the table has no end")?;
    let mut table = String::from(
        "\n\n| Language | Toolchain | How to build | Natively the same | What does not work |\n\
         |---|---|---|---|---|\n",
    );
    for (row, outcome) in ROWS.iter().zip(outcomes) {
        let language = row.language;
        match outcome {
            Outcome::Works {
                toolchain,
                natively,
            } => {
                let natively = if *natively { "yes" } else { "not tried" };
                let Row { how, limits, .. } = row;
                let _ = writeln!(
                    table,
                    "| {language} | {toolchain} | {how} | {natively} | {limits} |"
                );
            }
            Outcome::Absent(_) => {
                let begin = format!("| {language} |");
                let old = old.lines().find(|line| line.starts_with(&begin));
                let _ = match old {
                    Some(old) => writeln!(table, "{old}"),
                    None => writeln!(table, "| {language} | not tried | {} | | |", row.how),
                };
            }
        }
    }
    fs::write(&path, format!("{before}{BEGIN}{table}\n{END}{after}"))?;
    Ok(())
}

fn document() -> PathBuf {
    workspace::root().join("docs/languages.md")
}
