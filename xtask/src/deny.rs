//! Checks what is depended on with cargo-deny, by the rules of `deny.toml`.

use anyhow::{Result, bail};

use crate::{command, workspace};

/// How to get the program.
const HINT: &str =
    "cargo-deny is not installed; install it with `cargo install --locked cargo-deny`";

/// Runs cargo-deny. Nothing is fetched, so vulnerabilities are not looked up.
///
/// # Errors
///
/// Fails if it is not installed, or finds something.
pub(crate) fn main() -> Result<()> {
    let is_installed = command::capture(command::new("cargo").args(["deny", "--version"])).is_ok();
    if !is_installed {
        bail!(HINT);
    }
    let mut deny = command::new("cargo");
    deny.current_dir(workspace::root()).args([
        "deny",
        "--offline",
        "check",
        "licenses",
        "bans",
        "sources",
    ]);
    command::run(&mut deny)
}

#[cfg(test)]
mod tests {
    use crate::tidy::ALLOWED_LICENCES;

    #[test]
    fn the_licences_are_those_that_tidy_allows() {
        let rules = include_str!("../../deny.toml");
        let (_, licences) = rules.split_once("[licenses]").expect("a section");
        let (_, list) = licences.split_once('[').expect("a list");
        let (list, _) = list.split_once(']').expect("its end");
        let listed: Vec<_> = list
            .lines()
            .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
            .collect();
        assert_eq!(listed, ALLOWED_LICENCES);
    }
}
