//! An import that cannot be satisfied.

use std::fmt;

/// An import that cannot be satisfied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportProblem {
    /// The namespace, for example `lunatic::process`.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The type that the module imports, in the text format: `(func (param i64))`.
    pub wanted: String,
    /// The type that is offered under this name, if any, in the same format.
    pub offered: Option<String>,
}

impl fmt::Display for ImportProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImportProblem {
            namespace,
            name,
            wanted,
            offered,
        } = self;
        match offered {
            None => write!(
                f,
                "unknown import: `{namespace}::{name}` has not been defined"
            ),
            Some(offered) => write!(
                f,
                "incompatible import type for `{namespace}::{name}`: the module wants {wanted}, \
                 offered is {offered}"
            ),
        }
    }
}
