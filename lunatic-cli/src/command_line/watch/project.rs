//! The command that makes a file, where a project of cargo is watched.

use std::path::{Component, Path};

/// Where cargo puts what it builds for WASI, below the directory of the project.
const PLACE: [&str; 2] = ["target", "wasm32-wasip1"];

/// What makes the first of these files that cargo would put where it is; none if the current
/// directory has no project of cargo's, or they are elsewhere.
///
/// - `paths`: absolute, or from the current directory.
pub(crate) fn build_line<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    if !here.join("Cargo.toml").exists() {
        return None;
    }
    let mut paths = paths.into_iter();
    paths.find_map(|path| line(path.strip_prefix(&here).unwrap_or(path)))
}

fn line(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_str())
        .collect::<Option<_>>()?;
    let [first, second, profile, file] = parts[..] else {
        return None;
    };
    let is_name = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    if [first, second] != PLACE || !file.ends_with(".wasm") || !profile.chars().all(is_name) {
        return None;
    }
    let build = "cargo build --target wasm32-wasip1";
    Some(match profile {
        "debug" => build.to_owned(),
        "release" => format!("{build} --release"),
        other => format!("{build} --profile {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_has_built_is_built_by_cargo() {
        let line = |path: &str| line(Path::new(path));
        let debug = Some("cargo build --target wasm32-wasip1".to_owned());
        assert_eq!(line("target/wasm32-wasip1/debug/app.wasm"), debug);
        assert_eq!(line("./target/wasm32-wasip1/debug/app.wasm"), debug);
        assert_eq!(
            line("target/wasm32-wasip1/release/app.wasm"),
            Some("cargo build --target wasm32-wasip1 --release".to_owned())
        );
        assert_eq!(
            line("target/wasm32-wasip1/small/app.wasm"),
            Some("cargo build --target wasm32-wasip1 --profile small".to_owned())
        );
        for path in [
            "app.wasm",
            "target/app.wasm",
            "target/guests/wasm32-wasip1/release/app.wasm",
            "target/wasm32-wasip1/debug/deps/app.wasm",
            "target/wasm32-wasip1/debug/app",
            "target/wasm32-wasip1/de bug/app.wasm",
            "../target/wasm32-wasip1/debug/app.wasm",
        ] {
            assert_eq!(line(path), None, "{path}");
        }
    }
}
