//! What a person asks the program about itself: help, topics, completions, manual pages,
//! versions, and colours.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::fs;
use std::process::Command;

use harness::program::Guests;
use lunatic_testkit::program::{Ran, ran};

#[test]
fn without_arguments_the_commands_are_listed_in_groups() {
    let ran = Guests::new().run(&[]);
    for part in [
        "Usage: lunatic",
        "Programs:\n  run",
        "Examples:\n",
        "permissions, limits",
    ] {
        assert!(ran.code(2).err.contains(part), "no {part:?} in {}", ran.err);
    }
    let help = Guests::new().run(&["-h"]);
    help.code(0).prints("Programs:\n  run");
    assert_eq!(help.out.trim_end(), ran.err.trim_end());
    let word = Guests::new().run(&["help"]);
    assert_eq!(word.code(0).out.trim_end(), help.out.trim_end());
}

#[test]
fn a_command_is_explained_with_examples_and_its_options_in_groups() {
    let guests = Guests::new();
    guests
        .run(&["help", "run"])
        .code(0)
        .prints("What it is given:\n")
        .prints("Limits:\n")
        .prints("Examples:\n  lunatic run app.wasm one --two");
    guests
        .run(&["help", "cache", "clear"])
        .code(0)
        .prints("Usage: lunatic cache clear");
    guests.run(&["run", "--help"]).code(0).prints("Examples:\n");
}

#[test]
fn topics_are_explained() {
    let guests = Guests::new();
    for (topic, part) in [
        ("permissions", "--allow-net localhost:5432"),
        ("limits", "--max-fuel"),
        ("tests", "--junit results.xml"),
        ("cargo", "cargo lunatic watch"),
        ("manifests", "lunatic check app.toml"),
        ("reloading", "lunatic reload"),
        ("languages", "GOOS=wasip1"),
        ("exit-codes", "124"),
        ("variables", "NO_COLOR"),
    ] {
        guests.run(&["help", topic]).code(0).prints(part);
    }
}

#[test]
fn a_misspelt_word_is_told_the_one_that_was_meant_at_every_level() {
    let guests = Guests::new();
    let says = |ran: Ran, code: i32, parts: &[&str]| {
        for part in parts {
            assert!(ran.code(code).err.contains(part), "no {part:?} in {ran:?}");
        }
    };
    says(
        guests.run(&["help", "permisions"]),
        1,
        &["lunatic help permissions"],
    );
    says(guests.run(&["help", "runn"]), 1, &["lunatic help run"]);
    says(
        guests.run(&["help", "zzz"]),
        1,
        &["`lunatic help` lists both"],
    );
    says(guests.run(&["helpp"]), 1, &["did you mean", "lunatic help"]);
    says(guests.run(&["complations"]), 1, &["lunatic completions"]);
    says(guests.run(&["cache", "claer"]), 2, &["clear"]);
    says(guests.run(&["cluster", "innit"]), 2, &["init"]);
    says(guests.run(&["ps", "--tre"]), 2, &["--tree"]);
    says(
        guests.run(&["new", "--template", "servr", "x"]),
        2,
        &["server"],
    );
}

#[test]
fn completions_are_printed_for_every_shell() {
    let guests = Guests::new();
    for (shell, part) in [
        ("bash", "_lunatic()"),
        ("zsh", "#compdef lunatic"),
        ("fish", "complete -c lunatic"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let ran = guests.run(&["completions", shell]);
        ran.code(0).prints(part).prints("max-processes");
    }
    guests.run(&["completions", "csh"]).code(2);
}

#[test]
fn manual_pages_are_printed_and_written() {
    let guests = Guests::new();
    guests
        .run(&["man"])
        .code(0)
        .prints(".TH lunatic 1")
        .prints("lunatic\\-run");
    guests
        .run(&["man", "run"])
        .code(0)
        .prints(".TH lunatic-run 1")
        .prints("max\\-processes");
    guests
        .run(&["man", "cluster", "init"])
        .code(0)
        .prints(".TH lunatic-cluster-init 1");
    guests.run(&["man", "nothing"]).code(1);
    guests.run(&["man", "cluster", "nothing"]).code(1);
    guests.run(&["man", "--dir", "pages"]).code(0);
    let pages = fs::read_dir(guests.path().join("pages")).unwrap();
    let names: Vec<_> = pages.map(|page| page.unwrap().file_name()).collect();
    for name in ["lunatic.1", "lunatic-run.1", "lunatic-cluster-init.1"] {
        assert!(
            names.iter().any(|page| page == name),
            "no {name} in {names:?}"
        );
    }
}

#[test]
fn the_version_is_told_in_detail_on_request() {
    let guests = Guests::new();
    let short = guests.run(&["--version"]);
    let version = concat!("lunatic ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(short.code(0).out, version);
    for words in [&["--version", "--verbose"][..], &["-vV"], &["-V", "-v"]] {
        guests
            .run(words)
            .code(0)
            .prints(version)
            .prints("commit: ")
            .prints("wasmtime: 48.")
            .prints("features: net tls sqlite distribution\n");
    }
}

#[test]
fn colours_are_for_terminals_and_follow_flags_and_variables() {
    let guests = Guests::new();
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = guests.lunatic();
        command
            .args(words)
            .envs(variables.iter().copied())
            .env_remove("NO_COLOR");
        if let Some((name, value)) = variables.iter().find(|(name, _)| *name == "NO_COLOR") {
            command.env(name, value);
        }
        ran(&mut command)
    };
    let is_coloured = |ran: Ran| (ran.out + &ran.err).contains('\x1b');
    // As if there were a terminal.
    let forced = ("CLICOLOR_FORCE", "1");
    let refused = ("NO_COLOR", "1");
    for words in [
        &["run", "nothing.wasm"][..],
        &["help"],
        &["--help"],
        &["cache", "claer"],
    ] {
        assert!(!is_coloured(run(words, &[])), "{words:?}");
        assert!(is_coloured(run(words, &[forced])), "{words:?}");
        assert!(!is_coloured(run(words, &[forced, refused])), "{words:?}");
        let never = [&["--color", "never"], words].concat();
        assert!(!is_coloured(run(&never, &[forced])), "{words:?}");
        let always = [&["--color=always"], words].concat();
        assert!(is_coloured(run(&always, &[refused])), "{words:?}");
    }
    assert!(is_coloured(run(
        &["run", "--color", "always", "nothing.wasm"],
        &[]
    )));
}

#[test]
fn a_wrong_line_for_cargo_lunatic_is_told_as_one_for_lunatic_is() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-lunatic"));
    let ran = ran(command.args(["lunatic", "biuld"]));
    ran.code(2)
        .says(&["error: unrecognized subcommand 'biuld'\nhelp: "]);
}
