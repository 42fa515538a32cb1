//! Checks that what is cited of the host interface exists.
//!
//! A citation is `ABI` and one or more sections, each with the sign `§` in front.
//! A section may be followed by the numbers of entries in a table there.

use std::collections::HashSet;

/// Where the host interface is written down. In these files every section that is
/// cited is one of the interface, also without `ABI` in front.
pub(super) const DOCUMENTS: [&str; 2] = ["docs/abi.md", "docs/abi-extensions.md"];

/// The files in which citations are looked for, as git's patterns.
pub(super) const FILES: [&str; 7] = ["*.rs", "*.md", "*.toml", "*.wat", "*.h", "*.c", "*.ts"];

/// The places of the documents that can be cited.
#[derive(Debug)]
pub(super) struct Interface {
    /// Sections (`15.4`), items of numbered lists as sections below the one that
    /// they are in (`22.3`), and entries of tables (`21 A4`).
    places: HashSet<String>,
}

impl Interface {
    /// Returns the places of these texts.
    pub(super) fn of(documents: &[String]) -> Self {
        let mut places = HashSet::new();
        for document in documents {
            let mut section = "";
            for line in document.lines() {
                if let Some(number) = heading(line) {
                    section = number;
                    places.insert(number.to_owned());
                } else if let Some(item) = list_item(line) {
                    places.insert(format!("{section}.{item}"));
                } else if let Some(entry) = table_entry(line) {
                    places.insert(format!("{section} {entry}"));
                }
            }
        }
        Self { places }
    }

    /// A problem about each citation in the file at `path` that leads nowhere, and
    /// about each that does not say of what it is.
    pub(super) fn problems(&self, path: &str, text: &str) -> Vec<String> {
        citations(text, DOCUMENTS.contains(&path))
            .into_iter()
            .filter_map(|(line, citation)| {
                Some(format!("{path}:{line}: {}", self.problem(citation)?))
            })
            .collect()
    }

    fn problem(&self, citation: Citation<'_>) -> Option<String> {
        match citation {
            Citation::Of(place) => (!self.places.contains(&place))
                .then(|| format!("{} have no §{place}", DOCUMENTS.join(" and "))),
            Citation::OfNothing(number) => Some(format!(
                "`§{number}` of what? The host interface is cited as `ABI §{number}`"
            )),
        }
    }
}

/// A citation in a text.
enum Citation<'a> {
    /// A place in the host interface.
    Of(String),
    /// A section, and nothing says of what.
    OfNothing(&'a str),
}

/// All that is cited in a text, each with the number of its line.
fn citations(text: &str, is_document: bool) -> Vec<(usize, Citation<'_>)> {
    /// The meaning of the previous tokens.
    enum Said<'a> {
        Nothing,
        Name,
        Section(&'a str),
    }
    let mut citations = Vec::new();
    let mut said = Said::Nothing;
    for (line, token) in Tokens::of(text) {
        said = match (token, said) {
            (Token::Name, _) => Said::Name,
            (Token::Joint, said) => said,
            (Token::Section(number), Said::Nothing) if !is_document => {
                citations.push((line, Citation::OfNothing(number)));
                Said::Nothing
            }
            (Token::Section(number), _) => {
                citations.push((line, Citation::Of(number.to_owned())));
                Said::Section(number)
            }
            (Token::Entry(entry), Said::Section(number)) => {
                citations.push((line, Citation::Of(format!("{number} {entry}"))));
                Said::Section(number)
            }
            _ => Said::Nothing,
        };
    }
    citations
}

/// The number of a heading.
fn heading(line: &str) -> Option<&str> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim_start();
    let number = number(title);
    (!number.is_empty()).then_some(number)
}

/// The number of an item of a numbered list.
fn list_item(line: &str) -> Option<&str> {
    let (item, _) = line.split_once(". ")?;
    is_digits(item).then_some(item)
}

/// The first cell of a row, if it is the number of an entry.
fn table_entry(line: &str) -> Option<&str> {
    let (cell, _) = line.strip_prefix('|')?.split_once('|')?;
    is_entry(cell.trim()).then_some(cell.trim())
}

/// A token of a citation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// `ABI`.
    Name,
    /// The number of a section, without the sign.
    Section(&'a str),
    /// The number of an entry, `A4`.
    Entry(&'a str),
    /// A separator between two sections or entries that are cited together.
    Joint,
    /// Anything else.
    Other,
}

/// The tokens of a text, each with the number of its line.
struct Tokens<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            rest: text,
            line: 1,
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.take(length_of(self.rest, is_gap));
        let first = self.rest.chars().next()?;
        let line = self.line;
        if let Some(number) = self.rest.strip_prefix('§').map(number)
            && !number.is_empty()
        {
            self.take('§'.len_utf8() + number.len());
            return Some((line, Token::Section(number)));
        }
        let word = length_of(self.rest, |character| character.is_alphanumeric());
        let token = match self.take(word.max(first.len_utf8())) {
            "ABI" => Token::Name,
            "," | ";" | "and" | "or" | "to" => Token::Joint,
            word if is_entry(word) => Token::Entry(word),
            _ => Token::Other,
        };
        Some((line, token))
    }
}

/// Space, and the marks of comments: a citation may be on two lines.
fn is_gap(character: char) -> bool {
    character.is_whitespace() || "/!*#>".contains(character)
}

/// The number of a section at the start of `text`, without a full stop behind it.
fn number(text: &str) -> &str {
    let length = length_of(text, |character| {
        character.is_ascii_digit() || character == '.'
    });
    text[..length].trim_end_matches('.')
}

/// Whether this is a capital letter and a number.
fn is_entry(word: &str) -> bool {
    word.strip_prefix(|character: char| character.is_ascii_uppercase())
        .is_some_and(is_digits)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// How many bytes at the start of `text` are such characters.
fn length_of(text: &str, is_such: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is_such(character))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::{DOCUMENTS, Interface};

    const TEXT: &str = "\
        # The interface\n\
        ## 1. Inventory\n\
        ### 1.3 Disagreements\n\
        | M8 | what |\n\
        ## 2. Rules\n\
        1. The first.\n\
        12. The twelfth.\n\
        ## 21. Defects\n\
        | A1 | what |\n\
        | A2 | what |\n";

    /// The problems of a text in which `$` stands for the sign: this file is
    /// checked too.
    fn problems_in(path: &str, text: &str) -> Vec<String> {
        let interface = Interface::of(&[TEXT.to_owned(), "## 23. `more`\n".to_owned()]);
        interface.problems(path, &text.replace('$', "§"))
    }

    fn problems(text: &str) -> Vec<String> {
        problems_in("lunatic-abi/src/lib.rs", text)
    }

    #[test]
    fn what_exists_can_be_cited() {
        for text in [
            "(ABI $1)",
            "ABI $1.3.",
            "ABI $23, in the other document",
            "ABI $1.3 and $2",
            "ABI $1, $1.3, and $21",
            "ABI $1 to $21",
            "ABI $2.1 or $2.12",
            "ABI $21 A1",
            "ABI $21 A1, A2, kept",
            "ABI $21 A1 and A2",
            "ABI $1.3, M8",
            "ABI $1.3 M8, $21 A2",
        ] {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_is_found_with_its_line() {
        let problems = problems("//! A file.\n\n/// Reads (ABI $7.1).\n");
        let text = "lunatic-abi/src/lib.rs:3: docs/abi.md and docs/abi-extensions.md have no $7.1";
        assert_eq!(problems, [text.replace('$', "§")]);
    }

    #[test]
    fn each_place_of_a_list_is_looked_up() {
        for (text, number) in [
            ("ABI $1.1, $14.1", 2),
            ("ABI $1 and $3.3", 1),
            ("ABI $2 to $14", 1),
            ("ABI $2.2", 1),
            ("ABI $21 A1, A3", 1),
            ("ABI $21 A9, $15.5", 2),
            ("ABI $1.3 A1", 1),
            ("ABI $1 M8", 1),
        ] {
            assert_eq!(problems(text).len(), number, "{text}");
        }
    }

    #[test]
    fn a_citation_may_be_on_two_lines() {
        assert!(problems("/// As there (ABI\n/// $1.3 and\n/// $21 A1).").is_empty());
        let problems = problems("// ABI $1,\n// $3");
        assert!(problems[0].starts_with("lunatic-abi/src/lib.rs:2:"));
    }

    #[test]
    fn a_section_of_nothing_is_a_problem() {
        for text in ["(extensions $1.3)", "ABI $1, as $2 says", "(ABI $1) $2"] {
            assert_eq!(problems(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn in_the_documents_every_section_is_one_of_the_interface() {
        assert!(problems_in(DOCUMENTS[0], "as $1.3 says of $21 A1").is_empty());
        assert_eq!(problems_in(DOCUMENTS[1], "as $1.4 says").len(), 1);
    }

    #[test]
    fn other_text_is_no_citation() {
        for text in [
            "ABI $n.m",
            "'$'",
            "A1 of 1.3",
            "the ABI, see 7.1",
            "ABI $1 says A9",
        ] {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }
}
