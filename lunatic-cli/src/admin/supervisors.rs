//! Lists supervisors and their children.

use std::time::Instant;

use lunatic_admin::{SupervisorEntry, Supervisors, cut};
use lunatic_process::{Environment, Process, Role};
use lunatic_supervisor::Supervisor;

use crate::admin::asking::{self, PATIENCE};
use crate::admin::{detail, processes};

/// So many supervisors are told of.
const MAX_SUPERVISORS: usize = 200;

/// So many children of all of them together.
const MAX_CHILDREN: usize = 2000;

/// The supervisors of an environment, the oldest first, so each is behind its own.
pub(super) async fn of(environment: &Environment) -> Supervisors {
    let deadline = Instant::now() + PATIENCE;
    let mut found = environment.processes_with_role(Role::Supervisor, MAX_SUPERVISORS + 1);
    found.sort_unstable_by_key(Process::id);
    let mut told = Supervisors {
        more: found.len() > MAX_SUPERVISORS,
        ..Supervisors::default()
    };
    let mut room = MAX_CHILDREN;
    for process in found.into_iter().take(MAX_SUPERVISORS) {
        let info = process.info();
        let Some(supervisor) = Supervisor::of(process) else {
            continue;
        };
        let children = asking::children(&supervisor, deadline).await;
        told.more |= children.len() > room || (children.is_empty() && info.links > 1);
        let children: Vec<_> = children.iter().take(room).map(detail::child).collect();
        room -= children.len();
        told.supervisors.push(SupervisorEntry {
            pid: processes::id(info.id),
            parent: info.parent.map(processes::id),
            label: info.label.as_deref().map(cut),
            children,
        });
    }
    told
}
