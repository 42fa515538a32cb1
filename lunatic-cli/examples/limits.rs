//! A host that runs guests with limits, and looks how each has ended.
//!
//! ```text
//! cargo run -p lunatic-cli --example limits
//! ```

#![allow(clippy::print_stdout, reason = "that is what an example is for")]

use std::error::Error;
use std::num::NonZeroU64;

use futures_lite::future::block_on;
use lunatic_cli::{Config, Root, Runtime};
use lunatic_process::ProcessConfig;

/// Three guests in one module.
const GUESTS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "returns"))
    (func (export "spins") (loop $again (br $again)))
    (func (export "grows")
        (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1))
            (then unreachable))))"#;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let runtime = Runtime::builder().start()?;
        let module = runtime.load(GUESTS.into()).await?;
        for export in ["returns", "spins", "grows"] {
            let config = Config {
                process: ProcessConfig {
                    max_memory: 1 << 20,
                    max_fuel: NonZeroU64::new(10),
                    ..ProcessConfig::default()
                },
                ..Config::default()
            };
            let root = Root::new(export).config(config);
            let guest = runtime.spawn(&module, root).await?;
            match guest.wait().await.is_normal() {
                true => println!("{export}: ended normally"),
                false => println!("{export}: failed"),
            }
        }
        runtime.shut_down().await;
        println!("processes: {}", runtime.environment().process_count());
        Ok(())
    })
}
