//! Names of nodes.
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

impl TryFrom<String> for NodeName {
    type Error = std::convert::Infallible;
    fn try_from(name: String) -> Result<NodeName, Self::Error> {
        Ok(NodeName(name.into()))
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> String {
        name.0.as_ref().into()
    }
}

impl std::str::FromStr for NodeName {
    type Err = std::convert::Infallible;
    fn from_str(name: &str) -> Result<NodeName, Self::Err> {
        Ok(NodeName(name.into()))
    }
}

impl std::fmt::Display for NodeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
