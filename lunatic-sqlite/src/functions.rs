//! Functions of SQL that take too long as SQLite has them: the length of one text times that of
//! another, and not to be interrupted.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, OpenFlags, Result, ToSql, ffi};

use crate::{files, quota};

/// The longest list of characters for `trim`, in bytes.
const MAX_TRIMMED: usize = 256;

/// The product of the lengths of two JSON texts that are merged: SQLite looks each name of the
/// one up in the other from its beginning.
const MAX_MERGED: usize = 1 << 30;

/// The subtype of texts that JSON functions return.
const JSON: u32 = 74;

/// A connection without anything, which has the functions of SQLite itself.
#[derive(Clone, Default)]
struct Plain(Arc<Mutex<Option<Connection>>>);

/// Replaces `instr`, `replace`, and `trim` and `unhex` with two arguments, by ones that take a
/// time in proportion to what they are given, and limits what `json_patch` is given.
///
/// - `max`: the longest text that SQLite takes, in bytes.
pub(crate) fn replace_slow_ones(connection: &Connection, max: usize) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let plain = Plain::default();
    let own = plain.clone();
    connection.create_scalar_function(c"instr", 2, flags, move |context| instr(context, &own))?;
    let own = plain.clone();
    connection.create_scalar_function(c"replace", 3, flags, move |context| {
        replace(context, &own, max)
    })?;
    for (name, left, right) in [
        (c"trim", true, true),
        (c"ltrim", true, false),
        (c"rtrim", false, true),
    ] {
        let own = plain.clone();
        connection.create_scalar_function(name, 2, flags, move |context| {
            trim(context, &own, left, right)
        })?;
    }
    let own = plain.clone();
    connection.create_scalar_function(c"unhex", 2, flags, move |context| unhex(context, &own))?;
    let own = plain.clone();
    let returns_json = flags | FunctionFlags::SQLITE_RESULT_SUBTYPE;
    connection.create_scalar_function(c"json_patch", 2, returns_json, move |context| {
        Ok((merge(context, &own, "json_patch")?, Some(JSON)))
    })?;
    connection.create_scalar_function(c"jsonb_patch", 2, flags, move |context| {
        merge(context, &plain, "jsonb_patch")
    })
}

impl Plain {
    /// Calls a function of SQLite itself.
    ///
    /// - `call`: with its arguments, `?1` and so on.
    fn call(&self, call: &str, arguments: &[&dyn ToSql]) -> Result<Value> {
        let mut plain = self.0.lock();
        let connection = match &mut *plain {
            Some(connection) => connection,
            none => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                none.insert(Connection::open_in_memory_with_flags_and_vfs(
                    flags,
                    files::NAME,
                )?)
            }
        };
        let mut statement = connection.prepare_cached(&format!("SELECT {call}"))?;
        let outcome = statement.query_row(arguments, |row| row.get(0));
        statement.clear_bindings();
        outcome
    }
}

/// Returns an argument.
fn argument<'c>(context: &'c Context<'_>, index: usize) -> ValueRef<'c> {
    quota::leniently(|| context.get_raw(index))
}

fn merge(context: &mut Context<'_>, plain: &Plain, name: &str) -> Result<Value> {
    let (target, patch) = (argument(context, 0), argument(context, 1));
    if length(target).saturating_mul(length(patch)) > MAX_MERGED {
        let message = format!("{name}() takes 2^30 bytes at most, one length times the other");
        return Err(failure(ffi::SQLITE_TOOBIG, &message));
    }
    let owned = |value: ValueRef<'_>| Value::try_from(value).unwrap_or(Value::Null);
    plain.call(&format!("{name}(?1, ?2)"), &[&owned(target), &owned(patch)])
}

fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 32,
    }
}

fn unhex(context: &mut Context<'_>, plain: &Plain) -> Result<Option<Value>> {
    let given = [0, 1].map(|index| text(argument(context, index), plain));
    let [Some(digits), Some(ignored)] = given else {
        return Ok(None);
    };
    if ignored.len() > MAX_TRIMMED {
        let message = "unhex() takes 256 bytes of characters at most";
        return Err(failure(ffi::SQLITE_ERROR, message));
    }
    let digits = String::from_utf8_lossy(&digits);
    let ignored = String::from_utf8_lossy(&ignored);
    let mut bytes = Vec::new();
    let mut characters = digits.chars().take_while(|character| *character != '\0');
    while let Some(character) = characters.next() {
        if let Some(first) = character.to_digit(16) {
            let second = characters.next().and_then(|second| second.to_digit(16));
            let Some(second) = second else {
                return Ok(None);
            };
            bytes.push((first * 16 + second) as u8);
        } else if !ignored.contains(character) {
            return Ok(None);
        }
    }
    Ok(Some(Value::Blob(bytes)))
}

fn instr(context: &mut Context<'_>, plain: &Plain) -> Result<Option<i64>> {
    let (within, wanted) = (argument(context, 0), argument(context, 1));
    if let (ValueRef::Blob(within), ValueRef::Blob(wanted)) = (within, wanted) {
        return Ok(Some(position(within, wanted)));
    }
    let (Some(within), Some(wanted)) = (text(within, plain), text(wanted, plain)) else {
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

fn replace(context: &mut Context<'_>, plain: &Plain, max: usize) -> Result<Option<Value>> {
    let given = [0, 1, 2].map(|index| text(argument(context, index), plain));
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

fn trim(
    context: &mut Context<'_>,
    plain: &Plain,
    left: bool,
    right: bool,
) -> Result<Option<Value>> {
    let given = [0, 1].map(|index| text(argument(context, index), plain));
    let [Some(whole), Some(trimmed)] = given else {
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
fn text(value: ValueRef<'_>, plain: &Plain) -> Option<Vec<u8>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into_bytes()),
        ValueRef::Real(number) => match plain.call("CAST(?1 AS TEXT)", &[&number]) {
            Ok(Value::Text(text)) => Some(text.into_bytes()),
            Ok(_) | Err(_) => None,
        },
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
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
