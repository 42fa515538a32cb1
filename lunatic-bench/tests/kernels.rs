//! What the kernels and the programs compute.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs;

use lunatic_bench::compute::{Backend, Kernel, PROGRAMS, Program};
use lunatic_testkit::built::rust_guests;

#[test]
fn all_grounds_compute_what_is_right() {
    for backend in Backend::ALL {
        let mut program = Program::new(backend).unwrap();
        let mut run = |kernel, parameter| program.run(kernel, parameter).unwrap();
        assert_eq!(run(Kernel::Fib, 20), 6765, "{backend}");
        assert_eq!(run(Kernel::Sieve, 1_000_000), 78_498, "{backend}");
        assert_eq!(run(Kernel::Sieve, 100), 25, "again, {backend}");
        for size in [1, 2, 64] {
            assert_eq!(run(Kernel::Matmul, size), product(size.into()), "{backend}");
        }
    }
}

#[test]
fn programs_compute_the_same_on_all_backends() {
    let Some(guests) = rust_guests(&["programs.wasm"]) else {
        return;
    };
    let module = fs::read(guests.join("programs.wasm")).unwrap();
    let results = Backend::ALL.map(|backend| {
        let mut program = Program::of(backend, &module).unwrap();
        PROGRAMS.map(|export| program.call(export, 1).unwrap())
    });
    for (result, backend) in results.iter().zip(Backend::ALL) {
        assert_eq!(*result, results[0], "{backend}");
    }
    // Each did something.
    for (result, export) in results[0].iter().zip(PROGRAMS) {
        assert_ne!(*result, 0, "{export}");
    }
}

/// The sum of the product of the matrices `i + j` and `i - j`.
fn product(size: i64) -> i64 {
    let columns = |k| (0..size).map(|i| i + k).sum::<i64>();
    let rows = |k| (0..size).map(|j| k - j).sum::<i64>();
    (0..size).map(|k| columns(k) * rows(k)).sum()
}
