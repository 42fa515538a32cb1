//! The shape of one function: its blocks, branches, and ways to handlers of exceptions.

use wasmparser::{Catch, Operator};

use crate::catch_label::catch_label;
use crate::module_limits::weight;

/// The properties of a function that decide how long the compiler takes for it.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The highest number of locals that can have been written to: one more than the highest
    /// index.
    locals: u64,
    /// How often a local was written to.
    writes: u64,
    /// The blocks that are open, without the function itself.
    pub(super) blocks: Vec<Block>,
    /// How many of the open blocks are loops.
    loops: u64,
    pub(super) block_merges: u64,
    pub(super) loop_merges: u64,
    pub(super) targets: u64,
    pub(super) passed_values: u64,
    pub(super) bulk_operations: u64,
    /// Operators that are no calls.
    plain: u64,
    /// How many calls there were.
    calls: u64,
    /// The handlers of exceptions of all blocks that are open.
    handlers: u64,
    /// The handlers among these that an exception is compared with.
    pub(super) compared: u64,
    pub(super) exception_edges: u64,
    /// The weights of all operators.
    pub(super) weight: u64,
}

/// A block that is open.
#[derive(Debug)]
pub(super) struct Block {
    is_loop: bool,
    /// How often a local had been written to before.
    writes_before: u64,
    /// How many branches lead to it.
    branches: u64,
    /// How many handlers of exceptions it has.
    handlers: u64,
    /// The number of handlers outside of it that an exception is compared with.
    compared_outside: u64,
    /// How many calls there had been before.
    calls_before: u64,
}

impl Shape {
    /// - `values`: how many values the operator takes and returns because of a signature.
    pub(super) fn add(&mut self, operator: &Operator<'_>, values: u64) {
        self.passed_values += values;
        self.weight += weight::of_operator(operator, values);
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.begin(false),
            Operator::Loop { .. } => self.begin(true),
            Operator::TryTable { try_table } => {
                for catch in &try_table.catches {
                    self.branch(catch_label(catch));
                }
                self.begin(false);
                self.handle(&try_table.catches);
            }
            Operator::Else => self.branch(0),
            Operator::End => self.end(),
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.branch(*relative_depth),
            Operator::BrTable { targets } => {
                self.targets += u64::from(targets.len());
                // Broken targets are found when the module is validated.
                targets
                    .targets()
                    .flatten()
                    .for_each(|depth| self.branch(depth));
                self.branch(targets.default());
            }
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => self.bulk_operations += 1,
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                self.writes += 1;
                self.locals = self.locals.max(u64::from(*local_index) + 1);
            }
            _ => {}
        }
        self.count_calls(operator);
    }

    /// Counts an operator that is compiled to a call, or that may be together with others.
    fn count_calls(&mut self, operator: &Operator<'_>) {
        /// The number of plain operators that have at most one point of preemption.
        const PLAIN: u64 = 32;
        let calls = match operator {
            // Two ways to do it, and a point of preemption.
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => 2,
            // With a point of preemption, as with what takes long.
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::Throw { .. }
            | Operator::ThrowRef => 2,
            Operator::Loop { .. }
            | Operator::MemoryGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. }
            | Operator::ElemDrop { .. } => 1,
            _ => {
                self.plain += 1;
                u64::from(self.plain.is_multiple_of(PLAIN))
            }
        };
        self.calls += calls;
        self.exception_edges += calls.saturating_mul(self.handlers);
    }

    fn begin(&mut self, is_loop: bool) {
        self.loops += u64::from(is_loop);
        self.blocks.push(Block {
            is_loop,
            writes_before: self.writes,
            branches: 0,
            handlers: 0,
            compared_outside: self.compared,
            calls_before: self.calls,
        });
    }

    /// Adds handlers of exceptions to the block that has just begun.
    fn handle(&mut self, catches: &[Catch]) {
        let handlers = catches.len() as u64;
        let catches_all = |catch: &Catch| matches!(catch, Catch::All { .. } | Catch::AllRef { .. });
        self.handlers += handlers;
        self.compared = match catches.iter().position(catches_all) {
            Some(position) => position as u64 + 1,
            None => self.compared + handlers,
        };
        if let Some(block) = self.blocks.last_mut() {
            block.handlers = handlers;
        }
    }

    fn end(&mut self) {
        // The last `end` is that of the function.
        let Some(block) = self.blocks.pop() else {
            return;
        };
        let written = (self.writes - block.writes_before).min(self.locals);
        self.handlers -= block.handlers;
        self.compared = block.compared_outside;
        let calls = self.calls - block.calls_before;
        let ways = block.branches + block.handlers.saturating_mul(calls);
        let merges = ways.saturating_mul(written);
        self.block_merges = self.block_merges.saturating_add(merges);
        if block.is_loop {
            let merges = self.loops.saturating_mul(written + 1);
            self.loop_merges = self.loop_merges.saturating_add(merges);
            self.loops -= 1;
        }
    }

    fn branch(&mut self, depth: u32) {
        let index = self.blocks.len().checked_sub(depth as usize + 1);
        if let Some(block) = index.and_then(|index| self.blocks.get_mut(index)) {
            block.branches += 1;
        }
    }
}
