//! Checks that every package we depend on may be used.

use std::collections::VecDeque;

use serde_json::Value;

/// The licences, by SPDX identifier, that a dependency may have.
pub(crate) const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A problem about each package in `cargo metadata` that may not be used.
pub(super) fn refused(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages.filter_map(problem).collect()
}

fn problem(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let version = package["version"].as_str().unwrap_or_default();
    let Some(licence) = package["license"].as_str() else {
        return Some(format!("{name} {version}: has no SPDX licence expression"));
    };
    match is_allowed(licence) {
        Some(true) => None,
        Some(false) => Some(format!(
            "{name} {version}: licence `{licence}` isn't allowed"
        )),
        None => Some(format!(
            "{name} {version}: cannot read the licence `{licence}`"
        )),
    }
}

/// Whether a licence expression leaves a choice that is allowed; none if it
/// isn't an SPDX expression.
fn is_allowed(expression: &str) -> Option<bool> {
    // Old packages write a slash for `OR`.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = Words {
        rest: spaced.split_whitespace().collect(),
    };
    let allowed = words.alternatives()?;
    words.rest.is_empty().then_some(allowed)
}

/// The rest of an expression that is still to be read. `WITH` binds closest, then `AND`, then `OR`.
struct Words<'a> {
    rest: VecDeque<&'a str>,
}

impl Words<'_> {
    fn alternatives(&mut self) -> Option<bool> {
        let mut allowed = self.requirements()?;
        while self.skip("OR") {
            allowed |= self.requirements()?;
        }
        Some(allowed)
    }

    fn requirements(&mut self) -> Option<bool> {
        let mut allowed = self.licence()?;
        while self.skip("AND") {
            allowed &= self.licence()?;
        }
        Some(allowed)
    }

    fn licence(&mut self) -> Option<bool> {
        if self.skip("(") {
            let allowed = self.alternatives()?;
            return self.skip(")").then_some(allowed);
        }
        let mut licence = self.identifier()?;
        if self.skip("WITH") {
            licence = format!("{licence} WITH {}", self.identifier()?);
        }
        Some(ALLOWED.contains(&licence.as_str()))
    }

    fn identifier(&mut self) -> Option<String> {
        let word = self.rest.pop_front()?;
        let is_operator = ["(", ")", "OR", "AND", "WITH"].contains(&word);
        (!is_operator).then(|| word.to_owned())
    }

    fn skip(&mut self, word: &str) -> bool {
        let next = self.rest.front() == Some(&word);
        if next {
            self.rest.pop_front();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn one_allowed_alternative_is_enough() {
        for licence in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "GPL-3.0 OR (MIT AND Zlib)",
        ] {
            assert_eq!(is_allowed(licence), Some(true), "{licence}");
        }
    }

    #[test]
    fn all_that_is_required_must_be_allowed() {
        for licence in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND GPL-3.0",
            "GPL-2.0 WITH LLVM-exception",
            "MIT AND GPL-3.0 OR GPL-2.0",
        ] {
            assert_eq!(is_allowed(licence), Some(false), "{licence}");
        }
    }

    #[test]
    fn what_is_no_expression_is_not_guessed_at() {
        for licence in ["", "MIT OR", "(MIT", "MIT)", "MIT Zlib", "AND"] {
            assert_eq!(is_allowed(licence), None, "{licence}");
        }
    }
}
