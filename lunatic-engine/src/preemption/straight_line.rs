//! The longest run of straight-line code.
//!
//! An exception continues at a handler, which is a path like any other: its length is that of the
//! code before the throw, or before the call that it comes out of, and of the throw itself. It may
//! come out of any call, and reach each handler of the blocks around that.

use wasmparser::Operator;

use crate::catch_label::catch_label;
use crate::preemption::cost::Cost;

/// The longest time between two points of preemption of one function; in nanoseconds,
/// roughly.
const MAX_TIME: u32 = 50_000;

/// The highest number of plain operators between a call and the next point of preemption.
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
    /// The longest run so far, in each respect.
    longest: Run,
}

/// The callee of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callee {
    /// A function of the host, which returns.
    Host,
    /// A function that begins with a point of preemption.
    BeginsWithPoint,
    /// A function that does not begin with one; its highest cost between two points is part of the
    /// cost of the call.
    Plain,
    /// A function that may be of either kind.
    Unknown,
}

/// The kind of a block that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// A block whose beginning is no point of preemption.
    Block,
    /// A loop, whose beginning is one.
    Loop,
}

/// The code since the last point of preemption, on the longest of all paths.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    time: u32,
    /// The number of plain operators, as they are counted after a call.
    operators: u32,
    /// The weight that is subtracted from a budget for it.
    weight: u32,
    /// The code since a function returned; `None` if none did.
    after_call: Option<u32>,
}

#[derive(Debug, Default)]
struct Block {
    /// The code before the `if` that has no `else` yet.
    condition: Option<Run>,
    /// The code on the paths that leave the block by a branch.
    branches: Run,
    /// Branches lead to the beginning, which is a point of preemption.
    is_loop: bool,
    /// The longest code until a branch leads there.
    round: u32,
    /// The handlers, for a `try_table`.
    handlers: Option<Handlers>,
}

/// The handlers of a `try_table`.
#[derive(Debug)]
struct Handlers {
    /// The blocks that they branch to, by their places in `blocks`.
    targets: Vec<usize>,
    /// The code on the paths that reach the handlers; `None` if none does.
    thrown: Option<Run>,
}

impl StraightLine {
    /// At the beginning of a function.
    pub(super) fn new() -> StraightLine {
        StraightLine {
            run: Run::default(),
            blocks: vec![Block::default()],
            longest: Run::default(),
        }
    }

    /// Returns the highest cost of the function between two points of preemption, or before the
    /// first, or after the last.
    pub(super) fn longest(&self) -> Cost {
        Cost {
            time: self.longest.time,
            after_call: self.longest.operators,
            weight: self.longest.weight,
        }
    }

    /// Returns the weight of the code since the last point of preemption.
    pub(super) fn weight(&self) -> u32 {
        self.run.weight
    }

    /// Returns the weight of a round of the innermost block, which is a loop.
    pub(super) fn round(&self) -> u32 {
        self.blocks.last().map_or(0, |block| block.round)
    }

    /// Returns whether there has to be a point of preemption before an operator, and the
    /// weight of what was run until there.
    pub(super) fn needs_point(&self, cost: Cost) -> bool {
        self.run.is_too_long_with(cost)
    }

    /// Returns whether there has to be a point of preemption before an exception is thrown.
    ///
    /// If it was called by a function that catches it and throws another one, and that by
    /// another, these exceptions would follow each other without a point.
    pub(super) fn needs_point_to_throw(&self) -> bool {
        self.run.after_call.is_some()
    }

    /// At a point of preemption.
    pub(super) fn pass_point(&mut self) {
        self.run = Run::default();
    }

    /// Goes on by one operator.
    ///
    /// - `begins`: what kind of block it begins, if it does.
    /// - `callee`: what it calls, if it does.
    pub(super) fn step(
        &mut self,
        operator: &Operator<'_>,
        cost: Cost,
        begins: Begins,
        callee: Callee,
    ) {
        self.run.add(cost);
        self.longest = self.longest.longest(self.run);
        self.follow(operator, begins, callee);
    }

    fn follow(&mut self, operator: &Operator<'_>, begins: Begins, callee: Callee) {
        match operator {
            Operator::Block { .. } => self.blocks.push(Block::default()),
            Operator::TryTable { try_table } => {
                let targets = try_table.catches.iter();
                let targets = targets.filter_map(|catch| self.target(catch_label(catch)));
                let handlers = Handlers {
                    targets: targets.collect(),
                    thrown: None,
                };
                self.blocks.push(Block {
                    handlers: Some(handlers),
                    ..Block::default()
                });
            }
            Operator::Loop { .. } => {
                let is_loop = begins == Begins::Loop;
                if is_loop {
                    self.run = Run::default();
                }
                self.blocks.push(Block {
                    is_loop,
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
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                // One that is broken is not valid.
                targets
                    .targets()
                    .flatten()
                    .for_each(|depth| self.branch(depth));
                self.branch(targets.default());
                self.run = Run::default();
            }
            // The following code is not reached.
            Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => self.run = Run::default(),
            Operator::Throw { .. } | Operator::ThrowRef => {
                self.throw();
                self.run = Run::default();
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => {
                self.call(callee);
                self.throw();
            }
            _ => {}
        }
    }

    /// An exception is thrown here, or comes out of what was called.
    fn throw(&mut self) {
        let thrown = self.run.and_thrown();
        let mut blocks = self.blocks.iter_mut().rev();
        // The outer handlers are updated when this block ends.
        if let Some(handlers) = blocks.find_map(|block| block.handlers.as_mut()) {
            handlers.add(thrown);
        }
    }

    fn call(&mut self, callee: Callee) {
        match callee {
            Callee::Host => {}
            Callee::BeginsWithPoint => self.run = Run::AFTER_CALL,
            // The callee may have called a function that begins with a point.
            Callee::Plain => {
                self.run.after_call = Some(self.run.after_call.unwrap_or(self.run.operators));
            }
            Callee::Unknown => self.run = self.run.longest(Run::AFTER_CALL),
        }
    }

    fn begin_else(&mut self) {
        if let Some(block) = self.blocks.last_mut() {
            block.branches = block.branches.longest(self.run);
            self.run = block.condition.take().unwrap_or_default();
        }
    }

    fn end_block(&mut self) {
        let Some(block) = self.blocks.pop() else {
            return;
        };
        let skipped = block.condition.unwrap_or_default();
        self.run = self.run.longest(block.branches).longest(skipped);
        if let Some(Handlers {
            targets,
            thrown: Some(thrown),
        }) = block.handlers
        {
            self.longest = self.longest.longest(thrown);
            for target in targets {
                self.come_to(target, thrown);
            }
            // The exception may be none of those that are handled here.
            let mut outside = self.blocks.iter_mut().rev();
            if let Some(handlers) = outside.find_map(|block| block.handlers.as_mut()) {
                handlers.add(thrown);
            }
        }
    }

    fn branch(&mut self, depth: u32) {
        if let Some(target) = self.target(depth) {
            self.come_to(target, self.run);
        }
    }

    /// The place of the block that a branch leads to; `None` if it leads nowhere, which is not
    /// valid.
    fn target(&self, depth: u32) -> Option<usize> {
        self.blocks.len().checked_sub(depth as usize + 1)
    }

    /// A branch leads to a block after this run.
    fn come_to(&mut self, target: usize, run: Run) {
        let Some(block) = self.blocks.get_mut(target) else {
            return;
        };
        match block.is_loop {
            true => block.round = block.round.max(run.weight),
            false => block.branches = block.branches.longest(run),
        }
    }
}

impl Handlers {
    fn add(&mut self, thrown: Run) {
        let before = self.thrown.unwrap_or_default();
        self.thrown = Some(before.longest(thrown));
    }
}

impl Run {
    const AFTER_CALL: Run = Run {
        time: 0,
        operators: 0,
        weight: 0,
        after_call: Some(0),
    };

    /// Returns the code before a handler of an exception that is thrown after this. The frames that
    /// it leaves count as if they had returned.
    fn and_thrown(self) -> Run {
        let mut run = self;
        run.add(Cost::TO_CATCH);
        run.after_call = run.after_call.max(Some(0));
        run
    }

    fn is_too_long_with(&self, cost: Cost) -> bool {
        let is_empty = self.time == 0 && self.after_call.is_none();
        let mut sum = *self;
        sum.add(cost);
        let after_call = sum.after_call.unwrap_or_default();
        !is_empty && cost.time > 0 && (sum.time > MAX_TIME || after_call > MAX_AFTER_CALL)
    }

    fn add(&mut self, cost: Cost) {
        self.time = self.time.saturating_add(cost.time);
        self.operators = self.operators.saturating_add(cost.after_call);
        self.weight = self.weight.saturating_add(cost.weight);
        self.after_call = self
            .after_call
            .map(|sum| sum.saturating_add(cost.after_call));
    }

    /// The longer one of two ways, in each respect.
    fn longest(self, other: Run) -> Run {
        Run {
            time: self.time.max(other.time),
            operators: self.operators.max(other.operators),
            weight: self.weight.max(other.weight),
            after_call: self.after_call.max(other.after_call),
        }
    }
}
