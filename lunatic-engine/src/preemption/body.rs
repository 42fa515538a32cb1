//! Rewrites the body of one function.

use std::ops::Range;

use wasmparser::{BinaryReaderError, BlockType, FunctionBody, Operator, ValType};

use crate::invalid_module::InvalidModule;
use crate::preemption::appended_functions::{Bulk, PIECE_BYTES};
use crate::preemption::calls::CallOrder;
use crate::preemption::cost::Cost;
use crate::preemption::edits::{Branch, Edit, Edits, Strips};
use crate::preemption::function_summary::{FunctionSummary, Loop, LoopKind};
use crate::preemption::imports_and_globals::Appended;
use crate::preemption::index_spaces::IndexSpaces;
use crate::preemption::straight_line::{Begins, Callee, StraightLine};

/// The properties of a function that was processed before its callers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Whether it begins with a point of preemption.
    pub(super) begins_with_point: bool,
    /// The highest cost between two points.
    pub(super) longest: Cost,
}

/// The context of the functions of a module.
pub(super) struct Context<'a> {
    pub(super) spaces: &'a IndexSpaces,
    /// The properties of each function that was processed, by number.
    pub(super) known: &'a [Option<Known>],
}

/// Finds the changes in the body of a function for which the engine checks the clock at its
/// beginning, and in each loop.
///
/// - `number`: the index of the function among those that the module defines.
///
/// # Errors
///
/// Fails if the body is found to be invalid.
pub(super) fn for_engine<'a>(
    body: &FunctionBody<'a>,
    number: usize,
    spaces: &IndexSpaces,
) -> Result<Edits<'a>, InvalidModule> {
    let context = Context { spaces, known: &[] };
    let mut pass = Pass::new(body, number, &context, None)?;
    pass.run(body)?;
    Ok(pass.edits)
}

/// Finds the changes in the body of a function that gets its points of preemption here.
///
/// - `number`: the index of the function among those that the module defines.
/// - `calls`: the order of calls of the module.
///
/// # Errors
///
/// Fails if the body is found to be invalid.
pub(super) fn with_points<'a>(
    body: &FunctionBody<'a>,
    number: usize,
    context: &Context<'_>,
    survey: &FunctionSummary,
    calls: &CallOrder,
) -> Result<(Edits<'a>, Known), InvalidModule> {
    let mut pass = Pass::new(body, number, context, Some(survey))?;
    pass.run(body)?;
    let longest = pass.straight_line.longest();
    let limit = match calls.is_referenced[number] {
        true => Cost::REFERENCED_FUNCTION,
        false => Cost::PLAIN_FUNCTION,
    };
    let begins_with_point = calls.recurs[number] || !longest.is_within(limit);
    if begins_with_point {
        // Code after the last point is subtracted at the first.
        pass.edits.begin_with_point(longest.weight);
    }
    let known = Known {
        begins_with_point,
        longest,
    };
    Ok((pass.edits, known))
}

/// Goes through the operators of a body.
struct Pass<'a, 's> {
    context: &'s Context<'s>,
    /// The kinds of its loops; `None` if each is a point of preemption by itself.
    survey: Option<&'s FunctionSummary>,
    edits: Edits<'a>,
    straight_line: StraightLine,
    /// The blocks that are open; the outermost is the function.
    blocks: Vec<Block>,
    /// The place in `blocks` of the loop that is cut into strips, while in one.
    strip: Option<usize>,
    /// How many loops have begun.
    loops: usize,
    /// The constant that the previous operator has put on the stack, if it was one.
    constant: Option<u32>,
}

struct Block {
    /// How many values a branch to it takes along.
    branch_values: u32,
    /// The edit at the beginning of the loop that it is.
    loop_edit: Option<usize>,
}

impl<'a, 's> Pass<'a, 's> {
    fn new(
        body: &FunctionBody<'a>,
        number: usize,
        context: &'s Context<'s>,
        survey: Option<&'s FunctionSummary>,
    ) -> Result<Pass<'a, 's>, InvalidModule> {
        let spaces = context.spaces;
        let edits = Edits::new(body, spaces.params(number));
        Ok(Pass {
            context,
            survey,
            edits: edits.map_err(|error| InvalidModule::new(&error))?,
            straight_line: StraightLine::new(),
            blocks: vec![Block {
                branch_values: spaces.results(number),
                loop_edit: None,
            }],
            strip: None,
            loops: 0,
            constant: None,
        })
    }

    fn run(&mut self, body: &FunctionBody<'a>) -> Result<(), InvalidModule> {
        let invalid = |error: BinaryReaderError| InvalidModule::new(&error);
        let spaces = self.context.spaces;
        let start = body.range().start;
        for ty in self.edits.declared_types() {
            spaces.check_type(ty, start)?;
        }
        let mut operators = body.get_operators_reader().map_err(invalid)?;
        while !operators.eof() {
            let (operator, start) = operators.read_with_offset().map_err(invalid)?;
            let end = operators.original_position();
            spaces.check(&operator, self.edits.locals(), start)?;
            self.step(&operator, start..end);
        }
        operators.finish().map_err(invalid)
    }

    fn step(&mut self, operator: &Operator<'_>, range: Range<usize>) {
        let (cost, callee) = self.cost(operator, range.start);
        // A loop that is cut into strips has a point in each round.
        let throws = matches!(operator, Operator::Throw { .. } | Operator::ThrowRef);
        let needs_point = self.straight_line.needs_point(cost)
            || (throws && self.straight_line.needs_point_to_throw());
        if self.strip.is_none() && needs_point {
            let weight = self.straight_line.weight();
            self.edits
                .push(range.start..range.start, Edit::Point(weight));
            self.straight_line.pass_point();
        }
        let begins = match operator {
            Operator::Loop { .. } => Some(self.next_loop()),
            _ => None,
        };
        self.edit(operator, &range, begins.as_ref());
        let step = match begins {
            Some(Loop {
                kind: LoopKind::Tight | LoopKind::Other,
                ..
            }) => Begins::Loop,
            _ => Begins::Block,
        };
        self.straight_line.step(operator, cost, step, callee);
        self.constant = match operator {
            Operator::I32Const { value } => Some(value.cast_unsigned()),
            _ => None,
        };
    }

    /// Returns the cost of an operator, and the function that it calls.
    fn cost(&self, operator: &Operator<'_>, start: usize) -> (Cost, Callee) {
        let spaces = self.context.spaces;
        let cost = Cost::of(operator, self.edits.byte(start), spaces);
        let number = match operator {
            // Functions that call each other last do not make the stack grow, and come to a point
            // of preemption all the same: one of them begins with it, as with other calls.
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                spaces.number(*function_index)
            }
            Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => return (cost, Callee::Unknown),
            _ => return (cost, Callee::Host),
        };
        let Some(number) = number else {
            return (cost, Callee::Host);
        };
        // One that is not known yet calls this one too, so both begin with a point.
        match self.context.known.get(number).copied().flatten() {
            Some(known) if !known.begins_with_point => (cost.with(known.longest), Callee::Plain),
            _ => (cost, Callee::BeginsWithPoint),
        }
    }

    fn next_loop(&mut self) -> Loop {
        let number = self.loops;
        self.loops += 1;
        let known = self.survey.and_then(|survey| survey.loops.get(number));
        known.cloned().unwrap_or(Loop::OTHER)
    }

    /// - `begins`: the loop that it begins, if it does.
    fn edit(&mut self, operator: &Operator<'_>, range: &Range<usize>, begins: Option<&Loop>) {
        let is_short = self.constant.is_some_and(|length| length <= PIECE_BYTES);
        if let Some(bulk) = Bulk::of(operator).filter(|_| !is_short) {
            self.edits.push(range.clone(), Edit::Bulk(bulk));
        }
        match operator {
            Operator::Block { blockty } | Operator::If { blockty } => {
                self.begin(self.context.spaces.branch_values(*blockty, false), None);
            }
            Operator::TryTable { try_table } => {
                let values = self.context.spaces.branch_values(try_table.ty, false);
                self.begin(values, None);
            }
            Operator::Loop { blockty } => {
                let loop_edit = begins.and_then(|begins| self.begin_loop(range, begins, *blockty));
                let values = self.context.spaces.branch_values(*blockty, true);
                self.begin(values, loop_edit);
            }
            Operator::End => self.end(range),
            Operator::Call { function_index } => {
                self.leave_strip(range.start, Branch::None);
                self.name_function(range, *function_index);
            }
            Operator::ReturnCall { function_index } | Operator::RefFunc { function_index } => {
                self.name_function(range, *function_index);
            }
            Operator::CallIndirect { .. } | Operator::Return => {
                self.leave_strip(range.start, Branch::None)
            }
            Operator::Throw { .. } | Operator::ThrowRef => {
                self.leave_strip(range.start, Branch::Throw);
            }
            Operator::Br { relative_depth } if self.leaves_strip(*relative_depth) => {
                let branch = Branch::Always(*relative_depth);
                self.edits.push(range.clone(), Edit::LeaveStrip(branch));
            }
            Operator::BrIf { relative_depth } if self.leaves_strip(*relative_depth) => {
                let target = self.target(*relative_depth);
                let target = target.and_then(|target| self.blocks.get(target));
                let branch = match target {
                    Some(Block {
                        branch_values: 0, ..
                    }) => Branch::IfWithoutValues(*relative_depth),
                    _ => Branch::If(*relative_depth),
                };
                self.edits.push(range.clone(), Edit::LeaveStrip(branch));
            }
            Operator::BrTable { targets } => {
                let all = targets.targets().flatten().chain([targets.default()]);
                let all: Vec<u32> = all.collect();
                if all.iter().any(|depth| self.leaves_strip(*depth)) {
                    let within = self.strip.map_or(0, |strip| self.blocks.len() - strip);
                    let branch = Branch::Table {
                        targets: all,
                        within: within as u32,
                    };
                    self.edits.push(range.clone(), Edit::LeaveStrip(branch));
                }
            }
            _ => {}
        }
    }

    /// At an operator that names a function.
    fn name_function(&mut self, range: &Range<usize>, function: u32) {
        if Appended::may_move(function, self.context.spaces) {
            self.edits.push(range.clone(), Edit::Function(function));
        }
    }

    fn begin(&mut self, branch_values: u32, loop_edit: Option<usize>) {
        self.blocks.push(Block {
            branch_values,
            loop_edit,
        });
    }

    /// Returns the edit at the beginning of a loop that is one.
    fn begin_loop(&mut self, range: &Range<usize>, begins: &Loop, ty: BlockType) -> Option<usize> {
        self.survey?;
        let (before, round) = (self.straight_line.weight(), 0);
        let kept = self.edits.keep(&begins.locals);
        let edit = match begins.kind {
            LoopKind::NoLoop | LoopKind::WithPoint => return None,
            LoopKind::Tight => {
                self.strip = Some(self.blocks.len());
                Edit::Strips(Strips {
                    before,
                    round,
                    kept,
                    has_params: self.context.spaces.branch_values(ty, true) > 0,
                    results: results(ty),
                })
            }
            LoopKind::Other => Edit::Loop {
                before,
                round,
                kept,
            },
        };
        Some(self.edits.push(range.clone(), edit))
    }

    fn end(&mut self, range: &Range<usize>) {
        let Some(ended) = self.blocks.pop() else {
            return;
        };
        if let Some(edit) = ended.loop_edit {
            self.edits.set_round(edit, self.straight_line.round());
        }
        if self.strip == Some(self.blocks.len()) {
            self.strip = None;
            self.edits.push(range.end..range.end, Edit::EndStrips);
        }
    }

    /// The block that a branch leads to, by its place.
    fn target(&self, depth: u32) -> Option<usize> {
        // A branch that leads nowhere is not valid.
        self.blocks.len().checked_sub(depth as usize + 1)
    }

    fn leaves_strip(&self, depth: u32) -> bool {
        let target = self.target(depth);
        self.strip
            .is_some_and(|strip| target.is_none_or(|target| target < strip))
    }

    /// Before something that leaves the loop that is cut into strips, if it is in one.
    fn leave_strip(&mut self, at: usize, branch: Branch) {
        if self.strip.is_some() {
            self.edits.push(at..at, Edit::LeaveStrip(branch));
        }
    }
}

/// The type of a block that ends as a loop does; `None` if it is of a kind that is not repeated.
fn results(ty: BlockType) -> Option<wasm_encoder::BlockType> {
    use wasm_encoder::ValType as Encoded;
    let result = match ty {
        BlockType::Empty => return Some(wasm_encoder::BlockType::Empty),
        BlockType::Type(ValType::I32) => Encoded::I32,
        BlockType::Type(ValType::I64) => Encoded::I64,
        BlockType::Type(ValType::F32) => Encoded::F32,
        BlockType::Type(ValType::F64) => Encoded::F64,
        BlockType::Type(_) | BlockType::FuncType(_) => return None,
    };
    Some(wasm_encoder::BlockType::Result(result))
}
