//! Looking for nodes by their tags.

use std::error::Error;
use std::fmt;

use crate::node_info::NodeInfo;

/// Finds the nodes that have all of some tags.
///
/// ```
/// use lunatic_distributed::Query;
///
/// let query: Query = "zone=north&disk=fast%20%26%20safe".parse()?;
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

    /// Reads `key=value&key2=value2`, written as the query of a URL: `+` is a space, and `%` with
    /// two digits a byte. The empty text finds all nodes.
    fn from_str(text: &str) -> Result<Query, BadQuery> {
        let parts = text.split('&').filter(|part| !part.is_empty());
        let tag = |part: &str| {
            let (key, value) = part.split_once('=').ok_or(BadQuery(part.into()))?;
            Ok((decoded(key), decoded(value)))
        };
        let tags = parts.map(tag).collect::<Result<_, _>>()?;
        Ok(Query { tags })
    }
}

/// What a part of the query of a URL stands for. A `%` without two digits behind it stands for
/// itself.
fn decoded(part: &str) -> String {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut bytes = part.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        decoded.push(match (byte, digit(rest.first()), digit(rest.get(1))) {
            (b'+', ..) => b' ',
            (b'%', Some(high), Some(low)) => {
                bytes = &rest[2..];
                (high << 4 | low) as u8
            }
            _ => byte,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn parts_are_written_as_in_the_query_of_a_url() {
        let query: Query = "zone=a%20b&a%26b=c%3dd&e=+%2B&\u{e9}=%C3%A9&&f="
            .parse()
            .unwrap();
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let tags = [
            tag("zone", "a b"),
            tag("a&b", "c=d"),
            tag("e", " +"),
            tag("\u{e9}", "\u{e9}"),
            tag("f", ""),
        ];
        assert_eq!(query.tags, tags);
    }

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        let query: Query = "load=100%&a=%zz%4&b=%".parse().unwrap();
        let values: Vec<_> = query.tags.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["100%", "%zz%4", "%"]);
        assert!("%3d".parse::<Query>().is_err());
    }
}
