//! A host function, wherever it is named.

use std::fmt;

/// A host function, and where it is named.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) signature: Signature,
    pub(super) place: Place,
}

/// The parameters and results, in the types of WebAssembly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) params: Vec<ValueType>,
    pub(super) result: Option<ValueType>,
}

/// A type of WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueType {
    I32,
    I64,
    F64,
}

/// A line of a file.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) line: usize,
}

impl Function {
    /// Namespace and name.
    pub(super) fn name(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Function {
            namespace,
            name,
            place,
            ..
        } = self;
        write!(f, "{place}: `{namespace}::{name}`")
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<_> = self.params.iter().map(ValueType::to_string).collect();
        write!(f, "({})", params.join(", "))?;
        match self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
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

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}
