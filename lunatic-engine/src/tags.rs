//! A check of the values that exceptions may carry.

use wasmparser::{
    AbstractHeapType, BinaryReaderError, CompositeInnerType, HeapType, Parser, Payload, SubType,
    TagType, TypeRef, ValType,
};

use crate::invalid_module::InvalidModule;

/// Checks that no exception of a module carries a reference to a function. The engine keeps each of
/// these for as long as the instance exists, and they would not be charged.
///
/// # Errors
///
/// Fails if one does, or if the binary format is invalid.
pub(crate) fn check(wasm: &[u8]) -> Result<(), InvalidModule> {
    let mut types = Types::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let offset = types
            .read(&payload.map_err(|error| InvalidModule::new(&error))?)
            .map_err(|error| InvalidModule::new(&error))?;
        if let Some(offset) = offset {
            return Err(InvalidModule::refused(
                "an exception that carries a reference to a function is not accepted",
                offset,
            ));
        }
    }
    Ok(())
}

/// For each type, whether it is a function that takes references to functions.
#[derive(Default)]
struct Types {
    take_functions: Vec<bool>,
}

impl Types {
    /// Reads a section, and returns where it is if it has such an exception.
    fn read(&mut self, payload: &Payload<'_>) -> Result<Option<usize>, BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    let takes = |ty: SubType| match &ty.composite_type.inner {
                        CompositeInnerType::Func(ty) => {
                            ty.params().iter().copied().any(is_function)
                        }
                        _ => false,
                    };
                    self.take_functions.extend(group?.into_types().map(takes));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    if let TypeRef::Tag(tag) = import?.ty
                        && self.takes_functions(tag)
                    {
                        return Ok(Some(section.range().start));
                    }
                }
            }
            Payload::TagSection(section) => {
                for tag in section.clone() {
                    if self.takes_functions(tag?) {
                        return Ok(Some(section.range().start));
                    }
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn takes_functions(&self, tag: TagType) -> bool {
        let of_type = self.take_functions.get(tag.func_type_idx as usize);
        of_type.copied().unwrap_or_default()
    }
}

/// Whether a value may be a reference to a function.
fn is_function(ty: ValType) -> bool {
    use AbstractHeapType::{Exn, Extern, NoExn, NoExtern};
    let ValType::Ref(reference) = ty else {
        return false;
    };
    match reference.heap_type() {
        HeapType::Abstract { ty, .. } => !matches!(ty, Exn | Extern | NoExn | NoExtern),
        // All types that a module can define are those of functions.
        HeapType::Concrete(_) | HeapType::Exact(_) => true,
    }
}
