//! From bytes to a module, and all that can be wrong with them.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};

use lunatic_blocking::Class;
use wasm_encoder::{EntityType, ImportSection, TypeSection};
use wasmparser::{Parser, Payload};
use wasmtime::{ExternType, FuncType, ImportType, InstancePre, Linker, ValType};

use crate::arena::Image;
use crate::engine::Engine;
use crate::instance::InstanceState;
use crate::module::{Compiled, Module};
use crate::module_info::ModuleInfo;
use crate::segments;

/// Links modules against the host functions of one kind of state; clone it freely.
pub struct Loader<T: 'static> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: 'static> {
    engine: Engine,
    imports: Imports<T>,
    /// Who imports this function is compiled to count fuel from the first.
    budget_function: Option<(&'static str, &'static str)>,
    ticked: Variant<T>,
    /// Made when it is first asked for.
    metered: OnceLock<Variant<T>>,
}

/// Registers the host functions.
type Imports<T> = Box<dyn Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync>;

/// One of the two ways to compile, with the host functions for it.
struct Variant<T: 'static> {
    engine: wasmtime::Engine,
    linker: Linker<T>,
}

/// Why bytes did not become a module.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// They are neither a wasm module nor its text.
    NotWasm,
    /// They are text, and wrong.
    Text(String),
    /// They begin like a module, and are not a valid one.
    Invalid(String),
    /// The module imports what is not offered.
    Imports(Vec<ImportProblem>),
    /// The compiler gave up.
    Compile(String),
}

/// An import that cannot be satisfied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportProblem {
    /// The namespace, for example `lunatic::process`.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What the module wants, in the text format: `(func (param i64))`.
    pub wanted: String,
    /// What is offered under this name instead, if anything, in the same form.
    pub offered: Option<String>,
}

impl<T: InstanceState> Loader<T> {
    /// A loader for modules that import what `imports` registers.
    ///
    /// `imports` is called again if an instance with a budget is asked for.
    ///
    /// # Errors
    ///
    /// Fails if `imports` does.
    pub fn new(
        engine: &Engine,
        imports: impl Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> wasmtime::Result<Loader<T>> {
        Loader::build(engine, imports, None)
    }

    /// A loader that knows the function by which a module gives others a budget.
    ///
    /// A module that imports it will need the variant that counts fuel, so it is
    /// compiled to that variant and no other, and has not to be compiled again
    /// when the first budget is given.
    ///
    /// # Errors
    ///
    /// Fails if `imports` does.
    pub fn with_budget_function(
        engine: &Engine,
        imports: impl Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
        (namespace, name): (&'static str, &'static str),
    ) -> wasmtime::Result<Loader<T>> {
        Loader::build(engine, imports, Some((namespace, name)))
    }

    fn build(
        engine: &Engine,
        imports: impl Fn(&mut Linker<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
        budget_function: Option<(&'static str, &'static str)>,
    ) -> wasmtime::Result<Loader<T>> {
        let ticked = Variant::new(engine.ticked(), &imports)?;
        Ok(Loader {
            shared: Arc::new(Shared {
                engine: engine.clone(),
                imports: Box::new(imports),
                budget_function,
                ticked,
                metered: OnceLock::new(),
            }),
        })
    }

    /// The engine that compiles.
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Compiles and links a module, binary or text. This takes a while; see
    /// [`load_async`](Loader::load_async).
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(&self, bytes: &[u8]) -> Result<Module<T>, LoadError> {
        let wasm = binary(bytes)?;
        let info = ModuleInfo::of(&wasm)
            .map_err(|error| LoadError::Invalid(error.message().to_string()))?;
        let budget_function = self.shared.budget_function;
        let is_metered = budget_function.is_some_and(|function| imports(&wasm, function));
        let variant = match is_metered {
            true => self.metered().map_err(compile_error)?,
            false => &self.shared.ticked,
        };
        let (wasm, image) = take_image(&self.shared.engine, wasm);
        let linked = variant.link(&variant.compile(&wasm)?)?;
        let compiled = match is_metered {
            true => Compiled::Metered(linked),
            false => Compiled::Ticked(linked),
        };
        Ok(Module::new(wasm, info, image, compiled, self.clone()))
    }

    /// [`load`](Loader::load) on a thread that may block.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub async fn load_async(&self, bytes: Vec<u8>) -> Result<Module<T>, LoadError> {
        let loader = self.clone();
        Class::Cpu.queue().run(move || loader.load(&bytes)).await
    }

    /// The variant of a loaded module that counts fuel.
    pub(crate) fn link_metered(&self, wasm: &[u8]) -> wasmtime::Result<InstancePre<T>> {
        let metered = self.metered()?;
        let module = wasmtime::Module::from_binary(&metered.engine, wasm)?;
        metered.linker.instantiate_pre(&module)
    }

    fn metered(&self) -> wasmtime::Result<&Variant<T>> {
        if let Some(variant) = self.shared.metered.get() {
            return Ok(variant);
        }
        let engine = self.shared.engine.metered()?;
        let variant = Variant::new(engine, &self.shared.imports)?;
        Ok(self.shared.metered.get_or_init(|| variant))
    }
}

impl<T: 'static> Variant<T> {
    fn new(
        engine: &wasmtime::Engine,
        imports: impl Fn(&mut Linker<T>) -> wasmtime::Result<()>,
    ) -> wasmtime::Result<Variant<T>> {
        let mut linker = Linker::new(engine);
        imports(&mut linker)?;
        Ok(Variant {
            engine: engine.clone(),
            linker,
        })
    }

    fn compile(&self, wasm: &[u8]) -> Result<wasmtime::Module, LoadError> {
        wasmtime::Module::from_binary(&self.engine, wasm).map_err(|error| {
            // The compiler validates too, but does not tell its errors apart; a
            // module that is in the cache is not validated again.
            match wasmtime::Module::validate(&self.engine, wasm) {
                Err(invalid) => LoadError::Invalid(format!("{invalid:#}")),
                Ok(()) => compile_error(error),
            }
        })
    }

    fn link(&self, module: &wasmtime::Module) -> Result<InstancePre<T>, LoadError> {
        self.linker.instantiate_pre(module).map_err(|error| {
            let problems: Vec<_> = module
                .imports()
                .filter_map(|import| self.problem(&import))
                .collect();
            match problems.is_empty() {
                true => compile_error(error),
                false => LoadError::Imports(problems),
            }
        })
    }

    fn problem(&self, import: &ImportType<'_>) -> Option<ImportProblem> {
        let problem = |wanted, offered| ImportProblem {
            namespace: import.module().to_string(),
            name: import.name().to_string(),
            wanted,
            offered,
        };
        match import.ty() {
            ExternType::Func(wanted) => match self.offer(import, &wanted) {
                Offer::AsWanted => None,
                Offer::Otherwise(offered) => Some(problem(signature(&wanted), Some(offered))),
                Offer::Nothing => Some(problem(signature(&wanted), None)),
            },
            other => Some(problem(kind(&other).to_string(), None)),
        }
    }

    /// Whether anything is registered as this import, found out by linking a
    /// module that imports it and nothing else: a linker cannot be asked.
    fn offer(&self, import: &ImportType<'_>, wanted: &FuncType) -> Offer {
        if self.accepts(import, wanted) {
            return Offer::AsWanted;
        }
        // A name is taken if it cannot be defined once more.
        let mut linker = self.linker.clone();
        let nothing = FuncType::new(&self.engine, [], []);
        let defined = linker.func_new(import.module(), import.name(), nothing, |_, _, _| Ok(()));
        match defined {
            Ok(_) => Offer::Nothing,
            Err(_) => Offer::Otherwise(self.registered_type(import)),
        }
    }

    fn accepts(&self, import: &ImportType<'_>, ty: &FuncType) -> bool {
        let wasm = module_with_one_import(import, ty);
        wasmtime::Module::from_binary(&self.engine, &wasm)
            .is_ok_and(|module| self.linker.instantiate_pre(&module).is_ok())
    }

    /// The type of a registered function, as the linker's message words it.
    fn registered_type(&self, import: &ImportType<'_>) -> String {
        let unlikely = FuncType::new(&self.engine, [ValType::V128], []);
        let wasm = module_with_one_import(import, &unlikely);
        let message = wasmtime::Module::from_binary(&self.engine, &wasm)
            .and_then(|module| self.linker.instantiate_pre(&module).map(|_| ()))
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        message
            .rsplit_once("found type `")
            .and_then(|(_, rest)| rest.split_once('`'))
            .map_or_else(|| "another type".to_string(), |(ty, _)| ty.to_string())
    }
}

/// Takes out of a module what its memories hold at first, if there is an arena
/// that puts it there.
fn take_image(engine: &Engine, wasm: Box<[u8]>) -> (Box<[u8]>, Option<Arc<Image>>) {
    match engine.arena().and_then(|_| segments::take(&wasm)) {
        Some((rest, contents)) => (rest.into(), Some(Arc::new(Image::new(&contents)))),
        None => (wasm, None),
    }
}

fn compile_error(error: wasmtime::Error) -> LoadError {
    LoadError::Compile(format!("{error:#}"))
}

/// Whether a valid module imports a function.
fn imports(wasm: &[u8], function: (&str, &str)) -> bool {
    Parser::new(0)
        .parse_all(wasm)
        .filter_map(Result::ok)
        .filter_map(|payload| match payload {
            Payload::ImportSection(imports) => Some(imports),
            _ => None,
        })
        .flat_map(|imports| imports.into_imports().filter_map(Result::ok))
        .any(|import| (import.module, import.name) == function)
}

enum Offer {
    AsWanted,
    Otherwise(String),
    Nothing,
}

/// The wasm of `bytes`, which may be text.
fn binary(bytes: &[u8]) -> Result<Box<[u8]>, LoadError> {
    const MAGIC: &[u8] = b"\0asm";
    if bytes.starts_with(MAGIC) {
        return Ok(bytes.into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| LoadError::NotWasm)?;
    if !text.contains('(') {
        return Err(LoadError::NotWasm);
    }
    let wasm = wat::parse_str(text).map_err(|error| LoadError::Text(error.to_string()))?;
    Ok(wasm.into())
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

impl<T> Clone for Loader<T> {
    fn clone(&self) -> Self {
        Loader {
            shared: self.shared.clone(),
        }
    }
}

impl<T> fmt::Debug for Loader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loader")
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotWasm => f.write_str("this is neither a wasm module nor its text format"),
            LoadError::Text(reason) => write!(f, "the text format is wrong: {reason}"),
            LoadError::Invalid(reason) => write!(f, "the module is not valid: {reason}"),
            LoadError::Imports(problems) => {
                for (number, problem) in problems.iter().enumerate() {
                    if number > 0 {
                        f.write_str("; ")?;
                    }
                    write!(f, "{problem}")?;
                }
                Ok(())
            }
            LoadError::Compile(reason) => write!(f, "the module cannot be compiled: {reason}"),
        }
    }
}

impl Error for LoadError {}

impl fmt::Display for ImportProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImportProblem {
            namespace,
            name,
            wanted,
            offered,
        } = self;
        match offered {
            None => write!(
                f,
                "unknown import: `{namespace}::{name}` has not been defined"
            ),
            Some(offered) => write!(
                f,
                "incompatible import type for `{namespace}::{name}`: the module wants {wanted}, offered is {offered}"
            ),
        }
    }
}
