//! What a module can take over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The prefix of the exports that are entries.
const PREFIX: &str = "_lunatic_reload_";

/// The entries of a module: for each kind of process the versions of its state that the
/// module can take over.
///
/// ```
/// use lunatic_reload::Entries;
///
/// let exports = ["_start", "_lunatic_reload_1_counter", "_lunatic_reload_3_counter"];
/// let entries = Entries::of(exports);
/// assert!(entries.has("counter", 3));
/// // The state that a process writes is of its own version, or the next lower one.
/// assert_eq!(entries.best("counter", 5), Some(3));
/// assert_eq!(entries.best("counter", 2), Some(1));
/// assert_eq!(entries.best("counter", 0), None);
/// assert_eq!(entries.best("timer", 3), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries(BTreeMap<Arc<str>, BTreeSet<i64>>);

impl Entries {
    /// Finds the entries among exported functions.
    ///
    /// - `exports`: the names of those that take and return nothing.
    pub fn of<'a>(exports: impl IntoIterator<Item = &'a str>) -> Entries {
        let mut entries: BTreeMap<Arc<str>, BTreeSet<i64>> = BTreeMap::new();
        for export in exports {
            if let Some((version, kind)) = parse(export) {
                entries.entry(kind.into()).or_default().insert(version);
            }
        }
        Entries(entries)
    }

    /// Whether there is an entry for a kind of process and a version of its state.
    pub fn has(&self, kind: &str, version: i64) -> bool {
        let versions = self.0.get(kind);
        versions.is_some_and(|versions| versions.contains(&version))
    }

    /// The highest version of the state that is not above `offered` and that has an entry.
    pub fn best(&self, kind: &str, offered: i64) -> Option<i64> {
        let versions = self.0.get(kind)?;
        versions.range(..=offered).next_back().copied()
    }

    /// All kinds and versions, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        let kinds = self.0.iter();
        kinds.flat_map(|(kind, versions)| versions.iter().map(move |version| (&**kind, *version)))
    }

    /// The name of the export that is the entry for a kind and a version.
    pub fn export(kind: &str, version: i64) -> String {
        format!("{PREFIX}{version}_{kind}")
    }
}

/// The version and the kind in the name of an entry.
fn parse(export: &str) -> Option<(i64, &str)> {
    let (version, kind) = export.strip_prefix(PREFIX)?.split_once('_')?;
    let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    // The name of the export is made from the number again.
    let is_number = is_number && (version == "0" || !version.starts_with('0'));
    let version = is_number.then(|| version.parse().ok())??;
    (!kind.is_empty()).then_some((version, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_has_the_name_that_is_made_from_it() {
        for (export, is_entry) in [
            ("_lunatic_reload_0_a", true),
            ("_lunatic_reload_10_a_b", true),
            ("_lunatic_reload_9223372036854775807_a", true),
            ("_lunatic_reload_9223372036854775808_a", false),
            ("_lunatic_reload_01_a", false),
            ("_lunatic_reload_00_a", false),
            ("_lunatic_reload__a", false),
            ("_lunatic_reload_+1_a", false),
            ("_lunatic_reload_1_", false),
            ("_lunatic_reload_1", false),
        ] {
            let entries = Entries::of([export]);
            let names = entries
                .iter()
                .map(|(kind, version)| Entries::export(kind, version));
            let expected = is_entry.then(|| export.to_owned());
            assert_eq!(
                names.collect::<Vec<_>>(),
                Vec::from_iter(expected),
                "{export}"
            );
        }
    }
}
