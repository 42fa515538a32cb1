//! The properties of a module that are known before it runs.

use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ConstExpr, DataKind, DataSectionReader, ElementItems,
    ElementKind, ElementSectionReader, ExportSectionReader, ImportSectionReader, Parser, Payload,
    TypeRef, TypeSectionReader,
};

use crate::invalid_module::InvalidModule;
use crate::limits::{
    ExceedsLimits, MEMORIES, MemoryLimits, TABLE_ELEMENT_BYTES, TABLE_ELEMENTS, WASM_PAGE_BYTES,
};
use crate::startup::{Startup, constant};

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
    /// How many items the passive element segments have, each of which an instance has a value of.
    pub passive_items: u64,
    /// An estimate of the bytes that are kept of the module beside its code, for each code that it
    /// is compiled to: names of imports and exports, types, and images of tables.
    pub metadata_bytes: u64,
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
        /// What is kept of an empty module.
        const EMPTY: u64 = 8 << 10;
        /// An element of an image of a table.
        const IMAGE_ELEMENT: u64 = 4;
        let mut info = ModuleInfo::default();
        let mut startup = Startup::default();
        for payload in Parser::new(0).parse_all(wasm) {
            payload
                .and_then(|payload| {
                    startup.add(&payload)?;
                    info.read(payload)
                })
                .map_err(|error| InvalidModule::new(&error))?;
        }
        info.passive_items = startup.passive_items;
        info.metadata_bytes += EMPTY + startup.image_elements * IMAGE_ELEMENT;
        Ok(info)
    }

    /// Returns the initial bytes of an instance: its memory, its table, its stack, and the data for
    /// each of its functions and globals. An instance never takes less.
    pub fn instance_bytes(&self) -> u64 {
        /// The state of the store and of the instance, and the used part of a stack.
        const FIXED: u64 = 8 << 10;
        /// A global, or a reference to a function.
        const ITEM: u64 = 48;
        /// A value of an item of a passive element segment.
        const PASSIVE_ITEM: u64 = 16;
        let tables = self.table_minimum.saturating_mul(TABLE_ELEMENT_BYTES);
        self.memory_minimum
            .saturating_add(tables)
            .saturating_add(self.items.saturating_mul(ITEM))
            .saturating_add(self.passive_items.saturating_mul(PASSIVE_ITEM))
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
        /// What is kept of a function, beside its code.
        const FUNCTION: u64 = 32;
        match payload {
            Payload::TypeSection(types) => self.read_types(types)?,
            Payload::ImportSection(imports) => self.read_imports(imports)?,
            Payload::ExportSection(exports) => self.read_exports(exports)?,
            Payload::FunctionSection(functions) => {
                self.metadata_bytes += u64::from(functions.count()) * FUNCTION;
                self.add_items(functions.count());
            }
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

    fn read_types(&mut self, types: TypeSectionReader<'_>) -> Result<(), BinaryReaderError> {
        const TYPE: u64 = 256;
        const VALUE: u64 = 24;
        for group in types {
            for of_type in group?.types() {
                let values = match &of_type.composite_type.inner {
                    CompositeInnerType::Func(function) => {
                        function.params().len() + function.results().len()
                    }
                    _ => 0,
                };
                self.metadata_bytes += TYPE + VALUE * values as u64;
            }
        }
        Ok(())
    }

    fn read_exports(&mut self, exports: ExportSectionReader<'_>) -> Result<(), BinaryReaderError> {
        const EXPORT: u64 = 192;
        for export in exports {
            self.metadata_bytes += EXPORT + export?.name.len() as u64;
        }
        Ok(())
    }

    fn read_imports(&mut self, imports: ImportSectionReader<'_>) -> Result<(), BinaryReaderError> {
        const IMPORT: u64 = 192;
        for import in imports.into_imports() {
            let import = import?;
            self.metadata_bytes += IMPORT + (import.module.len() + import.name.len()) as u64;
            match import.ty {
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
