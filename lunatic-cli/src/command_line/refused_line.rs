//! What is said of a command line that cannot be understood.

use std::process;

use clap::error::ErrorKind;

use crate::command_line::problem::Problem;
use crate::command_line::{arguments, log_writer};

/// The exit code for a wrong command line.
const WRONG_USE: i32 = 2;

/// Prints what clap found, and ends the program: with 2, or with 0 after a help that was asked
/// for.
pub(super) fn exit(error: &clap::Error) -> ! {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        ErrorKind::MissingSubcommand => {
            // As without any argument. Nobody is told that standard error is closed.
            anstream::eprint!("{}", arguments::command().render_help().ansi());
        }
        _ => {
            problem(&error.render().to_string()).print();
            log_writer::flush();
        }
    }
    process::exit(WRONG_USE)
}

/// The same as other problems look: what is wrong, and the next step.
///
/// - `text`: as clap says it.
fn problem(text: &str) -> Problem {
    let text = text.strip_prefix("error: ").unwrap_or(text).trim_end();
    let (text, usage) = text.split_once("\n\nUsage: ").unwrap_or((text, ""));
    let (text, _) = text
        .split_once("\n\nFor more information")
        .unwrap_or((text, ""));
    let (what, tip) = match text.split_once("\n\n  tip: ") {
        Some((what, tip)) => (what, Some(tip)),
        None => (text, None),
    };
    let problem = Problem::new(what.trim_end());
    match tip {
        Some(tip) => problem.help(tip),
        None => problem.help(format!(
            "`{} --help` lists what can be given",
            command_of(usage)
        )),
    }
}

/// The words of the command in a line that shows how it is used.
fn command_of(usage: &str) -> String {
    let words = usage.split_whitespace();
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
    let words: Vec<_> = words.take_while(is_name).collect();
    match words.is_empty() {
        true => "lunatic".to_owned(),
        false => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_tip_of_clap_or_the_command_to_ask() {
        let similar = problem(
            "error: unexpected argument '--dri' found\n\n  tip: a similar argument exists: \
             '--dir'\n\nUsage: lunatic run [OPTIONS] <PATH>\n\nFor more information, try '--help'.\n",
        );
        let expected = Problem::new("unexpected argument '--dri' found")
            .help("a similar argument exists: '--dir'");
        assert_eq!(similar, expected);
        let missing = problem(
            "error: the following required arguments were not provided:\n  <DIRECTORY>\n\nUsage: \
             lunatic cluster init <DIRECTORY>\n\nFor more information, try '--help'.\n",
        );
        let expected =
            Problem::new("the following required arguments were not provided:\n  <DIRECTORY>")
                .help("`lunatic cluster init --help` lists what can be given");
        assert_eq!(missing, expected);
        let plain = problem("error: invalid value\n\nFor more information, try '--help'.\n");
        let expected =
            Problem::new("invalid value").help("`lunatic --help` lists what can be given");
        assert_eq!(plain, expected);
    }
}
