//! The contents of a page.

use std::time::Duration;

use lunatic_admin::{Describe, Logs, ProcessOrder, ProcessQuery, Request as Asked, Target};
use lunatic_http::Request;

/// The number of processes on a page of the table.
const PAGE: usize = 50;

/// The part of the runtime that a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    Overview,
    Processes(ProcessQuery),
    Tree,
    Process(Target),
    Modules,
    /// The output of processes: one, or all.
    Logs(Logs),
}

impl View {
    /// Returns the view for the query of a request; `None` if it is not a view.
    pub(crate) fn of(request: &Request) -> Option<View> {
        let text = |name: &str| request.parameter(name);
        match text("view")?.as_str() {
            "overview" => Some(View::Overview),
            "tree" => Some(View::Tree),
            "modules" => Some(View::Modules),
            "logs" => {
                let pid = text("pid").filter(|pid| !pid.is_empty());
                Some(View::Logs(Logs {
                    pid: pid.map(|pid| pid.parse()).transpose().ok()?,
                    ..Logs::default()
                }))
            }
            "process" => {
                let pid = text("pid")?.parse().ok()?;
                Some(View::Process(Target::new(pid)))
            }
            "processes" => {
                let query = ProcessQuery {
                    limit: PAGE,
                    describe: Describe::Yes,
                    sort: order(text("sort").as_deref())?,
                    offset: match text("offset") {
                        None => 0,
                        Some(offset) => offset.parse().ok()?,
                    },
                    filter: text("filter").filter(|filter| !filter.is_empty()),
                    ..ProcessQuery::default()
                };
                Some(View::Processes(query))
            }
            _ => None,
        }
    }

    /// Returns the request that is repeated for this view, if it needs more than the measurements.
    pub(crate) fn request(&self) -> Option<Asked> {
        match self {
            View::Overview | View::Logs(_) => None,
            View::Processes(query) => Some(Asked::Processes(query.clone())),
            View::Tree => Some(Asked::Supervisors),
            View::Process(target) => Some(Asked::Inspect(target.clone())),
            View::Modules => Some(Asked::Versions),
        }
    }

    /// Returns the subscription for this view.
    pub(crate) fn subscription(&self) -> Option<Asked> {
        match self {
            View::Logs(logs) => Some(Asked::Logs(logs.clone())),
            _ => None,
        }
    }

    /// How often what it shows is asked.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(match self {
            View::Tree => 250,
            _ => 1000,
        })
    }
}

fn order(name: Option<&str>) -> Option<ProcessOrder> {
    Some(match name {
        None | Some("pid") => ProcessOrder::Pid,
        Some("label") => ProcessOrder::Label,
        Some("mailbox") => ProcessOrder::Mailbox,
        Some("cpu") => ProcessOrder::Cpu,
        Some("links") => ProcessOrder::Links,
        Some(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_nonsense_is_no_view() {
        let view = |query: &str| View::of(&Request::get(&format!("/events?{query}")));
        assert_eq!(view("view=tree"), Some(View::Tree));
        let Some(View::Processes(query)) =
            view("view=processes&sort=mailbox&offset=100&filter=a%26b")
        else {
            panic!("it is the table");
        };
        assert_eq!((query.offset, query.limit), (100, PAGE));
        assert_eq!(query.sort, ProcessOrder::Mailbox);
        assert_eq!(query.filter.as_deref(), Some("a&b"));
        let Some(View::Logs(all)) = view("view=logs&pid=") else {
            panic!("it is the output of all");
        };
        assert_eq!(all, Logs::default());
        assert!(matches!(view("view=logs&pid=7"), Some(View::Logs(of)) if of.pid.is_some()));
        for query in [
            "",
            "view=logs&pid=x",
            "view=x",
            "view=process",
            "view=process&pid=x",
            "view=processes&sort=x",
            "view=processes&offset=-1",
        ] {
            assert_eq!(view(query), None, "{query}");
        }
    }
}
