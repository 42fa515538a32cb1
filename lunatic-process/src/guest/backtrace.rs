//! Backtraces of guests, in words.

use std::fmt::Write as _;

use wasmtime::{FrameInfo, WasmBacktrace};

/// The functions of a backtrace, the innermost first, a line for each.
pub(super) fn shown(backtrace: &WasmBacktrace) -> String {
    let mut text = String::from("error while executing at wasm backtrace:");
    for (number, frame) in backtrace.frames().iter().enumerate() {
        let _ = write!(text, "\n  {number:>3}: ");
        if let Some(offset) = frame.module_offset() {
            let _ = write!(text, "{offset:#8x} - ");
        }
        let module = frame.module().name().unwrap_or("<unknown>");
        let _ = write!(text, "{module}!{}", function(frame));
    }
    text
}

fn function(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => demangled(name),
        None => format!("<wasm function {}>", frame.func_index()),
    }
}

/// A name as it stands in the source, if it is a mangled one of Rust or C++. Every name of
/// C is a type of C++ to a demangler that is not told apart: `f` would be `float`.
fn demangled(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    if !name.trim_start_matches('_').starts_with('Z') || !name.starts_with('_') {
        return name.to_owned();
    }
    let symbol = cpp_demangle::Symbol::new(name).ok();
    let cpp = symbol.and_then(|symbol| symbol.demangle().ok());
    cpp.map_or_else(|| name.to_owned(), |cpp| cpp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_c_stay_what_they_are() {
        for name in [
            "f",
            "i",
            "d",
            "v",
            "main",
            "St",
            "_start",
            "__original_main",
        ] {
            assert_eq!(demangled(name), name);
        }
    }

    #[test]
    fn names_of_rust_and_cpp_are_those_of_the_source() {
        assert_eq!(
            demangled("_ZN4core9panicking5panic17h0123456789abcdefE"),
            "core::panicking::panic"
        );
        assert_eq!(demangled("_Z3addii"), "add(int, int)");
        assert_eq!(demangled("_RNvC6_123foo3bar"), "123foo::bar");
    }
}
