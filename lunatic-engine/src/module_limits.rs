//! How large a module may be, so that it is compiled in a bounded time.

use std::error::Error;
use std::fmt;

use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

/// How large a module may be. What exceeds a limit is not compiled.
///
/// The compiler works on one function at a time, and what that takes can grow faster than
/// the function: for each local that is written to, it has to choose between the values
/// that come from different branches. So there are limits on the shape of a function. The
/// defaults are far from what programs need, those that are compiled without optimization
/// and have thousands of locals in a function among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleLimits {
    /// Bytes of a binary module.
    pub module_bytes: u64,
    /// Bytes of a module in the text format.
    pub text_bytes: u64,
    /// Types.
    pub types: u64,
    /// Imports.
    pub imports: u64,
    /// Functions that the module defines.
    pub functions: u64,
    /// Tables that the module defines.
    pub tables: u64,
    /// Memories that the module defines.
    pub memories: u64,
    /// Globals that the module defines.
    pub globals: u64,
    /// Exports.
    pub exports: u64,
    /// Element segments.
    pub element_segments: u64,
    /// Data segments.
    pub data_segments: u64,
    /// Bytes of the body of one function.
    pub function_bytes: u64,
    /// Locals that one function declares.
    pub function_locals: u64,
    /// How deep blocks are nested in one function.
    pub block_depth: u64,
    /// How many values of locals meet at the ends of the blocks of one function: for each
    /// block, the branches to its end times the locals that are written to inside.
    pub block_merges: u64,
    /// How many values of locals meet at the loops of one function: for each loop, the
    /// loops it is in times the locals that are written to inside.
    pub loop_merges: u64,
    /// The targets of all `br_table` of one function.
    pub branch_targets: u64,
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
    /// [`ModuleLimits::imports`].
    Imports,
    /// [`ModuleLimits::functions`].
    Functions,
    /// [`ModuleLimits::tables`].
    Tables,
    /// [`ModuleLimits::memories`].
    Memories,
    /// [`ModuleLimits::globals`].
    Globals,
    /// [`ModuleLimits::exports`].
    Exports,
    /// [`ModuleLimits::element_segments`].
    ElementSegments,
    /// [`ModuleLimits::data_segments`].
    DataSegments,
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
            imports: 10_000,
            functions: 500_000,
            tables: 100,
            memories: 100,
            globals: 100_000,
            exports: 500_000,
            element_segments: 100_000,
            data_segments: 100_000,
            function_bytes: 1 << 20,
            function_locals: 20_000,
            block_depth: 10_000,
            block_merges: 10_000_000,
            loop_merges: 4_000_000,
            branch_targets: 100_000,
        }
    }
}

impl ModuleLimits {
    /// Checks the text of a module before it is parsed.
    pub(crate) fn check_text(&self, text: &[u8]) -> Result<(), ExceedsModuleLimit> {
        within(ModuleLimit::TextBytes, text.len(), self.text_bytes)
    }

    /// Checks a binary module, in a time in proportion to its size.
    ///
    /// # Errors
    ///
    /// Fails at the first limit that is exceeded, and where the binary format is broken.
    pub(crate) fn check(&self, wasm: &[u8]) -> Result<(), Refused> {
        within(ModuleLimit::ModuleBytes, wasm.len(), self.module_bytes)?;
        let mut function = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::CodeSectionEntry(body) => {
                    self.check_function(&body)
                        .map_err(|refused| refused.in_function(function))?;
                    function += 1;
                }
                payload => self.check_section(&payload)?,
            }
        }
        Ok(())
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

    fn check_function(&self, body: &FunctionBody<'_>) -> Result<(), Refused> {
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
            shape.add(&operators.read()?);
            self.check_shape(&shape)?;
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
}

/// A block that is open.
#[derive(Debug)]
struct Block {
    is_loop: bool,
    /// How often a local had been written to before.
    writes_before: u64,
    /// How many branches lead to it.
    branches: u64,
}

impl Shape {
    fn add(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.begin(false),
            Operator::Loop { .. } => self.begin(true),
            Operator::Else => self.branch(0),
            Operator::End => self.end(),
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth);
            }
            Operator::BrTable { targets } => {
                self.targets += u64::from(targets.len());
                // Broken targets are found when the module is validated.
                targets
                    .targets()
                    .flatten()
                    .for_each(|depth| self.branch(depth));
                self.branch(targets.default());
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.writes += 1;
                self.locals = self.locals.max(u64::from(*local_index) + 1);
            }
            _ => {}
        }
    }

    fn begin(&mut self, is_loop: bool) {
        self.loops += u64::from(is_loop);
        self.blocks.push(Block {
            is_loop,
            writes_before: self.writes,
            branches: 0,
        });
    }

    fn end(&mut self) {
        // The last `end` is that of the function.
        let Some(block) = self.blocks.pop() else {
            return;
        };
        let written = (self.writes - block.writes_before).min(self.locals);
        let merges = block.branches.saturating_mul(written);
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
            ModuleLimit::Imports => "imports",
            ModuleLimit::Functions => "functions",
            ModuleLimit::Tables => "tables",
            ModuleLimit::Memories => "memories",
            ModuleLimit::Globals => "globals",
            ModuleLimit::Exports => "exports",
            ModuleLimit::ElementSegments => "element segments",
            ModuleLimit::DataSegments => "data segments",
            ModuleLimit::FunctionBytes => "bytes of the function",
            ModuleLimit::FunctionLocals => "locals",
            ModuleLimit::BlockDepth => "nested blocks",
            ModuleLimit::BlockMerges => "values of locals that meet at the ends of blocks",
            ModuleLimit::LoopMerges => "values of locals that meet at loops",
            ModuleLimit::BranchTargets => "targets of `br_table`",
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
