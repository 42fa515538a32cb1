//! Processes that are the least a module can be.

use divan::Bencher;
use futures_lite::future::block_on;
use lunatic_cli::{Config, Root, Runtime};

const LEAST: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

#[divan::bench]
fn spawn_and_end(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::builder().start().unwrap();
    let module = block_on(runtime.load(LEAST.into())).unwrap();
    bencher.bench_local(|| {
        block_on(async {
            let root = Root::new("_start").config(Config::default());
            runtime.spawn(&module, root).await.unwrap().wait().await
        })
    });
    block_on(runtime.shut_down());
}
