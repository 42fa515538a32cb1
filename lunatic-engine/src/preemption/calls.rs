//! Which functions call which, and which of them can come back to themselves.

use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ExternalKind, Operator, Payload, TableInit,
};

use crate::preemption::function_summary::FunctionSummary;
use crate::preemption::index_spaces::IndexSpaces;

/// The functions that references are made to outside of the code, or that are exported.
#[derive(Debug, Default)]
pub(super) struct References {
    /// The functions, by number.
    functions: Vec<usize>,
}

impl References {
    /// Reads a section.
    ///
    /// # Errors
    ///
    /// Fails where the binary format is broken.
    pub(super) fn read(
        &mut self,
        payload: &Payload<'_>,
        spaces: &IndexSpaces,
    ) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    if let TableInit::Expr(value) = table?.init {
                        self.read_expression(&value, spaces)?;
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals.clone() {
                    self.read_expression(&global?.init_expr, spaces)?;
                }
            }
            // The host calls some, also while code of the module calls the host.
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.functions.extend(spaces.number(export.index));
                    }
                }
            }
            Payload::ElementSection(elements) => {
                for element in elements.clone() {
                    match element?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                self.functions.extend(spaces.number(function?));
                            }
                        }
                        ElementItems::Expressions(_, values) => {
                            for value in values {
                                self.read_expression(&value?, spaces)?;
                            }
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read_expression(
        &mut self,
        value: &ConstExpr<'_>,
        spaces: &IndexSpaces,
    ) -> Result<(), BinaryReaderError> {
        for operator in value.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.functions.extend(spaces.number(function_index));
            }
        }
        Ok(())
    }
}

/// The functions that a module defines, callees before their callers.
#[derive(Debug)]
pub(super) struct CallOrder {
    /// The functions, by number.
    pub(super) functions: Vec<usize>,
    /// For each function, by number, whether it can come back to itself: by calls of functions by
    /// their index, or because it calls anything and may have been called by a reference or by the
    /// host.
    pub(super) recurs: Vec<bool>,
    /// For each function, by number, whether there is a reference to it or it is exported.
    pub(super) is_referenced: Vec<bool>,
}

/// No place in an order.
const NONE: u32 = u32::MAX;

impl CallOrder {
    /// Finds the order of calls.
    pub(super) fn of(surveys: &[FunctionSummary], references: &References) -> CallOrder {
        let mut order = Search::new(surveys).run();
        let made_in_code = surveys.iter().flat_map(|survey| &survey.references);
        for number in references.functions.iter().chain(made_in_code).copied() {
            order.is_referenced[number] = true;
            order.recurs[number] |= surveys[number].calls;
        }
        order
    }
}

/// Tarjan's search for strongly connected components, without recursion.
struct Search<'a> {
    surveys: &'a [FunctionSummary],
    /// The time when each function was first seen.
    seen_at: Vec<u32>,
    /// The first seen function that each can reach.
    reaches: Vec<u32>,
    is_open: Vec<bool>,
    /// Functions whose component is not complete.
    open: Vec<usize>,
    /// Functions that are being looked at, with how many of their callees have been.
    path: Vec<(usize, usize)>,
    next: u32,
    order: CallOrder,
}

impl<'a> Search<'a> {
    fn new(surveys: &'a [FunctionSummary]) -> Search<'a> {
        let count = surveys.len();
        Search {
            surveys,
            seen_at: vec![NONE; count],
            reaches: vec![NONE; count],
            is_open: vec![false; count],
            open: Vec::new(),
            path: Vec::new(),
            next: 0,
            order: CallOrder {
                functions: Vec::with_capacity(count),
                recurs: vec![false; count],
                is_referenced: vec![false; count],
            },
        }
    }

    fn run(mut self) -> CallOrder {
        for function in 0..self.surveys.len() {
            if self.seen_at[function] == NONE {
                self.enter(function);
                while let Some((function, callees)) = self.path.last_mut() {
                    let (function, position) = (*function, *callees);
                    *callees += 1;
                    match self.surveys[function].callees.get(position) {
                        Some(callee) => self.follow(function, *callee),
                        None => self.leave(function),
                    }
                }
            }
        }
        self.order
    }

    fn enter(&mut self, function: usize) {
        self.seen_at[function] = self.next;
        self.reaches[function] = self.next;
        self.next += 1;
        self.is_open[function] = true;
        self.open.push(function);
        self.path.push((function, 0));
    }

    fn follow(&mut self, function: usize, callee: usize) {
        if self.seen_at[callee] == NONE {
            self.enter(callee);
        } else if self.is_open[callee] {
            self.reaches[function] = self.reaches[function].min(self.seen_at[callee]);
            self.order.recurs[function] |= callee == function;
        }
    }

    fn leave(&mut self, function: usize) {
        self.path.pop();
        if let Some((caller, _)) = self.path.last() {
            self.reaches[*caller] = self.reaches[*caller].min(self.reaches[function]);
        }
        if self.reaches[function] != self.seen_at[function] {
            return;
        }
        let first = self.open.iter().rposition(|open| *open == function);
        let component = self.open.split_off(first.unwrap_or_default());
        for member in &component {
            self.is_open[*member] = false;
            self.order.recurs[*member] |= component.len() > 1;
        }
        self.order.functions.extend(component);
    }
}
