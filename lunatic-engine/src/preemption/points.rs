//! Points of preemption: they take what was run off a budget, and when it is used up, a
//! function of the host is called, which gives a new one.

use wasm_encoder::{BlockType, Function, InstructionSink};

use crate::preemption::kept_locals::Keeping;

/// The budget that an instance begins with, in plain operators, roughly.
pub(crate) const FIRST_BUDGET: u32 = 1 << 15;

/// The smallest budget that the host gives.
pub(crate) const MIN_BUDGET: u32 = 1 << 13;

/// The highest weight that is subtracted at once. The smallest budget is larger, so that code makes
/// progress.
const MAX_WEIGHT: u32 = MIN_BUDGET - 1;

/// How many bytes of memory weigh as much as one plain operator, as a power of two.
pub(super) const BYTES_PER_OPERATOR_LOG: u32 = 3;

/// Writes points of preemption.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points {
    /// The global with what is left of the budget.
    budget: u32,
    /// The function of the host that returns a new one.
    refill: u32,
}

impl Points {
    /// Points that use a global and a function, by their indices.
    pub(super) fn new(budget: u32, refill: u32) -> Points {
        Points { budget, refill }
    }

    /// The global with what is left of the budget.
    pub(super) fn budget(&self) -> u32 {
        self.budget
    }

    /// A point of preemption after what has this weight.
    pub(super) fn point(&self, code: &mut InstructionSink<'_>, weight: u32) {
        self.take(code, weight);
        self.budget_is_over(code);
        code.if_(BlockType::Empty);
        self.refill(code, &Keeping::NOTHING);
    }

    /// Whether a new budget is needed.
    pub(super) fn budget_is_over(&self, code: &mut InstructionSink<'_>) {
        code.global_get(self.budget).i32_const(0).i32_lt_s();
    }

    /// Gets a new budget, and ends the `if`.
    pub(super) fn refill(&self, code: &mut InstructionSink<'_>, keeping: &Keeping<'_>) {
        self.call(code, keeping);
        code.global_set(self.budget).end();
    }

    /// Leaves a new budget on the stack.
    fn call(&self, code: &mut InstructionSink<'_>, keeping: &Keeping<'_>) {
        let Some(function) = keeping.function else {
            code.call(self.refill);
            return;
        };
        keeping.kept.iter().for_each(|kept| kept.push(code));
        code.call(function);
        keeping.kept.iter().rev().for_each(|kept| kept.pop(code));
    }

    /// The body of a function that keeps so many locals while it calls the host.
    pub(super) fn keep_locals(&self, count: u32) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.call(self.refill);
        for local in 0..count {
            code.local_get(local);
        }
        code.end();
        function
    }

    /// Takes a weight off the budget. A point has to follow soon.
    pub(super) fn take(&self, code: &mut InstructionSink<'_>, weight: u32) {
        code.global_get(self.budget).i32_const(limited(weight));
        code.i32_sub().global_set(self.budget);
    }

    /// Takes the weight of an operation on as many bytes as a local says off the budget. A
    /// point has to follow soon.
    pub(super) fn take_bytes(&self, code: &mut InstructionSink<'_>, length: u32) {
        code.global_get(self.budget);
        code.local_get(length)
            .i32_const(BYTES_PER_OPERATOR_LOG.cast_signed());
        code.i32_shr_u().i32_sub().global_set(self.budget);
    }

    /// Takes the budget into a local, before a loop that is cut into strips.
    ///
    /// - `before`: the weight of what was run before.
    pub(super) fn begin_strips(&self, code: &mut InstructionSink<'_>, local: u32, before: u32) {
        code.global_get(self.budget);
        if before > 0 {
            code.i32_const(limited(before)).i32_sub();
        }
        code.local_set(local);
    }

    /// Between two strips: whether a new budget is needed.
    pub(super) fn strip_is_over(&self, code: &mut InstructionSink<'_>, local: u32) {
        code.local_get(local).i32_const(0).i32_lt_s();
    }

    /// Gets a new budget, and ends the `if`.
    pub(super) fn refill_strip(
        &self,
        code: &mut InstructionSink<'_>,
        local: u32,
        keeping: &Keeping<'_>,
    ) {
        self.call(code, keeping);
        code.local_set(local).end();
    }

    /// Takes the weight of a round off, and leaves on the stack whether the strip is over.
    pub(super) fn take_round(&self, code: &mut InstructionSink<'_>, local: u32, weight: u32) {
        code.local_get(local).i32_const(limited(weight)).i32_sub();
        code.local_tee(local).i32_const(0).i32_lt_s();
    }

    /// Puts the budget back where others find it.
    pub(super) fn put_back(&self, code: &mut InstructionSink<'_>, local: u32) {
        code.local_get(local).global_set(self.budget);
    }
}

/// A weight that can be taken off; each takes something, so that every loop comes to an end.
fn limited(weight: u32) -> i32 {
    weight.clamp(1, MAX_WEIGHT).cast_signed()
}
