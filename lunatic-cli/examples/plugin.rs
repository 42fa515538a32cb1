//! A plugin that has a second, 32 MiB and one host of the network.
//!
//! ```text
//! cargo run -p lunatic-cli --example plugin
//! ```

#![allow(clippy::print_stdout, reason = "that is what an example is for")]

use std::error::Error;
use std::time::Duration;

use futures_lite::future::{block_on, or};
use lunatic_cli::{Config, Root, Runtime};
use lunatic_net::Rules;

/// It would run for ever.
const PLUGIN: &str = r#"(module (func (export "main") (loop $again (br $again))))"#;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let mut config = Config::default();
        config.process.max_memory = 32 << 20;
        config.narrow_net(Rules {
            allow: Some(vec!["connect:localhost:5432".parse()?]),
            deny: Vec::new(),
        });
        let runtime = Runtime::builder().start()?;
        let module = runtime.load(PLUGIN.into()).await?;
        let plugin = runtime
            .spawn(&module, Root::new("main").config(config))
            .await?;
        let time_is_up = async {
            async_io::Timer::after(Duration::from_secs(1)).await;
            plugin.kill();
            plugin.wait().await
        };
        println!("the plugin ended: {}", or(plugin.wait(), time_is_up).await);
        runtime.shut_down().await;
        Ok(())
    })
}
