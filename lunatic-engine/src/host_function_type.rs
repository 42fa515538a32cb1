//! The name and the type of a host function, for the check of imports.

use wasmtime::{FuncType, ValType};

/// The name and the type of a host function.
#[derive(Debug, Clone)]
pub struct HostFunctionType {
    /// The name of the module that it is imported from, for example `lunatic::process`.
    pub namespace: &'static str,
    /// The name in that namespace.
    pub name: &'static str,
    /// The types of its parameters.
    pub params: Vec<ValType>,
    /// The types of its results.
    pub results: Vec<ValType>,
}

impl HostFunctionType {
    /// Whether a module that imports it as this type can be linked.
    pub(crate) fn is(&self, ty: &FuncType) -> bool {
        let same = |own: &[ValType], wanted: &mut dyn ExactSizeIterator<Item = ValType>| {
            own.len() == wanted.len()
                && own
                    .iter()
                    .zip(wanted)
                    .all(|(own, wanted)| ValType::eq(own, &wanted))
        };
        same(&self.params, &mut ty.params()) && same(&self.results, &mut ty.results())
    }
}
