//! `lunatic completions` and `lunatic man`: what a system has of a program beside it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use crate::command_line::arguments;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// For whom completions are printed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  lunatic completions bash > ~/.local/share/bash-completion/completions/lunatic
  lunatic completions zsh > ~/.zfunc/_lunatic
  lunatic completions fish > ~/.config/fish/completions/lunatic.fish")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Which manual pages.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  lunatic man | man -l -                          # the page of the program
  lunatic man run | man -l -                      # that of a command
  lunatic man --dir ~/.local/share/man/man1       # all pages, into files")]
pub(crate) struct Man {
    /// Write the pages of the program and all commands into this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,

    /// The command whose page is printed, for example `run` or `cluster init`; without one, it is
    /// that of the program.
    command: Vec<String>,
}

/// Prints what makes a shell complete the command line.
pub(crate) fn completions(completions: &Completions) -> Result<ExitCode, Problem> {
    let mut text = Vec::new();
    let mut command = arguments::command();
    clap_complete::generate(completions.shell, &mut command, "lunatic", &mut text);
    print_line(String::from_utf8_lossy(&text).trim_end())
}

/// Prints a manual page, or writes all of them.
pub(crate) fn man(man: &Man) -> Result<ExitCode, Problem> {
    // The groups of `--help` are for a terminal.
    let mut command = arguments::plain_command().disable_help_subcommand(true);
    if let Some(directory) = &man.dir {
        let shown = directory.display();
        std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(|error| {
                Problem::new(format!("cannot write manual pages into `{shown}`: {error}"))
            })?;
        return print_line(format_args!("manual pages are in {shown}"));
    }
    command.build();
    let mut found = &command;
    for name in &man.command {
        found = found.find_subcommand(name).ok_or_else(|| {
            let names = man.command.join(" ");
            Problem::new(format!("there is no command `{names}`"))
                .help("`lunatic help` lists the commands")
        })?;
    }
    let page = clap_mangen::Man::new(found.clone());
    let mut text = Vec::new();
    page.render(&mut text)
        .map_err(|error| Problem::new(format!("cannot write a manual page: {error}")))?;
    print_line(String::from_utf8_lossy(&text).trim_end())
}
