//! How many functions, types and globals there are before any is appended.

use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, HeapType, Operator, Payload, SubType,
    TypeRef, UnpackedIndex, ValType,
};

use crate::invalid_module::InvalidModule;

/// The functions and types of a module.
#[derive(Debug, Default)]
pub(super) struct IndexSpaces {
    /// How many parameters and results a function of each type has; none if it is another
    /// type.
    signatures: Vec<Signature>,
    imported_functions: u32,
    globals: u32,
    /// The types of the functions that the module defines.
    functions: Vec<u32>,
}

/// The parameters of a function, and how many results it has.
#[derive(Debug, Default)]
struct Signature {
    params: Box<[ValType]>,
    results: u32,
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
                    self.signatures.extend(group?.types().map(signature));
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.imported_functions += 1,
                        TypeRef::Global(_) => self.globals += 1,
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for function in functions.clone() {
                    self.functions.push(function?);
                }
            }
            Payload::GlobalSection(globals) => self.globals += globals.count(),
            _ => {}
        }
        Ok(())
    }

    /// How many types there are.
    pub(super) fn types(&self) -> u32 {
        // The binary format counts them in 32 bits.
        self.signatures.len() as u32
    }

    /// Returns the number of functions, including imported ones.
    pub(super) fn functions(&self) -> u32 {
        self.imported_functions + self.functions.len() as u32
    }

    /// Returns the number of globals, including imported ones.
    pub(super) fn globals(&self) -> u32 {
        self.globals
    }

    /// How many functions are imported.
    pub(super) fn imported_functions(&self) -> u32 {
        self.imported_functions
    }

    /// Returns the index of a function among those that the module defines; `None` if it is
    /// imported or does not exist.
    pub(super) fn number(&self, function: u32) -> Option<usize> {
        let number = function.checked_sub(self.imported_functions)? as usize;
        (number < self.functions.len()).then_some(number)
    }

    /// Whether a function is imported.
    pub(super) fn is_imported(&self, function: u32) -> bool {
        function < self.imported_functions
    }

    /// Returns the parameters of a function.
    ///
    /// - `number`: the index of the function among those that the module defines.
    pub(super) fn params(&self, number: usize) -> &[ValType] {
        self.signature_of(number)
            .map_or(&[], |signature| &signature.params)
    }

    /// Returns the number of results of a function.
    ///
    /// - `number`: the index of the function among those that the module defines.
    pub(super) fn results(&self, number: usize) -> u32 {
        self.signature_of(number)
            .map_or(0, |signature| signature.results)
    }

    fn signature_of(&self, number: usize) -> Option<&Signature> {
        let ty = self.functions.get(number)?;
        self.signature(*ty)
    }

    fn signature(&self, ty: u32) -> Option<&Signature> {
        self.signatures.get(ty as usize)
    }

    /// How many values a branch to a block takes with it.
    pub(super) fn branch_values(&self, block: BlockType, is_loop: bool) -> u32 {
        match (block, is_loop) {
            (BlockType::Empty, _) | (BlockType::Type(_), true) => 0,
            (BlockType::Type(_), false) => 1,
            (BlockType::FuncType(ty), true) => {
                let signature = self.signature(ty);
                signature.map_or(0, |signature| signature.params.len() as u32)
            }
            (BlockType::FuncType(ty), false) => {
                let signature = self.signature(ty);
                signature.map_or(0, |signature| signature.results)
            }
        }
    }

    /// Checks that an operator names no function, type, global or local that is only there once
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
            Operator::Call { function_index }
            | Operator::ReturnCall { function_index }
            | Operator::RefFunc { function_index } => {
                ("function", function_index, self.functions())
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => ("type", type_index, self.types()),
            Operator::RefNull { hty } => return self.check_heap_type(hty, offset),
            Operator::TypedSelect { ty } => return self.check_type(ty, offset),
            Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
                ("global", global_index, self.globals())
            }
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                return self.check_block_type(blockty, offset);
            }
            // Tags are never appended.
            Operator::TryTable { ref try_table } => {
                return self.check_block_type(try_table.ty, offset);
            }
            Operator::LocalGet { local_index }
            | Operator::LocalSet { local_index }
            | Operator::LocalTee { local_index } => ("local", local_index, locals),
            _ => return Ok(()),
        };
        is_below(what, index, count, offset)
    }

    /// The same for the type of a value.
    ///
    /// # Errors
    ///
    /// Fails if it names a type that is not there.
    pub(super) fn check_type(&self, ty: ValType, offset: usize) -> Result<(), InvalidModule> {
        match ty {
            ValType::Ref(reference) => self.check_heap_type(reference.heap_type(), offset),
            _ => Ok(()),
        }
    }

    fn check_block_type(&self, ty: BlockType, offset: usize) -> Result<(), InvalidModule> {
        match ty {
            BlockType::FuncType(ty) => is_below("type", ty, self.types(), offset),
            BlockType::Type(ty) => self.check_type(ty, offset),
            BlockType::Empty => Ok(()),
        }
    }

    fn check_heap_type(&self, ty: HeapType, offset: usize) -> Result<(), InvalidModule> {
        match ty {
            HeapType::Concrete(UnpackedIndex::Module(index))
            | HeapType::Exact(UnpackedIndex::Module(index)) => {
                is_below("type", index, self.types(), offset)
            }
            _ => Ok(()),
        }
    }
}

fn is_below(what: &str, index: u32, count: u32, offset: usize) -> Result<(), InvalidModule> {
    match index < count {
        true => Ok(()),
        false => Err(InvalidModule::broken(
            format!("unknown {what} {index}: index out of bounds"),
            offset,
        )),
    }
}

fn signature(ty: &SubType) -> Signature {
    match &ty.composite_type.inner {
        CompositeInnerType::Func(function) => Signature {
            params: function.params().into(),
            results: function.results().len() as u32,
        },
        _ => Signature::default(),
    }
}
