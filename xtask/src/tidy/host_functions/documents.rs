//! The tables of functions in the documents of the interface.
//!
//! A section `## 3. ``lunatic::process`` ` is about a namespace. The first column of
//! its tables, and of those in the sections below it, has functions:
//! ``| `link(tag: i64, process_id: i64)` | …``, two of them with ` · ` between. A
//! line that begins with `**Not offered yet` says that the functions of its section,
//! and of those below it, are not registered.

use super::function::ValueType;
use super::{Function, Place, Signature};

/// A function that a document describes.
#[derive(Debug)]
pub(super) struct Documented {
    pub(super) function: Function,
    /// Whether this version registers it, by what the document says.
    pub(super) offered: bool,
}

/// Returns the functions in the document at `path`, and problems about functions that cannot be
/// read.
pub(super) fn read(path: &str, text: &str) -> (Vec<Documented>, Vec<String>) {
    let mut section = Section::default();
    let (mut functions, mut problems) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        section.advance(line);
        let Some(namespace) = &section.namespace else {
            continue;
        };
        for text in first_column(line) {
            let place = Place {
                path: path.to_owned(),
                line: number,
            };
            match function(text) {
                Some((name, signature)) => functions.push(Documented {
                    function: Function {
                        namespace: namespace.clone(),
                        name,
                        signature,
                        place,
                    },
                    offered: section.not_offered_at.is_none(),
                }),
                None => problems.push(format!("{place}: cannot read the function `{text}`")),
            }
        }
    }
    (functions, problems)
}

/// Where in a document a line is.
#[derive(Default)]
struct Section {
    namespace: Option<String>,
    /// The level of the innermost heading.
    level: usize,
    /// The level of the section that says it is not offered yet.
    not_offered_at: Option<usize>,
}

impl Section {
    fn advance(&mut self, line: &str) {
        const NAMESPACES: usize = 2;
        if line.starts_with("**Not offered yet") {
            self.not_offered_at = Some(self.level);
        }
        let level = line.len() - line.trim_start_matches('#').len();
        if level == 0 {
            return;
        }
        self.level = level;
        if level <= NAMESPACES {
            self.namespace = namespace(line);
        }
        self.not_offered_at = self.not_offered_at.filter(|above| *above < level);
    }
}

/// The namespace in a heading `## 3. ``lunatic::process`` `.
fn namespace(heading: &str) -> Option<String> {
    let (_, title) = heading.split_once(". ")?;
    let name = title.trim().strip_prefix('`')?.strip_suffix('`')?;
    Some(name.to_owned())
}

/// Returns the texts in the first column that look like functions, if the line is one of a table.
fn first_column(line: &str) -> impl Iterator<Item = &str> {
    let cell = line
        .strip_prefix('|')
        .and_then(|rest| rest.split('|').next());
    let code = cell.unwrap_or_default().split('`').skip(1).step_by(2);
    code.filter(|text| {
        let (name, _) = text.split_once('(').unwrap_or_default();
        !name.is_empty() && name.chars().all(is_in_name)
    })
}

fn is_in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Reads `name(a: i32, b: i64) -> i32`.
fn function(text: &str) -> Option<(String, Signature)> {
    let (name, rest) = text.split_once('(')?;
    let (params, result) = rest.split_once(')')?;
    let params = params.split(", ").filter(|param| !param.is_empty());
    let params = params.map(|param| value_type(param.split_once(": ")?.1));
    let result = match result {
        "" => None,
        result => Some(value_type(result.strip_prefix(" -> ")?)?),
    };
    let signature = Signature {
        params: params.collect::<Option<_>>()?,
        result,
    };
    Some((name.to_owned(), signature))
}

fn value_type(name: &str) -> Option<ValueType> {
    match name {
        "i32" => Some(ValueType::I32),
        "i64" => Some(ValueType::I64),
        "f64" => Some(ValueType::F64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn functions(text: &str) -> Vec<String> {
        let (functions, problems) = read("a.md", text);
        assert!(problems.is_empty(), "{problems:?}");
        let described = functions.iter().map(|documented| {
            let function = &documented.function;
            let offered = if documented.offered {
                ""
            } else {
                ", not offered"
            };
            format!("{function} {}{offered}", function.signature)
        });
        described.collect()
    }

    #[test]
    fn functions_stand_in_the_first_column_below_the_heading_of_their_namespace() {
        let text = "# Interface
## 0. Conventions
| `f(a: i32)` | no namespace |
## 1. `a`
### 1.1 Some
| Function | Effect |
|---|---|
| `one()` | not `two()` |
| `three(a: i32, b: i64) -> f64` · `four(c: f64)` | share a row |
| `0` | a code |
Text about `five()`.
## 2. More
| `six()` | no namespace |";
        let expected = [
            "a.md:8: `a::one` ()",
            "a.md:9: `a::three` (i32, i64) -> f64",
            "a.md:9: `a::four` (f64)",
        ];
        assert_eq!(functions(text), expected);
    }

    #[test]
    fn what_is_not_offered_ends_with_its_section() {
        let text = "## 1. `a`
### 1.1
**Not offered yet:** all.
| `one()` | |
#### 1.1.1
| `two()` | |
### 1.2
| `three()` | |
## 2. `b`
**Not offered yet.**
### 2.1
| `four()` | |
## 3. `c`
| `five()` | |";
        let expected = [
            "a.md:4: `a::one` (), not offered",
            "a.md:6: `a::two` (), not offered",
            "a.md:8: `a::three` ()",
            "a.md:12: `b::four` (), not offered",
            "a.md:14: `c::five` ()",
        ];
        assert_eq!(functions(text), expected);
    }

    #[test]
    fn what_is_written_otherwise_is_a_problem() {
        for row in [
            "one(names)",
            "one(a: u32)",
            "one(a: i32): i32",
            "one(a: i32",
        ] {
            let (functions, problems) = read("a.md", &format!("## 1. `a`\n| `{row}` | |"));
            assert!(functions.is_empty());
            assert_eq!(
                problems,
                [format!("a.md:2: cannot read the function `{row}`")]
            );
        }
    }
}
