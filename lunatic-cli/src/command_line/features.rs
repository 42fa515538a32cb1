//! The cargo features of the program, and what was left out of this build.

use std::fmt;

use crate::command_line::problem::Problem;

/// A cargo feature of `lunatic-cli`; all are on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// SQLite, and the functions of `lunatic::sqlite`.
    Sqlite,
    /// Nodes of a cluster, and the commands `node` and `cluster`.
    Distribution,
}

impl Feature {
    pub(crate) const ALL: [Feature; 2] = [Feature::Sqlite, Feature::Distribution];

    /// Whether it is in this build.
    pub(crate) fn is_included(self) -> bool {
        match self {
            Feature::Sqlite => cfg!(feature = "sqlite"),
            Feature::Distribution => cfg!(feature = "distribution"),
        }
    }

    /// The name of the feature.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Feature::Sqlite => "sqlite",
            Feature::Distribution => "distribution",
        }
    }

    /// The feature that registers a function of the host interface, if not all builds do.
    pub(crate) fn of_function(namespace: &str, _name: &str) -> Option<Feature> {
        match namespace {
            "lunatic::sqlite" => Some(Feature::Sqlite),
            _ => None,
        }
    }

    /// Checks that it is in this build.
    ///
    /// # Errors
    ///
    /// The problem that it was left out.
    pub(crate) fn require(self) -> Result<(), Problem> {
        match self.is_included() {
            true => Ok(()),
            false => Err(self.left_out()),
        }
    }

    /// The problem that it is not in this build.
    pub(crate) fn left_out(self) -> Problem {
        Problem::new(LeftOut(self)).help(self.remedy())
    }

    /// What can be done where it was left out.
    pub(crate) fn remedy(self) -> String {
        format!(
            "build lunatic with `--features {}`, or with its default features",
            self.name()
        )
    }
}

/// Says that a feature was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeftOut(pub(crate) Feature);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this build of lunatic was made without the feature `{}`",
            self.0.name()
        )
    }
}
