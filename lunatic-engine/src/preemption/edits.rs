//! The changes in the body of a function.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{BlockType, Encode, InstructionSink, ValType};
use wasmparser::{BinaryReaderError, FunctionBody};

use crate::preemption::appended_functions::{AppendedFunctions, Bulk, PIECE_BYTES};
use crate::preemption::imports_and_globals::Appended;
use crate::preemption::kept_locals::{Keeping, Kept};
use crate::preemption::locals::Locals;
use crate::preemption::points::Points;

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
        /// Locals that it names.
        kept: Vec<Kept>,
    },
    /// The beginning of a loop that is cut into strips, with points of preemption between
    /// them. What is left of the budget is in a local while it runs.
    Strips(Strips),
    /// After the end of such a loop.
    EndStrips,
    /// A branch that leaves such a loop.
    LeaveStrip(Branch),
    /// An operator that names a function, by its index.
    Function(u32),
}

impl Edit {
    fn ends_strips(&self) -> bool {
        matches!(self, Edit::EndStrips)
    }
}

/// A loop that is cut into strips.
#[derive(Debug)]
pub(super) struct Strips {
    /// The weight of what is run before the first round.
    pub(super) before: u32,
    /// The weight of a round.
    pub(super) round: u32,
    /// Locals that it names.
    pub(super) kept: Vec<Kept>,
    /// Whether it takes values from the stack in each round.
    pub(super) has_params: bool,
    /// The type of its results, if it takes no parameters.
    pub(super) results: Option<BlockType>,
}

impl Strips {
    /// Returns how many rounds are written one after the other, so that a short loop checks the
    /// budget less often.
    ///
    /// - `throws`: whether the body has a `throw`: each is compiled to an edge for each handler
    ///   around it, and the number of edges is limited.
    fn copies(&self, body_bytes: usize, throws: bool, pieces: &mut AppendedFunctions) -> u32 {
        /// The size of the largest body that is repeated, in bytes.
        const MAX_REPEATED_BYTES: usize = 96;
        const COPIES: u32 = 4;
        let more = body_bytes * (COPIES as usize - 1);
        let is_short = self.results.is_some() && body_bytes <= MAX_REPEATED_BYTES && !throws;
        match is_short && pieces.takes_room(more) {
            true => COPIES,
            false => 1,
        }
    }
}

/// The `end` of a loop.
const END_BYTES: usize = 1;

/// The place of a loop that is cut into strips, in the module.
struct Place<'e> {
    /// The operator that begins it.
    begins: Range<usize>,
    /// The changes inside of it.
    inside: &'e [(Range<usize>, Edit)],
    /// The end of the loop.
    end: usize,
}

impl Place<'_> {
    fn body_bytes(&self) -> usize {
        self.end - END_BYTES - self.begins.end
    }
}

/// A branch that leaves a loop which is cut into strips. Depths are those of the original.
#[derive(Debug)]
pub(super) enum Branch {
    /// The code after it leaves the loop without naming a depth.
    None,
    /// `throw` or `throw_ref` follows.
    Throw,
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

/// The body of a function.
pub(super) struct Body<'a> {
    /// Without its length.
    pub(super) bytes: Cow<'a, [u8]>,
    /// The positions of the `if`s that are rarely taken.
    pub(super) unlikely: Vec<u32>,
}

/// The changes in the body of a function.
pub(super) struct Edits<'a> {
    body: &'a [u8],
    /// The position of the body in the module.
    start: usize,
    /// The position of its operators.
    operators: usize,
    locals: Locals<'a>,
    /// In the order of what they change; ranges are offsets in the module.
    edits: Vec<(Range<usize>, Edit)>,
    /// The weight that the point at the beginning takes off, if there is one.
    at_start: Option<u32>,
}

impl<'a> Edits<'a> {
    /// None so far.
    ///
    /// - `params`: the parameters of the function.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn new(
        body: &FunctionBody<'a>,
        params: &[wasmparser::ValType],
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
        self.locals.count()
    }

    /// The types of the locals that the body declares, each at least once.
    pub(super) fn declared_types(&self) -> impl Iterator<Item = wasmparser::ValType> {
        self.locals.declared()
    }

    /// Returns the locals that can be kept.
    pub(super) fn keep(&self, locals: &[u32]) -> Vec<Kept> {
        let kept = |local: &u32| Kept::of(*local, self.locals.ty(*local)?);
        locals.iter().filter_map(kept).collect()
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
        let edit = self.edits.get_mut(edit).map(|(_, edit)| edit);
        if let Some(Edit::Loop { round, .. } | Edit::Strips(Strips { round, .. })) = edit {
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

    /// Returns the body with the changes; the same bytes if there are none.
    pub(super) fn apply(&self, pieces: &mut AppendedFunctions, appended: &Appended) -> Body<'a> {
        let is_changed = |edit: &Edit| match edit {
            Edit::Function(index) => appended.function(*index) != *index,
            _ => true,
        };
        let is_same = !self.edits.iter().any(|(_, edit)| is_changed(edit));
        if is_same && self.at_start.is_none() {
            return Body {
                bytes: Cow::Borrowed(self.body),
                unlikely: Vec::new(),
            };
        }
        let keeps_lengths = self.has(|edit| matches!(edit, Edit::Bulk(_)));
        let keeps_budget = self.has(|edit| matches!(edit, Edit::Strips(_)));
        let more_locals = u32::from(keeps_lengths) + u32::from(keeps_budget);
        let mut body = Vec::with_capacity(self.body.len() + 32 * self.edits.len() + 32);
        (self.locals.groups() + u32::from(more_locals > 0)).encode(&mut body);
        body.extend_from_slice(self.locals.bytes());
        if more_locals > 0 {
            more_locals.encode(&mut body);
            ValType::I32.encode(&mut body);
        }
        let mut writer = Writer {
            edits: self,
            body,
            copied: self.operators,
            length: self.locals.count(),
            budget: self.locals.count() + u32::from(keeps_lengths),
            unlikely: Vec::new(),
            around: 1,
        };
        writer.write(pieces, appended);
        Body {
            bytes: Cow::Owned(writer.body),
            unlikely: writer.unlikely,
        }
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
    /// The positions of the `if`s that are rarely taken.
    unlikely: Vec<u32>,
    /// How many blocks there are more around what leaves a loop that is cut into strips.
    around: u32,
}

impl Writer<'_, '_> {
    fn write(&mut self, pieces: &mut AppendedFunctions, appended: &Appended) {
        if let (Some(weight), Some(points)) = (self.edits.at_start, appended.points()) {
            self.point(points, weight, &Keeping::NOTHING);
        }
        let edits = self.edits;
        let mut rest = edits.edits.iter();
        while let Some((range, edit)) = rest.next() {
            self.copy_until(range.start);
            match (edit, appended.points()) {
                (Edit::Strips(strips), Some(points)) => {
                    let keeping = pieces.keeping(&strips.kept);
                    let inside = rest.as_slice();
                    let count = inside.iter().take_while(|(_, edit)| !edit.ends_strips());
                    let (inside, behind) = inside.split_at(count.count());
                    let end = behind.first().map_or(range.end, |(range, _)| range.end);
                    let place = Place {
                        begins: range.clone(),
                        inside,
                        end,
                    };
                    let throws = |edit: &Edit| matches!(edit, Edit::LeaveStrip(Branch::Throw));
                    let throws = place.inside.iter().any(|(_, edit)| throws(edit));
                    let copies = strips.copies(place.body_bytes(), throws, pieces);
                    self.begin_strips(strips, &place, points, &keeping, copies);
                    self.rounds(&place, copies, pieces, appended, points);
                    let budget = self.budget;
                    points.put_back(&mut self.code(), budget);
                    self.copied = place.end;
                    rest = behind.iter();
                    rest.next();
                }
                (edit, Some(points)) => {
                    self.edit_with_points(range, edit, pieces, appended, points);
                    self.copied = range.end;
                }
                (edit, None) => {
                    self.edit_for_engine(range, edit, pieces);
                    self.copied = range.end;
                }
            }
        }
        self.copy_until(edits.start + edits.body.len());
    }

    /// Begins a loop that is cut into strips, with the point of preemption between them and
    /// what begins a round.
    fn begin_strips(
        &mut self,
        strips: &Strips,
        place: &Place<'_>,
        points: &Points,
        keeping: &Keeping<'_>,
        copies: u32,
    ) {
        let budget = self.budget;
        points.begin_strips(&mut self.code(), budget, strips.before);
        if copies > 1 {
            let results = strips.results.unwrap_or(BlockType::Empty);
            self.code().block(results);
        }
        self.copy(&place.begins);
        self.unlikely_if(|code| points.strip_is_over(code, budget));
        points.refill_strip(&mut self.code(), budget, keeping);
        self.copy(&place.begins);
        let weight = strips.round.saturating_mul(copies);
        points.take_round(&mut self.code(), budget, weight);
        // To the beginning of the outer one of the two loops.
        match strips.has_params {
            true => {
                self.code().br_if(1);
            }
            false => {
                self.unlikely_if(|_| {});
                self.code().br(2).end();
            }
        }
    }

    /// Writes the rounds of a loop that is cut into strips, and its end.
    fn rounds(
        &mut self,
        place: &Place<'_>,
        copies: u32,
        pieces: &mut AppendedFunctions,
        appended: &Appended,
        points: &Points,
    ) {
        for left in (0..copies).rev() {
            let is_last = left == 0;
            if !is_last {
                // A branch to the next round leads to its end.
                self.code().block(BlockType::Empty);
            }
            self.around = match (copies, is_last) {
                (1, _) => 1,
                (_, true) => 2,
                (_, false) => 3,
            };
            self.copied = place.begins.end;
            for (range, edit) in place.inside {
                self.copy_until(range.start);
                self.edit_with_points(range, edit, pieces, appended, points);
                self.copied = range.end;
            }
            self.copy_until(place.end - END_BYTES);
            if !is_last {
                // Out of the block, the two loops and the block around them.
                self.code().br(3).end();
            }
        }
        self.code().end().end();
        if copies > 1 {
            self.code().end();
        }
    }

    fn edit_for_engine(
        &mut self,
        range: &Range<usize>,
        edit: &Edit,
        pieces: &mut AppendedFunctions,
    ) {
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
        pieces: &mut AppendedFunctions,
        appended: &Appended,
        points: &Points,
    ) {
        match edit {
            Edit::Bulk(bulk) => self.bulk(range, *bulk, pieces, Some(points)),
            Edit::Point(weight) => self.point(points, *weight, &Keeping::NOTHING),
            Edit::Loop {
                before,
                round,
                kept,
            } => {
                let weight = match *before > round.saturating_mul(2) {
                    true => {
                        points.take(&mut self.code(), *before);
                        *round
                    }
                    false => *before.max(round),
                };
                self.copy_until(range.end);
                self.point(points, weight, &pieces.keeping(kept));
            }
            // Both are written together, and what leaves the loop with them.
            Edit::Strips(_) | Edit::EndStrips => {}
            Edit::LeaveStrip(branch) => self.leave_strip(branch, points),
            Edit::Function(index) => {
                let opcode = self.edits.byte(range.start);
                self.body.push(opcode);
                appended.function(*index).encode(&mut self.body);
            }
        }
    }

    fn point(&mut self, points: &Points, weight: u32, keeping: &Keeping<'_>) {
        points.take(&mut self.code(), weight);
        self.unlikely_if(|code| points.budget_is_over(code));
        points.refill(&mut self.code(), keeping);
    }

    /// Begins an `if` that is rarely taken.
    fn unlikely_if(&mut self, condition: impl FnOnce(&mut InstructionSink<'_>)) {
        condition(&mut self.code());
        // A body is shorter than what 32 bits can count.
        self.unlikely.push(self.body.len() as u32);
        self.code().if_(BlockType::Empty);
    }

    fn leave_strip(&mut self, branch: &Branch, points: &Points) {
        let (budget, around) = (self.budget, self.around);
        let mut code = self.code();
        match branch {
            Branch::None | Branch::Throw => points.put_back(&mut code, budget),
            Branch::Always(depth) => {
                points.put_back(&mut code, budget);
                code.br(depth + around);
            }
            Branch::If(depth) => {
                points.put_back(&mut code, budget);
                code.br_if(depth + around);
            }
            Branch::IfWithoutValues(depth) => {
                code.if_(BlockType::Empty);
                points.put_back(&mut code, budget);
                code.br(depth + around + 1).end();
            }
            Branch::Table { targets, within } => {
                points.put_back(&mut code, budget);
                let outside = |depth: &u32| match depth >= within {
                    true => depth + around,
                    false => *depth,
                };
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
        pieces: &mut AppendedFunctions,
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

    /// Copies an operator as it is.
    fn copy(&mut self, operator: &Range<usize>) {
        self.copied = operator.start;
        self.copy_until(operator.end);
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
