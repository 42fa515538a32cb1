//! The addresses of the nodes that are asked for others: looked up again and again.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future::{block_on, or};
use lunatic_quic::EndpointWaker;

use crate::node::driver::Command;
use crate::node::late::Late;

/// How often they are looked up.
const PERIOD: Duration = Duration::from_secs(5);

/// Looks seeds up by a thread of its own, as name servers may take long, if there are any. It ends
/// when what is returned is dropped.
///
/// - `seeds`: as `host:port`.
pub(super) fn start(
    seeds: Vec<String>,
    late: Arc<Late>,
    commands: Sender<Command>,
    waker: EndpointWaker,
) -> io::Result<Sender<()>> {
    let (kept, ended) = async_channel::bounded(1);
    if seeds.is_empty() {
        return Ok(kept);
    }
    let run = move || {
        let mut known = Vec::new();
        loop {
            let found = look_up(&seeds, &late);
            // A name server that does not answer is no reason to forget what it said before.
            if found != known && !found.is_empty() {
                known.clone_from(&found);
                commands.try_send(Command::Seeds(found)).ok();
                waker.wake();
            }
            if has_ended_within(&ended, PERIOD) {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("node-seeds".into())
        .spawn(run)?;
    Ok(kept)
}

fn has_ended_within(ended: &Receiver<()>, time: Duration) -> bool {
    let end = Instant::now() + time;
    block_on(or(async { ended.recv().await.is_err() }, async {
        async_io::Timer::at(end).await;
        false
    }))
}

fn look_up(seeds: &[String], late: &Late) -> Vec<SocketAddr> {
    let mut all = Vec::new();
    for seed in seeds {
        let found = seed.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        if let Ok(addresses) = &found {
            all.extend_from_slice(addresses);
        }
        let found = found.map_err(|error| error.to_string());
        late.unreached().looked_up(seed, found);
    }
    all.sort_unstable();
    all.dedup();
    all
}
