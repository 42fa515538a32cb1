//! The imports of Rust guests: blocks of `extern "C"`.

use syn::visit::Visit;
use syn::{
    Error, Expr, ExprLit, FnArg, ForeignItem, ItemForeignMod, Lit, Meta, Result, ReturnType,
};

use super::function::ValueType;
use super::{Function, Place, Signature};

/// The functions that the Rust file at `path` imports.
pub(super) fn read(path: &str, source: &str) -> Result<Vec<Function>> {
    if !source.contains(NAMESPACE) {
        return Ok(Vec::new());
    }
    let mut blocks = Blocks(Vec::new());
    blocks.visit_file(&syn::parse_file(source)?);
    let mut functions = Vec::new();
    for (namespace, declaration) in blocks.0 {
        functions.push(Function {
            namespace,
            name: declaration.ident.to_string(),
            signature: signature(&declaration)?,
            place: Place {
                path: path.to_owned(),
                line: declaration.ident.span().start().line,
            },
        });
    }
    Ok(functions)
}

/// The key of the attribute that names the namespace of a block.
const NAMESPACE: &str = "wasm_import_module";

/// The types of a declaration in Rust as WebAssembly has them.
pub(super) fn signature(declaration: &syn::Signature) -> Result<Signature> {
    let params = declaration.inputs.iter().map(|param| match param {
        FnArg::Typed(param) => value_type(&param.ty),
        FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "`self` is no parameter")),
    });
    let result = match &declaration.output {
        ReturnType::Default => None,
        ReturnType::Type(_, result) => Some(value_type(result)?),
    };
    Ok(Signature {
        params: params.collect::<Result<_>>()?,
        result,
    })
}

fn value_type(ty: &syn::Type) -> Result<ValueType> {
    let name = match ty {
        syn::Type::Ptr(_) => return Ok(ValueType::I32),
        syn::Type::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    };
    match name.as_deref() {
        // Guests have 32 bits.
        Some("i32" | "u32" | "usize") => Ok(ValueType::I32),
        Some("i64" | "u64") => Ok(ValueType::I64),
        Some("f64") => Ok(ValueType::F64),
        _ => Err(Error::new_spanned(ty, "no type of a host function")),
    }
}

/// Namespace and declaration of each imported function.
struct Blocks(Vec<(String, syn::Signature)>);

impl Visit<'_> for Blocks {
    fn visit_item_foreign_mod(&mut self, block: &ItemForeignMod) {
        let Some(namespace) = namespace(block) else {
            return;
        };
        for item in &block.items {
            if let ForeignItem::Fn(function) = item {
                self.0.push((namespace.clone(), function.sig.clone()));
            }
        }
    }
}

/// Returns the namespace of `#[link(wasm_import_module = "…")]`.
fn namespace(block: &ItemForeignMod) -> Option<String> {
    let links = block
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("link"));
    links
        .filter_map(|attr| match attr.parse_args() {
            Ok(Meta::NameValue(pair)) if pair.path.is_ident(NAMESPACE) => Some(pair.value),
            _ => None,
        })
        .find_map(|value| match value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(namespace),
                ..
            }) => Some(namespace.value()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::read;

    #[test]
    fn blocks_are_read_wherever_they_are() {
        let source = r#"
            mod host {
                #[link(wasm_import_module = "a")]
                unsafe extern "C" {
                    pub(crate) fn all(n: *const u8, m: usize, p: *mut [u64; 2], i: i64) -> u32;
                }
            }
            extern "C" { fn not_of_the_host(text: &str); }
            extern "C" fn entry(argument: u64) {}"#;
        let functions = read("a.rs", source).unwrap();
        let [function] = &functions[..] else {
            panic!("{functions:?}");
        };
        assert_eq!(function.to_string(), "a.rs:5: `a::all`");
        assert_eq!(
            function.signature.to_string(),
            "(i32, i32, i32, i64) -> i32"
        );
    }

    #[test]
    fn a_type_that_is_none_of_a_host_function_is_an_error() {
        let source = r#"
            #[link(wasm_import_module = "a")]
            extern "C" { fn f(byte: u8); }"#;
        assert!(read("a.rs", source).is_err());
    }
}
