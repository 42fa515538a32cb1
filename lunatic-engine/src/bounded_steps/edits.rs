//! What is changed in the body of a function.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{BlockType, Encode, InstructionSink, ValType};
use wasmparser::{BinaryReaderError, FunctionBody};

use crate::bounded_steps::appended::Appended;
use crate::bounded_steps::pieces::{Bulk, PIECE_BYTES, Pieces};
use crate::bounded_steps::points::Points;

/// An empty loop: a point of preemption of the engine.
const EMPTY_LOOP: [u8; 3] = [0x03, 0x40, 0x0b];

/// A change of an operator, or of nothing between two.
#[derive(Debug)]
pub(super) enum Edit {
    /// A point of preemption after what has this weight.
    Point(u32),
    /// A bulk operation that works in pieces if it is long.
    Bulk(Bulk),
    /// The beginning of a loop that has a point of preemption in each round.
    Loop {
        /// The weight of what is run before the first round.
        before: u32,
        /// The weight of a round.
        round: u32,
    },
    /// The beginning of a loop that is cut into strips, with points of preemption between
    /// them. What is left of the budget is in a local while it runs.
    Strips {
        /// The weight of what is run before the first round.
        before: u32,
        /// The weight of a round.
        round: u32,
    },
    /// After the end of such a loop.
    EndStrips,
    /// A branch that leaves such a loop.
    LeaveStrip(Branch),
    /// An operator that names a function, by its index.
    Function(u32),
}

/// A branch that leaves a loop that is cut into strips. Depths are those of the original.
#[derive(Debug)]
pub(super) enum Branch {
    /// What follows leaves it without naming a depth.
    None,
    /// `br`.
    Always(u32),
    /// `br_if`.
    If(u32),
    /// `br_if` that takes no values along.
    IfWithoutValues(u32),
    /// `br_table`.
    Table {
        /// The last of these is the default.
        targets: Vec<u32>,
        /// Branches of less depth than this one do not leave the loop.
        within: u32,
    },
}

/// What is changed in the body of a function.
pub(super) struct Edits<'a> {
    body: &'a [u8],
    /// Where the body begins in the module.
    start: usize,
    /// Where its operators begin.
    operators: usize,
    locals: Locals<'a>,
    /// In the order of what they change; ranges are offsets in the module.
    edits: Vec<(Range<usize>, Edit)>,
    /// The weight that the point at the beginning takes off, if there is one.
    at_start: Option<u32>,
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

impl<'a> Edits<'a> {
    /// None so far.
    ///
    /// - `params`: how many parameters the function has.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn new(
        body: &FunctionBody<'a>,
        params: u32,
    ) -> Result<Edits<'a>, BinaryReaderError> {
        Ok(Edits {
            locals: Locals::of(body, params)?,
            body: body.as_bytes(),
            start: body.range().start,
            operators: body.get_operators_reader()?.original_position(),
            edits: Vec::new(),
            at_start: None,
        })
    }

    /// How many locals there are, with the parameters, before any is appended.
    pub(super) fn locals(&self) -> u32 {
        self.locals.count
    }

    /// The byte at an offset in the module.
    pub(super) fn byte(&self, offset: usize) -> u8 {
        self.body[offset - self.start]
    }

    /// Adds one, and returns its place.
    pub(super) fn push(&mut self, range: Range<usize>, edit: Edit) -> usize {
        self.edits.push((range, edit));
        self.edits.len() - 1
    }

    /// Sets the weight of a round of a loop.
    ///
    /// - `edit`: the place of what begins it.
    pub(super) fn set_round(&mut self, edit: usize, weight: u32) {
        if let Some((_, Edit::Loop { round, .. } | Edit::Strips { round, .. })) =
            self.edits.get_mut(edit)
        {
            *round = weight;
        }
    }

    /// Puts a point of preemption at the beginning.
    pub(super) fn begin_with_point(&mut self, weight: u32) {
        self.at_start = Some(weight);
    }

    /// Whether there is anything that needs something to be appended to the module.
    pub(super) fn need_more(&self) -> bool {
        let mut edits = self.edits.iter();
        self.at_start.is_some() || edits.any(|(_, edit)| !matches!(edit, Edit::Function(_)))
    }

    /// Returns the body with the changes, without its length; the same bytes if there are
    /// none.
    pub(super) fn apply(&self, pieces: &mut Pieces, appended: &Appended) -> Cow<'a, [u8]> {
        let is_changed = |edit: &Edit| match edit {
            Edit::Function(index) => appended.function(*index) != *index,
            _ => true,
        };
        let is_same = !self.edits.iter().any(|(_, edit)| is_changed(edit));
        if is_same && self.at_start.is_none() {
            return Cow::Borrowed(self.body);
        }
        let keeps_lengths = self.has(|edit| matches!(edit, Edit::Bulk(_)));
        let keeps_budget = self.has(|edit| matches!(edit, Edit::Strips { .. }));
        let more_locals = u32::from(keeps_lengths) + u32::from(keeps_budget);
        let mut body = Vec::with_capacity(self.body.len() + 32 * self.edits.len() + 32);
        (self.locals.groups + u32::from(more_locals > 0)).encode(&mut body);
        body.extend_from_slice(self.locals.bytes);
        if more_locals > 0 {
            more_locals.encode(&mut body);
            ValType::I32.encode(&mut body);
        }
        let mut writer = Writer {
            edits: self,
            body,
            copied: self.operators,
            length: self.locals.count,
            budget: self.locals.count + u32::from(keeps_lengths),
        };
        writer.write(pieces, appended);
        Cow::Owned(writer.body)
    }

    fn has(&self, is: impl Fn(&Edit) -> bool) -> bool {
        self.edits.iter().any(|(_, edit)| is(edit))
    }
}

/// Writes a body with changes.
struct Writer<'e, 'a> {
    edits: &'e Edits<'a>,
    body: Vec<u8>,
    /// How far the operators have been copied.
    copied: usize,
    /// The local that keeps a length.
    length: u32,
    /// The local that keeps what is left of the budget.
    budget: u32,
}

impl Writer<'_, '_> {
    fn write(&mut self, pieces: &mut Pieces, appended: &Appended) {
        if let (Some(weight), Some(points)) = (self.edits.at_start, appended.points()) {
            points.point(&mut self.code(), weight);
        }
        let edits = self.edits;
        for (range, edit) in &edits.edits {
            self.copy_until(range.start);
            match appended.points() {
                Some(points) => self.edit_with_points(range, edit, pieces, appended, points),
                None => self.edit_for_engine(range, edit, pieces),
            }
            self.copied = range.end;
        }
        self.copy_until(edits.start + edits.body.len());
    }

    fn edit_for_engine(&mut self, range: &Range<usize>, edit: &Edit, pieces: &mut Pieces) {
        match edit {
            Edit::Bulk(bulk) => self.bulk(range, *bulk, pieces, None),
            Edit::Point(_) => self.body.extend_from_slice(&EMPTY_LOOP),
            _ => self.copy_until(range.end),
        }
    }

    fn edit_with_points(
        &mut self,
        range: &Range<usize>,
        edit: &Edit,
        pieces: &mut Pieces,
        appended: &Appended,
        points: &Points,
    ) {
        let budget = self.budget;
        match edit {
            Edit::Bulk(bulk) => self.bulk(range, *bulk, pieces, Some(points)),
            Edit::Point(weight) => points.point(&mut self.code(), *weight),
            Edit::Loop { before, round } => {
                let weight = match *before > round.saturating_mul(2) {
                    true => {
                        points.take(&mut self.code(), *before);
                        *round
                    }
                    false => *before.max(round),
                };
                self.copy_until(range.end);
                points.point(&mut self.code(), weight);
            }
            Edit::Strips { before, round } => {
                points.begin_strips(&mut self.code(), budget, *before);
                self.copy_until(range.end);
                points.refill_strips(&mut self.code(), budget);
                // The same once more.
                self.copied = range.start;
                self.copy_until(range.end);
                points.begin_round(&mut self.code(), budget, *round);
            }
            Edit::EndStrips => {
                self.code().end();
                points.keep(&mut self.code(), budget);
            }
            Edit::LeaveStrip(branch) => self.leave_strip(branch, points),
            Edit::Function(index) => {
                let opcode = self.edits.byte(range.start);
                self.body.push(opcode);
                appended.function(*index).encode(&mut self.body);
            }
        }
    }

    fn leave_strip(&mut self, branch: &Branch, points: &Points) {
        let budget = self.budget;
        let mut code = self.code();
        match branch {
            Branch::None => points.keep(&mut code, budget),
            Branch::Always(depth) => {
                points.keep(&mut code, budget);
                code.br(depth + 1);
            }
            Branch::If(depth) => {
                points.keep(&mut code, budget);
                code.br_if(depth + 1);
            }
            Branch::IfWithoutValues(depth) => {
                code.if_(BlockType::Empty);
                points.keep(&mut code, budget);
                code.br(depth + 2).end();
            }
            Branch::Table { targets, within } => {
                points.keep(&mut code, budget);
                let outside = |depth: &u32| depth + u32::from(depth >= within);
                let mut targets: Vec<u32> = targets.iter().map(outside).collect();
                let default = targets.pop().unwrap_or_default();
                code.br_table(targets, default);
            }
        }
    }

    /// Replaces an operator by a choice: if the length is that of a piece, the same
    /// operator, and else the function that works in pieces.
    fn bulk(
        &mut self,
        operator: &Range<usize>,
        bulk: Bulk,
        pieces: &mut Pieces,
        points: Option<&Points>,
    ) {
        let length = self.length;
        let function = pieces.function(bulk);
        let mut code = self.code();
        code.local_tee(length)
            .i32_const(PIECE_BYTES.cast_signed())
            .i32_gt_u()
            .if_(pieces.block_type())
            .local_get(length)
            .call(function)
            .else_();
        if let Some(points) = points {
            points.take_bytes(&mut code, length);
        }
        code.local_get(length);
        self.copy_until(operator.end);
        self.code().end();
    }

    fn code(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.body)
    }

    /// Copies operators as they are, if they are not copied yet.
    fn copy_until(&mut self, offset: usize) {
        if let Some(bytes) = self
            .edits
            .body
            .get(self.copied - self.edits.start..offset - self.edits.start)
        {
            self.body.extend_from_slice(bytes);
        }
        self.copied = offset;
    }
}
