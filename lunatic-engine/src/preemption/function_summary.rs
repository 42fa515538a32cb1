//! A summary of a function: the functions that it calls, and its loops.

use wasmparser::{BinaryReaderError, FunctionBody, Operator, OperatorsReader};

use crate::preemption::index_spaces::IndexSpaces;

/// The summary of a function before it is rewritten.
#[derive(Debug, Default)]
pub(super) struct FunctionSummary {
    /// The functions of the module that it calls by their index, by number.
    pub(super) callees: Vec<usize>,
    /// Whether it calls any function, also by a reference or of the host.
    pub(super) calls: bool,
    /// The functions of the module that it makes references to, by number.
    pub(super) references: Vec<usize>,
    /// The loops, in the order in which they begin.
    pub(super) loops: Vec<Loop>,
}

/// The summary of a loop.
#[derive(Debug, Clone)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    /// Locals that it names, if it calls nothing: the first of them.
    pub(super) locals: Vec<u32>,
}

impl Loop {
    /// A loop without known properties.
    pub(super) const OTHER: Loop = Loop {
        kind: LoopKind::Other,
        locals: Vec::new(),
    };
}

/// The kind of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopKind {
    /// No branch leads to its beginning.
    NoLoop,
    /// The loop contains no loop, and calls nothing that returns to it.
    Tight,
    /// Each round comes to the beginning of a loop inside of it, where there is a point of
    /// preemption.
    WithPoint,
    /// Any other.
    Other,
}

/// A loop that has not ended.
struct OpenLoop {
    /// Which of the loops of the function it is.
    number: usize,
    is_repeated: bool,
    is_tight: bool,
    /// Whether each round of the loop around it comes to it.
    is_in_each_round: bool,
    has_point: bool,
    calls: bool,
    /// The locals that it names so far, up to the number that can be kept.
    locals: Vec<u32>,
    /// How many operators of the function come before it.
    begins_at: usize,
}

impl OpenLoop {
    /// Notes a local.
    fn name(&mut self, local: u32) {
        if self.locals.len() < MAX_KEPT_LOCALS && !self.locals.contains(&local) {
            self.locals.push(local);
        }
    }
}

/// The highest number of locals that are kept while a point of preemption calls the host.
pub(super) const MAX_KEPT_LOCALS: usize = 16;

/// The highest number of operators of a loop that is cut into strips, in which there are no other
/// points of preemption.
const MAX_TIGHT_OPERATORS: usize = 256;

/// The highest number of loops of a function that are cut into strips, which makes them longer.
const MAX_TIGHT_LOOPS: usize = 20_000;

impl FunctionSummary {
    /// Looks at the body of a function.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn of(
        body: &FunctionBody<'_>,
        spaces: &IndexSpaces,
    ) -> Result<FunctionSummary, BinaryReaderError> {
        let mut survey = FunctionSummary::default();
        let mut operators = body.get_operators_reader()?;
        // For each block that is open, which of the open loops it is, if it is one.
        let mut blocks: Vec<Option<usize>> = vec![None];
        let mut loops: Vec<OpenLoop> = Vec::new();
        let mut count = 0;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset()?;
            let opcode = body.as_bytes()[offset - body.range().start];
            survey.note_calls(&operator, spaces);
            count += 1;
            match &operator {
                Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                    blocks.push(None);
                }
                Operator::Loop { .. } => {
                    // Directly inside of the other, with no way back to that before it.
                    let is_in_each_round = match (blocks.last(), loops.last()) {
                        (Some(Some(_)), Some(outer)) => !outer.is_repeated,
                        _ => false,
                    };
                    blocks.push(Some(loops.len()));
                    loops.push(OpenLoop {
                        number: survey.loops.len(),
                        is_in_each_round,
                        has_point: false,
                        is_repeated: false,
                        is_tight: survey.loops.len() < MAX_TIGHT_LOOPS,
                        calls: false,
                        locals: Vec::new(),
                        begins_at: count,
                    });
                    survey.loops.push(Loop::OTHER);
                }
                Operator::End => {
                    let ended = blocks.pop().flatten();
                    if ended.is_some() {
                        survey.end_loop(&mut loops, count);
                    }
                }
                Operator::LocalGet { local_index }
                | Operator::LocalSet { local_index }
                | Operator::LocalTee { local_index } => {
                    if let Some(innermost) = loops.last_mut() {
                        innermost.name(*local_index);
                    }
                }
                Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                    branch(&blocks, &mut loops, *relative_depth);
                }
                Operator::BrTable { targets } => {
                    for depth in targets.targets() {
                        branch(&blocks, &mut loops, depth?);
                    }
                    branch(&blocks, &mut loops, targets.default());
                }
                _ => {}
            }
            let stays = is_inline(&operator, opcode) || is_last_call(&operator, &operators);
            if let Some(innermost) = loops.last_mut().filter(|_| !stays) {
                innermost.is_tight = false;
                innermost.calls = true;
                if branches_otherwise(&operator) {
                    // Where to is not looked at.
                    loops.iter_mut().for_each(|open| {
                        open.is_repeated = true;
                        open.is_tight = false;
                    });
                }
            }
        }
        Ok(survey)
    }

    fn note_calls(&mut self, operator: &Operator<'_>, spaces: &IndexSpaces) {
        match *operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                self.calls = true;
                self.callees.extend(spaces.number(function_index));
            }
            Operator::RefFunc { function_index } => {
                self.references.extend(spaces.number(function_index));
            }
            Operator::CallIndirect { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCallRef { .. } => self.calls = true,
            _ => {}
        }
    }

    fn end_loop(&mut self, loops: &mut Vec<OpenLoop>, count: usize) {
        let Some(mut ended) = loops.pop() else { return };
        ended.is_tight &= count - ended.begins_at <= MAX_TIGHT_OPERATORS;
        let kind = match (ended.is_repeated, ended.is_tight) {
            (false, _) => LoopKind::NoLoop,
            (true, true) => LoopKind::Tight,
            (true, false) if ended.has_point => LoopKind::WithPoint,
            (true, false) => LoopKind::Other,
        };
        if let Some(outer) = loops.last_mut() {
            outer.is_tight &= ended.is_tight && !ended.is_repeated;
            outer.has_point |= ended.is_repeated && ended.is_in_each_round;
            outer.calls |= ended.calls;
            ended.locals.iter().for_each(|local| outer.name(*local));
        }
        if ended.calls {
            ended.locals.clear();
        }
        let locals = ended.locals;
        self.loops[ended.number] = Loop { kind, locals };
    }
}

/// Notes a branch.
fn branch(blocks: &[Option<usize>], loops: &mut [OpenLoop], depth: u32) {
    let block = blocks.len().checked_sub(depth as usize + 1);
    // A branch that leads nowhere is not valid.
    let target = block.and_then(|block| blocks.get(block).copied().flatten());
    if let Some(target) = target.and_then(|target| loops.get_mut(target)) {
        target.is_repeated = true;
    }
}

/// Returns whether code continues after an operator without having called anything, and its
/// branches are known.
///
/// - `opcode`: the first byte of the operator.
fn is_inline(operator: &Operator<'_>, opcode: u8) -> bool {
    match opcode {
        // Blocks and branches; `throw` and `throw_ref`, which leave the loop: one that has a
        // `try_table` inside is of another kind.
        0x00..=0x05 | 0x08 | 0x0a..=0x0f => true,
        // What becomes of operands; locals and globals.
        0x1a..=0x1c | 0x20..=0x24 => true,
        // Loads, stores, the size of a memory; constants and arithmetic.
        0x28..=0x3f | 0x41..=0xc4 => true,
        // Vectors.
        0xfd => true,
        _ => matches!(
            operator,
            Operator::I32TruncSatF32S
                | Operator::I32TruncSatF32U
                | Operator::I32TruncSatF64S
                | Operator::I32TruncSatF64U
                | Operator::I64TruncSatF32S
                | Operator::I64TruncSatF32U
                | Operator::I64TruncSatF64S
                | Operator::I64TruncSatF64U
        ),
    }
}

/// Whether an operator calls a function that is not expected to return.
fn is_last_call(operator: &Operator<'_>, following: &OperatorsReader<'_>) -> bool {
    let calls = matches!(
        operator,
        Operator::Call { .. } | Operator::CallIndirect { .. }
    );
    calls && matches!(following.clone().read(), Ok(Operator::Unreachable))
}

/// Whether an operator branches in a way that is not looked at.
fn branches_otherwise(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. }
            | Operator::TryTable { .. }
    )
}
