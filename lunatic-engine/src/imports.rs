//! Why the imports of a module cannot be satisfied.

use std::fmt::Write as _;

use wasm_encoder::{EntityType, ImportSection, TypeSection};
use wasmtime::{Engine, ExternType, FuncType, ImportType, Linker, Module, ValType};

use crate::import_problem::ImportProblem;

/// Every import of `module` that `linker` does not offer.
pub(crate) fn problems<T: 'static>(linker: &Linker<T>, module: &Module) -> Vec<ImportProblem> {
    let problem = |import: ImportType<'_>| problem(linker, &import);
    module.imports().filter_map(problem).collect()
}

fn problem<T: 'static>(linker: &Linker<T>, import: &ImportType<'_>) -> Option<ImportProblem> {
    let (wanted, offered) = match import.ty() {
        ExternType::Func(wanted) => match offer(linker, import, &wanted) {
            Offer::AsWanted => return None,
            Offer::Otherwise(offered) => (signature(&wanted), Some(offered)),
            Offer::Nothing => (signature(&wanted), None),
        },
        other => (kind(&other).to_string(), None),
    };
    Some(ImportProblem {
        namespace: import.module().to_string(),
        name: import.name().to_string(),
        wanted,
        offered,
    })
}

/// What is registered under the name of an import.
enum Offer {
    AsWanted,
    /// A function of another type, which is this in the text format.
    Otherwise(String),
    Nothing,
}

/// What is registered as this import, found out by linking a module that imports it
/// and nothing else: a linker cannot be asked.
fn offer<T: 'static>(linker: &Linker<T>, import: &ImportType<'_>, wanted: &FuncType) -> Offer {
    if link_one(linker, import, wanted).is_ok() {
        return Offer::AsWanted;
    }
    // A name is taken if it cannot be defined once more.
    let mut copy = linker.clone();
    let nothing = FuncType::new(linker.engine(), [], []);
    match copy.func_new(import.module(), import.name(), nothing, |_, _, _| Ok(())) {
        Ok(_) => Offer::Nothing,
        Err(_) => Offer::Otherwise(registered_type(linker, import)),
    }
}

/// The type of a registered function, as the linker's message words it.
fn registered_type<T: 'static>(linker: &Linker<T>, import: &ImportType<'_>) -> String {
    let unlikely = FuncType::new(linker.engine(), [ValType::V128], []);
    let message = match link_one(linker, import, &unlikely) {
        Ok(()) => String::new(),
        Err(error) => format!("{error:#}"),
    };
    message
        .rsplit_once("found type `")
        .and_then(|(_, rest)| rest.split_once('`'))
        .map_or_else(|| "another type".to_string(), |(ty, _)| ty.to_string())
}

/// Links a module that imports one function and is nothing else.
fn link_one<T: 'static>(
    linker: &Linker<T>,
    import: &ImportType<'_>,
    ty: &FuncType,
) -> wasmtime::Result<()> {
    let engine: &Engine = linker.engine();
    let module = Module::from_binary(engine, &module_with_one_import(import, ty))?;
    linker.instantiate_pre(&module).map(|_| ())
}

fn module_with_one_import(import: &ImportType<'_>, ty: &FuncType) -> Vec<u8> {
    let mut types = TypeSection::new();
    types
        .ty()
        .function(ty.params().map(encoded), ty.results().map(encoded));
    let mut imports = ImportSection::new();
    imports.import(import.module(), import.name(), EntityType::Function(0));
    let mut module = wasm_encoder::Module::new();
    module.section(&types).section(&imports);
    module.finish()
}

fn encoded(ty: ValType) -> wasm_encoder::ValType {
    match ty {
        ValType::I32 => wasm_encoder::ValType::I32,
        ValType::I64 => wasm_encoder::ValType::I64,
        ValType::F32 => wasm_encoder::ValType::F32,
        ValType::F64 => wasm_encoder::ValType::F64,
        ValType::V128 => wasm_encoder::ValType::V128,
        ValType::Ref(_) => wasm_encoder::ValType::FUNCREF,
    }
}

/// A function type in the text format.
fn signature(ty: &FuncType) -> String {
    let mut text = String::from("(func");
    write_types(&mut text, "param", ty.params());
    write_types(&mut text, "result", ty.results());
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
