//! The description in the file of an attack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lunatic_account::AccountLimits;

use crate::attack::Expectation;

/// An attack: a guest, and what it has.
#[derive(Debug, Clone)]
pub struct Attack {
    /// The name of its file.
    pub name: String,
    /// The purpose of the attack.
    pub shows: String,
    /// The rights of the culprit.
    pub rights: Rights,
    /// The limits of its branch.
    pub limits: AccountLimits,
    /// The expected end.
    pub expectation: Expectation,
    /// The module, in text form.
    pub module: String,
}

/// The rights of a culprit; none to begin with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights {
    /// To compile modules.
    pub compile: bool,
    /// To create configs.
    pub configs: bool,
    /// To spawn processes.
    pub spawn: bool,
    /// To use the names and groups of the neighbours.
    pub names: bool,
    /// To use the network of this machine, and no other.
    pub network: bool,
    /// To write to a directory, which is empty.
    pub directory: bool,
}

/// The limits of a branch of which the file says nothing else.
const LIMITS: AccountLimits = AccountLimits {
    memory: 32 << 20,
    processes: 64,
    descriptors: 64,
    timers: 1000,
    names: 1000,
    output: 64 << 10,
    ..AccountLimits::UNLIMITED
};

/// The folder of the attacks.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("attacks")
}

impl Attack {
    /// All attacks, by name.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, or does not say what must happen.
    pub fn all() -> Result<Vec<Attack>> {
        let mut attacks = Vec::new();
        for entry in fs::read_dir(folder()).context("cannot list the attacks")? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            attacks.push(Attack::named(&name)?);
        }
        attacks.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(attacks)
    }

    /// The attack in the file of this name.
    ///
    /// # Errors
    ///
    /// As [`all`](Attack::all).
    pub fn named(name: &str) -> Result<Attack> {
        let path = folder().join(name).with_extension("wat");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Attack::read(name, text).with_context(|| format!("in {}", path.display()))
    }

    fn read(name: &str, module: String) -> Result<Attack> {
        let mut shows = None;
        let (mut rights, mut limits, mut expectation) = (Rights::default(), LIMITS, None);
        for line in module.lines().map_while(|line| line.strip_prefix(";; ")) {
            match line.split_once(": ") {
                Some(("rights", list)) => rights = Rights::read(list)?,
                Some(("limits", list)) => change(&mut limits, list)?,
                Some(("expect", what)) => expectation = Some(Expectation::read(what)?),
                _ => shows = Some(line.to_owned()),
            }
        }
        Ok(Attack {
            name: name.to_owned(),
            shows: shows.context("it does not say what it shows")?,
            rights,
            limits,
            expectation: expectation.context("it does not say what must happen")?,
            module,
        })
    }
}

impl Rights {
    fn read(list: &str) -> Result<Rights> {
        let mut rights = Rights::default();
        for right in list.split_whitespace() {
            match right {
                "compile" => rights.compile = true,
                "configs" => rights.configs = true,
                "spawn" => rights.spawn = true,
                "names" => rights.names = true,
                "network" => rights.network = true,
                "directory" => rights.directory = true,
                other => bail!("there is no right `{other}`"),
            }
        }
        Ok(rights)
    }
}

/// Sets the limits in a list of names and numbers.
fn change(limits: &mut AccountLimits, list: &str) -> Result<()> {
    let mut words = list.split_whitespace();
    while let Some(name) = words.next() {
        let number = words.next().context("a limit without a number")?;
        let limit = match name {
            "memory" => &mut limits.memory,
            "processes" => &mut limits.processes,
            "descriptors" => &mut limits.descriptors,
            "timers" => &mut limits.timers,
            "names" => &mut limits.names,
            "cpu" => &mut limits.cpu,
            "output" => &mut limits.output,
            "threads" => &mut limits.threads,
            "compile_time" => &mut limits.compile_time,
            "log_lines" => &mut limits.log_lines,
            other => bail!("there is no limit `{other}`"),
        };
        *limit = number.parse().context("a limit that is no number")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    const TEXT: &str = ";; It does harm.\n;; rights: spawn\n;; limits: timers 5\n;; expect: runs on\n(module)\n;; rights: compile";

    #[test]
    fn the_first_comments_of_a_file_describe_it() {
        let attack = Attack::read("harm", TEXT.to_owned()).unwrap();
        assert_eq!(attack.shows, "It does harm.");
        assert!(attack.rights.spawn && !attack.rights.compile);
        assert_eq!(
            attack.limits,
            AccountLimits {
                timers: 5,
                ..LIMITS
            }
        );
        assert_eq!(attack.expectation, Expectation::RunsOn);
    }

    #[test]
    fn a_file_that_does_not_say_what_must_happen_is_refused() {
        assert!(Attack::read("harm", ";; It does harm.\n(module)".to_owned()).is_err());
    }
}
