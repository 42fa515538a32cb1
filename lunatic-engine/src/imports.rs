//! Why the imports of a module cannot be satisfied.

use std::fmt::Write as _;

use wasmtime::{ExternType, ImportType, Module, ValType};

use crate::bounded_steps::REFILL;
use crate::host_function_type::HostFunctionType;
use crate::import_problem::ImportProblem;

/// Every import of `module` that is none of the functions that are `offered`.
///
/// - `has_points`: whether the last import of what is reserved was written into the module
///   here.
pub(crate) fn problems(
    offered: &[HostFunctionType],
    module: &Module,
    has_points: bool,
) -> Vec<ImportProblem> {
    let own = module.imports().filter(|_| has_points);
    let own = own.enumerate().filter(|(_, import)| is_reserved(import));
    let own = own.last().map(|(position, _)| position);
    let imports = module.imports().enumerate();
    let imports = imports.filter(|(position, _)| Some(*position) != own);
    imports
        .filter_map(|(_, import)| problem(offered, &import))
        .collect()
}

/// How many imports are of what is reserved for points of preemption.
pub(crate) fn reserved(module: &Module) -> usize {
    module.imports().filter(is_reserved).count()
}

fn is_reserved(import: &ImportType<'_>) -> bool {
    (import.module(), import.name()) == REFILL
}

fn problem(offered: &[HostFunctionType], import: &ImportType<'_>) -> Option<ImportProblem> {
    let (namespace, name) = (import.module(), import.name());
    let mut offered = offered.iter();
    let function =
        offered.find(|function| (function.namespace, function.name) == (namespace, name));
    let (wanted, offered) = match (import.ty(), function) {
        (ExternType::Func(wanted), Some(function)) if function.is(&wanted) => return None,
        (ExternType::Func(wanted), function) => (
            signature(wanted.params(), wanted.results()),
            function.map(
                |HostFunctionType {
                     params, results, ..
                 }| { signature(params.iter().cloned(), results.iter().cloned()) },
            ),
        ),
        (other, _) => (kind(&other).to_string(), None),
    };
    Some(ImportProblem {
        namespace: namespace.to_string(),
        name: name.to_string(),
        wanted,
        offered,
    })
}

/// A function type in the text format.
fn signature(
    params: impl ExactSizeIterator<Item = ValType>,
    results: impl ExactSizeIterator<Item = ValType>,
) -> String {
    let mut text = String::from("(func");
    write_types(&mut text, "param", params);
    write_types(&mut text, "result", results);
    text.push(')');
    text
}

fn write_types(text: &mut String, what: &str, types: impl ExactSizeIterator<Item = ValType>) {
    if types.len() == 0 {
        return;
    }
    let _ = write!(text, " ({what}");
    for ty in types {
        let _ = write!(text, " {ty}");
    }
    text.push(')');
}

fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "function",
        ExternType::Global(_) => "global",
        ExternType::Table(_) => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Tag(_) => "tag",
    }
}
