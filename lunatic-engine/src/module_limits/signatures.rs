//! The signatures of a module, as the number of values that each takes and returns.

use wasmparser::{
    BinaryReaderError, BlockType, Catch, CompositeInnerType, Operator, Payload, TagType, TryTable,
    TypeRef,
};

/// The numbers of values that functions take and return.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    /// The values of each type, by its index.
    types: Vec<u64>,
    /// The values of each function, by its index, imported ones first.
    functions: Vec<u64>,
    /// The values of each tag, by its index, imported ones first.
    tags: Vec<u64>,
    /// The sum of all types.
    pub(super) type_values: u64,
    /// The sum of all functions.
    pub(super) function_values: u64,
}

impl Signatures {
    /// Adds the signatures of a section. Invalid indices count as 0 here; they are found when the
    /// module is validated.
    pub(super) fn add(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
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

    /// The number of types.
    pub(super) fn types(&self) -> u64 {
        self.types.len() as u64
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
    pub(super) fn of_operator(&self, operator: &Operator<'_>) -> u64 {
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
