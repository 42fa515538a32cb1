//! How large a module may be, so that it is compiled in a bounded time.

use std::error::Error;
use std::fmt;

use wasmparser::{
    BinaryReader, BinaryReaderError, BlockType, Catch, CompositeInnerType, ConstExpr, DataKind,
    ElementItems, ElementKind, FunctionBody, Operator, Parser, Payload, RecGroup, TableInit,
    TagType, TryTable, TypeRef,
};

use crate::catch_label::catch_label;
use crate::initial_memory::InitialMemory;

/// How large a module may be. What exceeds a limit is not compiled.
///
/// The compiler works on one function at a time, and what that takes can grow faster than
/// the function: for each local that is written to, it has to choose between the values
/// that come from different branches. So there are limits on the shape of a function. The
/// defaults are far from what programs need, those that are compiled without optimization
/// and have thousands of locals in a function among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ModuleLimits {
    /// Bytes of a binary module.
    pub module_bytes: u64,
    /// Bytes of a module in the text format.
    pub text_bytes: u64,
    /// Types.
    pub types: u64,
    /// How many values all function types take and return. For each there is code that passes
    /// them between host and guest.
    pub type_values: u64,
    /// Imports.
    pub imports: u64,
    /// Functions that the module defines.
    pub functions: u64,
    /// How many values all functions take and return, imported ones too.
    pub function_values: u64,
    /// Tables that the module defines.
    pub tables: u64,
    /// Memories that the module defines.
    pub memories: u64,
    /// Globals that the module defines.
    pub globals: u64,
    /// Tags of exceptions that the module defines.
    pub tags: u64,
    /// Exports.
    pub exports: u64,
    /// Element segments.
    pub element_segments: u64,
    /// Items of all element segments.
    pub element_items: u64,
    /// Data segments.
    pub data_segments: u64,
    /// Bytes of active data segments, if they are not known to fit, or belong to several memories, or
    /// are far apart: they are copied in one step when an instance is made. Others are part of an
    /// image of the memory.
    pub copied_bytes: u64,
    /// Operators, with the end, of all constant expressions that have more than one, read a global,
    /// or are items of element segments. There is code for them that runs when an instance is made,
    /// without a point of preemption.
    pub constant_operators: u64,
    /// Bytes of the body of one function.
    pub function_bytes: u64,
    /// Locals that one function declares.
    pub function_locals: u64,
    /// How deep blocks are nested in one function.
    pub block_depth: u64,
    /// How many values of locals meet at the ends of the blocks of one function, and where
    /// exceptions are handled: for each block, the branches to its end, and for each handler, the
    /// calls inside of its `try_table`, times the locals that are written to inside.
    pub block_merges: u64,
    /// How many values of locals meet at the loops of one function: for each loop, the
    /// loops it is in times the locals that are written to inside.
    pub loop_merges: u64,
    /// The targets of all `br_table` of one function.
    pub branch_targets: u64,
    /// How many values the calls, blocks and exceptions of one function take and return.
    pub passed_values: u64,
    /// The `memory.fill`, `memory.copy` and `memory.init` of one function. Each is compiled to
    /// a branch and a call, and the time for a function grows with the square of their number.
    pub bulk_operations: u64,
    /// How many handlers of exceptions are around one place in a function: the catch clauses of
    /// the `try_table` that are open there, up to the innermost that catches all. An exception
    /// is compared with each of them, in every function that it leaves, and that is one step.
    pub exception_handlers: u64,
    /// How many ways there are in one function from a call to a handler of exceptions: for each
    /// call inside of `try_table`, the handlers around it. Points of preemption are calls, too:
    /// each loop counts as one, and so do 32 other operators.
    pub exception_edges: u64,
    /// Bytes of the bodies of all functions.
    pub code_bytes: u64,
    /// Locals that all functions declare.
    pub all_locals: u64,
    /// The targets of all `br_table` of all functions.
    pub all_branch_targets: u64,
    /// [`bulk_operations`](ModuleLimits::bulk_operations) of all functions together.
    pub all_bulk_operations: u64,
    /// [`exception_edges`](ModuleLimits::exception_edges) of all functions together.
    pub all_exception_edges: u64,
    /// [`passed_values`](ModuleLimits::passed_values) of all functions together.
    pub all_passed_values: u64,
    /// [`block_merges`](ModuleLimits::block_merges) of all functions together.
    pub all_block_merges: u64,
    /// [`loop_merges`](ModuleLimits::loop_merges) of all functions together.
    pub all_loop_merges: u64,
}

/// What of a module is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModuleLimit {
    /// [`ModuleLimits::module_bytes`].
    ModuleBytes,
    /// [`ModuleLimits::text_bytes`].
    TextBytes,
    /// [`ModuleLimits::types`].
    Types,
    /// [`ModuleLimits::type_values`].
    TypeValues,
    /// [`ModuleLimits::imports`].
    Imports,
    /// [`ModuleLimits::functions`].
    Functions,
    /// [`ModuleLimits::function_values`].
    FunctionValues,
    /// [`ModuleLimits::tables`].
    Tables,
    /// [`ModuleLimits::memories`].
    Memories,
    /// [`ModuleLimits::globals`].
    Globals,
    /// [`ModuleLimits::tags`].
    Tags,
    /// [`ModuleLimits::exports`].
    Exports,
    /// [`ModuleLimits::element_segments`].
    ElementSegments,
    /// [`ModuleLimits::element_items`].
    ElementItems,
    /// [`ModuleLimits::data_segments`].
    DataSegments,
    /// [`ModuleLimits::copied_bytes`].
    CopiedBytes,
    /// [`ModuleLimits::constant_operators`].
    ConstantOperators,
    /// [`ModuleLimits::function_bytes`].
    FunctionBytes,
    /// [`ModuleLimits::function_locals`].
    FunctionLocals,
    /// [`ModuleLimits::block_depth`].
    BlockDepth,
    /// [`ModuleLimits::block_merges`].
    BlockMerges,
    /// [`ModuleLimits::loop_merges`].
    LoopMerges,
    /// [`ModuleLimits::branch_targets`].
    BranchTargets,
    /// [`ModuleLimits::passed_values`].
    PassedValues,
    /// [`ModuleLimits::bulk_operations`].
    BulkOperations,
    /// [`ModuleLimits::exception_handlers`].
    ExceptionHandlers,
    /// [`ModuleLimits::exception_edges`].
    ExceptionEdges,
    /// [`ModuleLimits::code_bytes`].
    CodeBytes,
    /// [`ModuleLimits::all_bulk_operations`].
    AllBulkOperations,
    /// [`ModuleLimits::all_locals`].
    AllLocals,
    /// [`ModuleLimits::all_branch_targets`].
    AllBranchTargets,
    /// [`ModuleLimits::all_exception_edges`].
    AllExceptionEdges,
    /// [`ModuleLimits::all_passed_values`].
    AllPassedValues,
    /// [`ModuleLimits::all_block_merges`].
    AllBlockMerges,
    /// [`ModuleLimits::all_loop_merges`].
    AllLoopMerges,
}

/// A module that exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExceedsModuleLimit {
    /// What there is too much of.
    pub what: ModuleLimit,
    /// How much there is; at least this much if counting has stopped there.
    pub found: u64,
    /// The most that is allowed.
    pub limit: u64,
    /// The function that it is in, by its index among those that the module defines, if
    /// it is in one.
    pub function: Option<u64>,
}

/// Why a module is not compiled.
#[derive(Debug)]
pub(crate) enum Refused {
    Exceeds(ExceedsModuleLimit),
    Invalid(BinaryReaderError),
}

impl Default for ModuleLimits {
    fn default() -> ModuleLimits {
        ModuleLimits {
            module_bytes: 256 << 20,
            text_bytes: 16 << 20,
            types: 100_000,
            type_values: 2_000_000,
            imports: 10_000,
            functions: 500_000,
            function_values: 10_000_000,
            tables: 100,
            memories: 100,
            globals: 100_000,
            tags: 10_000,
            exports: 500_000,
            element_segments: 100_000,
            element_items: 10_000_000,
            data_segments: 100_000,
            copied_bytes: u64::MAX,
            constant_operators: 100_000,
            function_bytes: 1 << 20,
            function_locals: 20_000,
            block_depth: 10_000,
            block_merges: 10_000_000,
            loop_merges: 4_000_000,
            branch_targets: 100_000,
            passed_values: 1_000_000,
            bulk_operations: 10_000,
            exception_handlers: 100,
            exception_edges: 100_000,
            all_bulk_operations: u64::MAX,
            all_exception_edges: u64::MAX,
            code_bytes: u64::MAX,
            all_locals: u64::MAX,
            all_branch_targets: u64::MAX,
            all_passed_values: u64::MAX,
            all_block_merges: u64::MAX,
            all_loop_merges: u64::MAX,
        }
    }
}

/// How many values functions take and return.
#[derive(Debug, Default)]
struct Signatures {
    /// By the index of the type.
    types: Vec<u64>,
    /// By the index of the function, imported ones first.
    functions: Vec<u64>,
    /// By the index of the tag, imported ones first.
    tags: Vec<u64>,
    /// Those of all types together.
    type_values: u64,
    /// Those of all functions together.
    function_values: u64,
}

impl Signatures {
    /// Notes what a section says of them. What is not valid is found when the module is
    /// validated, and is nothing here.
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    for ty in group?.into_types() {
                        let values = match &ty.composite_type.inner {
                            CompositeInnerType::Func(ty) => {
                                (ty.params().len() + ty.results().len()) as u64
                            }
                            _ => 0,
                        };
                        self.types.push(values);
                        self.type_values += values;
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    match import?.ty {
                        TypeRef::Func(ty) => self.add_function(ty),
                        TypeRef::Tag(tag) => self.add_tag(tag),
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.add_function(ty?);
                }
            }
            Payload::TagSection(section) => {
                for tag in section.clone() {
                    self.add_tag(tag?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_tag(&mut self, tag: TagType) {
        self.tags.push(self.of_type(tag.func_type_idx));
    }

    fn add_function(&mut self, ty: u32) {
        let values = self.of_type(ty);
        self.functions.push(values);
        self.function_values += values;
    }

    fn of_type(&self, ty: u32) -> u64 {
        self.types.get(ty as usize).copied().unwrap_or_default()
    }

    fn of_tag(&self, tag: u32) -> u64 {
        self.tags.get(tag as usize).copied().unwrap_or_default()
    }

    /// The values of the exceptions that are handled, and of the block.
    fn of_try_table(&self, try_table: &TryTable) -> u64 {
        let handled = try_table.catches.iter().map(|catch| match catch {
            Catch::One { tag, .. } | Catch::OneRef { tag, .. } => self.of_tag(*tag),
            Catch::All { .. } | Catch::AllRef { .. } => 0,
        });
        self.of_block(try_table.ty) + handled.sum::<u64>()
    }

    fn of_block(&self, ty: BlockType) -> u64 {
        match ty {
            BlockType::Empty => 0,
            BlockType::Type(_) => 1,
            BlockType::FuncType(ty) => self.of_type(ty),
        }
    }

    /// How many values an operator takes and returns because of a signature.
    fn of_operator(&self, operator: &Operator<'_>) -> u64 {
        match operator {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                self.of_block(*blockty)
            }
            Operator::TryTable { try_table } => self.of_try_table(try_table),
            Operator::Throw { tag_index } => self.of_tag(*tag_index),
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => self
                .functions
                .get(*function_index as usize)
                .copied()
                .unwrap_or_default(),
            Operator::CallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::ReturnCallRef { type_index } => self.of_type(*type_index),
            _ => 0,
        }
    }
}

/// What a module has, its functions together.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) module_bytes: u64,
    pub(crate) globals: u64,
    pub(crate) functions: u64,
    pub(crate) locals: u64,
    pub(crate) targets: u64,
    pub(crate) passed_values: u64,
    /// Of types and functions.
    pub(crate) signature_values: u64,
    pub(crate) constant_operators: u64,
    pub(crate) bulk_operations: u64,
    pub(crate) exception_edges: u64,
    pub(crate) code_bytes: u64,
    pub(crate) block_merges: u64,
    pub(crate) loop_merges: u64,
}

impl ModuleLimits {
    /// The limits of modules of guests that are not trusted. The compiler cannot be stopped, so
    /// these bound how long it takes, and not only for each function. On two cores that others
    /// used too, a module at one of these limits took 5 s at most, and one at that of
    /// [`code_bytes`](ModuleLimits::code_bytes) 36 s, if it is made of small loops. The tests have
    /// such modules.
    pub fn untrusted() -> ModuleLimits {
        ModuleLimits {
            module_bytes: 32 << 20,
            text_bytes: 8 << 20,
            types: 10_000,
            type_values: 50_000,
            imports: 1_000,
            functions: 20_000,
            function_values: 200_000,
            globals: 10_000,
            tags: 1_000,
            exports: 20_000,
            element_segments: 10_000,
            element_items: 100_000,
            data_segments: 10_000,
            copied_bytes: 1 << 20,
            constant_operators: 10_000,
            function_bytes: 256 << 10,
            function_locals: 5_000,
            block_depth: 1_000,
            block_merges: 1_000_000,
            loop_merges: 400_000,
            branch_targets: 20_000,
            passed_values: 50_000,
            bulk_operations: 1_000,
            exception_edges: 20_000,
            code_bytes: 4 << 20,
            all_locals: 2_000_000,
            all_branch_targets: 1_000_000,
            all_passed_values: 200_000,
            all_bulk_operations: 10_000,
            all_exception_edges: 200_000,
            all_block_merges: 10_000_000,
            all_loop_merges: 4_000_000,
            ..ModuleLimits::default()
        }
    }

    /// The limits of modules that guests compile who are trusted. They are allowed functions as
    /// large as other modules, but not so much of them all together that it would take more than
    /// some minutes: where the bytes come from, only they know.
    pub fn of_guests() -> ModuleLimits {
        const TIMES: u64 = 8;
        let strict = ModuleLimits::untrusted();
        ModuleLimits {
            type_values: TIMES * strict.type_values,
            function_values: TIMES * strict.function_values,
            element_items: TIMES * strict.element_items,
            code_bytes: TIMES * strict.code_bytes,
            all_locals: TIMES * strict.all_locals,
            all_branch_targets: TIMES * strict.all_branch_targets,
            all_passed_values: TIMES * strict.all_passed_values,
            all_bulk_operations: TIMES * strict.all_bulk_operations,
            all_exception_edges: TIMES * strict.all_exception_edges,
            all_block_merges: TIMES * strict.all_block_merges,
            all_loop_merges: TIMES * strict.all_loop_merges,
            ..ModuleLimits::default()
        }
    }

    /// These limits, none higher than that of `ceiling`.
    pub(crate) fn capped(&self, ceiling: &ModuleLimits) -> ModuleLimits {
        ModuleLimits {
            module_bytes: self.module_bytes.min(ceiling.module_bytes),
            text_bytes: self.text_bytes.min(ceiling.text_bytes),
            types: self.types.min(ceiling.types),
            type_values: self.type_values.min(ceiling.type_values),
            imports: self.imports.min(ceiling.imports),
            functions: self.functions.min(ceiling.functions),
            function_values: self.function_values.min(ceiling.function_values),
            tables: self.tables.min(ceiling.tables),
            memories: self.memories.min(ceiling.memories),
            globals: self.globals.min(ceiling.globals),
            tags: self.tags.min(ceiling.tags),
            exports: self.exports.min(ceiling.exports),
            element_segments: self.element_segments.min(ceiling.element_segments),
            element_items: self.element_items.min(ceiling.element_items),
            data_segments: self.data_segments.min(ceiling.data_segments),
            copied_bytes: self.copied_bytes.min(ceiling.copied_bytes),
            constant_operators: self.constant_operators.min(ceiling.constant_operators),
            function_bytes: self.function_bytes.min(ceiling.function_bytes),
            function_locals: self.function_locals.min(ceiling.function_locals),
            block_depth: self.block_depth.min(ceiling.block_depth),
            block_merges: self.block_merges.min(ceiling.block_merges),
            loop_merges: self.loop_merges.min(ceiling.loop_merges),
            branch_targets: self.branch_targets.min(ceiling.branch_targets),
            passed_values: self.passed_values.min(ceiling.passed_values),
            bulk_operations: self.bulk_operations.min(ceiling.bulk_operations),
            exception_handlers: self.exception_handlers.min(ceiling.exception_handlers),
            exception_edges: self.exception_edges.min(ceiling.exception_edges),
            all_bulk_operations: self.all_bulk_operations.min(ceiling.all_bulk_operations),
            all_exception_edges: self.all_exception_edges.min(ceiling.all_exception_edges),
            code_bytes: self.code_bytes.min(ceiling.code_bytes),
            all_locals: self.all_locals.min(ceiling.all_locals),
            all_branch_targets: self.all_branch_targets.min(ceiling.all_branch_targets),
            all_passed_values: self.all_passed_values.min(ceiling.all_passed_values),
            all_block_merges: self.all_block_merges.min(ceiling.all_block_merges),
            all_loop_merges: self.all_loop_merges.min(ceiling.all_loop_merges),
        }
    }

    /// Checks the text of a module before it is parsed.
    pub(crate) fn check_text(&self, text: &[u8]) -> Result<(), ExceedsModuleLimit> {
        within(ModuleLimit::TextBytes, text.len(), self.text_bytes)
    }

    /// Checks a binary module, in a time in proportion to its size.
    ///
    /// Returns what it has that the compiler takes memory for.
    ///
    /// # Errors
    ///
    /// Fails at the first limit that is exceeded, and where the binary format is broken.
    pub(crate) fn check(&self, wasm: &[u8]) -> Result<Sums, Refused> {
        within(ModuleLimit::ModuleBytes, wasm.len(), self.module_bytes)?;
        let mut function = 0;
        let mut sums = Sums {
            module_bytes: wasm.len() as u64,
            ..Sums::default()
        };
        let mut signatures = Signatures::default();
        let (mut constant_operators, mut element_items, mut active_bytes) = (0, 0, 0);
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::CodeSectionEntry(body) => {
                    self.check_function(&body, &signatures, &mut sums)
                        .map_err(|refused| refused.in_function(function))?;
                    function += 1;
                }
                payload => {
                    if let Payload::GlobalSection(globals) = &payload {
                        sums.globals = u64::from(globals.count());
                    }
                    self.check_section(&payload)?;
                    if let Payload::TypeSection(section) = &payload {
                        self.check_groups_of_types(&wasm[section.range()], section.range().start)?;
                    }
                    constant_operators += in_constants(&payload)?;
                    let limit = self.constant_operators;
                    exceeds(ModuleLimit::ConstantOperators, constant_operators, limit)?;
                    element_items += in_element_segments(&payload)?;
                    let limit = self.element_items;
                    exceeds(ModuleLimit::ElementItems, element_items, limit)?;
                    active_bytes += in_active_segments(&payload)?;
                    signatures.add(&payload)?;
                    self.check_signatures(&signatures)?;
                }
            }
        }
        if active_bytes > self.copied_bytes && InitialMemory::of(wasm).is_none() {
            exceeds(ModuleLimit::CopiedBytes, active_bytes, self.copied_bytes)?;
        }
        sums.functions = function;
        sums.constant_operators = constant_operators;
        sums.signature_values = signatures.type_values + signatures.function_values;
        Ok(sums)
    }

    /// Checks how many types there are, before any of a group is read: what is read of one takes
    /// twenty times the bytes that it has.
    ///
    /// - `section`: the content of the section, at this offset.
    fn check_groups_of_types(&self, section: &[u8], offset: usize) -> Result<(), Refused> {
        /// What a group of several types begins with.
        const GROUP: u8 = 0x4e;
        let mut reader = BinaryReader::new(section, offset);
        let mut types = 0;
        for _ in 0..reader.read_var_u32()? {
            let mut first = reader.clone();
            types += match first.read_u8()? {
                GROUP => u64::from(first.read_var_u32()?),
                _ => 1,
            };
            exceeds(ModuleLimit::Types, types, self.types)?;
            reader.read::<RecGroup>()?;
        }
        Ok(())
    }

    fn check_signatures(&self, signatures: &Signatures) -> Result<(), ExceedsModuleLimit> {
        let (types, functions) = (signatures.type_values, signatures.function_values);
        exceeds(ModuleLimit::TypeValues, types, self.type_values)?;
        exceeds(ModuleLimit::FunctionValues, functions, self.function_values)
    }

    fn check_section(&self, payload: &Payload<'_>) -> Result<(), ExceedsModuleLimit> {
        let (what, count, limit) = match payload {
            Payload::TypeSection(section) => (ModuleLimit::Types, section.count(), self.types),
            Payload::ImportSection(section) => {
                (ModuleLimit::Imports, section.count(), self.imports)
            }
            Payload::FunctionSection(section) => {
                (ModuleLimit::Functions, section.count(), self.functions)
            }
            Payload::TableSection(section) => (ModuleLimit::Tables, section.count(), self.tables),
            Payload::MemorySection(section) => {
                (ModuleLimit::Memories, section.count(), self.memories)
            }
            Payload::GlobalSection(section) => {
                (ModuleLimit::Globals, section.count(), self.globals)
            }
            Payload::TagSection(section) => (ModuleLimit::Tags, section.count(), self.tags),
            Payload::ExportSection(section) => {
                (ModuleLimit::Exports, section.count(), self.exports)
            }
            Payload::ElementSection(section) => (
                ModuleLimit::ElementSegments,
                section.count(),
                self.element_segments,
            ),
            Payload::DataSection(section) => (
                ModuleLimit::DataSegments,
                section.count(),
                self.data_segments,
            ),
            _ => return Ok(()),
        };
        within(what, count as usize, limit)
    }

    fn check_function(
        &self,
        body: &FunctionBody<'_>,
        signatures: &Signatures,
        sums: &mut Sums,
    ) -> Result<(), Refused> {
        let bytes = body.as_bytes().len();
        within(ModuleLimit::FunctionBytes, bytes, self.function_bytes)?;
        let mut locals = 0;
        for group in body.get_locals_reader()? {
            let (count, _) = group?;
            locals += u64::from(count);
        }
        exceeds(ModuleLimit::FunctionLocals, locals, self.function_locals)?;
        let mut shape = Shape::default();
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            shape.passed_values += signatures.of_operator(&operator);
            shape.add(&operator);
            self.check_shape(&shape)?;
        }
        sums.locals += locals;
        sums.targets += shape.targets;
        sums.passed_values += shape.passed_values;
        sums.bulk_operations += shape.bulk_operations;
        sums.exception_edges += shape.exception_edges;
        sums.code_bytes += bytes as u64;
        sums.block_merges = sums.block_merges.saturating_add(shape.block_merges);
        sums.loop_merges = sums.loop_merges.saturating_add(shape.loop_merges);
        for (what, found, limit) in [
            (ModuleLimit::CodeBytes, sums.code_bytes, self.code_bytes),
            (ModuleLimit::AllLocals, sums.locals, self.all_locals),
            (
                ModuleLimit::AllBulkOperations,
                sums.bulk_operations,
                self.all_bulk_operations,
            ),
            (
                ModuleLimit::AllExceptionEdges,
                sums.exception_edges,
                self.all_exception_edges,
            ),
            (
                ModuleLimit::AllBranchTargets,
                sums.targets,
                self.all_branch_targets,
            ),
            (
                ModuleLimit::AllPassedValues,
                sums.passed_values,
                self.all_passed_values,
            ),
            (
                ModuleLimit::AllBlockMerges,
                sums.block_merges,
                self.all_block_merges,
            ),
            (
                ModuleLimit::AllLoopMerges,
                sums.loop_merges,
                self.all_loop_merges,
            ),
        ] {
            exceeds(what, found, limit)?;
        }
        Ok(())
    }

    fn check_shape(&self, shape: &Shape) -> Result<(), ExceedsModuleLimit> {
        let depth = shape.blocks.len();
        within(ModuleLimit::BlockDepth, depth, self.block_depth)?;
        for (what, found, limit) in [
            (
                ModuleLimit::BranchTargets,
                shape.targets,
                self.branch_targets,
            ),
            (
                ModuleLimit::BlockMerges,
                shape.block_merges,
                self.block_merges,
            ),
            (ModuleLimit::LoopMerges, shape.loop_merges, self.loop_merges),
            (
                ModuleLimit::BulkOperations,
                shape.bulk_operations,
                self.bulk_operations,
            ),
            (
                ModuleLimit::ExceptionHandlers,
                shape.compared,
                self.exception_handlers,
            ),
            (
                ModuleLimit::ExceptionEdges,
                shape.exception_edges,
                self.exception_edges,
            ),
            (
                ModuleLimit::PassedValues,
                shape.passed_values,
                self.passed_values,
            ),
        ] {
            exceeds(what, found, limit)?;
        }
        Ok(())
    }
}

/// What the compiler finds in a function.
#[derive(Debug, Default)]
struct Shape {
    /// The most locals that can have been written to: one more than the highest index.
    locals: u64,
    /// How often a local was written to.
    writes: u64,
    /// The blocks that are open, without the function itself.
    blocks: Vec<Block>,
    /// How many of them are loops.
    loops: u64,
    block_merges: u64,
    loop_merges: u64,
    targets: u64,
    passed_values: u64,
    bulk_operations: u64,
    /// Operators that are no calls.
    plain: u64,
    /// How many calls there were.
    calls: u64,
    /// The handlers of exceptions of all blocks that are open.
    handlers: u64,
    /// Those of them that an exception is compared with.
    compared: u64,
    exception_edges: u64,
}

/// A block that is open.
#[derive(Debug)]
struct Block {
    is_loop: bool,
    /// How often a local had been written to before.
    writes_before: u64,
    /// How many branches lead to it.
    branches: u64,
    /// How many handlers of exceptions it has.
    handlers: u64,
    /// With how many an exception is compared outside of it.
    compared_outside: u64,
    /// How many calls there had been before.
    calls_before: u64,
}

impl Shape {
    fn add(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.begin(false),
            Operator::Loop { .. } => self.begin(true),
            Operator::TryTable { try_table } => {
                for catch in &try_table.catches {
                    self.branch(catch_label(catch));
                }
                self.begin(false);
                self.handle(&try_table.catches);
            }
            Operator::Else => self.branch(0),
            Operator::End => self.end(),
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                self.targets += u64::from(targets.len());
                // Broken targets are found when the module is validated.
                targets
                    .targets()
                    .flatten()
                    .for_each(|depth| self.branch(depth));
                self.branch(targets.default());
            }
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => self.bulk_operations += 1,
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.writes += 1;
                self.locals = self.locals.max(u64::from(*local_index) + 1);
            }
            _ => {}
        }
        self.count_calls(operator);
    }

    /// Counts what is compiled to a call, or may be together with others.
    fn count_calls(&mut self, operator: &Operator<'_>) {
        /// So many plain operators have no more than one point of preemption.
        const PLAIN: u64 = 32;
        let calls = match operator {
            // Two ways to do it, and a point of preemption.
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => 2,
            // With a point of preemption, as with what takes long.
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => 2,
            Operator::Loop { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. }
            | Operator::ElemDrop { .. } => 1,
            _ => {
                self.plain += 1;
                u64::from(self.plain.is_multiple_of(PLAIN))
            }
        };
        self.calls += calls;
        self.exception_edges += calls.saturating_mul(self.handlers);
    }

    fn begin(&mut self, is_loop: bool) {
        self.loops += u64::from(is_loop);
        self.blocks.push(Block {
            is_loop,
            writes_before: self.writes,
            branches: 0,
            handlers: 0,
            compared_outside: self.compared,
            calls_before: self.calls,
        });
    }

    /// The block that has just begun has handlers of exceptions.
    fn handle(&mut self, catches: &[Catch]) {
        let handlers = catches.len() as u64;
        let catches_all = |catch: &Catch| matches!(catch, Catch::All { .. } | Catch::AllRef { .. });
        self.handlers += handlers;
        self.compared = match catches.iter().position(catches_all) {
            Some(position) => position as u64 + 1,
            None => self.compared + handlers,
        };
        if let Some(block) = self.blocks.last_mut() {
            block.handlers = handlers;
        }
    }

    fn end(&mut self) {
        // The last `end` is that of the function.
        let Some(block) = self.blocks.pop() else {
            return;
        };
        let written = (self.writes - block.writes_before).min(self.locals);
        self.handlers -= block.handlers;
        self.compared = block.compared_outside;
        let calls = self.calls - block.calls_before;
        let ways = block.branches + block.handlers.saturating_mul(calls);
        let merges = ways.saturating_mul(written);
        self.block_merges = self.block_merges.saturating_add(merges);
        if block.is_loop {
            let merges = self.loops.saturating_mul(written + 1);
            self.loop_merges = self.loop_merges.saturating_add(merges);
            self.loops -= 1;
        }
    }

    fn branch(&mut self, depth: u32) {
        let index = self.blocks.len().checked_sub(depth as usize + 1);
        if let Some(block) = index.and_then(|index| self.blocks.get_mut(index)) {
            block.branches += 1;
        }
    }
}

/// How many items there are in element segments.
fn in_element_segments(payload: &Payload<'_>) -> Result<u64, BinaryReaderError> {
    let Payload::ElementSection(elements) = payload else {
        return Ok(0);
    };
    let mut sum = 0;
    for element in elements.clone() {
        sum += u64::from(match element?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        });
    }
    Ok(sum)
}

/// How many bytes there are in active data segments.
fn in_active_segments(payload: &Payload<'_>) -> Result<u64, BinaryReaderError> {
    let Payload::DataSection(segments) = payload else {
        return Ok(0);
    };
    let mut sum = 0;
    for segment in segments.clone() {
        let segment = segment?;
        if let DataKind::Active { .. } = segment.kind {
            sum += segment.data.len() as u64;
        }
    }
    Ok(sum)
}

/// How many operators there are in the constant expressions of a section that have more than
/// one and the end, read a global, or are items of element segments.
fn in_constants(payload: &Payload<'_>) -> Result<u64, BinaryReaderError> {
    let mut sum = 0;
    let mut add = |value: &ConstExpr<'_>, is_item: bool| -> Result<(), BinaryReaderError> {
        let (mut count, mut has_code) = (0, is_item);
        for operator in value.get_operators_reader() {
            has_code |= matches!(operator?, Operator::GlobalGet { .. });
            count += 1;
        }
        sum += if count > 2 || has_code { count } else { 0 };
        Ok(())
    };
    match payload {
        Payload::TableSection(tables) => {
            for table in tables.clone() {
                if let TableInit::Expr(value) = table?.init {
                    add(&value, false)?;
                }
            }
        }
        Payload::GlobalSection(globals) => {
            for global in globals.clone() {
                add(&global?.init_expr, false)?;
            }
        }
        Payload::ElementSection(elements) => {
            for element in elements.clone() {
                let element = element?;
                if let ElementKind::Active { offset_expr, .. } = &element.kind {
                    add(offset_expr, false)?;
                }
                if let ElementItems::Expressions(_, values) = element.items {
                    for value in values {
                        add(&value?, true)?;
                    }
                }
            }
        }
        Payload::DataSection(segments) => {
            for segment in segments.clone() {
                if let DataKind::Active { offset_expr, .. } = &segment?.kind {
                    add(offset_expr, false)?;
                }
            }
        }
        _ => {}
    }
    Ok(sum)
}

fn within(what: ModuleLimit, found: usize, limit: u64) -> Result<(), ExceedsModuleLimit> {
    exceeds(what, found as u64, limit)
}

fn exceeds(what: ModuleLimit, found: u64, limit: u64) -> Result<(), ExceedsModuleLimit> {
    match found <= limit {
        true => Ok(()),
        false => Err(ExceedsModuleLimit {
            what,
            found,
            limit,
            function: None,
        }),
    }
}

impl Refused {
    fn in_function(self, function: u64) -> Refused {
        match self {
            Refused::Exceeds(exceeded) => Refused::Exceeds(ExceedsModuleLimit {
                function: Some(function),
                ..exceeded
            }),
            invalid => invalid,
        }
    }
}

impl From<ExceedsModuleLimit> for Refused {
    fn from(exceeded: ExceedsModuleLimit) -> Refused {
        Refused::Exceeds(exceeded)
    }
}

impl From<BinaryReaderError> for Refused {
    fn from(error: BinaryReaderError) -> Refused {
        Refused::Invalid(error)
    }
}

impl fmt::Display for ModuleLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModuleLimit::ModuleBytes => "bytes of the module",
            ModuleLimit::TextBytes => "bytes of text",
            ModuleLimit::Types => "types",
            ModuleLimit::TypeValues => "values that types take and return",
            ModuleLimit::Imports => "imports",
            ModuleLimit::Functions => "functions",
            ModuleLimit::FunctionValues => "values that functions take and return",
            ModuleLimit::Tables => "tables",
            ModuleLimit::Memories => "memories",
            ModuleLimit::Globals => "globals",
            ModuleLimit::Tags => "tags of exceptions",
            ModuleLimit::Exports => "exports",
            ModuleLimit::ElementSegments => "element segments",
            ModuleLimit::ElementItems => "items of element segments",
            ModuleLimit::DataSegments => "data segments",
            ModuleLimit::CopiedBytes => "bytes of data segments that are copied for each instance",
            ModuleLimit::ConstantOperators => "operators in constant expressions",
            ModuleLimit::FunctionBytes => "bytes of the function",
            ModuleLimit::FunctionLocals => "locals",
            ModuleLimit::BlockDepth => "nested blocks",
            ModuleLimit::BlockMerges => "values of locals that meet at the ends of blocks",
            ModuleLimit::LoopMerges => "values of locals that meet at loops",
            ModuleLimit::BranchTargets => "targets of `br_table`",
            ModuleLimit::PassedValues => "values that calls, blocks and exceptions take and return",
            ModuleLimit::BulkOperations => "operations on ranges of memory",
            ModuleLimit::AllBulkOperations => "operations on ranges of memory, in all functions",
            ModuleLimit::ExceptionHandlers => "handlers of exceptions at one place",
            ModuleLimit::ExceptionEdges => "ways from calls to handlers of exceptions",
            ModuleLimit::CodeBytes => "bytes of all functions",
            ModuleLimit::AllLocals => "locals of all functions",
            ModuleLimit::AllExceptionEdges => {
                "ways from calls to handlers of exceptions, in all functions"
            }
            ModuleLimit::AllBranchTargets => "targets of `br_table`, in all functions",
            ModuleLimit::AllPassedValues => {
                "values that calls, blocks and exceptions take and return, in all functions"
            }
            ModuleLimit::AllBlockMerges => {
                "values of locals that meet at the ends of blocks, in all functions"
            }
            ModuleLimit::AllLoopMerges => "values of locals that meet at loops, in all functions",
        })
    }
}

impl fmt::Display for ExceedsModuleLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExceedsModuleLimit {
            what,
            found,
            limit,
            function,
        } = self;
        if let Some(function) = function {
            write!(f, "function {function}: ")?;
        }
        write!(f, "too many {what}: {found}, at most {limit} are allowed")
    }
}

impl Error for ExceedsModuleLimit {}
