//! How much memory it takes to make a module of bytes.

use crate::module_limits::Sums;
use crate::source::Source;

/// The bytes of any compilation, except the first of a thread.
const BASE: u64 = 128 << 10;

/// An estimate of the bytes that the compiler takes for a module.
///
/// The factors are a little above what was measured for the modules of the tests `worst` of
/// `tests/compile_time.rs`, each of which is at a limit of [`ModuleLimits::untrusted`]:
/// `LUNATIC_WORST=1 cargo nextest run --workspace --test compile_time --success-output immediate`.
/// Those of operators and sections are measured by `tests/compile_operators.rs`. For most programs
/// this is too much.
///
/// [`ModuleLimits::untrusted`]: crate::ModuleLimits::untrusted
///
/// - `threads`: how many functions are compiled at once.
pub(crate) fn of_module(sums: &Sums, threads: usize) -> u64 {
    [
        (sums.heaviest(threads), 640),
        (sums.module_bytes, 4),
        (sums.image_bytes, 2),
        (sums.code_bytes, 116),
        (sums.functions, 6 << 10),
        (sums.referenced_functions, 7 << 10),
        (sums.types, 4 << 10),
        (sums.bulk_operations, 10 << 10),
        (sums.exception_edges, 640),
        (sums.passed_values, 384),
        (sums.signature_values, 384),
        (sums.constant_operators, 2 << 10),
        (sums.startup_items, 8 << 10),
        (sums.startup_segments, 12 << 10),
        (sums.table_images, 16),
        (sums.block_merges, 2),
        (sums.loop_merges, 8),
        (sums.locals, 8),
        (sums.globals, 3 << 10),
    ]
    .iter()
    .fold(BASE, |sum, (count, each)| {
        sum.saturating_add(count.saturating_mul(*each))
    })
}

/// Estimates the bytes that are needed to read a module: those of the text as it is parsed, and
/// copies of a binary module.
pub(crate) fn of_reading(source: &Source) -> u64 {
    let bytes = source.bytes();
    let length = bytes.len() as u64;
    if source.is_binary() {
        return length.saturating_mul(2);
    }
    let fields = bytes.iter().filter(|byte| **byte == b'(').count() as u64;
    length
        .saturating_mul(TEXT)
        .saturating_add(fields.saturating_mul(FIELD))
}

/// The bytes for each byte of text. Most of the costliest texts, which are in the test
/// `worst_case_of_text`, take 50 to 85, and one takes 96.
const TEXT: u64 = 100;

/// The bytes for each parenthesis that opens, as that of `(rec)`, `(tag)` or `(data)`, which take
/// 1500 to 2000 in all.
const FIELD: u64 = 1600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_the_compiler_more_is_estimated_to_be_more() {
        let small = Sums::default();
        let code = Sums {
            code_bytes: 4 << 20,
            ..Sums::default()
        };
        assert_eq!(of_module(&small, 2), BASE);
        assert_eq!(of_module(&code, 2), BASE + (464 << 20));
        let endless = Sums {
            loop_merges: u64::MAX,
            code_bytes: u64::MAX,
            ..Sums::default()
        };
        assert_eq!(of_module(&endless, 2), u64::MAX);
    }

    #[test]
    fn the_functions_that_are_compiled_at_once_count() {
        let sums = Sums {
            weights: vec![1000, 3000, 2000],
            ..Sums::default()
        };
        assert_eq!(of_module(&sums, 2), BASE + 5000 * 640);
        assert_eq!(of_module(&sums, 8), BASE + 6000 * 640);
    }

    #[test]
    fn fields_of_a_text_are_dearer_than_its_bytes() {
        let of = |bytes: &'static [u8]| of_reading(&Source::new(bytes.into()));
        assert_eq!(of(b"(rec)(rec)"), 10 * TEXT + 2 * FIELD);
        assert_eq!(of(b"nop nop no"), 10 * TEXT);
    }

    #[test]
    fn text_is_dearer_than_a_binary_module() {
        let of = |bytes: &'static [u8]| of_reading(&Source::new(bytes.into()));
        assert!(of(b"(module)") > of(b"\0asm\x01\0\0\0"));
    }
}
