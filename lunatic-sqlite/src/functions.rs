//! Functions of SQL that take too long as SQLite has them: the length of one text times that of
//! another, and not to be interrupted.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi};

/// The longest list of characters for `trim`, in bytes.
const MAX_TRIMMED: usize = 256;

/// Replaces `instr`, `replace`, and `trim` with two arguments, by ones that take a time in
/// proportion to what they are given.
///
/// - `max`: the longest text that SQLite takes, in bytes.
pub(crate) fn replace_slow_ones(connection: &Connection, max: usize) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(c"instr", 2, flags, instr)?;
    connection
        .create_scalar_function(c"replace", 3, flags, move |context| replace(context, max))?;
    connection.create_scalar_function(c"trim", 2, flags, |context| trim(context, true, true))?;
    connection.create_scalar_function(c"ltrim", 2, flags, |context| trim(context, true, false))?;
    connection.create_scalar_function(c"rtrim", 2, flags, |context| trim(context, false, true))
}

fn instr(context: &mut Context<'_>) -> Result<Option<i64>> {
    let (within, wanted) = (context.get_raw(0), context.get_raw(1));
    if let (ValueRef::Blob(within), ValueRef::Blob(wanted)) = (within, wanted) {
        return Ok(Some(position(within, wanted)));
    }
    let (Some(within), Some(wanted)) = (text(within), text(wanted)) else {
        return Ok(None);
    };
    let found = memchr::memmem::find(&within, &wanted);
    // Characters are counted by the bytes that begin one.
    let is_first = |byte: &&u8| **byte & 0xc0 != 0x80;
    let position = found.map_or(0, |at| within[..at].iter().filter(is_first).count() + 1);
    Ok(Some(position as i64))
}

fn position(within: &[u8], wanted: &[u8]) -> i64 {
    memchr::memmem::find(within, wanted).map_or(0, |at| at as i64 + 1)
}

fn replace(context: &mut Context<'_>, max: usize) -> Result<Option<Value>> {
    let given = [0, 1, 2].map(|argument| text(context.get_raw(argument)));
    let [Some(within), Some(wanted), Some(by)] = given else {
        return Ok(None);
    };
    if wanted.is_empty() {
        return Ok(Some(as_text(within)));
    }
    let mut replaced = Vec::new();
    let mut rest = 0;
    for at in memchr::memmem::find_iter(&within, &wanted) {
        replaced.extend_from_slice(&within[rest..at]);
        replaced.extend_from_slice(&by);
        rest = at + wanted.len();
        if replaced.len() > max {
            // SQLite says that this is too long.
            return Ok(Some(as_text(replaced)));
        }
    }
    replaced.extend_from_slice(&within[rest..]);
    Ok(Some(as_text(replaced)))
}

fn trim(context: &mut Context<'_>, left: bool, right: bool) -> Result<Option<Value>> {
    let (Some(whole), Some(trimmed)) = (text(context.get_raw(0)), text(context.get_raw(1))) else {
        return Ok(None);
    };
    if trimmed.len() > MAX_TRIMMED {
        let message = "trim() takes 256 bytes of characters at most";
        return Err(failure(ffi::SQLITE_ERROR, message));
    }
    let whole = String::from_utf8_lossy(&whole);
    let trimmed = String::from_utf8_lossy(&trimmed);
    let is_trimmed = |character: char| trimmed.contains(character);
    let mut kept: &str = &whole;
    if left {
        kept = kept.trim_start_matches(is_trimmed);
    }
    if right {
        kept = kept.trim_end_matches(is_trimmed);
    }
    Ok(Some(Value::Text(kept.to_owned())))
}

/// The bytes of a value as text, as SQLite converts it; `None` for null.
fn text(value: ValueRef<'_>) -> Option<Vec<u8>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into_bytes()),
        ValueRef::Real(number) => Some(real(number).into_bytes()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
    }
}

/// A number as SQLite writes it, with 15 digits.
fn real(number: f64) -> String {
    let shortest = format!("{number:?}");
    match number.is_infinite() {
        true if number < 0.0 => "-Inf".to_owned(),
        true => "Inf".to_owned(),
        false => shortest,
    }
}

fn as_text(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Text(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn failure(code: i32, message: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), Some(message.to_owned()))
}
