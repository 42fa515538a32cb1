//! Rewrites the body of one function.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{Encode, InstructionSink, ValType};
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

use crate::bounded_steps::cost::Cost;
use crate::bounded_steps::index_spaces::IndexSpaces;
use crate::bounded_steps::pieces::{Bulk, PIECE_BYTES, Pieces};
use crate::bounded_steps::straight_line::StraightLine;
use crate::invalid_module::InvalidModule;

/// An empty loop: a point of preemption.
const EMPTY_LOOP: [u8; 3] = [0x03, 0x40, 0x0b];

/// Returns the body of a function, with bulk operations in pieces and points of
/// preemption in straight-line code; the same bytes if it needs neither.
///
/// - `number`: which function it is among those that the module defines.
///
/// # Errors
///
/// Fails if the body is found not to be valid.
pub(super) fn rewrite<'a>(
    body: &FunctionBody<'a>,
    number: usize,
    spaces: &IndexSpaces,
    pieces: &mut Pieces,
) -> Result<Cow<'a, [u8]>, InvalidModule> {
    let invalid = |error: BinaryReaderError| InvalidModule::new(&error);
    let locals = Locals::of(body, spaces.params(number)).map_err(invalid)?;
    let mut operators = body.get_operators_reader().map_err(invalid)?;
    let mut code = Code::new(body, operators.original_position());
    let mut straight_line = StraightLine::new();
    // What the previous operator has put on the stack, if that is a constant.
    let mut constant = None;
    while !operators.eof() {
        let (operator, start) = operators.read_with_offset().map_err(invalid)?;
        let end = operators.original_position();
        spaces.check(&operator, locals.count, start)?;
        let cost = Cost::of(&operator, code.byte(start), spaces);
        if straight_line.step(&operator, cost, spaces) {
            code.insert(start, &EMPTY_LOOP);
        }
        let is_short = constant.is_some_and(|length| length <= PIECE_BYTES);
        if let Some(bulk) = Bulk::of(&operator).filter(|_| !is_short) {
            code.bulk(start..end, bulk, locals.count, pieces);
        }
        constant = match operator {
            Operator::I32Const { value } => Some(value.cast_unsigned()),
            _ => None,
        };
    }
    operators.finish().map_err(invalid)?;
    Ok(code.finish(&locals))
}

/// The locals that a body declares.
struct Locals<'a> {
    /// How many there are, with the parameters.
    count: u32,
    /// In how many groups they are declared.
    groups: u32,
    /// The groups, encoded.
    bytes: &'a [u8],
}

impl<'a> Locals<'a> {
    fn of(body: &FunctionBody<'a>, params: u32) -> Result<Locals<'a>, BinaryReaderError> {
        let mut reader = body.get_locals_reader()?;
        let groups = reader.get_count();
        let start = reader.original_position() - body.range().start;
        let mut count = params;
        for _ in 0..groups {
            let (more, _) = reader.read()?;
            count = count.saturating_add(more);
        }
        let end = reader.original_position() - body.range().start;
        Ok(Locals {
            count,
            groups,
            bytes: &body.as_bytes()[start..end],
        })
    }
}

/// The operators of a body, while they are rewritten. Places are offsets in the module.
struct Code<'a> {
    body: &'a [u8],
    /// Where the body begins.
    start: usize,
    /// How far the operators have been copied.
    copied: usize,
    rewritten: Vec<u8>,
    /// Whether a local is used for lengths.
    keeps_lengths: bool,
}

impl<'a> Code<'a> {
    fn new(body: &FunctionBody<'a>, operators: usize) -> Code<'a> {
        Code {
            body: body.as_bytes(),
            start: body.range().start,
            copied: operators,
            rewritten: Vec::new(),
            keeps_lengths: false,
        }
    }

    fn byte(&self, offset: usize) -> u8 {
        self.body[offset - self.start]
    }

    fn copy_until(&mut self, offset: usize) {
        let bytes = &self.body[self.copied - self.start..offset - self.start];
        self.rewritten.extend_from_slice(bytes);
        self.copied = offset;
    }

    fn insert(&mut self, offset: usize, bytes: &[u8]) {
        self.copy_until(offset);
        self.rewritten.extend_from_slice(bytes);
    }

    /// Replaces an operator by a choice: if the length is that of a piece, the same
    /// operator, and else the function that works in pieces.
    ///
    /// - `length`: the local to keep the length in.
    fn bulk(&mut self, operator: Range<usize>, bulk: Bulk, length: u32, pieces: &mut Pieces) {
        let function = pieces.function(bulk);
        self.keeps_lengths = true;
        self.copy_until(operator.start);
        InstructionSink::new(&mut self.rewritten)
            .local_tee(length)
            .i32_const(PIECE_BYTES.cast_signed())
            .i32_gt_u()
            .if_(pieces.block_type())
            .local_get(length)
            .call(function)
            .else_()
            .local_get(length);
        self.copy_until(operator.end);
        InstructionSink::new(&mut self.rewritten).end();
    }

    /// The body, without its length.
    fn finish(mut self, locals: &Locals<'_>) -> Cow<'a, [u8]> {
        if self.rewritten.is_empty() {
            return Cow::Borrowed(self.body);
        }
        self.copy_until(self.start + self.body.len());
        let mut body = Vec::with_capacity(self.rewritten.len() + locals.bytes.len() + 16);
        (locals.groups + u32::from(self.keeps_lengths)).encode(&mut body);
        body.extend_from_slice(locals.bytes);
        if self.keeps_lengths {
            1u32.encode(&mut body);
            ValType::I32.encode(&mut body);
        }
        body.append(&mut self.rewritten);
        Cow::Owned(body)
    }
}
