//! The cargo features of the program, and what was left out of this build.

use std::fmt;

use crate::command_line::problem::Problem;

/// A cargo feature of `lunatic-cli`; all are on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    /// The functions of `lunatic::networking`.
    Net,
    /// Those of them that are for TLS.
    Tls,
    /// SQLite, and the functions of `lunatic::sqlite`.
    Sqlite,
    /// Nodes of a cluster, and the commands `node` and `cluster`.
    Distribution,
}

impl Feature {
    pub(crate) const ALL: [Feature; 4] = [
        Feature::Net,
        Feature::Tls,
        Feature::Sqlite,
        Feature::Distribution,
    ];

    /// Whether it is in this build.
    pub(crate) fn is_included(self) -> bool {
        match self {
            Feature::Net => cfg!(feature = "net"),
            Feature::Tls => cfg!(feature = "tls"),
            Feature::Sqlite => cfg!(feature = "sqlite"),
            Feature::Distribution => cfg!(feature = "distribution"),
        }
    }

    /// The name of the feature.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Feature::Net => "net",
            Feature::Tls => "tls",
            Feature::Sqlite => "sqlite",
            Feature::Distribution => "distribution",
        }
    }

    /// The feature that registers a function of the host interface, if not all builds do.
    pub(crate) fn of_function(namespace: &str, name: &str) -> Option<Feature> {
        match (namespace, name) {
            ("lunatic::sqlite", _) => Some(Feature::Sqlite),
            ("lunatic::networking", name) if name.contains("tls_") => Some(Feature::Tls),
            ("lunatic::networking", _) => Some(Feature::Net),
            ("lunatic::message", "push_tls_stream" | "take_tls_stream") => Some(Feature::Tls),
            (
                "lunatic::message",
                "push_tcp_stream" | "take_tcp_stream" | "push_udp_socket" | "take_udp_socket",
            ) => Some(Feature::Net),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use lunatic_abi::HostFunction;

    use super::*;

    fn features(functions: &[HostFunction]) -> Vec<Option<Feature>> {
        let functions = functions.iter();
        functions
            .map(|function| Feature::of_function(function.namespace, function.name))
            .collect()
    }

    #[test]
    fn a_function_belongs_to_the_feature_that_registers_it() {
        let sqlite = features(lunatic_sqlite::guest::HOST_FUNCTIONS);
        assert!(sqlite.iter().all(|of| *of == Some(Feature::Sqlite)));
        let net = features(lunatic_net::guest::HOST_FUNCTIONS);
        assert!(
            net.iter()
                .all(|of| matches!(of, Some(Feature::Net | Feature::Tls)))
        );
        // ABI §6.4, and the two that move a stream.
        let of_tls = net.iter().filter(|of| **of == Some(Feature::Tls));
        assert_eq!(of_tls.count(), 16);
        let all = features(crate::HOST_FUNCTIONS);
        let of_none = all.iter().filter(|of| of.is_none()).count();
        assert_eq!(of_none, all.len() - sqlite.len() - net.len());
    }

    #[test]
    fn who_needs_what_was_left_out_is_told_the_next_step() {
        let (what, help) = Feature::Tls.left_out().into_parts();
        assert_eq!(
            what,
            "this build of lunatic was made without the feature `tls`"
        );
        assert!(help.unwrap().contains("--features tls"));
    }
}
