//! Values, and the bytes in which they cross to guests (ABI §10.3).

use std::ops::Range;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A value of a column, or one that is bound to a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Bytes.
    Blob(Vec<u8>),
    /// Text.
    Text(String),
    /// A floating-point number.
    Double(f64),
    /// An integer.
    Integer(i64),
}

/// Which parameter of a statement a value is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// The one behind the last that was bound, at first the first.
    Next,
    /// By its number, from 1 on.
    Number(u64),
    /// By its name with the prefix that it has in the statement, `:x` for example.
    Name(String),
}

/// A list of values to bind cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Blob(bytes) => ValueRef::Blob(bytes),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Double(number) => ValueRef::Real(*number),
            Value::Integer(number) => ValueRef::Integer(*number),
        }))
    }
}

impl Value {
    /// The bytes that it takes beside itself.
    pub(crate) fn size(&self) -> usize {
        match self {
            Value::Blob(bytes) => bytes.len(),
            Value::Text(text) => text.len(),
            Value::Null | Value::Double(_) | Value::Integer(_) => 0,
        }
    }
}

impl Key {
    /// The bytes that it takes beside itself.
    pub(crate) fn size(&self) -> usize {
        match self {
            Key::Name(name) => name.len(),
            Key::Next | Key::Number(_) => 0,
        }
    }
}

/// Appends a value of a column.
pub(crate) fn write_value(bytes: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => bytes.extend(0_u32.to_le_bytes()),
        ValueRef::Blob(blob) => write_bytes(bytes, 1, blob),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => write_bytes(bytes, 2, text.as_bytes()),
            // SQLite does not check what is stored as text.
            Err(_) => write_bytes(bytes, 2, String::from_utf8_lossy(text).as_bytes()),
        },
        ValueRef::Real(number) => {
            bytes.extend(3_u32.to_le_bytes());
            bytes.extend(number.to_le_bytes());
        }
        ValueRef::Integer(number) => {
            bytes.extend(4_u32.to_le_bytes());
            bytes.extend(number.to_le_bytes());
        }
    }
}

fn write_bytes(to: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    to.extend(tag.to_le_bytes());
    to.extend((bytes.len() as u64).to_le_bytes());
    to.extend(bytes);
}

/// Returns where the value of a column lies in a row, if there is such a column.
pub(crate) fn column_of(row: &[u8], column: usize) -> Option<Range<usize>> {
    let mut reader = Reader { bytes: row, at: 0 };
    let count = reader.u64().ok()?;
    if column as u64 >= count {
        return None;
    }
    for _ in 0..column {
        reader.skip_value().ok()?;
    }
    let start = reader.at;
    reader.skip_value().ok()?;
    Some(start..reader.at)
}

/// Reads a row.
///
/// # Errors
///
/// [`Malformed`].
pub fn read_row(row: &[u8]) -> Result<Vec<Value>, Malformed> {
    let mut reader = Reader { bytes: row, at: 0 };
    let count = reader.u64()?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match reader.u32()? {
            0 => Value::Null,
            1 => Value::Blob(reader.sized()?.to_vec()),
            2 => Value::Text(reader.text()?),
            3 => Value::Double(f64::from_bits(reader.u64()?)),
            4 => Value::Integer(reader.u64()? as i64),
            _ => return Err(Malformed),
        });
    }
    Ok(values)
}

/// Returns how many values a list to bind has, as far as its beginning tells.
///
/// # Errors
///
/// [`Malformed`] if it is too short for them.
pub(crate) fn count_of_bindings(bytes: &[u8]) -> Result<usize, Malformed> {
    /// The least that an entry takes: the tags of key and value.
    const LEAST: usize = 8;
    let mut reader = Reader { bytes, at: 0 };
    let count = usize::try_from(reader.u64()?).map_err(|_| Malformed)?;
    match count <= (bytes.len() - reader.at) / LEAST {
        true => Ok(count),
        false => Err(Malformed),
    }
}

/// Reads a list of values to bind.
///
/// # Errors
///
/// [`Malformed`] if it is anything else, or something is behind it.
pub fn read_bindings(bytes: &[u8]) -> Result<Vec<(Key, Value)>, Malformed> {
    let count = count_of_bindings(bytes)?;
    let mut reader = Reader { bytes, at: 8 };
    let mut bindings = Vec::with_capacity(count);
    for _ in 0..count {
        let key = match reader.u32()? {
            0 => Key::Next,
            1 => Key::Number(reader.u64()?),
            2 => Key::Name(reader.text()?),
            _ => return Err(Malformed),
        };
        let value = match reader.u32()? {
            0 => Value::Null,
            1 => Value::Blob(reader.sized()?.to_vec()),
            2 => Value::Text(reader.text()?),
            3 => Value::Double(f64::from_bits(reader.u64()?)),
            4 => Value::Integer(i64::from(reader.u32()? as i32)),
            5 => Value::Integer(reader.u64()? as i64),
            _ => return Err(Malformed),
        };
        bindings.push((key, value));
    }
    match reader.at == bytes.len() {
        true => Ok(bindings),
        false => Err(Malformed),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.at..];
        let count = usize::try_from(count).map_err(|_| Malformed)?;
        let taken = rest.get(..count).ok_or(Malformed)?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N as u64)?.try_into().map_err(|_| Malformed)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u64()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let text = std::str::from_utf8(self.sized()?).map_err(|_| Malformed)?;
        Ok(text.to_owned())
    }

    fn skip_value(&mut self) -> Result<(), Malformed> {
        match self.u32()? {
            0 => Ok(()),
            1 | 2 => self.sized().map(|_| ()),
            _ => self.take(8).map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn the_columns_of_a_row_are_found_and_read_again() {
        let mut row = 5_u64.to_le_bytes().to_vec();
        write_value(&mut row, ValueRef::Null);
        write_value(&mut row, ValueRef::Blob(b"blob"));
        write_value(&mut row, ValueRef::Text(b"text"));
        write_value(&mut row, ValueRef::Real(1.5));
        write_value(&mut row, ValueRef::Integer(-1));
        assert_eq!(
            read_row(&row).unwrap(),
            [
                Value::Null,
                Value::Blob(b"blob".to_vec()),
                Value::Text("text".into()),
                Value::Double(1.5),
                Value::Integer(-1)
            ]
        );
        let text = column_of(&row, 2).unwrap();
        assert_eq!(row[text][12..], *b"text");
        assert_eq!(column_of(&row, 5), None);
    }

    #[test]
    fn bindings_that_end_early_or_late_or_have_wrong_tags_are_malformed() {
        let mut good = 1_u64.to_le_bytes().to_vec();
        good.extend(2_u32.to_le_bytes());
        good.extend(2_u64.to_le_bytes());
        good.extend(b":x");
        good.extend(4_u32.to_le_bytes());
        good.extend((-7_i32).to_le_bytes());
        let name = Key::Name(":x".into());
        assert_eq!(read_bindings(&good), Ok(vec![(name, Value::Integer(-7))]));
        for length in 0..good.len() {
            assert_eq!(read_bindings(&good[..length]), Err(Malformed), "{length}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(read_bindings(&longer), Err(Malformed));
        for (at, byte) in [(8, 3), (22, 6), (0, 255), (19, 1), (20, 0xff)] {
            let mut wrong = good.clone();
            wrong[at] = byte;
            assert_eq!(read_bindings(&wrong), Err(Malformed), "{at}");
        }
    }
}
