//! `lunatic help`, and how `lunatic --help` groups the commands.

mod topics;

use std::fmt::Write as _;
use std::process::ExitCode;

use anstyle::{Effects, Style};
use clap::{Args, Command};

use self::topics::TOPICS;
use crate::command_line::arguments;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;
use crate::command_line::similar::most_similar;

/// What is to be explained.
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// A command, or a topic; without any, both are listed.
    words: Vec<String>,
}

/// As clap prints the headings of options.
const HEADING: Style = Style::new().effects(Effects::BOLD.insert(Effects::UNDERLINE));

/// As clap prints words that are typed as they stand.
const LITERAL: Style = Style::new().effects(Effects::BOLD);

/// The commands in groups; each is in one of them.
const GROUPS: &[(&str, &[&str])] = &[
    ("Programs", &["run", "test", "start", "check", "describe"]),
    ("Projects", &["new", "init"]),
    (
        "What runs already",
        &[
            "ps", "top", "inspect", "stats", "logs", "trace", "kill", "exit", "restart", "reload",
            "versions",
        ],
    ),
    ("Several machines", &["node", "nodes", "cluster"]),
    ("This machine", &["doctor", "cache"]),
    ("Help", &["help", "completions", "man"]),
];

/// What stands below the help of the program.
const EXAMPLES: &str =
    "  lunatic app.wasm one two                 # run a program, with two arguments
  lunatic run --sandbox --timeout 5s plugin.wasm
  lunatic new shop && cd shop && cargo test
  lunatic start --watch app.toml           # a supervision tree, reloaded when files change
  lunatic ps --tree                        # from another terminal";

/// The command with its subcommands in groups.
pub(crate) fn grouped(command: Command) -> Command {
    let mut list = String::new();
    let longest = command
        .get_subcommands()
        .map(|command| command.get_name().len());
    let width = longest.max().unwrap_or_default();
    for (heading, names) in GROUPS {
        let _ = writeln!(list, "{HEADING}{heading}:{HEADING:#}");
        for name in *names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(list, "  {LITERAL}{name:<width$}{LITERAL:#}  {about}");
        }
        list.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{HEADING}Options:{HEADING:#}\n\
         {{options}}{{after-help}}"
    );
    let topics: Vec<_> = TOPICS.iter().map(|topic| topic.name).collect();
    let after = format!(
        "{HEADING}Examples:{HEADING:#}\n{EXAMPLES}\n\n\
         `lunatic help COMMAND` tells all of a command, `lunatic help TOPIC` of\n{}.",
        topics.join(", ")
    );
    command.help_template(template).after_help(after)
}

/// Explains a command or a topic.
pub(crate) fn help(help: &Help) -> Result<ExitCode, Problem> {
    let mut command = arguments::command();
    command.build();
    let Some((first, more)) = help.words.split_first() else {
        return print_line(command.render_help().ansi());
    };
    if let Some(topic) = TOPICS.iter().find(|topic| topic.name == first) {
        return print_line(topic.text.trim_end());
    }
    let mut found = &mut command;
    for word in std::iter::once(first).chain(more) {
        let names: Vec<_> = found
            .get_subcommands()
            .map(|one| one.get_name().to_owned())
            .collect();
        if !names.contains(word) {
            return Err(unknown(word, &names));
        }
        // It was found among them.
        let Some(next) = found.find_subcommand_mut(word) else {
            return Err(unknown(word, &names));
        };
        found = next;
    }
    print_line(found.render_long_help().ansi())
}

fn unknown(word: &str, commands: &[String]) -> Problem {
    let topics = TOPICS.iter().map(|topic| topic.name);
    let known = commands.iter().map(String::as_str).chain(topics);
    let problem = Problem::new(format!("there is neither a command nor a topic `{word}`"));
    match most_similar(word, known) {
        Some(similar) => problem.help(format!("did you mean `lunatic help {similar}`?")),
        None => problem.help("`lunatic help` lists both"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let command = arguments::command();
        let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
        let commands: BTreeSet<_> = shown.map(Command::get_name).collect();
        let grouped: Vec<_> = GROUPS
            .iter()
            .flat_map(|(_, names)| *names)
            .copied()
            .collect();
        let all: BTreeSet<_> = grouped.iter().copied().collect();
        assert_eq!(all, commands);
        assert_eq!(all.len(), grouped.len());
    }

    /// The command lines of this program in a text, without comments.
    fn lines(text: &str) -> Vec<Vec<String>> {
        let lines = text.lines().filter(|line| line.starts_with("  "));
        let lines = lines.map(|line| line.split("  #").next().unwrap_or_default());
        let parts = lines.flat_map(|line| line.split(" && "));
        parts
            .map(str::trim)
            .filter(|line| line.starts_with("lunatic "))
            .map(words)
            .collect()
    }

    /// What a shell makes of a line with single quotation marks.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (number, part) in line.split('\'').enumerate() {
            match number % 2 {
                1 => words.push(part.to_owned()),
                _ => words.extend(part.split_whitespace().map(str::to_owned)),
            }
        }
        words
            .into_iter()
            .take_while(|word| !["&", "<", "|", ">"].contains(&&**word))
            .collect()
    }

    #[test]
    fn all_examples_are_command_lines() {
        let mut texts = vec![EXAMPLES.to_owned()];
        texts.extend(TOPICS.iter().map(|topic| topic.text.to_owned()));
        for command in arguments::command().get_subcommands() {
            texts.extend(command.get_after_long_help().map(ToString::to_string));
        }
        let mut count = 0;
        for line in texts.iter().flat_map(|text| lines(text)) {
            let parsed = arguments::parse(line.iter().map(Into::into).collect());
            assert!(parsed.is_ok(), "{line:?}: {}", parsed.unwrap_err());
            count += 1;
        }
        assert!(count > 30, "{count}");
    }

    #[test]
    fn a_topic_is_no_command() {
        let command = arguments::command();
        for topic in TOPICS {
            assert!(
                command.find_subcommand(topic.name).is_none(),
                "{}",
                topic.name
            );
            assert!(
                topic.text.lines().all(|line| line.len() <= 100),
                "{}",
                topic.name
            );
        }
    }
}
