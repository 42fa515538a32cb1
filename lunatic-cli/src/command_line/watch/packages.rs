//! The packages outside of the current directory that a project of cargo's is built from.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What is watched beside the current directory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Beside {
    /// Directories of packages. One of them may contain the current directory.
    pub(super) packages: BTreeSet<PathBuf>,
    /// The manifest of the workspace, if it is elsewhere.
    pub(super) workspace: Option<PathBuf>,
}

impl Beside {
    /// Asks cargo which packages with a path the project in a directory depends on. Takes as long as cargo
    /// does.
    ///
    /// Nothing is downloaded or written for this: what is missing makes it fail, and is there after a build.
    ///
    /// - `here`: absolute.
    ///
    /// Returns `None` if cargo does not know. A directory without a manifest has no such packages.
    pub(super) fn find(here: &Path) -> Option<Beside> {
        if !here.join("Cargo.toml").exists() {
            return Some(Beside::default());
        }
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            .args(["--filter-platform", "wasm32-wasip1"])
            .current_dir(here)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let metadata = serde_json::from_slice(&output.stdout).ok()?;
        Some(Beside::of(&metadata, here))
    }

    /// What is said in the metadata of cargo.
    fn of(metadata: &Value, here: &Path) -> Beside {
        let is_here = |path: &Path| path.starts_with(here);
        // Those that were downloaded have a source, and do not change.
        let directories: HashMap<&str, &Path> = list(&metadata["packages"])
            .filter(|package| package["source"].is_null())
            .filter_map(|package| {
                let manifest = Path::new(package["manifest_path"].as_str()?);
                Some((package["id"].as_str()?, manifest.parent()?))
            })
            .collect();
        let dependencies: HashMap<&str, &Value> = list(&metadata["resolve"]["nodes"])
            .filter_map(|node| Some((node["id"].as_str()?, &node["dependencies"])))
            .collect();
        // A workspace without a package of its own has its members as roots.
        let root = metadata["resolve"]["root"].as_str();
        let mut to_visit: Vec<&str> = match root {
            Some(root) => vec![root],
            None => texts(&metadata["workspace_members"]).collect(),
        };
        let mut visited = BTreeSet::new();
        while let Some(id) = to_visit.pop() {
            // A package with a source depends on none with a path.
            if directories.contains_key(id) && visited.insert(id) {
                to_visit.extend(dependencies.get(id).into_iter().flat_map(|it| texts(it)));
            }
        }
        let packages = visited.into_iter().map(|id| directories[id]);
        let workspace = metadata["workspace_root"].as_str().map(PathBuf::from);
        Beside {
            packages: packages
                .filter(|path| !is_here(path))
                .map(Path::to_owned)
                .collect(),
            workspace: workspace
                .filter(|path| !is_here(path))
                .map(|path| path.join("Cargo.toml")),
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(id: &str, manifest: &str, source: Option<&str>) -> Value {
        json!({ "id": id, "manifest_path": manifest, "source": source })
    }

    #[test]
    fn packages_with_a_path_are_found_through_each_other_and_those_that_are_not_needed_are_not() {
        let metadata = json!({
            "packages": [
                package("app", "/w/app/Cargo.toml", None),
                package("inside", "/w/app/inside/Cargo.toml", None),
                package("library", "/w/library/Cargo.toml", None),
                package("macros", "/elsewhere/macros/Cargo.toml", None),
                package("other", "/w/other/Cargo.toml", None),
                package("serde", "/home/.cargo/serde/Cargo.toml", Some("registry")),
            ],
            "resolve": {
                "root": "app",
                "nodes": [
                    { "id": "app", "dependencies": ["inside", "library", "serde"] },
                    { "id": "library", "dependencies": ["macros", "serde"] },
                    { "id": "macros", "dependencies": [] },
                    { "id": "other", "dependencies": ["library"] },
                ],
            },
            "workspace_members": ["app", "library", "other"],
            "workspace_root": "/w",
        });
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        let beside = Beside::of(&metadata, Path::new("/w/app"));
        let expected = Beside {
            packages: paths(&["/w/library", "/elsewhere/macros"]),
            workspace: Some("/w/Cargo.toml".into()),
        };
        assert_eq!(beside, expected);
        // A project that is the workspace contains most.
        let mut metadata = metadata;
        metadata["resolve"]["root"] = Value::Null;
        let beside = Beside::of(&metadata, Path::new("/w"));
        let expected = Beside {
            packages: paths(&["/elsewhere/macros"]),
            workspace: None,
        };
        assert_eq!(beside, expected);
    }

    #[test]
    fn a_directory_without_a_manifest_has_nothing_beside_it() {
        let directory = tempfile::TempDir::new().expect("a directory can be made");
        assert_eq!(Beside::find(directory.path()), Some(Beside::default()));
    }
}
