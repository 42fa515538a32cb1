//! The functions that are appended: operations on memory, piece by piece, and what keeps
//! locals at points of preemption.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, Encode, Function, InstructionSink, ValType};
use wasmparser::Operator;

use crate::limits::WASM_PAGE_BYTES;
use crate::preemption::imports_and_globals::{Appended, REFILL};
use crate::preemption::index_spaces::IndexSpaces;
use crate::preemption::kept_locals::{Keeping, Kept};
use crate::preemption::points::{BYTES_PER_OPERATOR_LOG, Points};

/// The highest number of bytes that are written between two points of preemption.
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

/// The purpose of an appended function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Bulk(Bulk),
    /// Keeps this number of locals while it calls the host.
    KeepLocals(u32),
}

/// The functions that are appended to a module, and their types.
#[derive(Debug, Default)]
pub(super) struct AppendedFunctions {
    first_type: u32,
    first_function: u32,
    /// The encoded types.
    types: Vec<Vec<u8>>,
    /// Which function does what.
    functions: BTreeMap<Task, u32>,
    /// The purposes and types of the functions, in order.
    tasks: Vec<(Task, u32)>,
    /// The bytes by which code may still get longer for speed alone.
    room: usize,
}

impl AppendedFunctions {
    /// Returns functions and types that follow the existing ones.
    ///
    /// - `room`: the bytes by which code may get longer for speed alone.
    pub(super) fn after(
        spaces: &IndexSpaces,
        appended: &Appended,
        room: usize,
    ) -> AppendedFunctions {
        AppendedFunctions {
            first_type: spaces.types() + appended.count(),
            first_function: spaces.functions() + appended.count(),
            room,
            ..AppendedFunctions::default()
        }
    }

    /// The function that does an operation with the operands of its operator.
    pub(super) fn function(&mut self, bulk: Bulk) -> u32 {
        self.function_for(Task::Bulk(bulk))
    }

    /// Returns the functions that keep locals; none if there is no room for them.
    pub(super) fn keeping<'a>(&mut self, kept: &'a [Kept]) -> Keeping<'a> {
        if kept.is_empty() || !self.takes_room(kept.len() * Kept::BYTES) {
            return Keeping::NOTHING;
        }
        let function = Some(self.function_for(Task::KeepLocals(kept.len() as u32)));
        Keeping { kept, function }
    }

    /// Takes so many bytes of the room, if there are as many.
    pub(super) fn takes_room(&mut self, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    fn function_for(&mut self, task: Task) -> u32 {
        if let Some(function) = self.functions.get(&task) {
            return *function;
        }
        let ty = match task {
            Task::Bulk(_) => self.ty(function_type(&[ValType::I32; 3], &[])),
            Task::KeepLocals(count) => {
                let kept = vec![ValType::I64; count as usize];
                let results = [&[ValType::I32], &*kept].concat();
                self.ty(function_type(&kept, &results))
            }
        };
        let function = self.first_function + self.tasks.len() as u32;
        self.functions.insert(task, function);
        self.tasks.push((task, ty));
        function
    }

    /// The index of a type, which is appended if it is not yet.
    fn ty(&mut self, encoded: Vec<u8>) -> u32 {
        let known = self.types.iter().position(|ty| *ty == encoded);
        let place = known.unwrap_or_else(|| {
            self.types.push(encoded);
            self.types.len() - 1
        });
        self.first_type + place as u32
    }

    /// The type of a block that takes all operands but the length.
    pub(super) fn block_type(&mut self) -> BlockType {
        BlockType::FunctionType(self.ty(function_type(&[ValType::I32; 2], &[])))
    }

    /// The types that are appended, encoded.
    pub(super) fn types(&self) -> Vec<Vec<u8>> {
        self.types.clone()
    }

    /// The types of the functions that are appended, encoded.
    pub(super) fn function_types(&self) -> Vec<Vec<u8>> {
        self.tasks.iter().map(|(_, ty)| encoded(ty)).collect()
    }

    /// The bodies of the functions that are appended, encoded with their lengths.
    ///
    /// - `points`: how to write points of preemption; `None` if each loop is one.
    pub(super) fn bodies(&self, points: Option<&Points>) -> Vec<Vec<u8>> {
        let body = |(task, _): &(Task, u32)| match (task, points) {
            (Task::Bulk(bulk), points) => Some(bulk.body(points)),
            (Task::KeepLocals(count), Some(points)) => Some(points.keep_locals(*count)),
            // Locals are kept at points only.
            (Task::KeepLocals(_), None) => None,
        };
        let bodies = self.tasks.iter().filter_map(body);
        bodies.map(|body| encoded(&body)).collect()
    }

    /// The names of the functions that are appended.
    pub(super) fn names(&self) -> Vec<(u32, &'static str)> {
        let name = |(task, _): &(Task, u32)| match task {
            Task::Bulk(bulk) => bulk.name(),
            Task::KeepLocals(_) => REFILL.1,
        };
        let names = self.tasks.iter().map(name);
        (self.first_function..).zip(names).collect()
    }
}

// The parameters of an appended function.
const TO: u32 = 0;
/// The address to read from; the value of a fill.
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
                // The bytes to read must not have been written before.
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
        // Only the operator knows its length: zero bytes at the end of the range are out of bounds
        // if the range is.
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

fn function_type(params: &[ValType], results: &[ValType]) -> Vec<u8> {
    /// Marks the type of a function.
    const FUNCTION: u8 = 0x60;
    let mut bytes = vec![FUNCTION];
    params.encode(&mut bytes);
    results.encode(&mut bytes);
    bytes
}

fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}
