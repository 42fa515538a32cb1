//! What a kernel costs on plain wasmtime and on our engine.

use divan::Bencher;
use lunatic_bench::compute::{Body, Ground, Kernel};

#[divan::bench(args = Ground::ALL)]
fn fib(bencher: Bencher<'_, '_>, ground: Ground) {
    run(bencher, ground, Kernel::Fib);
}

#[divan::bench(args = Ground::ALL)]
fn sieve(bencher: Bencher<'_, '_>, ground: Ground) {
    run(bencher, ground, Kernel::Sieve);
}

#[divan::bench(args = Ground::ALL)]
fn matmul(bencher: Bencher<'_, '_>, ground: Ground) {
    run(bencher, ground, Kernel::Matmul);
}

fn run(bencher: Bencher<'_, '_>, ground: Ground, kernel: Kernel) {
    let mut body = Body::new(ground).unwrap();
    bencher.bench_local(|| body.run(kernel, kernel.usual()).unwrap());
}
