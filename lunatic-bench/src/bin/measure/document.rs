//! Writes the measured parts of documents, and leaves the rest alone.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};

use crate::place;

const BENCHMARKS: &str = "BENCHMARKS.md";

/// The text of a new file.
const INTRODUCTION: &str = "# Benchmarks\n";

/// A part of a file that is written here.
#[derive(Debug)]
pub(crate) struct Section {
    /// The file, in the folder of the workspace.
    file: &'static str,
    /// The lines that enclose it.
    begin: &'static str,
    end: &'static str,
}

/// The section of `cargo xtask bench`.
pub(crate) const MAIN: Section = Section {
    file: BENCHMARKS,
    begin: "<!-- Written by `cargo xtask bench` from here … -->\n",
    end: "<!-- … to here. -->\n",
};

/// The section of `cargo xtask bench --network`.
pub(crate) const NETWORK: Section = Section {
    file: BENCHMARKS,
    begin: "<!-- Written by `cargo xtask bench --network` from here … -->\n",
    end: "<!-- … to here (network). -->\n",
};

/// The section of `cargo xtask bench --reload`.
pub(crate) const RELOAD: Section = Section {
    file: BENCHMARKS,
    begin: "<!-- Written by `cargo xtask bench --reload` from here … -->\n",
    end: "<!-- … to here (reload). -->\n",
};

/// The section of `cargo xtask bench --databases`.
pub(crate) const DATABASES: Section = Section {
    file: BENCHMARKS,
    begin: "<!-- Written by `cargo xtask bench --databases` from here … -->\n",
    end: "<!-- … to here (databases). -->\n",
};

/// The section of `cargo xtask bench --nodes`.
pub(crate) const NODES: Section = Section {
    file: BENCHMARKS,
    begin: "<!-- Written by `cargo xtask bench --nodes` from here … -->\n",
    end: "<!-- … to here (nodes). -->\n",
};

/// The section of `cargo xtask attack`.
pub(crate) const ATTACKS: Section = Section {
    file: "SECURITY.md",
    begin: "<!-- Written by `cargo xtask attack --write` from here … -->\n",
    end: "<!-- … to here. -->\n",
};

impl Section {
    /// Puts `measured` between the section's two markers, and leaves the rest of
    /// the file alone. A section that isn't there yet comes last.
    pub(crate) fn write(&self, measured: &str) -> Result<()> {
        let file = self.file;
        let path = place::root().join(file);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(INTRODUCTION.to_owned()),
            read => read,
        };
        let text = text.with_context(|| format!("cannot read {file}"))?;
        let text = self
            .filled(&text, measured)
            .with_context(|| format!("{file} has lost a marker of its measured part"))?;
        fs::write(&path, text).with_context(|| format!("cannot write {file}"))
    }

    /// `text` with `measured` in this section; none if one marker is alone.
    fn filled(&self, text: &str, measured: &str) -> Option<String> {
        let Section { begin, end, .. } = self;
        let Some((before, rest)) = text.split_once(begin) else {
            let is_new = !text.contains(end);
            return is_new.then(|| format!("{text}\n{begin}\n{measured}\n{end}"));
        };
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}\n{measured}\n{end}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{INTRODUCTION, MAIN, NETWORK};

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("before\n{}old\n{}after\n", MAIN.begin, MAIN.end);
        let new = MAIN.filled(&text, "new").expect("markers");
        let expected = format!("before\n{}\nnew\n{}after\n", MAIN.begin, MAIN.end);
        assert_eq!(new, expected);
        assert_eq!(MAIN.filled(&new, "new"), Some(new));
    }

    #[test]
    fn sections_are_added_and_do_not_disturb_each_other() {
        let one = MAIN.filled(INTRODUCTION, "one").expect("a new one");
        let two = NETWORK.filled(&one, "two").expect("a new one");
        assert!(two.starts_with(&one));
        let new = MAIN.filled(&two, "new").expect("markers");
        assert!(new.contains("new") && new.contains("two") && !new.contains("one"));
    }

    #[test]
    fn a_file_with_one_marker_is_left_alone() {
        assert!(MAIN.filled(MAIN.begin, "new").is_none());
        assert!(MAIN.filled(MAIN.end, "new").is_none());
    }
}
