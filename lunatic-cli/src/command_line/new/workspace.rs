//! The workspace of cargo's that a new project lies in.

use std::fs;
use std::path::Path;

use toml_edit::{DocumentMut, Item};

/// Whether the project would lie in a workspace that it is no member of, which cargo refuses to build.
///
/// - `project`: its directory.
pub(super) fn refuses(project: &Path) -> bool {
    let Ok(project) = std::path::absolute(project) else {
        return false;
    };
    let mut around = project.ancestors().skip(1);
    let found = around.find_map(|directory| {
        let text = fs::read_to_string(directory.join("Cargo.toml")).ok()?;
        let manifest: DocumentMut = text.parse().ok()?;
        Some((directory, manifest.get("workspace")?.clone()))
    });
    let Some((root, workspace)) = found else {
        return false;
    };
    let below = project.strip_prefix(root).unwrap_or(&project);
    !names(&workspace, "members").any(|member| is_named_by(below, &member))
        && !names(&workspace, "exclude").any(|excluded| below.starts_with(excluded))
}

/// The paths in a list of a workspace.
fn names(workspace: &Item, list: &str) -> impl Iterator<Item = String> {
    let list = workspace.get(list).and_then(Item::as_array);
    let names = list.into_iter().flatten().filter_map(|name| name.as_str());
    names.map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Whether a path is meant by one that may have a `*` in each of its parts.
fn is_named_by(path: &Path, pattern: &str) -> bool {
    let mut parts = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let mut patterns = pattern.split('/').filter(|part| !["", "."].contains(part));
    loop {
        match (parts.next(), patterns.next()) {
            (None, None) => return true,
            (Some(part), Some(pattern)) if fits(&part, pattern) => {}
            _ => return false,
        }
    }
}

/// Whether a name is what a pattern says with one `*` for anything, or none.
fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((begin, end)) => {
            let rest = name.strip_prefix(begin);
            rest.is_some_and(|rest| rest.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_by_itself_or_with_any_part_left_open() {
        for (path, pattern, is_named) in [
            ("guest", "guest", true),
            ("guest", "./guest/", true),
            ("guests/one", "guests/*", true),
            ("guests/one", "guests/o*", true),
            ("guests/one", "*", false),
            ("guests/one", "guests", false),
            ("guests", "guests/*", false),
            ("two", "one", false),
        ] {
            assert_eq!(
                is_named_by(Path::new(path), pattern),
                is_named,
                "{path} {pattern}"
            );
        }
    }
}
