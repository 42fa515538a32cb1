//! A counter and its supervisor as native processes: linked, monitored, killed,
//! and sent messages, without any wasm.
//!
//! ```text
//! cargo run -p lunatic-process --no-default-features --example supervised_counter
//! ```

#![allow(clippy::print_stdout, reason = "that is what an example is for")]

use std::error::Error;

use futures_lite::future::block_on;
use lunatic_mailbox::{DataMessage, Message, Pid, Tag, Wanted};
use lunatic_process::{Context, Environment, Failure, Process, SpawnLink, SpawnOptions};
use lunatic_scheduler::Scheduler;

/// Tells the counter to count.
const INCREMENT: i64 = 64;
/// Asks the counter for its count; the message holds who asks.
const ASK: i64 = 65;
/// The answer.
const COUNT: i64 = 66;
/// Tells the supervisor that its counter has died.
const COUNTER_DIED: i64 = 67;
/// Tells the supervisor, or the user, who the counter is.
const COUNTER: i64 = 68;

fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::new(1, Scheduler::builder().start()?);

    let user = environment.spawn(SpawnOptions::default(), user)?;
    let supervisor = environment.spawn(SpawnOptions::default(), {
        let user = user.clone();
        |own| supervisor(own, user)
    })?;

    let reason = block_on(user.wait());
    println!("the user ended: {reason}");
    println!("the supervisor is alive: {}", supervisor.is_alive());
    block_on(environment.shut_down());
    println!(
        "and now nobody is: {} processes",
        environment.process_count()
    );
    Ok(())
}

/// Keeps a counter alive, and tells the user who it is.
async fn supervisor(mut own: Context, user: Process) -> Result<(), Failure> {
    // From now on, the death of a link is a message and not the end.
    own.process.die_when_link_dies(false);
    for generation in 1.. {
        let options = SpawnOptions {
            link: Some(SpawnLink {
                parent: own.process.clone(),
                tag: Tag::new(COUNTER_DIED),
            }),
            ..SpawnOptions::default()
        };
        let counter = own.process.environment().spawn(options, counter)?;
        println!("supervisor: counter number {generation} is {counter:?}");
        send(&user, COUNTER, counter.id().to_bits());
        receive(&mut own, COUNTER_DIED).await;
        println!("supervisor: it died, a new one begins at 0");
    }
    Ok(())
}

/// Counts, and fails at 3.
async fn counter(mut own: Context) -> Result<(), Failure> {
    let mut count = 0;
    loop {
        let message = own.mailbox.receive(Wanted::Any).await;
        match message.tag().map(Tag::get) {
            Some(INCREMENT) => count += 1,
            Some(ASK) => {
                let asks = Pid::from_bits(number(&message));
                let answer = DataMessage::new(Tag::new(COUNT), u64::to_le_bytes(count));
                own.process
                    .environment()
                    .send(None, asks, answer.into())
                    .ok();
            }
            _ => {}
        }
        if count == 3 {
            return Err("this counter cannot count to three".into());
        }
    }
}

/// Lets a counter fail, and kills another.
async fn user(mut own: Context) -> Result<(), Failure> {
    let first = next_counter(&mut own).await?;
    send(&first, INCREMENT, 0);
    send(&first, INCREMENT, 0);
    println!("user: the count is {}", ask(&mut own, &first).await);
    own.process.monitor(first.id());
    send(&first, INCREMENT, 0);
    println!("user: the counter ended: {}", first.wait().await);
    let message = own.mailbox.receive(Wanted::Any).await;
    println!("user: the monitor says: {message:?}");

    let second = next_counter(&mut own).await?;
    println!("user: the count is {}", ask(&mut own, &second).await);
    second.kill();
    println!("user: the counter ended: {}", second.wait().await);

    let third = next_counter(&mut own).await?;
    send(&third, INCREMENT, 0);
    println!("user: the count is {}", ask(&mut own, &third).await);
    Ok(())
}

/// Waits for the supervisor's word.
async fn next_counter(own: &mut Context) -> Result<Process, Failure> {
    let id = Pid::from_bits(receive(own, COUNTER).await);
    let counter = own.process.environment().process(id);
    counter.ok_or_else(|| "the counter has died already".into())
}

async fn ask(own: &mut Context, counter: &Process) -> u64 {
    send(counter, ASK, own.process.id().to_bits());
    receive(own, COUNT).await
}

fn send(to: &Process, tag: i64, number: u64) {
    let message = DataMessage::new(Tag::new(tag), number.to_le_bytes());
    // Who is dead misses it.
    to.send(message.into()).ok();
}

/// Waits for the next message with this tag; others stay where they are.
async fn receive(own: &mut Context, tag: i64) -> u64 {
    let message = own.mailbox.receive(Wanted::tags(Tag::new(tag))).await;
    number(&message)
}

/// The number in a message; 0 if it tells of a death.
fn number(message: &Message) -> u64 {
    match message {
        Message::Data(data) => data
            .bytes()
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes)),
        Message::LinkDied { .. } | Message::ProcessDied { .. } => 0,
    }
}
