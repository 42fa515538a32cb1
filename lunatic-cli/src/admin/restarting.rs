//! Has a supervisor start a process again.

use std::time::{Duration, Instant};

use lunatic_admin::{Refusal, RefusalKind};
use lunatic_process::Process;
use lunatic_supervisor::{ChildProcess, Supervisor};

use crate::admin::asking::before;

/// How long the supervisor may take: it waits until the old process has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stops a process and has its supervisor start it again. A process that was made from a
/// template is killed, which the supervisor counts.
pub(super) async fn restart(process: &Process) -> Result<(), Refusal> {
    let environment = process.environment();
    let parent = process.parent().and_then(|it| environment.process(it));
    let Some(supervisor) = parent.and_then(Supervisor::of) else {
        let text = format!("the process {} has no supervisor", process.id());
        return Err(refused(text));
    };
    let deadline = Instant::now() + PATIENCE;
    let restarting = async { Some(restart_by(&supervisor, process).await) };
    let in_time = before(deadline, restarting).await;
    in_time.unwrap_or_else(|| Err(refused("its supervisor does not do it in time")))
}

async fn restart_by(supervisor: &Supervisor, process: &Process) -> Result<(), Refusal> {
    let children = supervisor.which_children().await.map_err(refused)?;
    let is_it = |child: &&ChildProcess| {
        let of_child = child.process.as_ref();
        of_child.is_some_and(|of_child| of_child.id() == process.id())
    };
    let Some(child) = children.iter().find(is_it) else {
        let text = format!("the process {} is no child of its parent", process.id());
        return Err(refused(text));
    };
    let name = child.info.name.to_string();
    match supervisor.terminate_child(name.clone()).await {
        Ok(()) => {
            let restarted = supervisor.restart_child(name).await;
            restarted.map(drop).map_err(refused)
        }
        Err(_) => {
            process.kill();
            Ok(())
        }
    }
}

fn refused(why: impl ToString) -> Refusal {
    Refusal::new(RefusalKind::Other, why.to_string())
}
