//! Values, and the bytes in which they cross to the host (ABI §10.3).

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

/// Writes values for the parameters 1, 2 and so on.
pub(super) fn write_params(params: &[Value]) -> Vec<u8> {
    const NUMBER: u32 = 1;
    let mut bytes = (params.len() as u64).to_le_bytes().to_vec();
    for (value, number) in params.iter().zip(1_u64..) {
        bytes.extend(NUMBER.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        match value {
            Value::Null => bytes.extend(0_u32.to_le_bytes()),
            Value::Blob(blob) => write_bytes(&mut bytes, 1, blob),
            Value::Text(text) => write_bytes(&mut bytes, 2, text.as_bytes()),
            Value::Double(number) => {
                bytes.extend(3_u32.to_le_bytes());
                bytes.extend(number.to_le_bytes());
            }
            Value::Integer(number) => {
                bytes.extend(5_u32.to_le_bytes());
                bytes.extend(number.to_le_bytes());
            }
        }
    }
    bytes
}

fn write_bytes(to: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    to.extend(tag.to_le_bytes());
    to.extend((bytes.len() as u64).to_le_bytes());
    to.extend(bytes);
}

/// Takes the next row off, if there is one.
pub(super) fn read_row(rows: &mut &[u8]) -> Option<Vec<Value>> {
    let count = u64::from_le_bytes(take(rows)?);
    (0..count).map(|_| read_value(rows)).collect()
}

/// Reads the names of columns.
pub(super) fn read_names(mut bytes: &[u8]) -> Vec<String> {
    let bytes = &mut bytes;
    let Some(count) = take(bytes).map(u64::from_le_bytes) else {
        return Vec::new();
    };
    let names = (0..count).map_while(|_| sized(bytes));
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

fn read_value(rows: &mut &[u8]) -> Option<Value> {
    Some(match u32::from_le_bytes(take(rows)?) {
        0 => Value::Null,
        1 => Value::Blob(sized(rows)?.to_vec()),
        2 => Value::Text(String::from_utf8_lossy(sized(rows)?).into_owned()),
        3 => Value::Double(f64::from_le_bytes(take(rows)?)),
        4 => Value::Integer(i64::from_le_bytes(take(rows)?)),
        _ => return None,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u64::from_le_bytes(take(bytes)?);
    let (sized, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(sized)
}

macro_rules! from {
    ($($from:ty => $value:ident => $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Value {
                $to
            }
        }
    )*};
}

from! {
    bool => value => Value::Integer(value.into());
    i8 => value => Value::Integer(value.into());
    u8 => value => Value::Integer(value.into());
    i16 => value => Value::Integer(value.into());
    u16 => value => Value::Integer(value.into());
    i32 => value => Value::Integer(value.into());
    u32 => value => Value::Integer(value.into());
    i64 => value => Value::Integer(value);
    f32 => value => Value::Double(value.into());
    f64 => value => Value::Double(value);
    &str => value => Value::Text(value.to_owned());
    &String => value => Value::Text(value.clone());
    String => value => Value::Text(value);
    &[u8] => value => Value::Blob(value.to_vec());
    Vec<u8> => value => Value::Blob(value);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
