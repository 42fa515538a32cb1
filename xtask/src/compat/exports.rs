//! Reads the names of a module's exports.
//!
//! A few lines rather than `wasmparser`, which would have to be compiled
//! before any command of xtask could start.

use anyhow::{Context, Result, bail};

/// The first bytes of a module.
const HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// The id of the export section.
const EXPORT_SECTION: u8 = 7;

const TRUNCATED: &str = "the module is truncated";

/// The names of all that `module` exports.
pub(super) fn names(module: &[u8]) -> Result<Vec<&str>> {
    let Some(sections) = module.strip_prefix(HEADER) else {
        bail!("this isn't a WebAssembly module");
    };
    let mut reader = Reader { rest: sections };
    while !reader.rest.is_empty() {
        let id = reader.byte()?;
        let mut section = Reader {
            rest: reader.sized()?,
        };
        if id == EXPORT_SECTION {
            return section.exports();
        }
    }
    Ok(Vec::new())
}

/// The rest of a module or section that is still to be read.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn exports(&mut self) -> Result<Vec<&'a str>> {
        let count = self.number()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(std::str::from_utf8(self.sized()?)?);
            let _kind = self.byte()?;
            let _index = self.number()?;
        }
        Ok(names)
    }

    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.rest.split_first().context(TRUNCATED)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// Reads bytes with their number in front.
    fn sized(&mut self) -> Result<&'a [u8]> {
        let size = usize::try_from(self.number()?)?;
        let (bytes, rest) = self.rest.split_at_checked(size).context(TRUNCATED)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a LEB128 number: seven bits a byte, the lowest first.
    fn number(&mut self) -> Result<u32> {
        let mut number = 0;
        for shift in (0..u32::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        bail!("a number in the module is longer than its type");
    }
}

#[cfg(test)]
mod tests {
    use super::{EXPORT_SECTION, HEADER, names};

    /// A custom section called `x`.
    const CUSTOM: [u8; 5] = [0, 3, 1, b'x', 9];

    /// A module with a custom section and the exports `a` and `bc`.
    fn module() -> Vec<u8> {
        let exports = [2, 1, b'a', 0, 0, 2, b'b', b'c', 2, 0x80, 0x01];
        let mut module = HEADER.to_vec();
        module.extend(CUSTOM);
        module.extend([EXPORT_SECTION, 11]);
        module.extend(exports);
        module
    }

    #[test]
    fn exports_are_found_behind_other_sections() {
        assert_eq!(names(&module()).expect("a whole module"), ["a", "bc"]);
    }

    #[test]
    fn a_truncated_module_is_an_error() {
        let module = module();
        for end in HEADER.len() + CUSTOM.len() + 1..module.len() {
            assert!(names(&module[..end]).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn something_else_than_a_module_is_an_error() {
        assert!(names(b"#!/bin/sh").is_err());
    }
}
