//! The check of a module against its limits.

use std::cmp::Reverse;

use wasmparser::{BinaryReader, FunctionBody, Parser, Payload, RecGroup};

use crate::initial_memory::InitialMemory;
use crate::module_limits::exceeded::{ExceedsModuleLimit, Refused, exceeds, within};
use crate::module_limits::sections;
use crate::module_limits::shape::Shape;
use crate::module_limits::signatures::Signatures;
use crate::module_limits::table::{ModuleLimit, ModuleLimits};
use crate::startup::Startup;

/// The sums of all functions and sections of a module.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) module_bytes: u64,
    pub(crate) globals: u64,
    pub(crate) functions: u64,
    /// Those of them that can be called from outside, or by a reference, at most.
    pub(crate) referenced_functions: u64,
    pub(crate) types: u64,
    pub(crate) locals: u64,
    pub(crate) targets: u64,
    pub(crate) passed_values: u64,
    /// The values that types and functions take and return.
    pub(crate) signature_values: u64,
    pub(crate) constant_operators: u64,
    /// The items of element segments for which there is code.
    pub(crate) startup_items: u64,
    /// The active data segments that are no part of an image.
    pub(crate) startup_segments: u64,
    /// The elements of images of tables.
    pub(crate) table_images: u64,
    /// The bytes of the image of the memory.
    pub(crate) image_bytes: u64,
    pub(crate) bulk_operations: u64,
    pub(crate) exception_edges: u64,
    pub(crate) code_bytes: u64,
    pub(crate) block_merges: u64,
    pub(crate) loop_merges: u64,
    /// The weights of functions that are not small.
    pub(crate) weights: Vec<u64>,
    pub(crate) squared_weights: u64,
}

impl Sums {
    /// The sum of the weights of so many functions, of those that weigh most.
    pub(crate) fn heaviest(&self, functions: usize) -> u64 {
        let mut weights = self.weights.clone();
        weights.sort_unstable_by_key(|weight| Reverse(*weight));
        weights.iter().take(functions).sum()
    }

    fn add_weight(&mut self, weight: u64) {
        const SMALL: u64 = 500;
        if weight > SMALL {
            self.weights.push(weight);
        }
        let squared = weight.saturating_mul(weight);
        self.squared_weights = self.squared_weights.saturating_add(squared);
    }
}

impl ModuleLimits {
    /// Checks the text of a module before it is parsed.
    pub(crate) fn check_text(&self, text: &[u8]) -> Result<(), ExceedsModuleLimit> {
        within(ModuleLimit::TextBytes, text.len(), self.text_bytes)
    }

    /// Checks a binary module, in a time proportional to its size.
    ///
    /// Returns the sums by which the memory of the compiler is estimated.
    ///
    /// # Errors
    ///
    /// Fails at the first limit that is exceeded, or if the binary format is invalid.
    pub(crate) fn check(&self, wasm: &[u8]) -> Result<Sums, Refused> {
        within(ModuleLimit::ModuleBytes, wasm.len(), self.module_bytes)?;
        let mut function = 0;
        let mut sums = Sums {
            module_bytes: wasm.len() as u64,
            ..Sums::default()
        };
        let mut signatures = Signatures::default();
        let mut startup = Startup::default();
        let mut exports = 0;
        let (mut constant_operators, mut element_items, mut active_bytes) = (0, 0, 0);
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::CodeSectionEntry(body) => {
                    self.check_function(&body, &signatures, &mut sums)
                        .map_err(|refused| refused.in_function(function))?;
                    function += 1;
                }
                payload => {
                    match &payload {
                        Payload::GlobalSection(section) => {
                            sums.globals = u64::from(section.count());
                        }
                        Payload::ExportSection(section) => exports = u64::from(section.count()),
                        _ => {}
                    }
                    self.check_section(&payload)?;
                    if let Payload::TypeSection(section) = &payload {
                        self.check_groups_of_types(&wasm[section.range()], section.range().start)?;
                    }
                    constant_operators += sections::constant_operators(&payload)?;
                    let limit = self.constant_operators;
                    exceeds(ModuleLimit::ConstantOperators, constant_operators, limit)?;
                    element_items += sections::element_items(&payload)?;
                    let limit = self.element_items;
                    exceeds(ModuleLimit::ElementItems, element_items, limit)?;
                    active_bytes += sections::active_bytes(&payload)?;
                    startup.add(&payload)?;
                    let (items, images) = (startup.items, startup.image_elements);
                    exceeds(ModuleLimit::StartupItems, items, self.startup_items)?;
                    exceeds(ModuleLimit::TableImages, images, self.table_images)?;
                    signatures.add(&payload)?;
                    self.check_signatures(&signatures)?;
                }
            }
        }
        if startup.active_data > 0 {
            match InitialMemory::length(wasm) {
                Some(length) => sums.image_bytes = length,
                None => {
                    exceeds(ModuleLimit::CopiedBytes, active_bytes, self.copied_bytes)?;
                    let (found, limit) = (startup.active_data, self.startup_segments);
                    exceeds(ModuleLimit::StartupSegments, found, limit)?;
                    sums.startup_segments = found;
                }
            }
        }
        sums.startup_items = startup.items;
        sums.table_images = startup.image_elements;
        sums.functions = function;
        sums.types = signatures.types();
        sums.referenced_functions = function.min(element_items + exports + sums.globals);
        sums.constant_operators = constant_operators;
        sums.signature_values = signatures.type_values + signatures.function_values;
        Ok(sums)
    }

    /// Checks the number of types before the types of a group are read: a type takes twenty times
    /// its bytes when it is read.
    ///
    /// - `section`: the content of the section.
    /// - `offset`: the offset of the section in the module, in bytes.
    fn check_groups_of_types(&self, section: &[u8], offset: usize) -> Result<(), Refused> {
        /// The first byte of a group of several types.
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
            shape.add(&operator, signatures.of_operator(&operator));
            self.check_shape(&shape)?;
        }
        sums.locals += locals;
        sums.targets += shape.targets;
        sums.passed_values += shape.passed_values;
        sums.bulk_operations += shape.bulk_operations;
        sums.exception_edges += shape.exception_edges;
        sums.code_bytes += bytes as u64;
        sums.add_weight(shape.weight);
        sums.block_merges = sums.block_merges.saturating_add(shape.block_merges);
        sums.loop_merges = sums.loop_merges.saturating_add(shape.loop_merges);
        for (what, found, limit) in [
            (ModuleLimit::CodeBytes, sums.code_bytes, self.code_bytes),
            (ModuleLimit::AllLocals, sums.locals, self.all_locals),
            (
                ModuleLimit::SquaredWeights,
                sums.squared_weights,
                self.squared_weights,
            ),
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
                ModuleLimit::FunctionWeight,
                shape.weight,
                self.function_weight,
            ),
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
