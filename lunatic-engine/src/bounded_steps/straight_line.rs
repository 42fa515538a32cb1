//! How long the longest run of straight-line code is.

use wasmparser::Operator;

use crate::bounded_steps::cost::Cost;
use crate::bounded_steps::index_spaces::IndexSpaces;

/// The longest time between two points of preemption of one function; in nanoseconds,
/// roughly.
const MAX_TIME: u32 = 50_000;

/// The most plain operators between a call and the next point of preemption.
///
/// A function that returns has the time since its last point of preemption behind it.
/// If it was called by a function that returns soon after, and that by another, these
/// times add up: a stack has room for some 16 000 such calls.
const MAX_AFTER_CALL: u32 = 256;

/// Follows the operators of a function, and keeps the longest way on which each can be
/// reached from the last point of preemption.
#[derive(Debug)]
pub(super) struct StraightLine {
    run: Run,
    /// The blocks that are open; the outermost is the function.
    blocks: Vec<Block>,
}

/// What was run since the last point of preemption, on the longest of all ways.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    time: u32,
    /// What was run since a function returned; `None` if none did.
    after_call: Option<u32>,
}

#[derive(Debug, Default)]
struct Block {
    /// What was run where the `if` began that has no `else` yet.
    condition: Option<Run>,
    /// What was run on the ways that leave the block by a branch.
    branches: Run,
    /// Branches lead to the beginning, which is a point of preemption.
    is_loop: bool,
}

impl StraightLine {
    /// At the beginning of a function, which is a point of preemption.
    pub(super) fn new() -> StraightLine {
        StraightLine {
            run: Run::default(),
            blocks: vec![Block::default()],
        }
    }

    /// Goes on by one operator. Returns whether there has to be a point of preemption
    /// before it.
    pub(super) fn step(
        &mut self,
        operator: &Operator<'_>,
        cost: Cost,
        spaces: &IndexSpaces,
    ) -> bool {
        let is_too_long = self.run.is_too_long_with(cost);
        if is_too_long {
            self.run = Run::default();
        }
        self.run.add(cost);
        self.follow(operator, spaces);
        is_too_long
    }

    fn follow(&mut self, operator: &Operator<'_>, spaces: &IndexSpaces) {
        match operator {
            Operator::Block { .. } => self.blocks.push(Block::default()),
            Operator::Loop { .. } => {
                self.run = Run::default();
                self.blocks.push(Block {
                    is_loop: true,
                    ..Block::default()
                });
            }
            Operator::If { .. } => self.blocks.push(Block {
                condition: Some(self.run),
                ..Block::default()
            }),
            Operator::Else => self.begin_else(),
            Operator::End => self.end_block(),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.run = Run::default();
            }
            Operator::BrIf { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                // One that is broken is not valid.
                targets
                    .targets()
                    .flatten()
                    .for_each(|depth| self.branch(depth));
                self.branch(targets.default());
                self.run = Run::default();
            }
            // What follows is not reached.
            Operator::Return | Operator::Unreachable => self.run = Run::default(),
            Operator::Call { function_index } if spaces.is_imported(*function_index) => {}
            Operator::Call { .. } => self.run = Run::AFTER_CALL,
            // It may have called a function of the module, or one of the host.
            Operator::CallIndirect { .. } => self.run = self.run.longest(Run::AFTER_CALL),
            _ => {}
        }
    }

    fn begin_else(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.branches = block.branches.longest(self.run);
            self.run = block.condition.take().unwrap_or_default();
        }
    }

    fn end_block(&mut self) {
        if let Some(block) = self.blocks.pop() {
            let skipped = block.condition.unwrap_or_default();
            self.run = self.run.longest(block.branches).longest(skipped);
        }
    }

    fn branch(&mut self, depth: u32) {
        let index = self.blocks.len().checked_sub(depth as usize + 1);
        // A branch that leads nowhere is not valid.
        let block = index.and_then(|index| self.blocks.get_mut(index));
        if let Some(block) = block.filter(|block| !block.is_loop) {
            block.branches = block.branches.longest(self.run);
        }
    }
}

impl Run {
    const AFTER_CALL: Run = Run {
        time: 0,
        after_call: Some(0),
    };

    fn is_too_long_with(&self, cost: Cost) -> bool {
        let is_empty = self.time == 0 && self.after_call.is_none();
        let mut sum = *self;
        sum.add(cost);
        let after_call = sum.after_call.unwrap_or_default();
        !is_empty && cost.time > 0 && (sum.time > MAX_TIME || after_call > MAX_AFTER_CALL)
    }

    fn add(&mut self, cost: Cost) {
        self.time = self.time.saturating_add(cost.time);
        self.after_call = self
            .after_call
            .map(|sum| sum.saturating_add(cost.after_call));
    }

    /// The longer one of two ways, in each respect.
    fn longest(self, other: Run) -> Run {
        Run {
            time: self.time.max(other.time),
            after_call: self.after_call.max(other.after_call),
        }
    }
}
