//! What an operator takes.

use wasmparser::Operator;

use crate::bounded_steps::index_spaces::IndexSpaces;

/// What an operator takes at the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// In nanoseconds, roughly.
    pub(super) time: u32,
    /// In plain operators, if it is run between two returns from functions. Here what
    /// happens once does not count, as the first access to a page does.
    pub(super) after_call: u32,
}

impl Cost {
    const NOTHING: Cost = Cost::new(0, 0);
    const PLAIN: Cost = Cost::new(1, 1);
    /// A division, a root, or a conversion that checks its range.
    const ARITHMETIC: Cost = Cost::new(20, 4);
    /// The first access to a page is a page fault.
    const ACCESS: Cost = Cost::new(250, 1);
    /// A look at a table, which may have to make the reference to a function.
    const TABLE_ACCESS: Cost = Cost::new(100, 8);
    const HOST_CALL: Cost = Cost::new(780, 128);
    /// It may call a function of the host.
    const INDIRECT_CALL: Cost = Cost::new(780, 64);
    /// An operation on as many bytes as are in one piece.
    const PIECE: Cost = Cost::new(10_000, 128);
    const MEMORY_GROWTH: Cost = Cost::new(20_000, 256);
    /// An operation on a whole table, or on a segment that may be as large.
    const TABLE: Cost = Cost::new(50_000, 256);

    const fn new(time: u32, after_call: u32) -> Cost {
        Cost { time, after_call }
    }

    /// What an operator takes.
    ///
    /// - `opcode`: its first byte.
    pub(super) fn of(operator: &Operator<'_>, opcode: u8, spaces: &IndexSpaces) -> Cost {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::Else | Operator::End => {
                Cost::NOTHING
            }
            Operator::Call { function_index } if spaces.is_imported(*function_index) => {
                Cost::HOST_CALL
            }
            Operator::CallIndirect { .. } => Cost::INDIRECT_CALL,
            Operator::MemoryFill { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryInit { .. } => Cost::PIECE,
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

    /// What the other operators take, by the first byte of their encoding.
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
