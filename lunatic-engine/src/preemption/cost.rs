//! The cost of an operator.

use wasmparser::Operator;

use crate::preemption::index_spaces::IndexSpaces;

/// The highest cost of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// In nanoseconds, roughly.
    pub(super) time: u32,
    /// In plain operators, if it is run between two returns from functions. Here what
    /// happens once does not count, as the first access to a page does.
    pub(super) after_call: u32,
    /// In plain operators as programs usually run it, which is what is taken off a budget.
    pub(super) weight: u32,
}

impl Cost {
    const NOTHING: Cost = Cost::new(0, 0, 0);
    const PLAIN: Cost = Cost::new(1, 1, 1);
    /// A division, a root, or a conversion that checks its range.
    const ARITHMETIC: Cost = Cost::new(20, 4, 4);
    /// The first access to a page is a page fault.
    const ACCESS: Cost = Cost::new(250, 1, 2);
    /// A look at a table, which may have to make the reference to a function.
    const TABLE_ACCESS: Cost = Cost::new(100, 8, 8);
    const CALL: Cost = Cost::new(1, 1, 8);
    const HOST_CALL: Cost = Cost::new(780, 128, 128);
    /// A call that may be one of a host function, or of a function without a point of preemption.
    const INDIRECT_CALL: Cost = Cost::new(5_000, 64, 32);
    /// The highest cost between two points of a function without a point at its beginning. Its
    /// callers add this to their own cost.
    pub(super) const PLAIN_FUNCTION: Cost = Cost::new(20_000, 160, 512);
    /// The highest cost between two points of a function that may be called by a reference, by code
    /// that cannot know its cost.
    pub(super) const REFERENCED_FUNCTION: Cost = Cost::new(5_000, 32, 32);
    /// An operation on a range of memory that is not longer than one piece. The weight of its
    /// bytes is added when their number is known.
    const MEMORY_PIECE: Cost = Cost::new(10_000, 128, 16);
    const MEMORY_GROWTH: Cost = Cost::new(20_000, 256, 4096);
    /// An operation on a whole table, or on a segment that may be as large.
    const TABLE: Cost = Cost::new(50_000, 256, 20_000);

    /// Making an exception. Finding its handler is part of [`TO_CATCH`](Cost::TO_CATCH).
    const THROW: Cost = Cost::new(1_000, 8, 64);
    /// Finding the handler of an exception through a few frames. Each frame that an exception
    /// leaves was called before, and that had its weight: the longest search is one through the
    /// whole stack.
    pub(super) const TO_CATCH: Cost = Cost::new(1_000, 8, 256);

    const fn new(time: u32, after_call: u32, weight: u32) -> Cost {
        Cost {
            time,
            after_call,
            weight,
        }
    }

    /// Returns the sum of this cost and one that is contained in it, as a call contains that of the
    /// function.
    pub(super) fn with(self, other: Cost) -> Cost {
        Cost {
            time: self.time.saturating_add(other.time),
            after_call: self.after_call.saturating_add(other.after_call),
            weight: self.weight.saturating_add(other.weight),
        }
    }

    /// Whether it is not more than another one, in any respect.
    pub(super) fn is_within(self, limit: Cost) -> bool {
        self.time <= limit.time
            && self.after_call <= limit.after_call
            && self.weight <= limit.weight
    }

    /// Returns the cost of an operator.
    ///
    /// - `opcode`: its first byte.
    pub(super) fn of(operator: &Operator<'_>, opcode: u8, spaces: &IndexSpaces) -> Cost {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::TryTable { .. }
            | Operator::Else
            | Operator::End => Cost::NOTHING,
            Operator::Throw { .. } | Operator::ThrowRef => Cost::THROW,
            Operator::Call { function_index } | Operator::ReturnCall { function_index }
                if spaces.is_imported(*function_index) =>
            {
                Cost::HOST_CALL
            }
            Operator::Call { .. } | Operator::ReturnCall { .. } => Cost::CALL,
            Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => Cost::INDIRECT_CALL,
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => Cost::MEMORY_PIECE,
            Operator::MemoryGrow { .. } => Cost::MEMORY_GROWTH,
            Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::TableGrow { .. }
            | Operator::ElemDrop { .. } => Cost::TABLE,
            Operator::TableGet { .. } | Operator::TableSet { .. } | Operator::RefFunc { .. } => {
                Cost::TABLE_ACCESS
            }
            _ => Cost::of_opcode(opcode),
        }
    }

    /// Returns the cost of the other operators, by the first byte of their encoding.
    fn of_opcode(opcode: u8) -> Cost {
        match opcode {
            // Loads and stores.
            0x28..=0x3e => Cost::ACCESS,
            // Divisions and remainders of integers.
            0x6d..=0x70 | 0x7f..=0x82 => Cost::ARITHMETIC,
            // Rounding, roots and division of floats.
            0x8d..=0x91 | 0x95 | 0x9b..=0x9f | 0xa3 => Cost::ARITHMETIC,
            // Conversions of floats to integers.
            0xa8..=0xab | 0xae..=0xb1 => Cost::ARITHMETIC,
            // Those that do not trap, and `data.drop`.
            0xfc => Cost::ARITHMETIC,
            // Vectors, among them loads and stores.
            0xfb | 0xfd.. => Cost::ACCESS,
            _ => Cost::PLAIN,
        }
    }
}
