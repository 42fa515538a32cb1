//! The weight of an operator for the compiler.

use wasmparser::Operator;

/// How much more an operator takes of the compiler than what its bytes take, in a hundredth of a
/// small loop.
///
/// Operators weigh something that are compiled to branches and to calls of the engine, as those of
/// tables, which make a reference to a function when it is first used. The time for a function
/// grows with the square of the sum: for each branch and call, the compiler divides the ranges in
/// which values are used throughout the function. `tests/compile_operators.rs` measures them all.
///
/// - `values`: how many values the operator takes and returns as a block.
pub(super) fn of_operator(operator: &Operator<'_>, values: u64) -> u64 {
    /// A value that a block takes or returns.
    const BLOCK_VALUE: u64 = 30;
    match operator {
        Operator::Loop { .. } => 100 + BLOCK_VALUE * values,
        Operator::MemoryFill { .. } | Operator::MemoryCopy { .. } | Operator::MemoryInit { .. } => {
            100
        }
        Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. } => 80,
        Operator::TryTable { .. } => 40 + BLOCK_VALUE * values,
        Operator::CallIndirect { .. }
        | Operator::ReturnCallIndirect { .. }
        | Operator::Throw { .. }
        | Operator::ThrowRef => 40,
        Operator::TableGet { .. } => 30,
        Operator::ElemDrop { .. } => 25,
        Operator::MemoryGrow { .. } => 20,
        Operator::If { .. } => 15 + BLOCK_VALUE * values,
        Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => 15,
        Operator::Block { .. } => 10 + BLOCK_VALUE * values,
        Operator::TableSet { .. } | Operator::BrTable { .. } => 10,
        Operator::Br { .. }
        | Operator::BrIf { .. }
        | Operator::BrOnNull { .. }
        | Operator::BrOnNonNull { .. } => 8,
        Operator::Else
        | Operator::Call { .. }
        | Operator::ReturnCall { .. }
        | Operator::RefFunc { .. } => 5,
        // Several instructions each.
        Operator::I32x4DotI16x8S | Operator::I32x4RelaxedDotI8x16I7x16AddS => 2,
        _ => 0,
    }
}
