//! What exports take and return.

use wasmtime::Val;

/// A number that an export takes or returns.
///
/// ```
/// use lunatic_cli::{Root, Value};
///
/// let root = Root::new("add").params([Value::I32(2), 3.into()]);
/// # drop(root);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// 32 bits, which WebAssembly takes for signed or unsigned as it needs.
    I32(i32),
    /// 64 bits, the same.
    I64(i64),
    /// A floating-point number of 32 bits.
    F32(f32),
    /// A floating-point number of 64 bits.
    F64(f64),
    /// A vector, its first lane in the lowest bits.
    V128(u128),
}

/// Where the results of an export are put; a clone is the same place.
#[derive(Debug, Clone, Default)]
pub struct Results(lunatic_engine::Results);

impl Results {
    /// The results in their order, once the process has ended normally. One that is a reference
    /// says nothing outside of the process, and is `None`.
    pub fn get(&self) -> Option<Vec<Option<Value>>> {
        let values = self.0.get()?;
        Some(values.iter().map(Value::from_engine).collect())
    }

    pub(crate) fn into_engine(self) -> lunatic_engine::Results {
        self.0
    }
}

impl Value {
    pub(crate) fn into_engine(self) -> Val {
        match self {
            Value::I32(value) => Val::I32(value),
            Value::I64(value) => Val::I64(value),
            Value::F32(value) => Val::F32(value.to_bits()),
            Value::F64(value) => Val::F64(value.to_bits()),
            Value::V128(value) => Val::V128(value.into()),
        }
    }

    fn from_engine(value: &Val) -> Option<Value> {
        Some(match value {
            Val::I32(value) => Value::I32(*value),
            Val::I64(value) => Value::I64(*value),
            Val::F32(bits) => Value::F32(f32::from_bits(*bits)),
            Val::F64(bits) => Value::F64(f64::from_bits(*bits)),
            Val::V128(value) => Value::V128(value.as_u128()),
            _ => return None,
        })
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::I32(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::I64(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Value {
        Value::F32(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::F64(value)
    }
}
