//! `lunatic ps`.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lunatic_admin::{
    Describe, Described, ProcessEntry, ProcessId, ProcessQuery, Request, Response,
};

use crate::command_line::admin::ask::{Asked, Which, ask, unexpected};
use crate::command_line::admin::shown::{self, NOTHING, or_nothing};
use crate::command_line::admin::table::Table;
use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;

/// Which processes are listed, and how.
#[derive(Debug, Args)]
pub(crate) struct Ps {
    #[command(flatten)]
    which: Which,

    /// Print a list of objects in JSON.
    #[arg(long)]
    json: bool,

    /// In which order; numbers from high to low, but for ids.
    #[arg(long, value_enum, value_name = "FIELD", default_value_t = Field::Pid)]
    sort: Field,

    /// Only processes whose label contains this text, or whose id or parent's id it is.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Put each process below the one that spawned it.
    #[arg(long)]
    tree: bool,

    /// Ask all processes for module, state and memory. By default they are asked, which wakes
    /// each of them, if there are no more than 1000, or if they are sorted by that.
    #[arg(long)]
    ask: bool,
}

/// What processes are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Field {
    Pid,
    Label,
    Module,
    State,
    Mailbox,
    Memory,
    Cpu,
    Restarts,
    Links,
    Parent,
}

/// Lists processes.
pub(crate) fn ps(options: &Ps) -> Result<ExitCode, Problem> {
    let mut processes = ask(&options.which, async |runtime| list(runtime, options).await)?;
    processes.sort_by(|one, other| options.sort.compare(one, other));
    if options.json {
        return print_line(shown::json(&processes)?);
    }
    let with_depth = match options.tree {
        true => tree(processes),
        false => processes.into_iter().map(|process| (0, process)).collect(),
    };
    print_line(table(&with_depth))
}

/// All pages, in the order of the ids: one that ends meanwhile moves no other.
async fn list(runtime: &mut Asked, options: &Ps) -> Result<Vec<ProcessEntry>, Problem> {
    let describe = match options.ask || options.sort.has_to_be_asked() {
        true => Describe::Yes,
        false => Describe::IfFew,
    };
    let mut query = ProcessQuery {
        filter: options.filter.clone(),
        describe,
        ..ProcessQuery::default()
    };
    let mut processes = Vec::new();
    loop {
        let page = match runtime.request(&Request::Processes(query.clone())).await? {
            Response::Processes(page) => page,
            other => return Err(unexpected(&other)),
        };
        processes.extend(page.processes);
        query.after = processes.last().map(|process: &ProcessEntry| process.pid);
        if !page.more {
            return Ok(processes);
        }
    }
}

impl Field {
    /// Whether only the processes themselves know it.
    fn has_to_be_asked(self) -> bool {
        matches!(
            self,
            Field::Module | Field::State | Field::Memory | Field::Restarts
        )
    }

    /// Equal ones stay in the order of their ids.
    fn compare(self, one: &ProcessEntry, other: &ProcessEntry) -> Ordering {
        let module = |it: &ProcessEntry| {
            let described = it.described.as_ref();
            described.map(|it| (module_of(it).to_owned(), it.module_hash.clone()))
        };
        let memory = |it: &ProcessEntry| it.described.as_ref().and_then(|it| it.memory);
        /// What there is comes before what there is not.
        fn some_first<T: Ord>(one: Option<T>, other: Option<T>) -> Ordering {
            (one.is_none(), one).cmp(&(other.is_none(), other))
        }
        match self {
            Field::Pid => one.pid.cmp(&other.pid),
            Field::Label => some_first(one.label.as_ref(), other.label.as_ref()),
            Field::Module => some_first(module(one), module(other)),
            Field::State => shown::state(one).cmp(&shown::state(other)),
            Field::Mailbox => Reverse(one.mailbox).cmp(&Reverse(other.mailbox)),
            Field::Memory => Reverse(memory(one)).cmp(&Reverse(memory(other))),
            Field::Cpu => Reverse(one.cpu_us).cmp(&Reverse(other.cpu_us)),
            Field::Restarts => Reverse(one.restarts).cmp(&Reverse(other.restarts)),
            Field::Links => Reverse(one.links).cmp(&Reverse(other.links)),
            Field::Parent => one.parent.cmp(&other.parent),
        }
    }
}

/// Each process behind its parent, if that is listed, and how many are above it.
pub(super) fn tree(processes: Vec<ProcessEntry>) -> Vec<(usize, ProcessEntry)> {
    let places: HashMap<ProcessId, usize> =
        (0..).zip(&processes).map(|(at, it)| (it.pid, at)).collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); processes.len()];
    let mut waiting = Vec::new();
    for (at, process) in processes.iter().enumerate() {
        // Parents are older, so nothing is below itself.
        let parent = process.parent.filter(|parent| *parent < process.pid);
        match parent.and_then(|parent| places.get(&parent)) {
            Some(parent) => children[*parent].push(at),
            None => waiting.push((0, at)),
        }
    }
    waiting.reverse();
    let mut processes: Vec<_> = processes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(processes.len());
    while let Some((depth, at)) = waiting.pop() {
        ordered.extend(processes[at].take().map(|process| (depth, process)));
        let below = children[at].iter().rev();
        waiting.extend(below.map(|child| (depth + 1, *child)));
    }
    ordered
}

/// The name by which a module is reloaded, or else the one that it gives itself.
fn module_of(described: &Described) -> &str {
    let name = described.module_name.as_deref();
    name.unwrap_or(&described.module)
}

/// The version of a module that has versions.
fn version_of(described: &Described) -> Option<String> {
    let has_versions = described.module_name.is_some();
    has_versions.then(|| shown::text(&described.module_hash, 12))
}

fn table(processes: &[(usize, ProcessEntry)]) -> String {
    const LABEL_BYTES: usize = 40;
    const MODULE_BYTES: usize = 24;
    /// Deeper ones are not indented further.
    const MAX_DEPTH: usize = 16;
    let mut table = Table::new(&[
        ("PID", true),
        ("LABEL", false),
        ("MODULE", false),
        ("VERSION", false),
        ("STATE", false),
        ("MAILBOX", true),
        ("MEMORY", true),
        ("CPU", true),
        ("RESTARTS", true),
        ("LINKS", true),
        ("PARENT", true),
    ]);
    for (depth, process) in processes {
        let described = process.described.as_ref();
        let label = process.label.as_deref();
        let label = label.map_or_else(|| NOTHING.into(), |label| shown::text(label, LABEL_BYTES));
        table.push(vec![
            process.pid.to_string(),
            "  ".repeat((*depth).min(MAX_DEPTH)) + &label,
            or_nothing(described.map(|it| shown::text(module_of(it), MODULE_BYTES))),
            or_nothing(described.and_then(version_of)),
            shown::state(process),
            process.mailbox.to_string(),
            or_nothing(described.and_then(|it| it.memory).map(shown::bytes)),
            or_nothing(process.cpu_us.map(Duration::from_micros).map(shown::time)),
            or_nothing(process.restarts),
            process.links.to_string(),
            or_nothing(process.parent),
        ]);
    }
    table.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u64, parent: Option<u64>) -> ProcessEntry {
        ProcessEntry {
            pid: ProcessId::from_bits(pid),
            parent: parent.map(ProcessId::from_bits),
            supervisor: false,
            label: None,
            exiting: false,
            mailbox: 0,
            links: 0,
            monitored_by: 0,
            running: false,
            cpu_us: None,
            described: None,
            restarts: None,
            native: false,
        }
    }

    #[test]
    fn a_tree_has_each_process_once_below_its_parent() {
        let listed = [
            (1, None),
            (2, Some(1)),
            (3, Some(9)),
            (4, Some(1)),
            (5, Some(2)),
            (6, Some(6)),
        ];
        let processes = listed.map(|(pid, parent)| process(pid, parent)).to_vec();
        let ordered = tree(processes);
        let shown: Vec<_> = ordered
            .iter()
            .map(|(depth, it)| (it.pid.to_bits(), *depth))
            .collect();
        assert_eq!(shown, [(1, 0), (2, 1), (5, 2), (4, 1), (3, 0), (6, 0)]);
    }

    #[test]
    fn a_chain_of_any_length_is_a_tree() {
        let chain = (1..100_000)
            .map(|pid| process(pid, Some(pid - 1)))
            .collect();
        assert_eq!(tree(chain).last().map(|(depth, _)| *depth), Some(99_998));
    }
}
