//! A table of the manifest that is being read.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::command_line::features::Feature;
use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::command_line::similar::most_similar;

/// A value and where it is.
pub(super) type Value<'t> = &'t Spanned<DeValue<'t>>;

/// The keys of a table; what nobody asks for is unknown.
pub(super) struct Table<'t> {
    entries: &'t DeTable<'t>,
    span: Span,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn new(entries: &'t DeTable<'t>, span: Span) -> Table<'t> {
        Table {
            entries,
            span,
            asked: Vec::new(),
        }
    }

    /// The table that a value is.
    pub(super) fn of(what: &str, value: Value<'t>) -> Result<Table<'t>, Diagnostic> {
        match value.get_ref() {
            DeValue::Table(entries) => Ok(Table::new(entries, value.span())),
            other => Err(wrong_type(what, "a table", other, value.span())),
        }
    }

    /// Where the table begins.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Whether a key is there; it may still be unknown.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where a key is.
    pub(super) fn key_span(&self, key: &str) -> Option<Span> {
        let (found, _) = self.entries.get_key_value(key)?;
        Some(found.span())
    }

    /// The value of a key.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.asked.push(key);
        self.entries.get(key)
    }

    /// What the value of a key is read as.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics,
        read: impl FnOnce(&str, Value<'t>) -> Result<T, Diagnostic>,
    ) -> Option<T> {
        let value = self.value(key)?;
        diagnostics.take(read(key, value))
    }

    /// Complains of keys that belong elsewhere.
    ///
    /// - `why`: what is said of such a key, after its name.
    pub(super) fn refuse(
        &mut self,
        keys: &'static [&'static str],
        why: &str,
        diagnostics: &mut Diagnostics,
    ) {
        for key in keys {
            self.asked.push(key);
            if let Some(span) = self.key_span(key) {
                diagnostics.push(Diagnostic::new(span, format!("`{key}` {why}")));
            }
        }
    }

    /// Complains of a key if it is there and its feature is not in this build.
    pub(super) fn require(
        &self,
        key: &'static str,
        feature: Feature,
        diagnostics: &mut Diagnostics,
    ) {
        if let Some(span) = self.key_span(key) {
            let required = feature.require();
            diagnostics.take(required.map_err(|left_out| Diagnostic::about(span, left_out)));
        }
    }

    /// Complains of what nobody asked for.
    pub(super) fn finish(self, diagnostics: &mut Diagnostics) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if !self.asked.contains(&name) {
                diagnostics.push(self.unknown(name, key.span()));
            }
        }
    }

    fn unknown(&self, name: &str, span: Span) -> Diagnostic {
        let diagnostic = Diagnostic::new(span, format!("unknown key `{name}`"));
        match most_similar(name, self.asked.iter().copied()) {
            Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
            None => {
                let mut keys = self.asked.clone();
                keys.sort_unstable();
                keys.dedup();
                diagnostic.help(format!("the keys are {}", listed(&keys)))
            }
        }
    }
}

/// Words one after the other.
pub(super) fn listed(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// A value of another type than it should be.
pub(super) fn wrong_type(what: &str, wanted: &str, found: &DeValue<'_>, span: Span) -> Diagnostic {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    Diagnostic::new(
        span,
        format!("`{what}` must be {wanted}, and this is {found}"),
    )
}
