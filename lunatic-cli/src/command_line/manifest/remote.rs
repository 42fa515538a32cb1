//! What other nodes may do on this one: `lunatic node --remote`, in the words of the manifest.

use std::num::NonZeroU64;

use lunatic_account::AccountLimits;
use lunatic_net::{Rule, Rules};
use lunatic_trust::NamePattern;
use toml::de::{DeTable, DeValue};

use crate::command_line::features::Feature;
use crate::command_line::grants::Dir;
use crate::command_line::manifest::ParseContext;
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics};
use crate::command_line::manifest::program::list;
use crate::command_line::manifest::table::{Table, Value, wrong_type};
use crate::command_line::manifest::value::{boolean, integer, memory, name, parsed};
use crate::{Config, RemoteDir, RemoteRights, RemoteRule};

/// Reads a file with a table `[remote]`, or several `[[remote]]`, of which the first counts
/// whose pattern the name of a node matches.
pub(super) fn parse(text: &str, context: &ParseContext<'_>) -> Result<RemoteRights, Diagnostics> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut diagnostics = Diagnostics::default();
    if let Some(error) = errors.into_iter().next() {
        let span = error.span().unwrap_or_default();
        diagnostics.push(Diagnostic::new(span, error.message()));
        return Err(diagnostics);
    }
    let mut table = Table::new(document.get_ref(), 0..0);
    let rules = match table.value("remote") {
        Some(value) => read_rules(value, context, &mut diagnostics),
        None => {
            let diagnostic = Diagnostic::new(0..0, "there is no `remote`")
                .help("begin it with [remote], or [[remote]] for each pattern of names");
            diagnostics.push(diagnostic);
            Vec::new()
        }
    };
    table.finish(&mut diagnostics);
    match diagnostics.is_empty() {
        true => Ok(RemoteRights { rules }),
        false => Err(diagnostics),
    }
}

fn read_rules(
    value: Value<'_>,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<RemoteRule> {
    let mut one = |value| {
        let table = diagnostics.take(Table::of("remote", value))?;
        Some(read_rule(table, context, diagnostics))
    };
    match value.get_ref() {
        DeValue::Array(values) => values.iter().filter_map(one).collect(),
        _ => one(value).into_iter().collect(),
    }
}

/// What is not named is not given.
fn read_rule(
    mut table: Table<'_>,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> RemoteRule {
    let nodes = table.read("nodes", diagnostics, |key, value| {
        parsed(&name(key, value)?)
    });
    let mut rule = RemoteRights::default_rule();
    rule.nodes = nodes.unwrap_or_else(NamePattern::any);
    read_process(&mut table, &mut rule.ceiling, diagnostics);
    table.require("allow_net", Feature::Net, diagnostics);
    let mut rules = |key| -> Vec<Rule> {
        list(&mut table, key, diagnostics)
            .iter()
            .filter_map(|text| diagnostics.take(parsed(text)))
            .collect()
    };
    let allow = Some(rules("allow_net"));
    let deny = rules("deny_net");
    rule.ceiling.net = Config::default().net;
    rule.ceiling.narrow_net(Rules { allow, deny });
    rule.dirs = read_dirs(&mut table, context, diagnostics);
    if let Some(value) = table.value("limits") {
        read_limits(value, &mut rule.limits, diagnostics);
    }
    table.finish(diagnostics);
    rule
}

fn read_process(table: &mut Table<'_>, ceiling: &mut Config, diagnostics: &mut Diagnostics) {
    let process = &mut ceiling.process;
    if let Some(may) = table.read("can_spawn", diagnostics, boolean) {
        process.can_spawn_processes = may;
    }
    if let Some(may) = table.read("can_compile", diagnostics, boolean) {
        process.can_compile_modules = may;
    }
    if let Some(most) = table.read("max_memory", diagnostics, memory) {
        process.max_memory = process.max_memory.min(most.value);
    }
    let fuel = table.read("max_fuel", diagnostics, |key, value| {
        integer(key, value, 1, u64::MAX)
    });
    process.max_fuel = fuel.and_then(NonZeroU64::new);
}

/// As in a manifest; the path of the host begins at the file. It is opened when the first
/// process needs it, so it is looked at here.
fn read_dirs(
    table: &mut Table<'_>,
    context: &ParseContext<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<RemoteDir> {
    let mut dirs = Vec::new();
    for text in list(table, "dirs", diagnostics) {
        let Some(dir) = diagnostics.take(parsed::<Dir>(&text)) else {
            continue;
        };
        let host = context.directory.join(&dir.host);
        if !host.is_dir() {
            let what = format!("`{}` is no directory", host.display());
            let help =
                "make it, or name another one; the path begins at the directory of this file";
            diagnostics.push(Diagnostic::new(text.span, what).help(help));
            continue;
        }
        dirs.push(RemoteDir {
            guest: dir.guest,
            host,
            access: dir.access,
        });
    }
    dirs
}

/// What a node may make this one keep.
fn read_limits(value: Value<'_>, limits: &mut AccountLimits, diagnostics: &mut Diagnostics) {
    let DeValue::Table(_) = value.get_ref() else {
        let wrong = wrong_type("limits", "a table", value.get_ref(), value.span());
        return diagnostics.push(wrong.help("write limits = { memory = \"256MiB\" }"));
    };
    let Some(mut table) = diagnostics.take(Table::of("limits", value)) else {
        return;
    };
    if let Some(most) = table.read("memory", diagnostics, memory) {
        limits.memory = most.value;
    }
    let counts = [
        ("processes", &mut limits.processes),
        ("descriptors", &mut limits.descriptors),
        ("timers", &mut limits.timers),
        ("names", &mut limits.names),
        ("cpu", &mut limits.cpu),
    ];
    for (key, limit) in counts {
        let most = table.read(key, diagnostics, |key, value| {
            integer(key, value, 0, u64::MAX)
        });
        *limit = most.unwrap_or(*limit);
    }
    table.finish(diagnostics);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use std::path::Path;

    use lunatic_wasi::Access;

    use super::*;

    fn context() -> ParseContext<'static> {
        ParseContext {
            directory: Path::new(env!("CARGO_MANIFEST_DIR")),
            variables: Vec::new(),
        }
    }

    /// What is wrong, as it is shown.
    fn wrong(text: &str) -> String {
        let diagnostics = parse(text, &context()).unwrap_err();
        let shown = diagnostics.sorted().into_iter().map(|diagnostic| {
            let (what, help) = diagnostic
                .explain(Path::new("remote.toml"), text)
                .into_parts();
            what + "\n" + &help.unwrap_or_default()
        });
        shown.collect()
    }

    #[test]
    fn the_first_rule_counts_whose_pattern_a_name_matches() {
        let text = r#"
            [[remote]]
            nodes = "worker-*"
            dirs = ["src::code:ro"]
            allow_net = ["connect:10.0.0.0/8:443"]
            max_memory = "64MiB"
            max_fuel = 1000
            can_spawn = false
            limits = { memory = "256MiB", processes = 10, cpu = 500000 }

            [[remote]]
            can_compile = true
        "#;
        let rights = parse(text, &context()).unwrap();
        let [workers, others] = &rights.rules[..] else {
            panic!("{rights:?}");
        };
        assert!(workers.nodes.matches(&"worker-1".parse().unwrap()));
        assert!(!workers.nodes.matches(&"front".parse().unwrap()));
        let process = &workers.ceiling.process;
        assert!(!process.can_spawn_processes && !process.can_compile_modules);
        assert_eq!(process.max_memory, 64 << 20);
        assert_eq!(process.max_fuel.unwrap().get(), 1000);
        assert_eq!(workers.dirs[0].guest, "code");
        assert_eq!(workers.dirs[0].access, Access::ReadOnly);
        assert!(workers.dirs[0].host.ends_with("lunatic-cli/src"));
        assert_eq!(workers.limits.memory, 256 << 20);
        assert_eq!(workers.limits.processes, 10);
        assert_eq!(workers.limits.cpu, 500_000);
        assert_eq!(
            workers.limits.names,
            RemoteRights::default_rule().limits.names
        );
        assert!(others.nodes.matches(&"front".parse().unwrap()));
        assert!(others.ceiling.process.can_spawn_processes);
        assert!(others.ceiling.process.can_compile_modules);
        assert!(others.dirs.is_empty());
    }

    #[test]
    fn a_file_that_names_nothing_gives_what_is_given_by_default() {
        let rights = parse("[remote]", &context()).unwrap();
        let by_default = RemoteRights::default_rule();
        let [rule] = &rights.rules[..] else {
            panic!("{rights:?}");
        };
        assert_eq!(rule.ceiling.process, by_default.ceiling.process);
        assert!(rule.ceiling.net.check_lookup("localhost").is_err());
        assert!(by_default.ceiling.net.check_lookup("localhost").is_err());
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (text, says) in [
            ("", "there is no `remote`"),
            ("[remote\n", "remote.toml:1:"),
            ("[remote]\nnode = \"a\"", "did you mean `nodes`?"),
            ("[remote]\nnodes = \"a b\"", "remote.toml:2:9"),
            ("[remote]\ndirs = [\"nowhere\"]", "is no directory"),
            ("[remote]\nmax_memory = \"64\"", "`max_memory` has no unit"),
            ("[remote]\nlimits = 7", "write limits = {"),
            (
                "[remote]\nlimits = { process = 7 }",
                "did you mean `processes`?",
            ),
            ("[remote]\nallow_net = [\"a:b\"]", "remote.toml:2:14"),
            (
                "[remote]\ncan_spawn = 1",
                "`can_spawn` must be true or false",
            ),
            ("[other]", "unknown key `other`"),
            ("remote = 7", "`remote` must be a table"),
        ] {
            let wrong = wrong(text);
            assert!(wrong.contains(says), "{text}: no {says:?} in {wrong}");
        }
    }
}
