//! Runs a function on every node of the cluster, and in this process if there is none.

use std::time::Duration;

use lunatic_guest::node::{self, Node};
use lunatic_guest::process::{self, Message, ProcessId};

/// The tag of the answers.
const SQUARE: i64 = 1;

fn main() {
    let nodes = node::all();
    println!("nodes of the cluster: {}", nodes.len());
    for node in &nodes {
        node.spawn_link(0, square, process::this().0).unwrap();
    }
    if nodes.is_empty() {
        square(process::this().0);
    }
    for _ in 0..nodes.len().max(1) {
        let patience = Some(Duration::from_secs(10));
        match process::receive_timeout(&[SQUARE], patience) {
            Some(Message::Data { bytes, .. }) => println!("{}", String::from_utf8_lossy(&bytes)),
            _ => println!("no answer"),
        }
    }
}

/// Computes something, and sends it to a process of any node.
fn square(asker: u64) {
    let here = Node::this().name();
    let here = here.as_deref().unwrap_or("a node that is alone");
    let answer = format!("{here} says: 12 * 12 = {}", 12 * 12);
    process::send(ProcessId(asker), SQUARE, answer.as_bytes());
}
