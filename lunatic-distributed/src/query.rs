//! Looking for nodes by their tags.

use std::error::Error;
use std::fmt;

use crate::node_info::NodeInfo;

/// Finds the nodes that have all of some tags.
///
/// ```
/// use lunatic_distributed::Query;
///
/// let query: Query = "zone=north&disk=ssd".parse()?;
/// assert!("zone".parse::<Query>().is_err());
/// # drop(query);
/// # Ok::<(), lunatic_distributed::BadQuery>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    tags: Vec<(String, String)>,
}

/// The error of a text that is no [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadQuery(String);

impl Query {
    /// Whether a node has all of the tags.
    pub fn matches(&self, node: &NodeInfo) -> bool {
        let has = |(key, value): &(String, String)| node.tags.get(key) == Some(value);
        self.tags.iter().all(has)
    }
}

impl std::str::FromStr for Query {
    type Err = BadQuery;

    /// Reads `key=value&key2=value2`; the empty text finds all nodes.
    fn from_str(text: &str) -> Result<Query, BadQuery> {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let tag = |part: &str| {
            let (key, value) = part.split_once('=').ok_or(BadQuery(part.into()))?;
            Ok((key.into(), value.into()))
        };
        let tags = parts.map(tag).collect::<Result<_, _>>()?;
        Ok(Query { tags })
    }
}

impl fmt::Display for BadQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = lunatic_error::on_one_line(&self.0, 100);
        write!(
            f,
            "{part} is no tag: write key=value, and & between several"
        )
    }
}

impl Error for BadQuery {}
