//! A node that is a program of its own: what tests start, this program being told so.

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;

use lunatic_distributed::NodeConfig;
use lunatic_mailbox::{DataMessage, Message, Pid, Tag, Wanted};
use lunatic_process::{Context, Failure, LinkNotice};
use lunatic_testkit::Plug;

use crate::host::{Host, credentials, trapping};

/// What the runner of tests calls the program.
pub(crate) const PROGRAM: &str = "program::the_program_of_a_node";

/// Not a test by itself: what other tests start. It says what happens in lines that begin with
/// `NODE`, and is told by its standard input what to watch.
#[test]
#[ignore = "it is the program of a node that other tests start"]
fn the_program_of_a_node() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let address = |name: &str| -> SocketAddr { variable(name).parse().unwrap() };
    let cluster = PathBuf::from(variable("NODE_CLUSTER"));
    let plug = Plug {
        number: 0,
        listen: address("NODE_LISTEN"),
        advertise: address("NODE_ADVERTISE"),
    };
    let credentials = credentials(&cluster, &variable("NODE_NAME"));
    let mut config = NodeConfig::new(credentials, plug.listen);
    config.advertise = Some(plug.advertise);
    let seed = variable("NODE_SEED");
    if seed != variable("NODE_ADVERTISE") {
        config.seeds = vec![seed];
    }
    let host = match Host::start(config, plug) {
        Ok(host) => host,
        Err(error) => return println!("\nNODE {error}"),
    };
    let process = host.environment.spawn(trapping(), tell).unwrap();
    println!("\nNODE process {}", process.id().to_bits());
    host.node.monitor_nodes(&process, Tag::new(1)).unwrap();
    // Until whoever has started it ends.
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if let Some(number) = line.strip_prefix("watch ") {
            let watched = Pid::from_bits(number.parse().unwrap());
            process.link(watched, None);
            process.monitor(watched);
            println!("\nNODE watching");
        }
        if let Some(arguments) = line.strip_prefix("flood ") {
            let numbers = arguments.split(' ').map(|number| number.parse().unwrap());
            let [to, count, length] = numbers.collect::<Vec<u64>>().try_into().unwrap();
            let sending = move |own| flood(own, Pid::from_bits(to), count, length);
            host.environment.spawn(trapping(), sending).unwrap();
        }
    }
}

/// Sends so many messages of this length, and says how it gets on.
async fn flood(own: Context, to: Pid, count: u64, length: u64) -> Result<(), Failure> {
    for number in 0..count {
        let message = DataMessage::new(None, vec![7; length as usize]);
        let environment = own.process.environment();
        let sent = environment.send(Some(&own.process), to, message.into());
        if let Err(error) = sent {
            println!("\nNODE not sent: {error}");
            return Ok(());
        }
        if number % 100 == 99 {
            println!("\nNODE sent {}", number + 1);
        }
        // Where it is held.
        futures_lite::future::yield_now().await;
    }
    println!("\nNODE flooded");
    Ok(())
}

/// Says what the process is told.
async fn tell(mut own: Context) -> Result<(), Failure> {
    loop {
        let mut message = own.mailbox.receive(Wanted::Any).await;
        if let Some(notice) = LinkNotice::take(&mut message) {
            match notice {
                LinkNotice::Exit { reason, .. } => println!("\nNODE link {reason}"),
                other => println!("\nNODE link {other:?}"),
            }
            continue;
        }
        match message {
            Message::Data(data) => {
                let bytes = data.bytes();
                let what = ["up", "up", "down", "left"][bytes[0] as usize];
                println!("\nNODE {what} {}", String::from_utf8_lossy(&bytes[16..]));
            }
            other => println!("\nNODE monitor {other:?}"),
        }
    }
}
