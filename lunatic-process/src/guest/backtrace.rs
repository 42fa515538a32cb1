//! Backtraces of guests, in words.

use std::fmt::{self, Write as _};

use wasmtime::{FrameInfo, WasmBacktrace};

use crate::guest::cpp_names;

/// The longest name that is shown, in bytes; a longer one is cut.
const MAX_SHOWN: usize = 512;

/// The longest symbol that is read, in bytes; a longer one is shown as it is.
const MAX_SYMBOL: usize = 4096;

/// The functions of a backtrace, the innermost first, a line for each.
///
/// A module chooses its names: they may be as long as it is, and those of Rust can be written
/// out to much more.
pub(super) fn shown(backtrace: &WasmBacktrace) -> String {
    let mut text = String::from("error while executing at wasm backtrace:");
    for (number, frame) in backtrace.frames().iter().enumerate() {
        let _ = write!(text, "\n  {number:>3}: ");
        if let Some(offset) = frame.module_offset() {
            let _ = write!(text, "{offset:#8x} - ");
        }
        let module = frame.module().name().unwrap_or("<unknown>");
        let _ = write!(text, "{}!{}", start_of(module), function(frame));
    }
    text
}

fn function(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => readable(name),
        None => format!("<wasm function {}>", frame.func_index()),
    }
}

/// A name as it stands in the source, if it is a symbol of Rust or C++; the beginning of it if it
/// is long.
pub(super) fn readable(symbol: &str) -> String {
    if symbol.len() > MAX_SYMBOL {
        return start_of(symbol).to_owned();
    }
    if let Ok(rust) = rustc_demangle::try_demangle(symbol) {
        let mut name = Start(String::new());
        // It ends early where the name is longer than what is shown.
        let _ = write!(name, "{rust:#}");
        return name.0;
    }
    let cpp = cpp_names::readable(symbol);
    start_of(cpp.as_deref().unwrap_or(symbol)).to_owned()
}

fn start_of(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_SHOWN)]
}

/// The beginning of what is written; an error as soon as it is that long.
struct Start(String);

impl fmt::Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_SHOWN - self.0.len();
        let fitting = &text[..text.floor_char_boundary(room)];
        self.0.push_str(fitting);
        if fitting.len() < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
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
            assert_eq!(readable(name), name);
        }
    }

    #[test]
    fn names_of_rust_and_cpp_are_those_of_the_source() {
        assert_eq!(
            readable("_ZN4core9panicking5panic17h0123456789abcdefE"),
            "core::panicking::panic"
        );
        assert_eq!(readable("_Z3addii"), "add");
        assert_eq!(readable("_RNvC6_123foo3bar"), "123foo::bar");
    }

    #[test]
    fn a_name_that_doubles_with_each_part_is_cut() {
        // Each part of the symbol stands for two of the one before.
        let mut symbol = String::from("_RIC1aTuuE");
        let mut pair = 4;
        for _ in 0..60 {
            let number = base_62(pair);
            pair = symbol.len() - 2;
            symbol += &format!("TB{number}_B{number}_E");
        }
        symbol.push('E');
        let name = readable(&symbol);
        assert!(name.starts_with("a::<((), ()), (((), ())"), "{name}");
        assert_eq!(name.len(), MAX_SHOWN);
    }

    /// A place in a symbol as Rust writes it, which is one less.
    fn base_62(place: usize) -> String {
        const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let (mut number, mut digits) = (place - 1, Vec::new());
        loop {
            digits.insert(0, DIGITS[number % 62] as char);
            number /= 62;
            if number == 0 {
                return digits.into_iter().collect();
            }
        }
    }

    #[test]
    fn long_names_are_cut() {
        for symbol in ["x".repeat(1 << 20), format!("_ZN{}E", "1f".repeat(1000))] {
            assert_eq!(readable(&symbol).len(), MAX_SHOWN);
        }
    }
}
