//! What a module says of itself before it runs.

use wasmparser::{
    BinaryReaderError, ConstExpr, DataKind, ElementItems, ElementKind, Operator, Parser, Payload,
    TypeRef,
};

use crate::limits::{MemoryLimits, TABLE_ELEMENTS};

/// Bytes of a wasm page.
const PAGE_BYTES: u64 = 1 << 16;

/// What can be told of a module without running it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleInfo {
    /// How many memories an instance has.
    pub memories: usize,
    /// What the memory has at first, in bytes.
    pub memory_minimum: u64,
    /// How many tables an instance has.
    pub tables: usize,
    /// What the table has at first, in elements.
    pub table_minimum: u64,
    /// Whether making an instance runs guest code, or may trap.
    ///
    /// That is so with a start function, and with an active segment that is not
    /// known to fit. Of all other modules it is known beforehand that there
    /// will be an instance.
    pub start_may_fail: bool,
}

impl ModuleInfo {
    /// Reads the info of a module that is valid.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub fn of(wasm: &[u8]) -> Result<ModuleInfo, BinaryReaderError> {
        let mut info = ModuleInfo::default();
        for payload in Parser::new(0).parse_all(wasm) {
            info.note(&payload?)?;
        }
        Ok(info)
    }

    /// Why no instance can be made within these limits, if so.
    pub fn exceeds(&self, limits: &MemoryLimits) -> Option<String> {
        if self.memories > 1 {
            return Some(format!(
                "the module has {} memories, a process can have one",
                self.memories
            ));
        }
        if self.tables > 1 {
            return Some(format!(
                "the module has {} tables, a process can have one",
                self.tables
            ));
        }
        if self.memory_minimum > limits.max_memory {
            return Some(format!(
                "memory minimum size of {} pages exceeds memory limits ({} bytes)",
                self.memory_minimum / PAGE_BYTES,
                limits.max_memory
            ));
        }
        if self.table_minimum >= TABLE_ELEMENTS as u64 {
            return Some(format!(
                "table minimum size of {} elements exceeds table limits (fewer than {TABLE_ELEMENTS})",
                self.table_minimum
            ));
        }
        None
    }

    fn note(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    match import?.ty {
                        TypeRef::Memory(memory) => self.add_memory(memory.initial),
                        TypeRef::Table(table) => self.add_table(table.initial),
                        _ => {}
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    self.add_memory(memory?.initial);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    self.add_table(table?.ty.initial);
                }
            }
            Payload::StartSection { .. } => self.start_may_fail = true,
            Payload::ElementSection(elements) => {
                for element in elements.clone() {
                    let element = element?;
                    let length = match element.items {
                        ElementItems::Functions(items) => items.count(),
                        ElementItems::Expressions(_, items) => items.count(),
                    };
                    if let ElementKind::Active { offset_expr, .. } = element.kind {
                        let end = constant(&offset_expr)?.map(|at| at + u64::from(length));
                        self.note_segment(end, self.table_minimum);
                    }
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments.clone() {
                    let segment = segment?;
                    if let DataKind::Active { offset_expr, .. } = segment.kind {
                        let end = constant(&offset_expr)?.map(|at| at + segment.data.len() as u64);
                        self.note_segment(end, self.memory_minimum);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_memory(&mut self, pages: u64) {
        self.memories += 1;
        self.memory_minimum += pages * PAGE_BYTES;
    }

    fn add_table(&mut self, elements: u64) {
        self.tables += 1;
        self.table_minimum += elements;
    }

    fn note_segment(&mut self, end: Option<u64>, room: u64) {
        if end.is_none_or(|end| end > room) {
            self.start_may_fail = true;
        }
    }
}

/// The value of an offset that is a plain constant.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u64>, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read()? {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        _ => return Ok(None),
    };
    let ends = matches!(operators.read()?, Operator::End);
    Ok(ends.then_some(value))
}
