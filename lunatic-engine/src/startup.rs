//! What is done when an instance is made, by a function that the engine compiles for it.
//!
//! Segments of functions at known places of a table become an image of the table, from which
//! elements are taken when they are first used. For each item of all other segments there is code
//! in one function, and so there is for each active data segment that is not part of an image of
//! the memory.

use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ElementKind, Operator, Payload, RefType, TableInit,
    TypeRef,
};

/// Images of tables have no more elements than this.
const MAX_IMAGE: u64 = 1 << 20;

/// The counts of a module, section by section.
#[derive(Debug, Default)]
pub(crate) struct Startup {
    imported_tables: u32,
    tables: Vec<Table>,
    /// Whether there was a segment that is no part of an image. Then no later one is.
    has_code: bool,
    /// The items of segments for which there is code.
    pub(crate) items: u64,
    /// The items of passive segments, each of which every instance has a value of.
    pub(crate) passive_items: u64,
    /// The active data segments.
    pub(crate) active_data: u64,
    /// The elements of all images of tables.
    pub(crate) image_elements: u64,
}

#[derive(Debug)]
struct Table {
    minimum: u64,
    /// Whether functions can be put into an image of it.
    has_image: bool,
    image: u64,
}

/// What the elements of a table are at first.
#[derive(Debug, Clone, Copy)]
enum BeginsAs {
    Null,
    /// One function, without code for it if the table is not too large.
    Function,
    Other,
}

impl Startup {
    /// Adds a section.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(crate) fn add(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    self.imported_tables += u32::from(matches!(import?.ty, TypeRef::Table(_)));
                }
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    let table = table?;
                    let begins_as = match &table.init {
                        TableInit::RefNull => BeginsAs::Null,
                        TableInit::Expr(value) if is_function(value)? => BeginsAs::Function,
                        TableInit::Expr(_) => BeginsAs::Other,
                    };
                    self.add_table(table.ty.initial, table.ty.element_type, begins_as);
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements.clone() {
                    let element = element?;
                    let (count, are_functions) = match element.items {
                        ElementItems::Functions(items) => (items.count(), true),
                        ElementItems::Expressions(_, items) => (items.count(), false),
                    };
                    self.add_elements(&element.kind, u64::from(count), are_functions)?;
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments.clone() {
                    let is_active = matches!(segment?.kind, wasmparser::DataKind::Active { .. });
                    self.active_data += u64::from(is_active);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_table(&mut self, minimum: u64, element: RefType, begins_as: BeginsAs) {
        let is_of_functions = element.is_func_ref() || element.is_concrete_type_ref();
        let (has_image, image) = match begins_as {
            BeginsAs::Null => (is_of_functions, 0),
            BeginsAs::Function if minimum <= MAX_IMAGE => (is_of_functions, minimum),
            BeginsAs::Function | BeginsAs::Other => (false, 0),
        };
        self.image_elements += image;
        self.tables.push(Table {
            minimum,
            has_image,
            image,
        });
    }

    fn add_elements(
        &mut self,
        kind: &ElementKind<'_>,
        count: u64,
        are_functions: bool,
    ) -> Result<(), BinaryReaderError> {
        let (table, offset) = match kind {
            ElementKind::Declared => return Ok(()),
            ElementKind::Passive => {
                self.passive_items += count;
                self.items += count + 1;
                return Ok(());
            }
            ElementKind::Active {
                table_index,
                offset_expr,
            } => (table_index.unwrap_or(0), constant(offset_expr)?),
        };
        let index = table.checked_sub(self.imported_tables);
        let table = index.and_then(|index| self.tables.get_mut(index as usize));
        let end = offset.map(|offset| u64::from(offset) + count);
        match (table, end) {
            (Some(table), Some(end))
                if are_functions
                    && !self.has_code
                    && table.has_image
                    && end <= table.minimum.min(MAX_IMAGE) =>
            {
                self.image_elements += end.saturating_sub(table.image);
                table.image = table.image.max(end);
            }
            _ => {
                self.has_code = true;
                self.items += count + 1;
            }
        }
        Ok(())
    }
}

/// Whether a value is a reference to a function, and nothing else.
fn is_function(expression: &ConstExpr<'_>) -> Result<bool, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let is_function = matches!(operators.read()?, Operator::RefFunc { .. });
    Ok(is_function && matches!(operators.read()?, Operator::End))
}

/// The value of an offset that is a plain constant.
pub(crate) fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read()? {
        Operator::I32Const { value } => value.cast_unsigned(),
        _ => return Ok(None),
    };
    let ends = matches!(operators.read()?, Operator::End);
    Ok(ends.then_some(value))
}

#[cfg(test)]
mod tests {
    use wasmparser::Parser;

    use super::*;

    fn of(fields: &str) -> Startup {
        let wasm = wat::parse_str(format!("(module {fields})")).expect("text of a module");
        let mut startup = Startup::default();
        for payload in Parser::new(0).parse_all(&wasm) {
            startup
                .add(&payload.expect("a section"))
                .expect("a valid section");
        }
        startup
    }

    #[test]
    fn functions_at_known_places_are_an_image() {
        let startup = of("(table 10 funcref) (elem (i32.const 2) $f $f $f) (func $f)");
        assert_eq!((startup.items, startup.image_elements), (0, 5));
    }

    #[test]
    fn there_is_code_for_items_of_other_segments() {
        for (fields, items) in [
            ("(elem func $f $f)", 3),
            ("(elem declare func $f $f)", 0),
            ("(table 10 funcref) (elem (i32.const 9) $f $f)", 3),
            (
                "(table 10 funcref) (elem (i32.const 0) funcref (ref.func $f))",
                2,
            ),
            (
                "(table 10 externref) (elem (i32.const 0) externref (ref.null extern))",
                2,
            ),
            (
                "(table 10 funcref) (elem (i32.add (i32.const 0) (i32.const 0)) $f)",
                2,
            ),
            // After the first that has code, all have.
            (
                "(table 10 funcref) (elem (i32.const 9) $f $f) (elem (i32.const 0) $f)",
                5,
            ),
            (
                r#"(import "" "" (table 10 funcref)) (elem (i32.const 0) $f)"#,
                2,
            ),
        ] {
            assert_eq!(of(&format!("{fields} (func $f)")).items, items, "{fields}");
        }
    }

    #[test]
    fn one_item_far_behind_makes_a_large_image() {
        let startup = of("(table 100000 funcref) (elem (i32.const 99999) $f) (func $f)");
        assert_eq!((startup.items, startup.image_elements), (0, 100_000));
    }

    #[test]
    fn a_table_that_begins_as_one_function_is_an_image() {
        let startup = of("(table 10 funcref (ref.func $f)) (elem (i32.const 0) $f) (func $f)");
        assert_eq!((startup.items, startup.image_elements), (0, 10));
        let other = of("(global $g (import \"\" \"\") funcref)
            (table 10 funcref (global.get $g)) (elem (i32.const 0) $f) (func $f)");
        assert_eq!((other.items, other.image_elements), (2, 0));
    }

    #[test]
    fn items_of_passive_segments_are_in_instances() {
        let startup = of("(elem func $f $f) (elem declare func $f) (func $f)");
        assert_eq!(startup.passive_items, 2);
    }
}
