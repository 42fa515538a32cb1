//! The description of a host function.

use std::fmt;

/// A function that guests can import: its name and its type.
///
/// [`host_functions!`](crate::host_functions) declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFunction {
    /// The name of the module that a guest imports it from, for example
    /// `lunatic::process`.
    pub namespace: &'static str,
    /// The name in that namespace.
    pub name: &'static str,
    /// The parameters, in order.
    pub params: &'static [Param],
    /// The type of its result; `None` if it returns nothing.
    pub result: Option<ValueType>,
}

/// A parameter of a host function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// The name. WebAssembly has no names for parameters.
    pub name: &'static str,
    /// The type.
    pub ty: ValueType,
}

/// A type of WebAssembly that host functions take and return (ABI §0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// 32 bits: `i32` and `u32` in Rust.
    I32,
    /// 64 bits: `i64` and `u64` in Rust.
    I64,
    /// A floating-point number of 64 bits.
    F64,
}

/// A Rust type of parameters and results.
pub trait HostValue {
    /// The type in WebAssembly.
    const TYPE: ValueType;
}

/// A Rust type of results: `()` or a [`HostValue`].
pub trait HostResult {
    /// The type in WebAssembly.
    const TYPE: Option<ValueType>;
}

impl HostFunction {
    /// Returns its type as the text format has it behind `func`.
    ///
    /// ```
    /// let string_size = &lunatic_abi::HOST_FUNCTIONS[0];
    /// assert_eq!(string_size.name, "string_size");
    /// assert_eq!(string_size.type_use(), "(param i64) (result i32)");
    /// ```
    pub fn type_use(&self) -> String {
        let params: String = self
            .params
            .iter()
            .map(|param| format!(" {}", param.ty))
            .collect();
        let result = self.result.map(|result| format!("(result {result})"));
        match (params.is_empty(), result) {
            (true, result) => result.unwrap_or_default(),
            (false, None) => format!("(param{params})"),
            (false, Some(result)) => format!("(param{params}) {result}"),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueType::I32 => "i32",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        })
    }
}

impl HostResult for () {
    const TYPE: Option<ValueType> = None;
}

impl<V: HostValue> HostResult for V {
    const TYPE: Option<ValueType> = Some(V::TYPE);
}

impl HostValue for i32 {
    const TYPE: ValueType = ValueType::I32;
}

impl HostValue for u32 {
    const TYPE: ValueType = ValueType::I32;
}

impl HostValue for i64 {
    const TYPE: ValueType = ValueType::I64;
}

impl HostValue for u64 {
    const TYPE: ValueType = ValueType::I64;
}

impl HostValue for f64 {
    const TYPE: ValueType = ValueType::F64;
}
