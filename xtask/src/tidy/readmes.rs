//! Checks that READMEs list what their examples need.

use std::collections::BTreeSet;

use serde_json::Value;

/// Packages that no other package depends on, with examples of what is inside.
const NOT_FOR_OTHERS: [&str; 2] = ["lunatic-bench", "lunatic-testkit"];

/// A package of the workspace.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    /// All that it depends on, for tests too.
    dependencies: BTreeSet<String>,
    /// Whether it has host functions unless that is declined, and brings wasmtime along.
    is_guest_by_default: bool,
}

/// The packages of the workspace.
pub(super) fn packages(metadata: &Value) -> Vec<Package> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let members = list(&metadata["workspace_members"]);
    list(&metadata["packages"])
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .map(|package| Package {
            name: text(&package["name"]),
            dependencies: list(&package["dependencies"])
                .iter()
                .map(|dependency| text(&dependency["name"]))
                .collect(),
            is_guest_by_default: list(&package["features"]["default"])
                .iter()
                .any(|feature| feature == "guest"),
        })
        .collect()
}

/// What is missing in the README of a package.
///
/// - `package`: one of `packages`.
pub(super) fn problems(package: &Package, packages: &[Package], readme: &str) -> Vec<String> {
    if NOT_FOR_OTHERS.contains(&&*package.name) {
        return Vec::new();
    }
    let examples = blocks(readme, "rust");
    let listed = blocks(readme, "toml");
    let mut problems = Vec::new();
    let own = [package.name.clone()];
    for name in package.dependencies.iter().chain(&own) {
        if !is_used(name, &examples) {
            continue;
        }
        let begin = format!("{name} = ");
        let line = listed.lines().find(|line| line.starts_with(&begin));
        let by_default = |other: &Package| other.name == *name && other.is_guest_by_default;
        let what = match line {
            None => format!("does not list `{name}`, which its example needs"),
            Some(line)
                if packages.iter().any(by_default)
                    && !line.contains("default-features = false") =>
            {
                format!("`{name}` brings wasmtime along without `default-features = false`")
            }
            Some(_) => continue,
        };
        problems.push(format!("{}/README.md: {what}", package.name));
    }
    problems
}

/// Whether an example names something in a package.
fn is_used(package: &str, examples: &str) -> bool {
    let path = format!("{}::", package.replace('-', "_"));
    let is_begin = |before: &str| {
        !before.ends_with(|char: char| char.is_alphanumeric() || ":_".contains(char))
    };
    examples
        .match_indices(&path)
        .any(|(at, _)| is_begin(&examples[..at]))
}

/// All blocks of code in a language.
fn blocks(document: &str, language: &str) -> String {
    let begin = format!("```{language}");
    let mut text = String::new();
    let mut is_inside = false;
    for line in document.lines() {
        if line.starts_with("```") {
            is_inside = line.starts_with(&begin);
        } else if is_inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str], is_guest_by_default: bool) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
            is_guest_by_default,
        }
    }

    #[test]
    fn what_an_example_needs_has_to_be_listed_without_wasmtime() {
        let groups = package("lunatic-groups", &["futures-lite", "lunatic-process"], true);
        let packages = [groups, package("lunatic-process", &[], true)];
        let example =
            "```rust,no_run\nuse lunatic_groups::Groups;\nlet it = lunatic_process::new();\n```\n";
        let problems = |listed: &str| {
            let readme =
                format!("# groups\n\n```toml\n{listed}```\n\n{example}futures_lite::future");
            problems(&packages[0], &packages, &readme)
        };
        assert_eq!(
            problems("lunatic-groups = { path = \"…\" }\n"),
            [
                "lunatic-groups/README.md: does not list `lunatic-process`, which its example needs",
                "lunatic-groups/README.md: `lunatic-groups` brings wasmtime along without \
                 `default-features = false`",
            ]
        );
        let none: [String; 0] = [];
        assert_eq!(
            problems(
                "lunatic-groups = { path = \"…\", default-features = false }\n\
                 lunatic-process = { path = \"…\", default-features = false }\n"
            ),
            none
        );
    }
}
