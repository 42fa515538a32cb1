//! Checks that the files of a crate do not import each other in a circle.
//!
//! A circle has no file at which a reader can begin. Circles with a reason are listed here with it;
//! any other is a problem.

use std::collections::{BTreeMap, BTreeSet};

/// Files that may import each other in a circle, and why.
const ALLOWED: [(&str, &[&str], &str); 18] = [
    (
        "lunatic-process",
        &[
            "death_notices",
            "environment",
            "life",
            "peers",
            "process",
            "spawning",
            "table",
            "trace",
        ],
        "an environment makes and finds processes, and a process knows where it lives",
    ),
    (
        "lunatic-reload",
        &["member", "named"],
        "a module knows its members, and each of them the module whose versions it moves between",
    ),
    (
        "lunatic-process",
        &[
            "guest",
            "guest/exchange",
            "guest/identity",
            "guest/modules",
            "guest/requests",
            "guest/run",
            "guest/spawn",
            "guest/start",
            "guest/state",
        ],
        "`guest` has the trait of the state, which names the types of its parts",
    ),
    (
        "lunatic-mailbox",
        &["guest", "guest/receiving", "guest/scratch"],
        "`guest` has the trait of the state, which names the type of its part",
    ),
    (
        "lunatic-supervisor",
        &["driver", "spec", "start", "supervisor"],
        "a supervisor is a child that starts children",
    ),
    (
        "lunatic-cli",
        &[
            "child_environment",
            "node",
            "node/modules",
            "program",
            "runtime",
            "state",
            "state/net",
            "state/no_net",
            "state/no_sqlite",
            "state/sqlite",
        ],
        "the state of a process is made of the environment that it gives its children, and the \
         runtime knows its programs and its node, which start processes in it",
    ),
    (
        "lunatic-cli",
        &[
            "command_line/arguments",
            "command_line/completions",
            "command_line/help",
        ],
        "help and completions are commands, and tell of all commands",
    ),
    (
        "lunatic-cli",
        &[
            "command_line/testing/json",
            "command_line/testing/junit",
            "command_line/testing/options",
            "command_line/testing/report",
        ],
        "a report is written in a form that the options name, by files that know its parts",
    ),
    (
        "lunatic-cli",
        &[
            "command_line/manifest/child",
            "command_line/manifest/supervisor",
        ],
        "a supervisor is a child that has children",
    ),
    (
        "lunatic-cli",
        &["command_line/run", "command_line/test"],
        "cargo gives test binaries to `run`, and tests have the settings of programs",
    ),
    (
        "lunatic-distributed",
        &["cluster", "local", "session", "sessions"],
        "a session is a connection of the cluster, and answers to requests go into it",
    ),
    (
        "lunatic-distributed",
        &["guest", "guest/lookups"],
        "`guest` has the trait of the state, which names the type of its part",
    ),
    (
        "lunatic-distributed",
        &["node", "node/background", "node/driver"],
        "a node starts its threads, which tell each other what to do",
    ),
    (
        "lunatic-groups",
        &["groups", "scope"],
        "the scopes of a set of groups have the same observer",
    ),
    (
        "lunatic-scheduler",
        &["queues", "scheduler", "worker"],
        "a worker that pushes into its own queue wakes others",
    ),
    (
        "lunatic-abi",
        &["errors", "memory", "shared_caller"],
        "the state has an error table, whose functions read memory; a caller waits as a shared one",
    ),
    (
        "lunatic-net",
        &[
            "guest/dns",
            "guest/reports",
            "guest/sockets",
            "guest/tls_sockets",
        ],
        "each kind of resource has its table in the state",
    ),
    (
        "lunatic-sqlite",
        &["connection", "statement"],
        "a connection makes statements, and a statement keeps its connection open",
    ),
];

/// One file of a crate: its module path with slashes, `lib` for the root.
type File = String;

/// Which files of a crate each file imports.
type Imports = BTreeMap<File, BTreeSet<File>>;

/// A problem for each circle of files that is not allowed.
///
/// - `sources`: path in the repository and content of each Rust file.
pub(super) fn circles(sources: &[(String, String)]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<(File, &str)>> = BTreeMap::new();
    for (path, text) in sources {
        if let Some((name, file)) = module_of(path) {
            crates.entry(name).or_default().push((file, text));
        }
    }
    crates
        .iter()
        .flat_map(|(name, files)| {
            let circles = circles_of(&imports(files));
            circles
                .into_iter()
                .filter_map(|circle| problem(name, &circle))
        })
        .collect()
}

fn problem(name: &str, circle: &[File]) -> Option<String> {
    let is_allowed = ALLOWED.iter().any(|(allowed, files, _)| {
        *allowed == name && circle.iter().all(|file| files.contains(&file.as_str()))
    });
    let circle = circle.join(", ");
    (!is_allowed)
        .then(|| format!("{name}/src: these files import each other in a circle: {circle}"))
}

/// The crate and the module of a file in a `src` folder; programs in `src/bin` are
/// crates of their own.
fn module_of(path: &str) -> Option<(&str, File)> {
    let (name, file) = path.split_once("/src/")?;
    let file = file.strip_suffix(".rs")?;
    if name.contains('/') {
        return None;
    }
    let in_program = file
        .strip_prefix("bin/")
        .and_then(|file| file.split_once('/'));
    let file = in_program.map_or(file, |(_, file)| file);
    match (in_program, file) {
        (None, "lib") | (_, "main") => Some((name, "lib".to_owned())),
        (None, file) => Some((name, file.to_owned())),
        (Some((program, _)), file) => Some((name, format!("bin {program}/{file}"))),
    }
}

fn imports(files: &[(File, &str)]) -> Imports {
    let known: BTreeSet<&str> = files.iter().map(|(file, _)| file.as_str()).collect();
    let of_file = |(file, text): &(File, &str)| {
        let program = file.starts_with("bin ").then(|| file.split('/').next());
        let prefix = program
            .flatten()
            .map_or(String::new(), |name| format!("{name}/"));
        let imported = paths(text)
            .into_iter()
            .filter_map(|path| target(&prefix, &path, &known))
            .filter(|target| target != file)
            .collect();
        (file.clone(), imported)
    };
    files.iter().map(of_file).collect()
}

/// The longest beginning of a path that is a file.
fn target(prefix: &str, path: &[String], known: &BTreeSet<&str>) -> Option<File> {
    (1..=path.len())
        .rev()
        .map(|length| format!("{prefix}{}", path[..length].join("/")))
        .find(|file| known.contains(file.as_str()))
}

/// Returns the paths after each `crate::` in the code before the unit tests, as modules. A group in
/// braces is one path for each of its members.
fn paths(text: &str) -> Vec<Vec<String>> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line));
    let code = lines.collect::<Vec<_>>().join("\n");
    let found = code.match_indices("crate::");
    found
        .flat_map(|(at, found)| paths_at(&code[at + found.len()..]))
        .collect()
}

/// The paths at the beginning of this code.
fn paths_at(code: &str) -> Vec<Vec<String>> {
    let is_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
    let end = code.find(|c| !is_path(c)).unwrap_or(code.len());
    let names = code[..end].split("::").filter(|name| !name.is_empty());
    let path: Vec<String> = names.map(str::to_owned).collect();
    let group = code[end..].strip_prefix('{');
    let Some((group, _)) = group.and_then(|group| group.split_once('}')) else {
        return vec![path];
    };
    let members = group.split(',').map(str::trim);
    let members = members.filter(|member| !member.is_empty());
    members
        .map(|member| {
            let mut path = path.clone();
            let names = member.split("::").filter(|name| *name != "self");
            path.extend(names.map(str::to_owned));
            path
        })
        .collect()
}

/// The sets of files that reach each other.
fn circles_of(imports: &Imports) -> Vec<Vec<File>> {
    let reached: BTreeMap<&File, BTreeSet<&File>> = imports
        .keys()
        .map(|file| (file, reachable(file, imports)))
        .collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (file, from_here) in &reached {
        if !from_here.contains(file) || !seen.insert(*file) {
            continue;
        }
        let others = from_here
            .iter()
            .filter(|other| reached[**other].contains(*file));
        let circle: Vec<File> = others.map(|other| (*other).clone()).collect();
        seen.extend(imports.keys().filter(|file| circle.contains(file)));
        circles.push(circle);
    }
    circles
}

fn reachable<'a>(from: &File, imports: &'a Imports) -> BTreeSet<&'a File> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&File> = imports[from].iter().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(imports[file].iter());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::circles;

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let owned = |(path, text): &(&str, &str)| (path.to_string(), text.to_string());
        circles(&files.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn files_that_import_each_other_are_told() {
        let problems = check(&[
            ("lunatic-new/src/lib.rs", "mod a; mod b; mod c;"),
            ("lunatic-new/src/a.rs", "use crate::b::B;"),
            ("lunatic-new/src/b.rs", "use crate::c::{C, D};"),
            ("lunatic-new/src/c.rs", "fn f() { crate::a::g() }"),
        ]);
        let expected = "lunatic-new/src: these files import each other in a circle: a, b, c";
        assert_eq!(problems, [expected]);
    }

    #[test]
    fn a_group_imports_its_members_and_not_the_file_that_they_are_in() {
        let inside = "use crate::a::{\n    b, c\n};";
        let problems = check(&[
            (
                "lunatic-new/src/a.rs",
                "mod b; mod c; mod d; use crate::a::d::D;",
            ),
            ("lunatic-new/src/a/b.rs", ""),
            ("lunatic-new/src/a/c.rs", "use crate::a::{d::E};"),
            ("lunatic-new/src/a/d.rs", inside),
        ]);
        let expected = "lunatic-new/src: these files import each other in a circle: a/c, a/d";
        assert_eq!(problems, [expected]);
    }

    #[test]
    fn comments_tests_and_other_crates_do_not_count() {
        let problems = check(&[
            ("lunatic-new/src/a.rs", "use crate::b::B;"),
            (
                "lunatic-new/src/b.rs",
                "// crate::a::A\n#[cfg(test)]\nmod tests { use crate::a::A; }",
            ),
            ("lunatic-other/src/b.rs", "use crate::a::A;"),
            ("lunatic-new/tests/b.rs", "use crate::a::A;"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn the_modules_of_a_program_are_its_own() {
        let problems = check(&[
            ("lunatic-new/src/bin/tool/main.rs", "mod a; mod b;"),
            ("lunatic-new/src/bin/tool/a.rs", "use crate::b::B;"),
            ("lunatic-new/src/bin/tool/b.rs", "use crate::a::A;"),
            ("lunatic-new/src/a.rs", "use crate::b::B;"),
            ("lunatic-new/src/b.rs", ""),
        ]);
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}
