//! `lunatic run --invoke`: one function of a module, with arguments in text.

use std::ffi::OsString;
use std::path::Path;

use lunatic_engine::{CompiledModule, Module};
use wasmtime::{FuncType, ValType};

use crate::command_line::problem::Problem;
use crate::command_line::similar::most_similar;
use crate::{State, Value};

/// The arguments of a function, from text.
///
/// - `path`: the file of the module.
pub(crate) fn arguments(
    path: &Path,
    module: &Module<State>,
    export: &str,
    given: &[OsString],
) -> Result<Vec<Value>, Problem> {
    let ty = module
        .exported_function(export)
        .ok_or_else(|| no_export(path, module, export))?;
    if ty.params().len() != given.len() {
        let shown = shown(&ty);
        let takes = match ty.params().len() {
            0 => "no arguments".to_owned(),
            1 => "one argument".to_owned(),
            several => format!("{several} arguments"),
        };
        let were_given = match given.len() {
            0 => "none was given".to_owned(),
            1 => "one was given".to_owned(),
            several => format!("{several} were given"),
        };
        let what = format!("`{export}` takes {takes}, and {were_given}");
        return Err(Problem::new(what).help(format!("its type is {shown}")));
    }
    let values = ty.params().zip(given).map(|(ty, given)| {
        let text = given.to_string_lossy();
        value(&ty, &text).ok_or_else(|| {
            Problem::new(format!("`{text}` is no argument of the type {ty}"))
                .help(how_to_write(&ty))
        })
    });
    values.collect()
}

fn how_to_write(ty: &ValType) -> &'static str {
    match ty {
        ValType::I32 => "write a whole number from -2147483648 to 4294967295, as 7, -7 or 0x7f",
        ValType::I64 => "write a whole number of 64 bits, as 7, -7 or 0x7f",
        ValType::F32 | ValType::F64 => "write a number, as 7, -7, 1.5 or 1e9",
        _ => "only numbers can be given on a command line",
    }
}

fn no_export(path: &Path, module: &Module<State>, export: &str) -> Problem {
    let problem = Problem::new(format!(
        "`{}` exports no function `{export}`",
        path.display()
    ));
    let exports = || module.exported_functions().map(|(name, _)| name);
    match most_similar(export, exports()) {
        Some(similar) => problem.help(format!("did you mean `{similar}`?")),
        None => {
            let names: Vec<_> = exports().take(8).map(|name| format!("`{name}`")).collect();
            problem.help(match names.is_empty() {
                true => "it exports no function at all".to_owned(),
                false => format!("it exports {}", names.join(", ")),
            })
        }
    }
}

fn shown(ty: &FuncType) -> String {
    let names = |types: &mut dyn Iterator<Item = ValType>| {
        let names: Vec<_> = types.map(|ty| ty.to_string()).collect();
        names.join(", ")
    };
    format!(
        "({}) -> ({})",
        names(&mut ty.params()),
        names(&mut ty.results())
    )
}

fn value(ty: &ValType, text: &str) -> Option<Value> {
    match ty {
        ValType::I32 => {
            let value = integer(text)?;
            let is_in_range = (i128::from(i32::MIN)..=i128::from(u32::MAX)).contains(&value);
            is_in_range.then_some(Value::I32(value as i32))
        }
        ValType::I64 => {
            let value = integer(text)?;
            let is_in_range = (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value);
            is_in_range.then_some(Value::I64(value as i64))
        }
        ValType::F32 => Some(Value::F32(text.parse().ok()?)),
        ValType::F64 => Some(Value::F64(text.parse().ok()?)),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    };
    Some(sign * i128::from(value))
}

/// The results of a function, a line for each.
pub(crate) fn results(values: &[Option<Value>]) -> String {
    let lines: Vec<_> = values
        .iter()
        .map(|value| match value {
            Some(Value::I32(value)) => value.to_string(),
            Some(Value::I64(value)) => value.to_string(),
            Some(Value::F32(value)) => value.to_string(),
            Some(Value::F64(value)) => value.to_string(),
            Some(Value::V128(value)) => format!("{value:#034x}"),
            None => "a reference".to_owned(),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    #[test]
    fn numbers_are_signed_or_unsigned_decimal_or_hexadecimal() {
        let i32 = |text| match value(&ValType::I32, text) {
            Some(Value::I32(value)) => Some(value),
            _ => None,
        };
        assert_eq!(i32("-1"), Some(-1));
        assert_eq!(i32("4294967295"), Some(-1));
        assert_eq!(i32("0x10"), Some(16));
        for wrong in ["", "-", "1.5", "4294967296", "-2147483649", "0x", "--1"] {
            assert_eq!(i32(wrong), None, "{wrong:?}");
        }
        let i64 = |text| match value(&ValType::I64, text) {
            Some(Value::I64(value)) => Some(value),
            _ => None,
        };
        assert_eq!(i64("18446744073709551615"), Some(-1));
        assert_eq!(i64("-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn results_are_a_line_each() {
        assert_eq!(results(&[]), "");
        let values = [Some(Value::I32(-1)), Some(Value::F64(1.5)), None];
        assert_eq!(results(&values), "-1\n1.5\na reference");
    }
}
