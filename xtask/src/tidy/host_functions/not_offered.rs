//! The list of functions that are part of the interface and not registered yet.

use anyhow::{Context, Result};
use syn::visit::Visit;
use syn::{Expr, ExprLit, ExprReference, Item, Lit, LitStr};

use super::{Function, Place, Signature};

/// The functions that the constant `NOT_OFFERED` in a Rust file lists: tuples of a
/// namespace and names.
pub(super) fn read(path: &str, source: &str) -> Result<Vec<Function>> {
    let file = syn::parse_file(source)?;
    let list = file.items.iter().find_map(|item| match item {
        Item::Const(constant) if constant.ident == LIST => Some(&*constant.expr),
        _ => None,
    });
    let list = list.with_context(|| format!("there is no constant {LIST}"))?;
    let mut functions = Vec::new();
    for entry in elements(list).context("the list is an array")? {
        let mut strings = Strings(Vec::new());
        strings.visit_expr(entry);
        let mut strings = strings.0.into_iter();
        let namespace = strings.next().context("an entry has a namespace")?.value();
        functions.extend(strings.map(|name| Function {
            namespace: namespace.clone(),
            name: name.value(),
            signature: Signature::default(),
            place: Place {
                path: path.to_owned(),
                line: name.span().start().line,
            },
        }));
    }
    Ok(functions)
}

const LIST: &str = "NOT_OFFERED";

fn elements(list: &Expr) -> Option<impl Iterator<Item = &Expr>> {
    match list {
        Expr::Reference(ExprReference { expr, .. }) => match &**expr {
            Expr::Array(array) => Some(array.elems.iter()),
            _ => None,
        },
        _ => None,
    }
}

/// The strings in an expression, in order.
struct Strings(Vec<LitStr>);

impl Visit<'_> for Strings {
    fn visit_expr_lit(&mut self, literal: &ExprLit) {
        if let Lit::Str(string) = &literal.lit {
            self.0.push(string.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::read;

    #[test]
    fn names_are_listed_by_namespace() {
        let source = r#"
            pub(super) const NOT_OFFERED: &[(&str, &[&str])] = &[
                ("a", &["one", "two"]),
                ("b", &["three"]),
            ];"#;
        let functions = read("a.rs", source).unwrap();
        let names: Vec<_> = functions.iter().map(ToString::to_string).collect();
        let expected = ["a.rs:3: `a::one`", "a.rs:3: `a::two`", "a.rs:4: `b::three`"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_file_without_the_list_is_an_error() {
        assert!(read("a.rs", "const OTHER: &[&str] = &[];").is_err());
        assert!(read("a.rs", "const NOT_OFFERED: u32 = 0;").is_err());
    }
}
