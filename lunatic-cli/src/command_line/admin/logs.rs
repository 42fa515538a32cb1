//! `lunatic logs`.

use std::collections::HashMap;
use std::process::ExitCode;

use clap::Args;
use futures_lite::future;
use lunatic_admin::{ProcessId, Request, Response, Traced, TracedEvent};

use crate::command_line::admin::ask::{Asked, Which, unexpected};
use crate::command_line::admin::shown;
use crate::command_line::output::{self, Written};
use crate::command_line::problem::Problem;

/// Whose output is shown, and how.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    which: Which,

    /// Print an object in JSON for each piece that is printed.
    #[arg(long)]
    json: bool,

    /// Also what the processes below it print.
    #[arg(long, requires = "pid")]
    tree: bool,

    /// Show what is printed from now on. This is always done: what was printed before is
    /// kept by nobody.
    #[arg(long, short)]
    follow: bool,

    /// The id of the process, as `lunatic ps` lists it; by default it is all processes.
    pid: Option<ProcessId>,
}

/// The most bytes of a line that are kept until its end comes.
const MAX_LINE: usize = 4096;

/// Shows what processes print until the process has ended, or the runtime.
pub(crate) fn logs(options: &Logs) -> Result<ExitCode, Problem> {
    let request = Request::Logs(lunatic_admin::Logs {
        pid: options.pid,
        environment: None,
        tree: options.tree,
    });
    follow(&options.which, &request, |lines, traced| {
        match options.json {
            true => Ok(vec![shown::json(traced)?]),
            false => Ok(lines.add(traced)),
        }
    })
}

/// Prints what comes until there is no more, or nobody reads it.
pub(super) fn follow(
    which: &Which,
    request: &Request,
    mut shown: impl FnMut(&mut Lines, &Traced) -> Result<Vec<String>, Problem>,
) -> Result<ExitCode, Problem> {
    future::block_on(async {
        let mut stream = Asked::connect(which).await?.subscribe(request).await?;
        let mut lines = Lines::default();
        while let Some(response) = stream.next().await? {
            let traced = match response {
                Response::Traced(traced) => traced,
                other => return Err(unexpected(&other)),
            };
            for line in shown(&mut lines, &traced)? {
                if let Written::NobodyReads = output::write_line(line)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        for line in lines.rest() {
            output::write_line(line)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Makes lines of what several processes print in pieces.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginnings of lines, by process and stream.
    begun: HashMap<(ProcessId, bool), String>,
}

impl Lines {
    /// The lines that an event ends, each with the process that has printed it.
    fn add(&mut self, traced: &Traced) -> Vec<String> {
        let pid = traced.pid;
        match &traced.event {
            TracedEvent::Printed { stderr, text } => {
                let key = (pid, *stderr);
                let mut begun = self.begun.remove(&key).unwrap_or_default();
                begun.push_str(text);
                let mut lines = Vec::new();
                while let Some(end) = begun.find('\n') {
                    let rest = begun.split_off(end + 1);
                    lines.push(line(key, begun.trim_end_matches(['\n', '\r'])));
                    begun = rest;
                }
                match begun.len() {
                    0 => {}
                    1..MAX_LINE => {
                        self.begun.insert(key, begun);
                    }
                    _ => lines.push(line(key, &begun)),
                }
                lines
            }
            TracedEvent::Ended { reason } => {
                let mut lines = self.rest_of(|of| of == pid);
                lines.push(format!(
                    "{pid} has ended: {}",
                    shown::text(reason, MAX_LINE)
                ));
                lines
            }
            TracedEvent::Lost { count } => vec![format!("({count} pieces were lost)")],
            _ => Vec::new(),
        }
    }

    /// The lines that have begun and did not end.
    fn rest(&mut self) -> Vec<String> {
        self.rest_of(|_| true)
    }

    fn rest_of(&mut self, is_it: impl Fn(ProcessId) -> bool) -> Vec<String> {
        let begun = self.begun.extract_if(|(of, _), _| is_it(*of));
        begun.map(|(key, begun)| line(key, &begun)).collect()
    }
}

/// A line that a process has printed; it controls no terminal.
fn line((pid, stderr): (ProcessId, bool), text: &str) -> String {
    let mark = match stderr {
        true => '!',
        false => '|',
    };
    // Escaped, it may be longer.
    format!("{pid} {mark} {}", shown::text(text, 8 * MAX_LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(pid: u64, text: &str) -> Traced {
        Traced {
            pid: ProcessId::from_bits(pid),
            at_us: 0,
            event: TracedEvent::Printed {
                stderr: false,
                text: text.to_owned(),
            },
        }
    }

    #[test]
    fn pieces_of_several_processes_become_lines() {
        let mut lines = Lines::default();
        assert!(lines.add(&printed(1, "one ")).is_empty());
        assert_eq!(lines.add(&printed(2, "other\r\n")), ["2 | other"]);
        assert_eq!(lines.add(&printed(1, "line\nbe")), ["1 | one line"]);
        let ended = Traced {
            event: TracedEvent::Ended {
                reason: "normal".into(),
            },
            ..printed(1, "")
        };
        assert_eq!(lines.add(&ended), ["1 | be", "1 has ended: normal"]);
        assert!(lines.rest().is_empty());
    }

    #[test]
    fn a_line_without_end_is_not_kept_without_limit() {
        let mut lines = Lines::default();
        let piece = "x".repeat(MAX_LINE - 1);
        assert!(lines.add(&printed(1, &piece)).is_empty());
        assert_eq!(lines.add(&printed(1, "xx")).len(), 1);
    }

    #[test]
    fn a_hostile_line_controls_no_terminal() {
        let mut lines = Lines::default();
        let shown = lines.add(&printed(1, "\u{1b}[2J\u{9b}x\r2 | forged\n"));
        assert_eq!(shown, [r"1 | \u{1b}[2J\u{9b}x\r2 | forged"]);
    }
}
