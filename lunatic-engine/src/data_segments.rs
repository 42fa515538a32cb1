//! Removes the data segments from a module, so that their bytes can be put into a memory all at
//! once, or be there already.
//!
//! An active data segment is copied by the engine whenever an instance is made; for 40 KiB that
//! takes longer than all the rest. A segment that is known to fit is replaced by an empty passive
//! one: `memory.init` and `data.drop` cannot tell it from an active one that has been applied,
//! which is dropped.

use std::convert::Infallible;

use wasm_encoder::DataSection;
use wasm_encoder::reencode::{self, Reencode};
use wasmparser::{Data, DataKind, Parser};

use crate::initial_memory::InitialMemory;

/// Takes the active data segments out of a module. Returns the module without them,
/// and what they would have written.
///
/// `None` if there are none, or it is not certain that all of them are valid and
/// fit: then it is the engine that refuses or applies them, and traps.
pub(crate) fn take(wasm: &[u8]) -> Option<(Vec<u8>, InitialMemory)> {
    let memory = InitialMemory::of(wasm)?;
    let mut module = wasm_encoder::Module::new();
    WithoutSegments
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .ok()?;
    Some((module.finish(), memory))
}

/// Copies a module, with all active data segments empty and passive.
struct WithoutSegments;

impl Reencode for WithoutSegments {
    type Error = Infallible;

    fn parse_data(
        &mut self,
        section: &mut DataSection,
        segment: Data<'_>,
    ) -> Result<(), reencode::Error<Infallible>> {
        match segment.kind {
            DataKind::Active { .. } => section.passive([]),
            DataKind::Passive => section.passive(segment.data.iter().copied()),
        };
        Ok(())
    }
}
