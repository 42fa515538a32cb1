//! Why the imports of a module cannot be satisfied.

use std::fmt::Write as _;

use wasmtime::{ExternType, ImportType, Module, ValType};

use crate::host_function_type::HostFunctionType;
use crate::import_problem::ImportProblem;

/// Every import of `module` that is none of the functions that are `offered`.
pub(crate) fn problems(offered: &[HostFunctionType], module: &Module) -> Vec<ImportProblem> {
    let problem = |import: ImportType<'_>| problem(offered, &import);
    module.imports().filter_map(problem).collect()
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
