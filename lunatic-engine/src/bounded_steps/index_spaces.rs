//! How many functions and types there are before any is appended.

use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, Operator, Payload, SubType, TypeRef,
};

use crate::invalid_module::InvalidModule;

/// The functions and types of a module.
#[derive(Debug, Default)]
pub(super) struct IndexSpaces {
    /// How many parameters a function of each type has; zero if it is another type.
    params: Vec<u32>,
    imported_functions: u32,
    /// The types of the functions that the module defines.
    functions: Vec<u32>,
}

impl IndexSpaces {
    /// Reads a section.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn read(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types.clone() {
                    self.params.extend(group?.types().map(params));
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let is_function =
                        matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                    self.imported_functions += u32::from(is_function);
                }
            }
            Payload::FunctionSection(functions) => {
                for function in functions.clone() {
                    self.functions.push(function?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// How many types there are.
    pub(super) fn types(&self) -> u32 {
        // The binary format counts them in 32 bits.
        self.params.len() as u32
    }

    /// How many functions there are, with those that are imported.
    pub(super) fn functions(&self) -> u32 {
        self.imported_functions + self.functions.len() as u32
    }

    /// Whether a function is imported.
    pub(super) fn is_imported(&self, function: u32) -> bool {
        function < self.imported_functions
    }

    /// How many parameters a function has.
    ///
    /// - `number`: which it is among those that the module defines.
    pub(super) fn params(&self, number: usize) -> u32 {
        let ty = self.functions.get(number).copied();
        ty.and_then(|ty| self.params.get(ty as usize))
            .copied()
            .unwrap_or_default()
    }

    /// Checks that an operator names no function, type or local that is only there once
    /// something is appended.
    ///
    /// - `locals`: how many there are, with the parameters.
    ///
    /// # Errors
    ///
    /// Fails if it does.
    pub(super) fn check(
        &self,
        operator: &Operator<'_>,
        locals: u32,
        offset: usize,
    ) -> Result<(), InvalidModule> {
        let (what, index, count) = match *operator {
            Operator::Call { function_index } | Operator::RefFunc { function_index } => {
                ("function", function_index, self.functions())
            }
            Operator::CallIndirect { type_index, .. } => ("type", type_index, self.types()),
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                match blockty {
                    BlockType::FuncType(ty) => ("type", ty, self.types()),
                    BlockType::Empty | BlockType::Type(_) => return Ok(()),
                }
            }
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => ("local", local_index, locals),
            _ => return Ok(()),
        };
        match index < count {
            true => Ok(()),
            false => Err(InvalidModule {
                message: format!("unknown {what} {index}: index out of bounds"),
                offset,
                missing_feature: None,
            }),
        }
    }
}

fn params(ty: &SubType) -> u32 {
    match &ty.composite_type.inner {
        CompositeInnerType::Func(function) => function.params().len() as u32,
        _ => 0,
    }
}
