//! The properties of a module that are known before it runs.

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, ConstExpr, DataKind, DataSectionReader, ElementItems, ElementKind,
    ElementSectionReader, ImportSectionReader, Operator, Parser, Payload, TypeRef,
};

use crate::invalid_module::InvalidModule;
use crate::limits::{
    ExceedsLimits, MEMORIES, MemoryLimits, TABLE_ELEMENT_BYTES, TABLE_ELEMENTS, WASM_PAGE_BYTES,
};

/// The properties of a module that are known without running it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// How many memories an instance has.
    pub memories: usize,
    /// The initial size of all memories, in bytes.
    pub memory_minimum: u64,
    /// How many tables an instance has.
    pub tables: usize,
    /// The initial size of the table, in elements.
    pub table_minimum: u64,
    /// How many tags of exceptions an instance has. Without one it throws no exception.
    pub tags: u64,
    /// How many functions, globals, tags and segments the module has, each of which may take
    /// some bytes in an instance.
    pub items: u64,
    /// Whether making an instance runs guest code, or may trap.
    ///
    /// That is so with a start function, and with an active segment that is not
    /// known to fit. Of all other modules it is known beforehand that there
    /// will be an instance.
    pub start_may_fail: bool,
}

impl ModuleInfo {
    /// Reads the info of a module. The info of an invalid module has no meaning.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub fn of(wasm: &[u8]) -> Result<ModuleInfo, InvalidModule> {
        let mut info = ModuleInfo::default();
        for payload in Parser::new(0).parse_all(wasm) {
            payload
                .and_then(|payload| info.read(payload))
                .map_err(|error| InvalidModule::new(&error))?;
        }
        Ok(info)
    }

    /// Returns the initial bytes of an instance: its memory, its table, its stack, and the data for
    /// each of its functions and globals. An instance never takes less.
    pub fn instance_bytes(&self) -> u64 {
        /// The state of the store and of the instance, and the used part of a stack.
        const FIXED: u64 = 8 << 10;
        /// A global, or a reference to a function.
        const ITEM: u64 = 48;
        let tables = self.table_minimum.saturating_mul(TABLE_ELEMENT_BYTES);
        self.memory_minimum
            .saturating_add(tables)
            .saturating_add(self.items.saturating_mul(ITEM))
            .saturating_add(FIXED)
    }

    /// Checks whether the limits allow an instance.
    ///
    /// # Errors
    ///
    /// The first limit that the module exceeds.
    pub fn check_limits(&self, limits: &MemoryLimits) -> Result<(), ExceedsLimits> {
        if self.memories > MEMORIES {
            return Err(ExceedsLimits::Memories {
                needed: self.memories,
            });
        }
        if self.tables > 1 {
            return Err(ExceedsLimits::Tables {
                needed: self.tables,
            });
        }
        if self.memory_minimum > limits.max_memory {
            return Err(ExceedsLimits::Memory {
                needed: self.memory_minimum,
                limit: limits.max_memory,
            });
        }
        if self.table_minimum >= TABLE_ELEMENTS as u64 {
            return Err(ExceedsLimits::TableElements {
                needed: self.table_minimum,
                limit: TABLE_ELEMENTS as u64,
            });
        }
        Ok(())
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => self.read_imports(imports)?,
            Payload::FunctionSection(functions) => self.add_items(functions.count()),
            Payload::GlobalSection(globals) => self.add_items(globals.count()),
            Payload::TagSection(tags) => {
                self.tags += u64::from(tags.count());
                self.add_items(tags.count());
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.add_memory(memory?.initial);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    self.add_table(table?.ty.initial);
                }
            }
            Payload::StartSection { .. } => self.start_may_fail = true,
            Payload::ElementSection(elements) => {
                self.add_items(elements.count());
                self.read_elements(elements)?;
            }
            Payload::DataSection(segments) => {
                self.add_items(segments.count());
                self.read_data(segments)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn add_items(&mut self, count: u32) {
        self.items += u64::from(count);
    }

    fn read_imports(&mut self, imports: ImportSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for import in imports.into_imports() {
            match import?.ty {
                TypeRef::Memory(memory) => self.add_memory(memory.initial),
                TypeRef::Table(table) => self.add_table(table.initial),
                TypeRef::Tag(_) => {
                    self.tags += 1;
                    self.add_items(1);
                }
                _ => self.add_items(1),
            }
        }
        Ok(())
    }

    fn read_elements(
        &mut self,
        elements: ElementSectionReader<'_>,
    ) -> Result<(), BinaryReaderError> {
        for element in elements {
            let element = element?;
            let length = match element.items {
                ElementItems::Functions(items) => items.count(),
                ElementItems::Expressions(_, items) => items.count(),
            };
            if let ElementKind::Active { offset_expr, .. } = element.kind {
                self.add_segment(&offset_expr, u64::from(length), self.table_minimum)?;
            }
        }
        Ok(())
    }

    fn read_data(&mut self, segments: DataSectionReader<'_>) -> Result<(), BinaryReaderError> {
        // Of several it is not looked at to which one a segment belongs.
        let minimum = match self.memories {
            1 => self.memory_minimum,
            _ => 0,
        };
        for segment in segments {
            let segment = segment?;
            if let DataKind::Active { offset_expr, .. } = segment.kind {
                self.add_segment(&offset_expr, segment.data.len() as u64, minimum)?;
            }
        }
        Ok(())
    }

    // The module may not be valid, and say numbers that cannot be.

    fn add_memory(&mut self, pages: u64) {
        self.memories += 1;
        let bytes = pages.saturating_mul(WASM_PAGE_BYTES);
        self.memory_minimum = self.memory_minimum.saturating_add(bytes);
    }

    fn add_table(&mut self, elements: u64) {
        self.tables += 1;
        self.table_minimum = self.table_minimum.saturating_add(elements);
    }

    /// Adds an active segment of what has `minimum` bytes or elements at first.
    fn add_segment(
        &mut self,
        offset: &ConstExpr<'_>,
        length: u64,
        minimum: u64,
    ) -> Result<(), BinaryReaderError> {
        let end = constant(offset)?.map(|offset| u64::from(offset) + length);
        if end.is_none_or(|end| end > minimum) {
            self.start_may_fail = true;
        }
        Ok(())
    }
}

/// The value of an offset that is a plain constant.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read()? {
        Operator::I32Const { value } => value.cast_unsigned(),
        _ => return Ok(None),
    };
    let ends = matches!(operators.read()?, Operator::End);
    Ok(ends.then_some(value))
}
