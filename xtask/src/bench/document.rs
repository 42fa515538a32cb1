//! Writes the measured part of BENCHMARKS.md, and leaves the rest alone.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};

use crate::workspace;

const FILE: &str = "BENCHMARKS.md";

/// What encloses the part that is written here.
const BEGIN: &str = "<!-- Written by `cargo xtask bench` from here … -->\n";
const END: &str = "<!-- … to here. -->\n";

/// What stands before that part in a new file.
const INTRODUCTION: &str = "# Benchmarks\n\n";

/// Puts `measured` between the file's two markers.
pub(super) fn write(measured: &str) -> Result<()> {
    let path = workspace::root().join(FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(empty()),
        read => read,
    };
    let text = text.with_context(|| format!("cannot read {FILE}"))?;
    let text = filled(&text, measured)
        .with_context(|| format!("{FILE} has lost the markers of its measured part"))?;
    fs::write(&path, text).with_context(|| format!("cannot write {FILE}"))
}

fn empty() -> String {
    format!("{INTRODUCTION}{BEGIN}{END}")
}

/// `text` with `measured` between its markers, if it has them.
fn filled(text: &str, measured: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, empty, filled};

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let new = filled(&text, "new").expect("markers");
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}after\n"));
        assert_eq!(filled(&new, "new"), Some(new));
    }

    #[test]
    fn a_new_file_has_markers_and_one_without_them_stays() {
        assert!(filled(&empty(), "new").is_some());
        assert!(filled("by hand", "new").is_none());
    }
}
