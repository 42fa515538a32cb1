//! The blocks of `host_functions!`.

use syn::parse::{Parse, ParseStream};
use syn::visit::Visit;
use syn::{
    Attribute, Generics, Ident, LitStr, Path, Result, Token, Visibility, braced, parenthesized,
};

use super::{Function, Place, rust_imports};

/// The functions that the Rust file at `path` declares.
pub(super) fn read(path: &str, source: &str) -> Result<Vec<Function>> {
    if !source.contains(&format!("{MACRO}!")) {
        return Ok(Vec::new());
    }
    let mut blocks = Blocks::default();
    blocks.visit_file(&syn::parse_file(source)?);
    let mut functions = Vec::new();
    for block in blocks.found {
        for (namespace, declaration) in block?.declarations {
            functions.push(Function {
                namespace,
                name: declaration.ident.to_string(),
                signature: rust_imports::signature(&declaration)?,
                place: Place {
                    path: path.to_owned(),
                    line: declaration.ident.span().start().line,
                },
            });
        }
    }
    Ok(functions)
}

const MACRO: &str = "host_functions";

/// The blocks of a file.
#[derive(Default)]
struct Blocks {
    found: Vec<Result<Block>>,
}

impl Visit<'_> for Blocks {
    fn visit_macro(&mut self, invocation: &syn::Macro) {
        let name = invocation.path.segments.last();
        if name.is_some_and(|segment| segment.ident == MACRO) {
            self.found.push(invocation.parse_body());
        }
    }
}

/// Namespace and declaration of each function in a block.
struct Block {
    declarations: Vec<(String, syn::Signature)>,
}

mod keyword {
    syn::custom_keyword!(quick);
    syn::custom_keyword!(via);
}

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        skip_header(input)?;
        let mut declarations = Vec::new();
        while !input.is_empty() {
            input.parse::<Token![in]>()?;
            let namespace: LitStr = input.parse()?;
            if input.peek(keyword::via) {
                input.parse::<keyword::via>()?;
                input.parse::<Path>()?;
            }
            let functions;
            braced!(functions in input);
            while !functions.is_empty() {
                declarations.push((namespace.value(), declaration(&functions)?));
            }
        }
        Ok(Block { declarations })
    }
}

/// Skips what the block is to make, and the modules that it puts together.
fn skip_header(input: ParseStream<'_>) -> Result<()> {
    input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    input.parse::<Token![fn]>()?;
    input.parse::<Ident>()?;
    input.parse::<Generics>()?;
    let linker;
    parenthesized!(linker in input);
    linker.parse::<syn::Type>()?;
    input.parse::<Token![;]>()?;

    input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    input.parse::<Token![const]>()?;
    input.parse::<Ident>()?;
    input.parse::<Token![;]>()?;

    if input.peek(Token![use]) {
        input.parse::<Token![use]>()?;
        while !input.peek(Token![;]) {
            input.parse::<Path>()?;
            if !input.peek(Token![;]) {
                input.parse::<Token![,]>()?;
            }
        }
        input.parse::<Token![;]>()?;
    }
    Ok(())
}

fn declaration(input: ParseStream<'_>) -> Result<syn::Signature> {
    if input.peek(keyword::quick) {
        input.parse::<keyword::quick>()?;
    }
    let declaration = input.parse()?;
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        input.parse::<Path>()?;
    }
    input.parse::<Token![;]>()?;
    Ok(declaration)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::read;

    fn functions(source: &str) -> Vec<String> {
        let functions = read("a.rs", source).unwrap();
        let described = functions
            .iter()
            .map(|function| format!("{function} {}", function.signature));
        described.collect()
    }

    #[test]
    fn all_forms_of_a_block_are_read() {
        let source = r#"
            //! A file.
            lunatic_abi::host_functions! {
                /// Registers.
                pub(super) fn add_to_linker<T: a::Host>(Linker<T>);
                /// Lists.
                const HOST_FUNCTIONS;

                use one, two::three,;

                in "a" {
                    fn nothing();
                    // Waits.
                    async fn wait(millis: u64, how: u32,) -> i32;
                    quick fn tag() -> i64;
                }
                in "b" via crate::answer {
                    fn sine(of: f64) -> f64 = numbers::sine::<T, 2>;
                }
            }
            mod inner {
                host_functions! {
                    fn add_to_linker(Linker<State>);
                    const HOST_FUNCTIONS;
                    in "c" { fn signed(number: i32) -> i64; }
                }
            }"#;
        let expected = [
            "a.rs:12: `a::nothing` ()",
            "a.rs:14: `a::wait` (i64, i32) -> i32",
            "a.rs:15: `a::tag` () -> i64",
            "a.rs:18: `b::sine` (f64) -> f64",
            "a.rs:25: `c::signed` (i32) -> i64",
        ];
        assert_eq!(functions(source), expected);
    }

    #[test]
    fn the_definition_of_the_macro_and_other_macros_declare_nothing() {
        let source = "macro_rules! host_functions { () => {} }\nother! { in \"a\" { fn f(); } }";
        assert!(functions(source).is_empty());
    }

    #[test]
    fn what_is_no_block_is_an_error() {
        assert!(read("a.rs", "host_functions! { fn f(); }").is_err());
    }
}
