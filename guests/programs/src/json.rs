//! A document in JSON.

use serde::{Deserialize, Serialize};

use crate::random::Random;

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    paid: bool,
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    article: String,
    count: u32,
    price: f64,
}

/// Returns a document with so many orders.
pub(crate) fn document(orders: u64) -> String {
    let mut random = Random::new(2);
    let orders: Vec<Order> = (0..orders).map(|id| order(id, &mut random)).collect();
    serde_json::to_string(&orders).unwrap_or_default()
}

fn order(id: u64, random: &mut Random) -> Order {
    let count = 1 + random.next() % 4;
    Order {
        id,
        customer: format!("{} \"{}\"", random.word(), random.word()),
        paid: random.next() % 2 == 0,
        lines: (0..count).map(|_| line(random)).collect(),
    }
}

fn line(random: &mut Random) -> Line {
    Line {
        article: random.word(),
        count: (random.next() % 100) as u32,
        price: (random.next() % 100_000) as f64 / 100.0,
    }
}

/// Reads a document into values of its own and into any, and writes both.
pub(crate) fn read_and_write(text: &str) -> u64 {
    let orders: Vec<Order> = serde_json::from_str(text).unwrap_or_default();
    let any: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let lines: usize = orders.iter().map(|order| order.lines.len()).sum();
    let written = serde_json::to_string(&orders).unwrap_or_default();
    (lines + written.len() + any.to_string().len()) as u64
}
