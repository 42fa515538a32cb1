//! The table of all limits of modules.

use std::fmt;

/// Defines [`ModuleLimits`] and [`ModuleLimit`] from a table with a row for each limit: the field,
/// the variant, the text for errors, and the values of [`ModuleLimits::default`] and
/// [`ModuleLimits::untrusted`].
macro_rules! module_limits {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $variant:ident, $text:literal, default $default:expr, untrusted $untrusted:expr;
    )+) => {
        /// How large a module may be. A module that exceeds a limit is not compiled.
        ///
        /// The compiler works on one function at a time, and its time can grow faster than the
        /// function: for each local that is written to, it has to choose between the values
        /// that come from different branches. So there are limits on the shape of a function. The
        /// defaults are far above what programs need, including those that are compiled without
        /// optimization and have thousands of locals in a function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub struct ModuleLimits {
            $( $(#[doc = $doc])+ pub $field: u64, )+
        }

        /// One of the limits of [`ModuleLimits`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ModuleLimit {
            $(
                #[doc = concat!("[`ModuleLimits::", stringify!($field), "`].")]
                $variant,
            )+
        }

        impl Default for ModuleLimits {
            fn default() -> ModuleLimits {
                ModuleLimits { $( $field: $default, )+ }
            }
        }

        impl ModuleLimits {
            /// The limits for modules of guests that are not trusted, which are those with an
            /// account of their own. The compiler cannot be stopped, so these limits bound its
            /// time, for all functions together, too. A module at one of these limits takes some
            /// ten seconds of a processor at most, and one function two seconds.
            /// `tests/compile_time.rs` has such modules.
            pub fn untrusted() -> ModuleLimits {
                ModuleLimits { $( $field: $untrusted, )+ }
            }

            /// These limits, each lowered to that of `ceiling`.
            pub(crate) fn capped(&self, ceiling: &ModuleLimits) -> ModuleLimits {
                ModuleLimits { $( $field: self.$field.min(ceiling.$field), )+ }
            }
        }

        impl fmt::Display for ModuleLimit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $( ModuleLimit::$variant => $text, )+
                })
            }
        }
    };
}

module_limits! {
    /// Bytes of a binary module.
    module_bytes: ModuleBytes, "bytes of the module", default 256 << 20, untrusted 32 << 20;
    /// Bytes of a module in the text format.
    text_bytes: TextBytes, "bytes of text", default 16 << 20, untrusted 8 << 20;
    /// Types.
    types: Types, "types", default 100_000, untrusted 10_000;
    /// How many values all function types take and return. For each there is code that passes
    /// them between host and guest.
    type_values: TypeValues, "values that types take and return", default 2_000_000, untrusted 50_000;
    /// Imports.
    imports: Imports, "imports", default 10_000, untrusted 1_000;
    /// Functions that the module defines.
    functions: Functions, "functions", default 500_000, untrusted 20_000;
    /// How many values all functions take and return, imported ones too.
    function_values: FunctionValues, "values that functions take and return", default 10_000_000, untrusted 200_000;
    /// Tables that the module defines.
    tables: Tables, "tables", default 100, untrusted 100;
    /// Memories that the module defines.
    memories: Memories, "memories", default 100, untrusted 100;
    /// Globals that the module defines.
    globals: Globals, "globals", default 100_000, untrusted 10_000;
    /// Tags of exceptions that the module defines.
    tags: Tags, "tags of exceptions", default 10_000, untrusted 1_000;
    /// Exports.
    exports: Exports, "exports", default 500_000, untrusted 20_000;
    /// Element segments.
    element_segments: ElementSegments, "element segments", default 100_000, untrusted 10_000;
    /// Items of all element segments.
    element_items: ElementItems, "items of element segments", default 10_000_000, untrusted 100_000;
    /// Data segments.
    data_segments: DataSegments, "data segments", default 100_000, untrusted 10_000;
    /// Bytes of active data segments, if they are not known to fit, or belong to several memories, or
    /// are far apart: they are copied in one step when an instance is made. Others are part of an
    /// image of the memory.
    copied_bytes: CopiedBytes, "bytes of data segments that are copied for each instance", default u64::MAX, untrusted 1 << 20;
    /// Items of element segments that are not put at a known place of a table that the module
    /// defines: of passive ones, of those whose place is computed, of those whose items are
    /// expressions, and of all active ones after the first of these. There is code for each.
    startup_items: StartupItems, "items of element segments that need code", default 1_000_000, untrusted 10_000;
    /// Active data segments, if they are not part of an image of the memory: there is code for each.
    startup_segments: StartupSegments, "data segments that need code", default 100_000, untrusted 2_000;
    /// Elements of all tables up to the last that a segment of functions fills, or all if they
    /// begin as the same function.
    table_images: TableImages, "elements of tables that segments fill", default 10_000_000, untrusted 200_000;
    /// Operators, with the end, of all constant expressions that have more than one, read a global,
    /// or are items of element segments. There is code for them that runs when an instance is made,
    /// without a point of preemption.
    constant_operators: ConstantOperators, "operators in constant expressions", default 100_000, untrusted 10_000;
    /// Bytes of the body of one function.
    function_bytes: FunctionBytes, "bytes of the function", default 1 << 20, untrusted 256 << 10;
    /// Locals that one function declares.
    function_locals: FunctionLocals, "locals", default 20_000, untrusted 5_000;
    /// How deep blocks are nested in one function.
    block_depth: BlockDepth, "nested blocks", default 10_000, untrusted 1_000;
    /// How many values of locals meet at the ends of the blocks of one function, and where
    /// exceptions are handled: for each block, the branches to its end, and for each handler, the
    /// calls inside of its `try_table`, times the locals that are written to inside.
    block_merges: BlockMerges, "values of locals that meet at the ends of blocks", default 10_000_000, untrusted 1_000_000;
    /// How many values of locals meet at the loops of one function: for each loop, the
    /// loops it is in times the locals that are written to inside.
    loop_merges: LoopMerges, "values of locals that meet at loops", default 4_000_000, untrusted 400_000;
    /// The targets of all `br_table` of one function.
    branch_targets: BranchTargets, "targets of `br_table`", default 100_000, untrusted 20_000;
    /// How many values the calls, blocks and exceptions of one function take and return.
    passed_values: PassedValues, "values that calls, blocks and exceptions take and return", default 1_000_000, untrusted 50_000;
    /// The `memory.fill`, `memory.copy` and `memory.init` of one function. Each is compiled to
    /// a branch and a call, and the time for a function grows with the square of their number.
    bulk_operations: BulkOperations, "operations on ranges of memory", default 10_000, untrusted 1_000;
    /// The weight of all operators of one function that are compiled to branches and to calls of
    /// the engine. A loop weighs 100, an operation on a range of a table 80, an indirect call 40,
    /// reading an element of a table 30, as does each value that a block takes or returns, an `if`
    /// 15, a block 10, a branch 8, a call 5. The time for a function grows with the square of this.
    function_weight: FunctionWeight, "weight of branches and calls of the engine", default 2_000_000, untrusted 150_000;
    /// How many handlers of exceptions are around one place in a function: the catch clauses of
    /// the `try_table` that are open there, up to the innermost that catches all. An exception
    /// is compared with each of them, in every function that it leaves, and that is one step.
    exception_handlers: ExceptionHandlers, "handlers of exceptions at one place", default 100, untrusted 100;
    /// How many ways there are in one function from a call to a handler of exceptions: for each
    /// call inside of `try_table`, the handlers around it. Points of preemption are calls, too:
    /// each loop counts as one, and so do 32 other operators.
    exception_edges: ExceptionEdges, "ways from calls to handlers of exceptions", default 100_000, untrusted 20_000;
    /// Bytes of the bodies of all functions.
    code_bytes: CodeBytes, "bytes of all functions", default u64::MAX, untrusted 4 << 20;
    /// The squares of the [`function_weight`](ModuleLimits::function_weight) of all functions
    /// together. The time that the compiler takes is in proportion to this, half a second for
    /// 10¹⁰.
    squared_weights: SquaredWeights, "squares of the weights of functions", default u64::MAX, untrusted 150_000_000_000;
    /// Locals that all functions declare.
    all_locals: AllLocals, "locals of all functions", default u64::MAX, untrusted 2_000_000;
    /// The targets of all `br_table` of all functions.
    all_branch_targets: AllBranchTargets, "targets of `br_table`, in all functions", default u64::MAX, untrusted 1_000_000;
    /// [`bulk_operations`](ModuleLimits::bulk_operations) of all functions together.
    all_bulk_operations: AllBulkOperations, "operations on ranges of memory, in all functions", default u64::MAX, untrusted 10_000;
    /// [`exception_edges`](ModuleLimits::exception_edges) of all functions together.
    all_exception_edges: AllExceptionEdges, "ways from calls to handlers of exceptions, in all functions", default u64::MAX, untrusted 200_000;
    /// [`passed_values`](ModuleLimits::passed_values) of all functions together.
    all_passed_values: AllPassedValues, "values that calls, blocks and exceptions take and return, in all functions", default u64::MAX, untrusted 200_000;
    /// [`block_merges`](ModuleLimits::block_merges) of all functions together.
    all_block_merges: AllBlockMerges, "values of locals that meet at the ends of blocks, in all functions", default u64::MAX, untrusted 10_000_000;
    /// [`loop_merges`](ModuleLimits::loop_merges) of all functions together.
    all_loop_merges: AllLoopMerges, "values of locals that meet at loops, in all functions", default u64::MAX, untrusted 4_000_000;
}

impl ModuleLimits {
    /// The limits for modules that guests with the account of the root compile. Their functions may
    /// be as large as those of other modules, but all functions together may take no more than some
    /// minutes, as the bytes may come from strangers.
    pub fn of_guests() -> ModuleLimits {
        const TIMES: u64 = 8;
        let strict = ModuleLimits::untrusted();
        ModuleLimits {
            type_values: TIMES * strict.type_values,
            function_values: TIMES * strict.function_values,
            element_items: TIMES * strict.element_items,
            startup_items: 2 * strict.startup_items,
            startup_segments: 2 * strict.startup_segments,
            table_images: TIMES * strict.table_images,
            code_bytes: TIMES * strict.code_bytes,
            function_weight: 3 * strict.function_weight,
            squared_weights: TIMES * strict.squared_weights,
            all_locals: TIMES * strict.all_locals,
            all_branch_targets: TIMES * strict.all_branch_targets,
            all_passed_values: TIMES * strict.all_passed_values,
            all_bulk_operations: TIMES * strict.all_bulk_operations,
            all_exception_edges: TIMES * strict.all_exception_edges,
            all_block_merges: TIMES * strict.all_block_merges,
            all_loop_merges: TIMES * strict.all_loop_merges,
            ..ModuleLimits::default()
        }
    }
}
