//! `lunatic nodes`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lunatic_admin::{NodeEntry, NodeState, Request, Response};

use crate::command_line::admin::ask::{Which, ask, unexpected};
use crate::command_line::admin::shown::{self, NOTHING, or_nothing};
use crate::command_line::admin::table::Table;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// How they are listed.
#[derive(Debug, Args)]
pub(crate) struct NodesArguments {
    #[command(flatten)]
    which: Which,

    /// Print a list of objects in JSON.
    #[arg(long)]
    json: bool,
}

/// Lists the nodes that a node of a cluster knows.
pub(crate) fn nodes(options: &NodesArguments) -> Result<ExitCode, Problem> {
    let nodes = ask(&options.which, async |runtime| {
        match runtime.request(&Request::Nodes).await? {
            Response::Nodes(nodes) => Ok(nodes.nodes),
            other => Err(unexpected(&other)),
        }
    })?;
    match options.json {
        true => print_line(shown::json(&nodes)?),
        false => print_line(table(&nodes)),
    }
}

fn table(nodes: &[NodeEntry]) -> String {
    let mut table = Table::new(&[
        ("NAME", false),
        ("ID", false),
        ("ADDRESS", false),
        ("STATE", false),
        ("ROUND TRIP", true),
        ("SINCE", true),
        ("QUEUED", true),
        ("SENT", true),
        ("RECEIVED", true),
    ]);
    for node in nodes {
        let connection = node.connection.as_ref();
        let bytes = |bytes: Option<u64>| or_nothing(bytes.map(shown::bytes));
        let trip = connection.map(|it| shown::time(Duration::from_micros(it.round_trip_us)));
        let since = node
            .since_ms
            .map(|ms| shown::time(Duration::from_millis(ms)));
        table.push(vec![
            shown::text(&node.name, 64),
            shown::text(&node.id, 20),
            shown::text(&node.address, 64),
            state(node.state).to_owned(),
            or_nothing(trip),
            or_nothing(since),
            bytes(connection.map(|it| it.queued_bytes)),
            bytes(connection.map(|it| it.sent_bytes)),
            bytes(connection.map(|it| it.received_bytes)),
        ]);
    }
    table.into_text()
}

fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Own => "this one",
        NodeState::Connected => "connected",
        NodeState::Unconnected => "no connection",
        NodeState::Lost => "lost",
        NodeState::Left => "left",
        _ => NOTHING,
    }
}
