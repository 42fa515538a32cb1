//! The functions that are appended: operations on memory, piece by piece.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, Encode, Function, InstructionSink, ValType};
use wasmparser::Operator;

use crate::bounded_steps::appended::Appended;
use crate::bounded_steps::index_spaces::IndexSpaces;
use crate::bounded_steps::points::{BYTES_PER_OPERATOR_LOG, Points};
use crate::limits::WASM_PAGE_BYTES;

/// The most bytes that are written between two points of preemption.
pub(super) const PIECE_BYTES: u32 = 64 << 10;

/// An operation on memory that may be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bulk {
    /// `memory.fill`.
    Fill {
        /// The memory that is written to.
        memory: u32,
    },
    /// `memory.copy`.
    Copy {
        /// The memory that is written to.
        to: u32,
        /// The memory that is read.
        from: u32,
    },
    /// `memory.init`.
    Init {
        /// The memory that is written to.
        memory: u32,
        /// The data segment that is read.
        segment: u32,
    },
}

/// The functions that are appended to a module, and their types.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    first_type: u32,
    first_function: u32,
    /// Which function does which operation.
    functions: BTreeMap<Bulk, u32>,
    /// The operations, in the order of their functions.
    operations: Vec<Bulk>,
}

impl Pieces {
    /// Functions and types to follow those that there are.
    pub(super) fn after(spaces: &IndexSpaces, appended: &Appended) -> Pieces {
        Pieces {
            first_type: spaces.types() + appended.count(),
            first_function: spaces.functions() + appended.count(),
            ..Pieces::default()
        }
    }

    /// The function that does an operation with the operands of its operator.
    pub(super) fn function(&mut self, bulk: Bulk) -> u32 {
        let next = self.first_function + self.operations.len() as u32;
        let function = *self.functions.entry(bulk).or_insert(next);
        if function == next {
            self.operations.push(bulk);
        }
        function
    }

    /// The type of a block that takes all operands but the length.
    pub(super) fn block_type(&self) -> BlockType {
        BlockType::FunctionType(self.first_type + 1)
    }

    /// The types that are appended, encoded.
    pub(super) fn types(&self) -> Vec<Vec<u8>> {
        if self.operations.is_empty() {
            return Vec::new();
        }
        let function = function_type(&[ValType::I32; 3]);
        let block = function_type(&[ValType::I32; 2]);
        vec![function, block]
    }

    /// The types of the functions that are appended, encoded.
    pub(super) fn function_types(&self) -> Vec<Vec<u8>> {
        let ty = encoded(&self.first_type);
        self.operations.iter().map(|_| ty.clone()).collect()
    }

    /// The bodies of the functions that are appended, encoded with their lengths.
    ///
    /// - `points`: how to write points of preemption; `None` if each loop is one.
    pub(super) fn bodies(&self, points: Option<&Points>) -> Vec<Vec<u8>> {
        let bodies = self.operations.iter().map(|bulk| bulk.body(points));
        bodies.map(|body| encoded(&body)).collect()
    }

    /// The names of the functions that are appended.
    pub(super) fn names(&self) -> Vec<(u32, &'static str)> {
        let names = self.operations.iter().map(Bulk::name);
        (self.first_function..).zip(names).collect()
    }
}

// The parameters of an appended function.
const TO: u32 = 0;
/// Where is read from; the value of a fill.
const FROM: u32 = 1;
const LENGTH: u32 = 2;

impl Bulk {
    /// The operation of an operator, if it is one on memory that may be long.
    pub(super) fn of(operator: &Operator<'_>) -> Option<Bulk> {
        match *operator {
            Operator::MemoryFill { mem } => Some(Bulk::Fill { memory: mem }),
            Operator::MemoryCopy { dst_mem, src_mem } => Some(Bulk::Copy {
                to: dst_mem,
                from: src_mem,
            }),
            Operator::MemoryInit { data_index, mem } => Some(Bulk::Init {
                memory: mem,
                segment: data_index,
            }),
            _ => None,
        }
    }

    /// The operation as a backtrace shows it.
    fn name(&self) -> &'static str {
        match self {
            Bulk::Fill { .. } => "memory.fill",
            Bulk::Copy { .. } => "memory.copy",
            Bulk::Init { .. } => "memory.init",
        }
    }

    /// The function that does the operation piece by piece.
    fn body(self, points: Option<&Points>) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        match self {
            Bulk::Fill { memory } => self.check(&mut code, &[(TO, memory)]),
            Bulk::Copy { to, from } => self.check(&mut code, &[(TO, to), (FROM, from)]),
            Bulk::Init { memory, .. } => {
                self.check(&mut code, &[(TO, memory)]);
                self.check_segment(&mut code);
            }
        }
        match self {
            Bulk::Fill { .. } => self.forward(&mut code, &[TO], points),
            Bulk::Init { .. } => self.forward(&mut code, &[TO, FROM], points),
            Bulk::Copy { .. } => {
                // What is read must not have been written to before.
                code.local_get(TO).local_get(FROM).i32_gt_u();
                code.if_(BlockType::Empty);
                self.backward(&mut code, points);
                code.else_();
                self.forward(&mut code, &[TO, FROM], points);
                code.end();
            }
        }
        self.whole(&mut code);
        code.end();
        function
    }

    /// Traps as the operator does if a range is out of the bounds of its memory.
    fn check(self, code: &mut InstructionSink<'_>, ranges: &[(u32, u32)]) {
        for (start, memory) in ranges {
            code.local_get(*start).i64_extend_i32_u();
            code.local_get(LENGTH).i64_extend_i32_u().i64_add();
            code.memory_size(*memory).i64_extend_i32_u();
            code.i64_const(WASM_PAGE_BYTES.cast_signed()).i64_mul();
            code.i64_gt_u();
            self.trap_if(code);
        }
    }

    /// Traps as the operator does if the range is out of the bounds of its segment.
    fn check_segment(self, code: &mut InstructionSink<'_>) {
        // A segment is shorter than what 32 bits can count.
        code.local_get(FROM).local_get(LENGTH).i32_add();
        code.local_get(FROM).i32_lt_u();
        self.trap_if(code);
        // Nobody but the operator knows its length: zero bytes at the end of the range
        // are out of bounds if the range is.
        code.local_get(TO);
        code.local_get(FROM).local_get(LENGTH).i32_add();
        code.i32_const(0);
        self.operator(code);
    }

    /// If what is on the stack is true, the operator traps with these operands.
    fn trap_if(self, code: &mut InstructionSink<'_>) {
        code.if_(BlockType::Empty);
        self.whole(code);
        code.unreachable().end();
    }

    /// Does pieces from the front while more than one is left.
    ///
    /// - `cursors`: the parameters that move on with each.
    fn forward(self, code: &mut InstructionSink<'_>, cursors: &[u32], points: Option<&Points>) {
        let piece = PIECE_BYTES.cast_signed();
        while_more_than_a_piece(code, points, |code| {
            code.local_get(TO).local_get(FROM).i32_const(piece);
            self.operator(code);
            for cursor in cursors {
                code.local_get(*cursor).i32_const(piece).i32_add();
                code.local_set(*cursor);
            }
            shorten(code);
        });
    }

    /// Does pieces from the back while more than one is left.
    fn backward(self, code: &mut InstructionSink<'_>, points: Option<&Points>) {
        while_more_than_a_piece(code, points, |code| {
            shorten(code);
            for start in [TO, FROM] {
                code.local_get(start).local_get(LENGTH).i32_add();
            }
            code.i32_const(PIECE_BYTES.cast_signed());
            self.operator(code);
        });
    }

    /// The operator with the parameters of the function.
    fn whole(self, code: &mut InstructionSink<'_>) {
        code.local_get(TO).local_get(FROM).local_get(LENGTH);
        self.operator(code);
    }

    fn operator(self, code: &mut InstructionSink<'_>) {
        match self {
            Bulk::Fill { memory } => code.memory_fill(memory),
            Bulk::Copy { to, from } => code.memory_copy(to, from),
            Bulk::Init { memory, segment } => code.memory_init(memory, segment),
        };
    }
}

fn while_more_than_a_piece(
    code: &mut InstructionSink<'_>,
    points: Option<&Points>,
    piece: impl FnOnce(&mut InstructionSink<'_>),
) {
    code.loop_(BlockType::Empty);
    if let Some(points) = points {
        points.point(code, PIECE_BYTES >> BYTES_PER_OPERATOR_LOG);
    }
    code.local_get(LENGTH).i32_const(PIECE_BYTES.cast_signed());
    code.i32_gt_u().if_(BlockType::Empty);
    piece(code);
    code.br(1).end().end();
}

/// Takes a piece off the length.
fn shorten(code: &mut InstructionSink<'_>) {
    code.local_get(LENGTH).i32_const(PIECE_BYTES.cast_signed());
    code.i32_sub().local_set(LENGTH);
}

fn function_type(params: &[ValType]) -> Vec<u8> {
    /// Marks the type of a function.
    const FUNCTION: u8 = 0x60;
    let mut bytes = vec![FUNCTION];
    params.encode(&mut bytes);
    0usize.encode(&mut bytes);
    bytes
}

fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}
