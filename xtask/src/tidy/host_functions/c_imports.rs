//! The imports of C guests: declarations after `LUNATIC_IMPORT`.

use anyhow::{Context, Result, bail};

use super::function::ValueType;
use super::{Function, Place, Signature};

/// The functions that the header at `path` imports.
pub(super) fn read(path: &str, source: &str) -> Result<Vec<Function>> {
    let mut functions = Vec::new();
    for (at, _) in source.match_indices(IMPORT) {
        let line = source[..at].matches('\n').count() + 1;
        if source[..at].ends_with("#define ") {
            continue;
        }
        let place = Place {
            path: path.to_owned(),
            line,
        };
        let import = &source[at + IMPORT.len()..];
        let function = function(import, place).with_context(|| format!("{path}:{line}"))?;
        functions.push(function);
    }
    Ok(functions)
}

const IMPORT: &str = "LUNATIC_IMPORT(";

/// Reads `"namespace", "name") type name(type name, …);`.
fn function(import: &str, place: Place) -> Result<Function> {
    let (names, rest) = import.split_once(')').context("no `)`")?;
    let (declaration, _) = rest.split_once(';').context("no `;`")?;
    let (namespace, name) = names.split_once(", ").context("no `, `")?;
    let (result, params) = declaration.split_once('(').context("no `(`")?;
    let params = params.trim_end().strip_suffix(')').context("no `)`")?;
    Ok(Function {
        namespace: quoted(namespace)?,
        name: quoted(name)?,
        signature: Signature {
            params: match params.trim() {
                "void" => Vec::new(),
                params => params.split(',').map(value).collect::<Result<_>>()?,
            },
            result: match result.trim_start().starts_with("void ") {
                true => None,
                false => Some(value(result)?),
            },
        },
        place,
    })
}

fn quoted(literal: &str) -> Result<String> {
    let name = literal
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    Ok(name
        .with_context(|| format!("{literal} is no string"))?
        .to_owned())
}

/// The type in `type name`.
fn value(declaration: &str) -> Result<ValueType> {
    // Guests have 32 bits.
    if declaration.contains('*') {
        return Ok(ValueType::I32);
    }
    let mut words = declaration
        .split_whitespace()
        .filter(|word| *word != "const");
    match words.next() {
        Some("int32_t" | "uint32_t" | "size_t") => Ok(ValueType::I32),
        Some("int64_t" | "uint64_t") => Ok(ValueType::I64),
        Some("double") => Ok(ValueType::F64),
        _ => bail!("`{}` has no type of a host function", declaration.trim()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::read;

    #[test]
    fn declarations_behind_the_macro_are_read_and_its_definition_is_not() {
        let header = r#"
#define LUNATIC_IMPORT(namespace, function) \
    __attribute__((import_module(namespace), import_name(function)))
LUNATIC_IMPORT("a", "one")
uint64_t a_one(void);
LUNATIC_IMPORT("a", "two")
void a_two(const char *text, const size_t len,
           int64_t tag, struct record *out, double share);
int not_imported(int);
"#;
        let functions = read("a.h", header).unwrap();
        let described: Vec<_> = functions
            .iter()
            .map(|function| format!("{function} {}", function.signature))
            .collect();
        let expected = [
            "a.h:4: `a::one` () -> i64",
            "a.h:6: `a::two` (i32, i32, i64, i32, f64)",
        ];
        assert_eq!(described, expected);
    }

    #[test]
    fn a_type_that_is_none_of_a_host_function_is_an_error() {
        let header = "LUNATIC_IMPORT(\"a\", \"one\")\nchar one(void);";
        let error = read("a.h", header).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "a.h:1: `char one` has no type of a host function"
        );
    }
}
