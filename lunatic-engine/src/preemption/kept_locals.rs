//! Locals that are passed through a function while a point of preemption calls the host.
//!
//! A call clobbers all registers. The compiler then often keeps a value that is used after the call
//! on the stack for all of the function: a loop would read it from the stack in each round because
//! of a call that is hardly ever made. So a point in a loop passes the locals that the loop names
//! to a function, which calls the host and returns them: to the compiler they are other values
//! afterwards, and can be in registers before and after.

use wasm_encoder::InstructionSink;
use wasmparser::ValType;

/// A local that can be kept apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    local: u32,
    ty: ValType,
}

/// The locals that are kept at a point.
#[derive(Debug)]
pub(super) struct Keeping<'a> {
    pub(super) kept: &'a [Kept],
    /// The function that keeps as many; `None` if there are none.
    pub(super) function: Option<u32>,
}

impl Keeping<'_> {
    /// No locals.
    pub(super) const NOTHING: Keeping<'static> = Keeping {
        kept: &[],
        function: None,
    };
}

impl Kept {
    /// How many bytes of code it takes at a point, roughly.
    pub(super) const BYTES: usize = 8;

    /// `None` for a local of a type that is not kept.
    pub(super) fn of(local: u32, ty: ValType) -> Option<Kept> {
        match ty {
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => Some(Kept { local, ty }),
            ValType::V128 | ValType::Ref(_) => None,
        }
    }

    /// Puts it on the stack, as 64 bits.
    pub(super) fn push(self, code: &mut InstructionSink<'_>) {
        code.local_get(self.local);
        match self.ty {
            ValType::I32 => code.i64_extend_i32_u(),
            ValType::F32 => code.i32_reinterpret_f32().i64_extend_i32_u(),
            ValType::F64 => code.i64_reinterpret_f64(),
            ValType::I64 | ValType::V128 | ValType::Ref(_) => code,
        };
    }

    /// Takes it off the stack.
    pub(super) fn pop(self, code: &mut InstructionSink<'_>) {
        match self.ty {
            ValType::I32 => code.i32_wrap_i64(),
            ValType::F32 => code.i32_wrap_i64().f32_reinterpret_i32(),
            ValType::F64 => code.f64_reinterpret_i64(),
            ValType::I64 | ValType::V128 | ValType::Ref(_) => code,
        };
        code.local_set(self.local);
    }
}
