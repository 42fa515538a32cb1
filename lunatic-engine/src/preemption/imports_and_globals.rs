//! The function of the host and the global that points of preemption need in a module.
//!
//! Both get the index after the existing ones, so that only the index of one function changes: an
//! imported function comes before all that the module defines, so the first of those becomes the
//! last.

use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{ConstExpr, Encode, ExportKind, GlobalSection, GlobalType, ValType};
use wasmparser::{GlobalSectionReader, Payload};

use crate::preemption::index_spaces::IndexSpaces;
use crate::preemption::points::{FIRST_BUDGET, Points};

/// The namespace and name of the function that is imported.
pub(crate) const REFILL: (&str, &str) = ("lunatic::preemption", "refill");

/// The name under which a module exports the global with the budget that is left until it checks
/// the clock, an `i32`: plain operators, of about a nanosecond each. The host subtracts the time of
/// work that it does for the guest. Code that counts fuel has no such global, and no module may
/// export this name by itself.
pub const BUDGET: &str = "lunatic::preemption::budget";

/// The items that points of preemption need, and the new indices of functions.
#[derive(Debug)]
pub(super) struct Appended {
    points: Option<Points>,
    /// The function whose index is taken, and the index that it has instead.
    moved: (u32, u32),
    refill_type: u32,
}

impl Appended {
    /// Returns no items.
    pub(super) fn nothing() -> Appended {
        Appended {
            points: None,
            moved: (0, 0),
            refill_type: 0,
        }
    }

    /// Returns the items that points need in a module that defines at least one function.
    pub(super) fn to(spaces: &IndexSpaces) -> Appended {
        let refill = spaces.imported_functions();
        Appended {
            points: Some(Points::new(spaces.globals(), refill)),
            moved: (refill, spaces.functions()),
            refill_type: spaces.types(),
        }
    }

    /// Whether a function may get another index.
    pub(super) fn may_move(function: u32, spaces: &IndexSpaces) -> bool {
        function == spaces.imported_functions()
    }

    /// How to write points; `None` if there are none.
    pub(super) fn points(&self) -> Option<&Points> {
        self.points.as_ref()
    }

    /// How many types are appended; functions are as many.
    pub(super) fn count(&self) -> u32 {
        u32::from(self.points.is_some())
    }

    /// The index of a function that had another one before.
    pub(super) fn function(&self, index: u32) -> u32 {
        match index == self.moved.0 {
            true => self.moved.1,
            false => index,
        }
    }

    /// The functions that the module defines, with the moved one in its new place.
    pub(super) fn reorder<T>(&self, functions: &mut [T]) {
        if self.points.is_some() && !functions.is_empty() {
            functions.rotate_left(1);
        }
    }

    /// The types, encoded.
    pub(super) fn types(&self) -> Vec<Vec<u8>> {
        let ty = || {
            /// Marks the type of a function.
            const FUNCTION: u8 = 0x60;
            let mut bytes = vec![FUNCTION];
            0u32.encode(&mut bytes);
            [ValType::I32].as_slice().encode(&mut bytes);
            bytes
        };
        self.points.iter().map(|_| ty()).collect()
    }

    /// The imports, encoded.
    pub(super) fn imports(&self) -> Vec<Vec<u8>> {
        let import = || {
            /// Marks the import of a function.
            const FUNCTION: u8 = 0;
            let mut bytes = Vec::new();
            REFILL.0.encode(&mut bytes);
            REFILL.1.encode(&mut bytes);
            bytes.push(FUNCTION);
            self.refill_type.encode(&mut bytes);
            bytes
        };
        self.points.iter().map(|_| import()).collect()
    }

    /// The section of globals, with the budget.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn globals(
        &self,
        globals: Option<GlobalSectionReader<'_>>,
    ) -> Result<GlobalSection, Error<Infallible>> {
        let mut section = GlobalSection::new();
        if let Some(globals) = globals {
            Renamed(self).parse_global_section(&mut section, globals)?;
        }
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        section.global(ty, &ConstExpr::i32_const(FIRST_BUDGET.cast_signed()));
        Ok(section)
    }

    /// Writes a section that may name the function that was moved; returns whether this is
    /// one.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn rename(
        &self,
        payload: &Payload<'_>,
        module: &mut wasm_encoder::Module,
    ) -> Result<bool, Error<Infallible>> {
        let mut renamed = Renamed(self);
        match payload {
            Payload::TableSection(tables) => {
                let mut section = wasm_encoder::TableSection::new();
                renamed.parse_table_section(&mut section, tables.clone())?;
                module.section(&section);
            }
            Payload::ExportSection(exports) => {
                let mut section = wasm_encoder::ExportSection::new();
                renamed.parse_export_section(&mut section, exports.clone())?;
                if let Some(points) = &self.points {
                    section.export(BUDGET, ExportKind::Global, points.budget());
                }
                module.section(&section);
            }
            Payload::ElementSection(elements) => {
                let mut section = wasm_encoder::ElementSection::new();
                renamed.parse_element_section(&mut section, elements.clone())?;
                module.section(&section);
            }
            Payload::StartSection { func, .. } => {
                let function_index = self.function(*func);
                module.section(&wasm_encoder::StartSection { function_index });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Encodes with the new indices.
struct Renamed<'a>(&'a Appended);

impl Reencode for Renamed<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.0.function(function))
    }
}
