//! The values that a manifest is made of.

use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use crate::command_line::manifest::diagnostic::{Diagnostic, Diagnostics, Located, Span};
use crate::command_line::manifest::table::{Value, listed, wrong_type};
use crate::command_line::similar::most_similar;

/// A string.
pub(super) fn text(key: &str, value: Value<'_>) -> Result<Located<String>, Diagnostic> {
    match value.get_ref() {
        DeValue::String(text) => Ok(Located {
            value: text.clone().into_owned(),
            span: value.span(),
        }),
        other => Err(wrong_type(key, "a string", other, value.span())),
    }
}

/// A string that is not empty.
pub(super) fn name(key: &str, value: Value<'_>) -> Result<Located<String>, Diagnostic> {
    let name = text(key, value)?;
    match name.value.is_empty() {
        true => Err(Diagnostic::new(name.span, format!("`{key}` is empty"))),
        false => Ok(name),
    }
}

/// `true` or `false`.
pub(super) fn boolean(key: &str, value: Value<'_>) -> Result<bool, Diagnostic> {
    match value.get_ref() {
        DeValue::Boolean(boolean) => Ok(*boolean),
        other => Err(wrong_type(key, "true or false", other, value.span())),
    }
}

/// A list of strings.
pub(super) fn texts(
    key: &str,
    value: Value<'_>,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<Located<String>>, Diagnostic> {
    match value.get_ref() {
        DeValue::Array(values) => Ok(values
            .iter()
            .filter_map(|value| match value.get_ref() {
                DeValue::String(_) => diagnostics.take(text(key, value)),
                other => {
                    let span = value.span();
                    diagnostics.push(wrong_type(key, "a list of strings", other, span));
                    None
                }
            })
            .collect()),
        other => Err(wrong_type(key, "a list of strings", other, value.span())),
    }
}

/// An integer between two others.
pub(super) fn integer(
    key: &str,
    value: Value<'_>,
    lowest: u64,
    highest: u64,
) -> Result<u64, Diagnostic> {
    let span = value.span();
    let DeValue::Integer(integer) = value.get_ref() else {
        return Err(wrong_type(key, "an integer", value.get_ref(), span));
    };
    let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
    if number.is_some_and(|number| number < 0) {
        return Err(Diagnostic::new(span, format!("`{key}` is negative")));
    }
    let number = number.and_then(|number| u64::try_from(number).ok());
    match number.filter(|number| (lowest..=highest).contains(number)) {
        Some(number) => Ok(number),
        None => Err(Diagnostic::new(
            span,
            format!("`{key}` must be from {lowest} to {highest}"),
        )),
    }
}

/// One of some words.
pub(super) fn choice<T: Clone>(
    key: &str,
    value: Value<'_>,
    choices: &[(&str, T)],
) -> Result<T, Diagnostic> {
    let word = text(key, value)?;
    if let Some((_, chosen)) = choices.iter().find(|(known, _)| *known == word.value) {
        return Ok(chosen.clone());
    }
    let words: Vec<_> = choices.iter().map(|(known, _)| *known).collect();
    let diagnostic = Diagnostic::new(word.span, format!("`{key}` cannot be `{}`", word.value));
    Err(match most_similar(&word.value, words.iter().copied()) {
        Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
        None => diagnostic.help(format!("it can be {}", listed(&words))),
    })
}

/// What has a form of its own, a network rule for example.
pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
    text: &Located<String>,
) -> Result<T, Diagnostic> {
    text.value
        .parse()
        .map_err(|error| Diagnostic::new(text.span.clone(), error))
}

/// The units of times, in milliseconds.
const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

const TIME_HELP: &str = "a time is a whole number and a unit, ms, s, m or h: \"500ms\", \"5s\"";

/// A time: `5s`, `500ms`.
pub(super) fn duration(key: &str, value: Value<'_>) -> Result<Duration, Diagnostic> {
    if let DeValue::Integer(number) = value.get_ref() {
        let what = format!("`{key}` has no unit");
        return Err(Diagnostic::new(value.span(), what)
            .help(format!("write \"{number}s\" or \"{number}ms\"")));
    }
    let text = text(key, value)?;
    let millis = quantity(key, &text, &TIME_UNITS, TIME_HELP)?;
    Ok(Duration::from_millis(millis))
}

/// The units of memory, in bytes.
const MEMORY_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    // As after `--max-memory`.
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
];

const MEMORY_HELP: &str =
    "memory is a whole number and a unit, B, KiB, MiB or GiB: \"64MiB\", or a number of bytes";

/// An amount of memory: `64MiB`, or a number of bytes.
pub(super) fn memory(key: &str, value: Value<'_>) -> Result<Located<u64>, Diagnostic> {
    let span = value.span();
    let value = match value.get_ref() {
        DeValue::Integer(_) => integer(key, value, 0, u64::MAX)?,
        _ => quantity(key, &text(key, value)?, &MEMORY_UNITS, MEMORY_HELP)?,
    };
    Ok(Located { value, span })
}

/// A whole number and its unit.
fn quantity(
    key: &str,
    text: &Located<String>,
    units: &[(&str, u64)],
    help: &str,
) -> Result<u64, Diagnostic> {
    let complain = |what: String| {
        let span: Span = text.span.clone();
        Err(Diagnostic::new(span, what).help(help))
    };
    let trimmed = text.value.trim();
    if trimmed.starts_with('-') {
        return complain(format!("`{key}` is negative"));
    }
    let digits = trimmed.find(|char: char| !char.is_ascii_digit());
    let (number, unit) = trimmed.split_at(digits.unwrap_or(trimmed.len()));
    let unit = unit.trim();
    if number.is_empty() {
        return complain(format!("`{key}` has no number"));
    }
    if unit.is_empty() {
        return complain(format!("`{key}` has no unit"));
    }
    let Some((_, factor)) = units.iter().find(|(known, _)| *known == unit) else {
        return complain(format!("`{key}` has the unknown unit `{unit}`"));
    };
    let number = number.parse::<u64>().ok();
    match number.and_then(|number| number.checked_mul(*factor)) {
        Some(number) => Ok(number),
        None => complain(format!("`{key}` is too large a number")),
    }
}
