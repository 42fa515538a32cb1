//! What is wrong with a manifest, and where.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use crate::command_line::problem::Problem;

/// A part of the text, in bytes.
pub(crate) type Span = Range<usize>;

/// Something and where the manifest says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnostic {
    pub(super) span: Span,
    pub(super) what: String,
    pub(super) help: Option<String>,
}

/// All that is wrong.
#[derive(Debug, Default)]
pub(super) struct Diagnostics(Vec<Diagnostic>);

impl Diagnostic {
    pub(super) fn new(span: Span, what: impl fmt::Display) -> Diagnostic {
        Diagnostic {
            span,
            what: what.to_string(),
            help: None,
        }
    }

    /// Adds the next step.
    pub(super) fn help(self, help: impl fmt::Display) -> Diagnostic {
        Diagnostic {
            help: Some(help.to_string()),
            ..self
        }
    }

    /// A problem with something that the manifest names.
    pub(super) fn about(span: Span, problem: Problem) -> Diagnostic {
        let (what, help) = problem.into_parts();
        Diagnostic { span, what, help }
    }

    /// The diagnostic with the place, its line, and a mark below it.
    pub(super) fn explain(&self, path: &Path, text: &str) -> Problem {
        let place = Place::of(&self.span, text);
        let Place { line, column, .. } = place;
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let what = format!(
            "{}\n{margin}--> {}:{line}:{column}\n{margin} |\n{number} | {}\n{margin} | {}",
            self.what,
            path.display(),
            place.source,
            place.mark(),
        );
        let problem = Problem::new(what);
        match &self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

impl Diagnostics {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// What was read, or nothing and one diagnostic more.
    pub(super) fn take<T>(&mut self, read: Result<T, Diagnostic>) -> Option<T> {
        read.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the text.
    pub(super) fn sorted(mut self) -> Vec<Diagnostic> {
        self.0.sort_by_key(|diagnostic| diagnostic.span.start);
        self.0
    }
}

/// A span for people.
struct Place<'a> {
    /// From 1 up.
    line: usize,
    /// In characters, from 1 up.
    column: usize,
    /// The whole line.
    source: &'a str,
    /// What is before the span, and the part of the span that is in this line.
    before: &'a str,
    marked: &'a str,
}

impl<'a> Place<'a> {
    fn of(span: &Span, text: &'a str) -> Place<'a> {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &text[begin..];
        let source = rest.lines().next().unwrap_or_default();
        let before = &text[begin..start.min(begin + source.len())];
        let marked = &source[before.len()..(end - begin).clamp(before.len(), source.len())];
        Place {
            line: text[..start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            source,
            before,
            marked: marked.trim_end(),
        }
    }

    fn mark(&self) -> String {
        let blank = |char| if char == '\t' { '\t' } else { ' ' };
        let before: String = self.before.chars().map(blank).collect();
        before + &"^".repeat(self.marked.chars().count().max(1))
    }
}

/// The next place before this one that is between two characters.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Span) -> String {
        let problem = Diagnostic::new(span, "wrong").explain(Path::new("app.toml"), text);
        problem.into_parts().0
    }

    #[test]
    fn a_complaint_shows_the_line_and_what_it_is_about() {
        let text = "a = 1\nbc = 23\n";
        let expected = "wrong\n --> app.toml:2:6\n  |\n2 | bc = 23\n  |      ^^";
        assert_eq!(shown(text, 11..13), expected);
    }

    #[test]
    fn columns_are_characters_and_tabs_stay() {
        let text = "\tnäme = 1";
        let expected = "wrong\n --> app.toml:1:9\n  |\n1 | \tnäme = 1\n  | \t       ^";
        assert_eq!(shown(text, 9..10), expected);
    }

    #[test]
    fn what_goes_over_several_lines_is_marked_in_the_first() {
        let text = "a = [\n1,\n]";
        assert!(shown(text, 4..10).ends_with("1 | a = [\n  |     ^"));
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        for text in ["", "a", "a\n", "ä"] {
            for start in 0..4 {
                for end in start..4 {
                    assert!(shown(text, start..end).contains('^'));
                }
            }
        }
    }
}
