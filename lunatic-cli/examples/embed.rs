//! A Rust program with a wasm process inside: it starts the runtime, loads a
//! module, spawns it with less rights than it could have, exchanges messages with
//! it, waits for it, and shuts the runtime down.
//!
//! ```text
//! cargo run -p lunatic-cli --example embed
//! ```

#![allow(clippy::print_stdout, reason = "that is what an example is for")]

use std::error::Error;

use futures_lite::future::block_on;
use lunatic_cli::{Config, Root, Runtime, Value};
use lunatic_mailbox::{DataMessage, Message, Tag, Wanted};
use lunatic_process::{Context, Failure, Process, ProcessConfig, SpawnOptions};

/// Adds up the numbers it is sent, and answers each with the sum so far; 0 ends
/// it. Its argument says who gets the answers.
const ADDER: &str = r#"(module
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (import "lunatic::message" "read_data" (func $read (param i32 i32) (result i32)))
    (import "lunatic::message" "create_data" (func $create (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write (param i32 i32) (result i32)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "add") (param $client i64) (local $number i64) (local $sum i64)
        (loop $next
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (drop (call $read (i32.const 0) (i32.const 8)))
            (local.set $number (i64.load (i32.const 0)))
            (local.set $sum (i64.add (local.get $sum) (local.get $number)))
            (i64.store (i32.const 8) (local.get $sum))
            (call $create (i64.const 64) (i64.const 8))
            (drop (call $write (i32.const 8) (i32.const 8)))
            (drop (call $send (local.get $client)))
            (br_if $next (i64.ne (local.get $number) (i64.const 0))))))"#;

/// The tag of the answers.
const SUM: i64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(async {
        let runtime = Runtime::builder().start()?;
        let module = runtime.load(ADDER.into()).await?;
        println!("loaded the adder");

        let inner = runtime.clone();
        let client = runtime
            .environment()
            .spawn(SpawnOptions::default(), |own| async move {
                let config = Config {
                    process: ProcessConfig {
                        max_memory: 1 << 20,
                        ..ProcessConfig::default()
                    },
                    ..Config::default()
                };
                let root = Root::new("add")
                    .config(config)
                    .params([Value::I64(own.process.id().to_bits() as i64)]);
                let adder = inner.spawn(&module, root).await?;
                println!("spawned it as {adder:?}, without rights and with 1 MiB of memory");
                client(own, adder).await
            })?;

        println!("the client ended: {}", client.wait().await);
        runtime.shut_down().await;
        println!(
            "shut down, {} processes left",
            runtime.environment().process_count()
        );
        Ok(())
    })
}

/// A native process that lets the adder add.
async fn client(mut own: Context, adder: Process) -> Result<(), Failure> {
    own.process.monitor(adder.id());
    for number in [40, 2, 0u64] {
        let message = DataMessage::new(None, number.to_le_bytes());
        adder
            .send(message.into())
            .map_err(|error| error.to_string())?;
        let answer = own.mailbox.receive(Wanted::tags(Tag::new(SUM))).await;
        let Message::Data(sum) = answer else {
            return Err("an answer has data".into());
        };
        let sum = u64::from_le_bytes(sum.bytes().try_into()?);
        println!("sent {number}, the sum is {sum}");
    }
    let message = own.mailbox.receive(Wanted::Any).await;
    println!("the monitor says: {message:?}");
    println!("the adder ended: {}", adder.wait().await);
    Ok(())
}
