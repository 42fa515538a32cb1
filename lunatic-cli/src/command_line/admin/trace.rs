//! `lunatic trace`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lunatic_admin::{ProcessId, Request, Target, Traced, TracedEvent};

use crate::command_line::admin::ask::Which;
use crate::command_line::admin::logs::follow;
use crate::command_line::admin::shown;
use crate::command_line::problem::Problem;
use crate::command_line::time::time;

/// Who is traced, and for how long.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    which: Which,

    /// Print an object in JSON for each event.
    #[arg(long)]
    json: bool,

    /// Also the processes below it, and those that they spawn meanwhile.
    #[arg(long)]
    tree: bool,

    /// How long, for example 500ms, 10s or 2m; an hour at most.
    #[arg(long = "for", value_name = "TIME", value_parser = time, default_value = "10s")]
    time: Duration,

    /// End after so many events.
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// The id of the process, as `lunatic ps` lists it.
    pid: ProcessId,
}

/// The most bytes of a text that a guest has chosen.
const MAX_TEXT: usize = 256;

/// Shows what a process does.
pub(crate) fn trace(options: &Trace) -> Result<ExitCode, Problem> {
    let request = Request::Trace(lunatic_admin::Trace {
        process: Target::new(options.pid),
        tree: options.tree,
        for_ms: u64::try_from(options.time.as_millis()).unwrap_or(u64::MAX),
        count: options.count,
    });
    follow(&options.which, &request, |_, traced| match options.json {
        true => Ok(vec![shown::json(traced)?]),
        false => Ok(vec![line(traced)]),
    })
}

/// An event for people.
fn line(traced: &Traced) -> String {
    let (pid, time) = (traced.pid, traced.at_us as f64 / 1e6);
    match &traced.event {
        TracedEvent::Lost { count } => format!("{time:>11.6}  ({count} events were lost)"),
        event => format!("{time:>11.6}  {pid} {}", what(event)),
    }
}

fn what(event: &TracedEvent) -> String {
    let text = |text: &str| shown::text(text, MAX_TEXT);
    let tagged = |tag: &Option<i64>| match tag {
        Some(tag) => format!(" with tag {tag}"),
        None => String::new(),
    };
    let named = |label: &Option<String>| match label {
        Some(label) => format!(", {}", text(label)),
        None => String::new(),
    };
    match event {
        TracedEvent::Spawned { child, label } => format!("spawns {child}{}", named(label)),
        TracedEvent::Sent { to, tag, bytes } => {
            format!("sends {bytes} B to {to}{}", tagged(tag))
        }
        TracedEvent::Received { from, tag, bytes } => {
            let from = from.map_or_else(String::new, |from| format!(" from {from}"));
            format!("is sent {bytes} B{from}{}", tagged(tag))
        }
        TracedEvent::Linked { peer } => format!("is linked to {peer}"),
        TracedEvent::Unlinked { peer } => format!("is no longer linked to {peer}"),
        TracedEvent::Monitored { by } => format!("is monitored by {by}"),
        TracedEvent::NotMonitored { by } => format!("is no longer monitored by {by}"),
        TracedEvent::LinkDied { peer, reason } => {
            format!("is told that its link {peer} has ended: {}", text(reason))
        }
        TracedEvent::ProcessDied { process } => format!("is told that {process} has ended"),
        TracedEvent::ExitSignal { from, reason } => {
            let from = from.map_or_else(String::new, |from| format!(" by {from}"));
            format!("is asked to exit{from}: {}", text(reason))
        }
        TracedEvent::Killed => "is killed".to_owned(),
        TracedEvent::TrapsExits { traps: true } => "traps link deaths from now on".to_owned(),
        TracedEvent::TrapsExits { traps: false } => "traps link deaths no longer".to_owned(),
        TracedEvent::Ended { reason } => format!("ends: {}", text(reason)),
        TracedEvent::Printed { text: printed, .. } => format!("prints {}", text(printed)),
        _ => "does something that this version does not know".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_on_one_line() {
        let event = |event| {
            line(&Traced {
                pid: ProcessId::from_bits(5),
                at_us: 1_500_000,
                event,
            })
        };
        let spawned = TracedEvent::Spawned {
            child: ProcessId::from_bits(6),
            label: Some("a\u{1b}[2J\n<script>".into()),
        };
        assert_eq!(
            event(spawned),
            r"   1.500000  5 spawns 6, a\u{1b}[2J\n<script>"
        );
        let sent = TracedEvent::Sent {
            to: ProcessId::from_bits(7),
            tag: Some(9),
            bytes: 12,
        };
        assert_eq!(event(sent), "   1.500000  5 sends 12 B to 7 with tag 9");
        let lost = TracedEvent::Lost { count: 3 };
        assert_eq!(event(lost), "   1.500000  (3 events were lost)");
    }
}
