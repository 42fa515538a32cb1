//! Checks the dependencies of the crates of this workspace.
//!
//! Dependencies between crates point one way, so that each can be understood,
//! and most can be used, without those above it.

use serde_json::Value;

/// A crate of the workspace and the crates of the workspace it needs.
#[derive(Debug)]
pub(super) struct Crate {
    pub(super) name: String,
    dependencies: Vec<String>,
}

/// The dependencies that a crate may have.
enum Allowed {
    These(&'static [&'static str]),
    All,
    /// All of these, and this one.
    AllAnd(&'static str),
}

/// The crates that every feature crate may depend on. None may depend on another feature crate.
const FOUNDATION: Allowed = Allowed::These(&[
    "lunatic-account",
    "lunatic-process",
    "lunatic-mailbox",
    "lunatic-abi",
    "lunatic-engine",
    "lunatic-blocking",
    "lunatic-error",
    "lunatic-reactor",
]);

/// Crates that nothing may depend on, but for tests.
const TOPMOST: [&str; 6] = [
    "lunatic-runtime",
    "lunatic-cli",
    "lunatic-bench",
    "lunatic-testkit",
    "lunatic-fuzz",
    "xtask",
];

const ALLOWED: [(&str, Allowed); 32] = [
    ("lunatic-allocator", Allowed::These(&[])),
    ("lunatic-error", Allowed::These(&[])),
    ("lunatic-account", Allowed::These(&[])),
    (
        "lunatic-abi",
        Allowed::These(&[
            "lunatic-account",
            "lunatic-blocking",
            "lunatic-error",
            "lunatic-reactor",
        ]),
    ),
    ("lunatic-scheduler", Allowed::These(&["lunatic-account"])),
    ("lunatic-blocking", Allowed::These(&["lunatic-account"])),
    ("lunatic-reactor", Allowed::These(&[])),
    ("lunatic-quic", Allowed::These(&[])),
    (
        "lunatic-engine",
        Allowed::These(&["lunatic-account", "lunatic-blocking", "lunatic-error"]),
    ),
    (
        "lunatic-mailbox",
        Allowed::These(&["lunatic-abi", "lunatic-account", "lunatic-blocking"]),
    ),
    (
        "lunatic-process",
        Allowed::These(&[
            "lunatic-scheduler",
            "lunatic-mailbox",
            "lunatic-abi",
            "lunatic-account",
            "lunatic-engine",
            "lunatic-error",
            "lunatic-reactor",
        ]),
    ),
    ("lunatic-timer", FOUNDATION),
    ("lunatic-registry", FOUNDATION),
    ("lunatic-groups", FOUNDATION),
    ("lunatic-supervisor", FOUNDATION),
    ("lunatic-net", FOUNDATION),
    ("lunatic-fs", FOUNDATION),
    ("lunatic-metrics", FOUNDATION),
    ("lunatic-reload", FOUNDATION),
    (
        "lunatic-distributed",
        Allowed::These(&[
            "lunatic-abi",
            "lunatic-account",
            "lunatic-engine",
            "lunatic-error",
            "lunatic-mailbox",
            "lunatic-process",
            "lunatic-quic",
            "lunatic-trust",
        ]),
    ),
    ("lunatic-trust", Allowed::These(&[])),
    (
        "lunatic-wasi",
        Allowed::These(&[
            "lunatic-abi",
            "lunatic-account",
            "lunatic-blocking",
            "lunatic-fs",
            "lunatic-reactor",
        ]),
    ),
    (
        "lunatic-sqlite",
        Allowed::These(&[
            "lunatic-abi",
            "lunatic-account",
            "lunatic-blocking",
            "lunatic-fs",
            "lunatic-mailbox",
        ]),
    ),
    (
        "lunatic-testkit",
        Allowed::These(&[
            "lunatic-scheduler",
            "lunatic-mailbox",
            "lunatic-process",
            "lunatic-abi",
        ]),
    ),
    ("lunatic-admin", Allowed::These(&["lunatic-error"])),
    ("lunatic-http", Allowed::These(&[])),
    (
        "lunatic-dashboard",
        Allowed::These(&["lunatic-admin", "lunatic-error", "lunatic-http"]),
    ),
    ("lunatic-cli", Allowed::All),
    // The program of `lunatic-cli`, at the root, for `cargo install --path .`.
    (
        "lunatic-runtime",
        Allowed::These(&["lunatic-allocator", "lunatic-cli"]),
    ),
    // It runs whole runtimes in its own program.
    ("lunatic-bench", Allowed::AllAnd("lunatic-cli")),
    // Its targets are in many crates.
    (
        "lunatic-fuzz",
        Allowed::These(&[
            "lunatic-abi",
            "lunatic-account",
            "lunatic-admin",
            "lunatic-cli",
            "lunatic-distributed",
            "lunatic-mailbox",
            "lunatic-net",
            "lunatic-process",
            "lunatic-testkit",
            "lunatic-wasi",
        ]),
    ),
    ("xtask", Allowed::These(&[])),
];

/// Asynchronous runtimes other than smol, by the prefix of their packages.
const UNWANTED: [&str; 2] = ["tokio", "async-std"];

/// The crates of the workspace that `metadata` describes.
pub(super) fn crates(metadata: &Value) -> Vec<Crate> {
    let members: Vec<&str> = strings(&metadata["workspace_members"]).collect();
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let is_member = |package: &&Value| {
        package["id"]
            .as_str()
            .is_some_and(|id| members.contains(&id))
    };
    let names: Vec<&str> = packages()
        .filter(is_member)
        .filter_map(|package| package["name"].as_str())
        .collect();
    packages()
        .filter(is_member)
        .map(|package| Crate::new(package, &names))
        .collect()
}

impl Crate {
    fn new(package: &Value, members: &[&str]) -> Self {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        Self {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            dependencies: dependencies
                // A test may use any crate.
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|name| members.contains(name))
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// A problem about each dependency that points the wrong way.
pub(super) fn misdirected(crates: &[Crate]) -> Vec<String> {
    crates.iter().flat_map(problems).collect()
}

fn problems(member: &Crate) -> Vec<String> {
    let name = &member.name;
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
        return vec![format!(
            "{name}/Cargo.toml: {} doesn't say what this crate may depend on",
            file!()
        )];
    };
    member
        .dependencies
        .iter()
        .filter(|dependency| !allowed.allows(dependency))
        .map(|dependency| format!("{name}/Cargo.toml: {name} must not know {dependency}"))
        .collect()
}

impl Allowed {
    fn allows(&self, dependency: &str) -> bool {
        match self {
            Self::These(names) => names.contains(&dependency),
            Self::All => !TOPMOST.contains(&dependency),
            Self::AllAnd(topmost) => dependency == *topmost || Self::All.allows(dependency),
        }
    }
}

/// A problem about each package in `cargo metadata` that brings another
/// asynchronous runtime along.
pub(super) fn unwanted(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter_map(|package| package["name"].as_str())
        .filter(|name| is_unwanted(name))
        .map(|name| format!("Cargo.lock: {name} is there, and everything here runs on smol"))
        .collect()
}

fn is_unwanted(name: &str) -> bool {
    UNWANTED.iter().any(|unwanted| {
        name.strip_prefix(unwanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

fn strings(array: &Value) -> impl Iterator<Item = &str> {
    array
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Crate, crates, is_unwanted, misdirected};

    fn problems(name: &str, dependency: &str) -> usize {
        misdirected(&[Crate {
            name: name.to_owned(),
            dependencies: vec![dependency.to_owned()],
        }])
        .len()
    }

    #[test]
    fn dependencies_point_down() {
        assert_eq!(problems("lunatic-process", "lunatic-mailbox"), 0);
        assert_eq!(problems("lunatic-mailbox", "lunatic-process"), 1);
    }

    #[test]
    fn feature_crates_do_not_know_each_other() {
        assert_eq!(problems("lunatic-timer", "lunatic-process"), 0);
        assert_eq!(problems("lunatic-timer", "lunatic-registry"), 1);
    }

    #[test]
    fn nothing_depends_on_the_tools() {
        assert_eq!(problems("lunatic-bench", "lunatic-cli"), 0);
        assert_eq!(problems("lunatic-bench", "lunatic-testkit"), 1);
        assert_eq!(problems("lunatic-cli", "lunatic-timer"), 0);
        assert_eq!(problems("lunatic-cli", "xtask"), 1);
        assert_eq!(problems("lunatic-cli", "lunatic-bench"), 1);
        assert_eq!(problems("lunatic-cli", "lunatic-testkit"), 1);
        assert_eq!(problems("lunatic-timer", "lunatic-testkit"), 1);
        assert_eq!(problems("xtask", "lunatic-cli"), 1);
    }

    #[test]
    fn a_new_crate_must_be_put_into_the_table() {
        assert_eq!(problems("lunatic-new", "lunatic-abi"), 1);
    }

    #[test]
    fn only_dependencies_on_members_that_are_no_dev_dependencies_count() {
        let metadata = json!({
            "workspace_members": ["a 1", "b 1", "c 1"],
            "packages": [
                {"id": "a 1", "name": "a", "dependencies": [
                    {"name": "b", "kind": null},
                    {"name": "c", "kind": "dev"},
                    {"name": "serde", "kind": null},
                ]},
                {"id": "b 1", "name": "b", "dependencies": []},
                {"id": "c 1", "name": "c", "dependencies": []},
                {"id": "serde 1", "name": "serde", "dependencies": []},
            ],
        });
        let crates = crates(&metadata);
        assert_eq!(crates.len(), 3);
        assert_eq!(crates[0].dependencies, ["b"]);
    }

    #[test]
    fn other_runtimes_are_recognised_by_their_packages() {
        assert!(is_unwanted("tokio") && is_unwanted("tokio-util"));
        assert!(!is_unwanted("tokioish") && !is_unwanted("smol"));
    }
}
