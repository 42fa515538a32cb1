//! Why the imports of a module cannot be satisfied.

use std::fmt::Write as _;

use wasm_encoder::{RawSection, SectionId};
use wasmparser::{BinaryReaderError, CompositeInnerType, FuncType, Parser, Payload, TypeRef};
use wasmtime::{ExternType, ImportType, Module, ValType};

use crate::host_function_type::HostFunctionType;
use crate::import_problem::ImportProblem;
use crate::preemption::REFILL;

/// Whether every import of a binary module is one of the functions that are `offered`; false
/// too if that cannot be seen.
pub(crate) fn are_listed(offered: &[HostFunctionType], wasm: &[u8]) -> bool {
    read_imports(wasm).is_ok_and(|imports| {
        imports.iter().all(|(namespace, name, ty)| {
            let function = offered
                .iter()
                .find(|function| (function.namespace, function.name) == (*namespace, *name));
            match (function, ty) {
                (Some(function), Some(ty)) => is_of_type(function, ty),
                _ => false,
            }
        })
    })
}

/// Namespace, name, and the type if it is a function.
type Import<'a> = (&'a str, &'a str, Option<FuncType>);

fn read_imports(wasm: &[u8]) -> Result<Vec<Import<'_>>, BinaryReaderError> {
    let mut types = Vec::new();
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    types.extend(group?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => Some(ty),
                        _ => None,
                    }));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let ty = match import.ty {
                        TypeRef::Func(index) => types.get(index as usize).cloned().flatten(),
                        _ => None,
                    };
                    found.push((import.module, import.name, ty));
                }
            }
            // Imports stand before all these.
            Payload::FunctionSection(_) | Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(found)
}

fn is_of_type(function: &HostFunctionType, ty: &FuncType) -> bool {
    let same = |offered: &[ValType], wanted: &[wasmparser::ValType]| {
        offered.len() == wanted.len()
            && offered.iter().zip(wanted).all(|pair| {
                matches!(
                    pair,
                    (ValType::I32, wasmparser::ValType::I32)
                        | (ValType::I64, wasmparser::ValType::I64)
                        | (ValType::F32, wasmparser::ValType::F32)
                        | (ValType::F64, wasmparser::ValType::F64)
                )
            })
    };
    same(&function.params, ty.params()) && same(&function.results, ty.results())
}

/// A module that has the types and imports of a binary one, and nothing else.
pub(crate) fn without_the_rest(wasm: &[u8]) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        let (id, range) = match payload {
            Payload::TypeSection(section) => (SectionId::Type, section.range()),
            Payload::ImportSection(section) => (SectionId::Import, section.range()),
            Payload::FunctionSection(_) | Payload::CodeSectionStart { .. } => break,
            _ => continue,
        };
        module.section(&RawSection {
            id: id.into(),
            data: &wasm[range],
        });
    }
    module.finish()
}

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
