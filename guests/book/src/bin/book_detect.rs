//! Finds out whether the runtime offers a host function, before a module that imports
//! it is needed.

use lunatic::{LunaticError, Mailbox, WasmModule};

#[lunatic::main]
fn main(_: Mailbox<()>) {
    for (namespace, name, ty) in [
        ("lunatic::message", "create_data", "(param i64 i64)"),
        ("lunatic::process", "set_label", "(param i32 i32)"),
        ("lunatic::process", "set_label", "(param i64)"),
        ("lunatic::process", "set_colour", "(param i32)"),
    ] {
        let offered = match is_offered(namespace, name, ty) {
            Ok(()) => "offered".to_owned(),
            Err(why) => format!("not offered: {why}"),
        };
        println!("{namespace}::{name} {ty} is {offered}");
    }
}

/// Compiles a module that imports nothing but this function.
fn is_offered(namespace: &str, name: &str, ty: &str) -> Result<(), LunaticError> {
    let text = format!(r#"(module (import "{namespace}" "{name}" (func {ty})))"#);
    WasmModule::new(text.as_bytes()).map(drop)
}
