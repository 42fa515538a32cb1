//! Counts of items in the sections of a module.

use wasmparser::{
    BinaryReaderError, ConstExpr, DataKind, ElementItems, ElementKind, Operator, Payload, TableInit,
};

/// Returns the number of items in the element segments of a section.
pub(super) fn element_items(payload: &Payload<'_>) -> Result<u64, BinaryReaderError> {
    let Payload::ElementSection(elements) = payload else {
        return Ok(0);
    };
    let mut sum = 0;
    for element in elements.clone() {
        sum += u64::from(match element?.items {
            ElementItems::Functions(items) => items.count(),
            ElementItems::Expressions(_, items) => items.count(),
        });
    }
    Ok(sum)
}

/// Returns the number of bytes in the active data segments of a section.
pub(super) fn active_bytes(payload: &Payload<'_>) -> Result<u64, BinaryReaderError> {
    let Payload::DataSection(segments) = payload else {
        return Ok(0);
    };
    let mut sum = 0;
    for segment in segments.clone() {
        let segment = segment?;
        if let DataKind::Active { .. } = segment.kind {
            sum += segment.data.len() as u64;
        }
    }
    Ok(sum)
}

/// Returns the number of operators in those constant expressions of a section that have more than
/// one operator and the end, read a global, or are items of element segments.
pub(super) fn constant_operators(payload: &Payload<'_>) -> Result<u64, BinaryReaderError> {
    let mut sum = 0;
    let mut add = |value: &ConstExpr<'_>, is_item: bool| -> Result<(), BinaryReaderError> {
        let (mut count, mut has_code) = (0, is_item);
        for operator in value.get_operators_reader() {
            has_code |= matches!(operator?, Operator::GlobalGet { .. });
            count += 1;
        }
        sum += if count > 2 || has_code { count } else { 0 };
        Ok(())
    };
    match payload {
        Payload::TableSection(tables) => {
            for table in tables.clone() {
                if let TableInit::Expr(value) = table?.init {
                    add(&value, false)?;
                }
            }
        }
        Payload::GlobalSection(globals) => {
            for global in globals.clone() {
                add(&global?.init_expr, false)?;
            }
        }
        Payload::ElementSection(elements) => {
            for element in elements.clone() {
                let element = element?;
                if let ElementKind::Active { offset_expr, .. } = &element.kind {
                    add(offset_expr, false)?;
                }
                if let ElementItems::Expressions(_, values) = element.items {
                    for value in values {
                        add(&value?, true)?;
                    }
                }
            }
        }
        Payload::DataSection(segments) => {
            for segment in segments.clone() {
                if let DataKind::Active { offset_expr, .. } = &segment?.kind {
                    add(offset_expr, false)?;
                }
            }
        }
        _ => {}
    }
    Ok(sum)
}
