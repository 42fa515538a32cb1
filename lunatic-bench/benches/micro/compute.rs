//! What a kernel costs on plain wasmtime and on our engine.

use divan::Bencher;
use lunatic_bench::compute::{Backend, Kernel, Program};

#[divan::bench(args = Backend::ALL)]
fn fib(bencher: Bencher<'_, '_>, backend: Backend) {
    run(bencher, backend, Kernel::Fib);
}

#[divan::bench(args = Backend::ALL)]
fn sieve(bencher: Bencher<'_, '_>, backend: Backend) {
    run(bencher, backend, Kernel::Sieve);
}

#[divan::bench(args = Backend::ALL)]
fn matmul(bencher: Bencher<'_, '_>, backend: Backend) {
    run(bencher, backend, Kernel::Matmul);
}

fn run(bencher: Bencher<'_, '_>, backend: Backend, kernel: Kernel) {
    let mut program = Program::new(backend).unwrap();
    bencher.bench_local(|| program.run(kernel, kernel.usual()).unwrap());
}
