//! What is said of a command line that cannot be understood.

use std::ffi::OsString;
use std::{io, process};

use clap::ColorChoice;
use clap::error::ErrorKind;

use crate::command_line::problem::Problem;
use crate::command_line::{arguments, log_writer, output};

/// The exit code for a wrong command line.
const WRONG_USE: i32 = 2;

/// Prints what clap found, and ends the program: with 2, or with 0 after a help that was asked
/// for.
///
/// - `line`: what was given.
/// - `color`: whether problems are in colour.
pub(super) fn exit(error: &clap::Error, line: &Line, color: ColorChoice) -> ! {
    output::choose_colors(color);
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => match error.print() {
            Ok(()) => process::exit(error.exit_code()),
            // Nobody reads it any more.
            Err(failed) if failed.kind() == io::ErrorKind::BrokenPipe => process::exit(1),
            Err(failed) => {
                output::not_printed(&failed).print();
                log_writer::flush();
                process::exit(1)
            }
        },
        ErrorKind::MissingSubcommand => {
            // As without any argument. Nobody is told that standard error is closed.
            anstream::eprint!("{}", arguments::command().render_help().ansi());
        }
        _ => {
            problem(&error.render().to_string(), line).print();
            log_writer::flush();
        }
    }
    process::exit(WRONG_USE)
}

/// A command line.
#[derive(Debug)]
pub(super) struct Line {
    /// The words of its command, `lunatic run` for example.
    command: String,
    words: Vec<OsString>,
}

impl Line {
    /// A line for `lunatic`.
    pub(super) fn new(words: &[OsString]) -> Line {
        Line::of(&arguments::command_in(words), words)
    }

    /// A line for another program.
    pub(super) fn of(command: &str, words: &[OsString]) -> Line {
        Line {
            command: command.to_owned(),
            words: words.to_vec(),
        }
    }

    /// Whether a flag is in it.
    ///
    /// - `flag`: with its hyphens.
    fn has(&self, flag: &str) -> bool {
        let is_it = |word: &OsString| {
            let word = word.to_string_lossy();
            word.split('=').next() == Some(flag)
        };
        self.words.iter().any(is_it)
    }
}

/// The same as other problems look: what is wrong, and the next step.
///
/// - `text`: as clap says it.
/// - `line`: its command is the one to ask for help if clap does not tell how it is used, as it does not about
///   values.
fn problem(text: &str, line: &Line) -> Problem {
    let text = text.strip_prefix("error: ").unwrap_or(text).trim_end();
    let (text, usage) = text.split_once("\n\nUsage: ").unwrap_or((text, ""));
    let (text, _) = text
        .split_once("\n\nFor more information")
        .unwrap_or((text, ""));
    let (what, tip) = match text.split_once("\n\n  tip: ") {
        Some((what, tip)) => (what, Some(tip)),
        None => (text, None),
    };
    let problem = Problem::new(conflict(what.trim_end(), line));
    // How to pass a flag as something else is what nobody wants who has misspelt it.
    match tip.filter(|tip| !tip.starts_with("to pass ")) {
        Some(tip) => problem.help(tip),
        None => {
            let program = line.command.split(' ').next().unwrap_or_default();
            let command = command_of(usage)
                .filter(|command| command.starts_with(program))
                .unwrap_or_else(|| line.command.clone());
            problem.help(format!("`{command} --help` lists what can be given"))
        }
    }
}

/// What contradicts each other, without the flags of the same group that were not given.
fn conflict(text: &str, line: &Line) -> String {
    let Some((what, flags)) = text.split_once("cannot be used with:\n") else {
        return text.to_owned();
    };
    let given: Vec<_> = flags
        .lines()
        .map(str::trim)
        .filter(|flag| line.has(flag.split(' ').next().unwrap_or_default()))
        .map(|flag| format!("'{flag}'"))
        .collect();
    match given.is_empty() {
        true => text.to_owned(),
        false => format!("{what}cannot be used with {}", given.join(", ")),
    }
}

/// The words of the command in a line that shows how it is used.
fn command_of(usage: &str) -> Option<String> {
    let words = usage.split_whitespace();
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let words: Vec<_> = words.take_while(is_name).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Line {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        Line::new(&words)
    }

    #[test]
    fn of_what_contradicts_each_other_only_that_is_named_which_was_given() {
        let text = "the argument '--manifest <FILE>' cannot be used with:\n  --sandbox\n  --dir \
                    <HOST>\n  --env <K>";
        let line = line(&[
            "lunatic",
            "run",
            "--manifest",
            "a",
            "--env=B",
            "--dir",
            "c",
            "d",
        ]);
        assert_eq!(
            conflict(text, &line),
            "the argument '--manifest <FILE>' cannot be used with '--dir <HOST>', '--env <K>'"
        );
        assert_eq!(conflict("it is wrong", &line), "it is wrong");
    }

    #[test]
    fn a_problem_has_the_tip_of_clap_or_the_command_to_ask() {
        let similar = problem(
            "error: unexpected argument '--dri' found\n\n  tip: a similar argument exists: \
             '--dir'\n\nUsage: lunatic run [OPTIONS] <PATH>\n\nFor more information, try '--help'.\n",
            &line(&["lunatic", "run"]),
        );
        let expected = Problem::new("unexpected argument '--dri' found")
            .help("a similar argument exists: '--dir'");
        assert_eq!(similar, expected);
        let unknown = problem(
            "error: unexpected argument '--bogus' found\n\n  tip: to pass '--bogus' as a value, use \
             '-- --bogus'\n\nUsage: lunatic start [OPTIONS] <MANIFEST>\n\nFor more information, try \
             '--help'.\n",
            &line(&["lunatic", "start"]),
        );
        let expected = Problem::new("unexpected argument '--bogus' found")
            .help("`lunatic start --help` lists what can be given");
        assert_eq!(unknown, expected);
        let missing = problem(
            "error: the following required arguments were not provided:\n  <DIRECTORY>\n\nUsage: \
             lunatic cluster init <DIRECTORY>\n\nFor more information, try '--help'.\n",
            &line(&["lunatic", "cluster"]),
        );
        let expected =
            Problem::new("the following required arguments were not provided:\n  <DIRECTORY>")
                .help("`lunatic cluster init --help` lists what can be given");
        assert_eq!(missing, expected);
        let plain = problem(
            "error: invalid value\n\nFor more information, try '--help'.\n",
            &line(&["lunatic", "run"]),
        );
        let expected =
            Problem::new("invalid value").help("`lunatic run --help` lists what can be given");
        assert_eq!(plain, expected);
    }
}
