//! Answers what is asked of a runtime at its admin socket.

mod asking;
mod detail;
mod measuring;
#[cfg(not(feature = "distribution"))]
mod no_nodes;
#[cfg(feature = "distribution")]
mod nodes;
mod processes;
mod reloading;
mod restarting;
mod stats;
mod supervisors;
mod tracing;

use std::time::Instant;

use lunatic_admin::{
    Answer, Answering, Exit, Measurements, Modules, Nodes, PROTOCOL, ProcessEntry, ProcessOrder,
    ProcessQuery, Refusal, RefusalKind, Reloads, Request, Response, RuntimeInfo, Target,
};
use lunatic_mailbox::Pid;
use lunatic_process::{Environment, ExitReason, Failure, Process, Signal};

#[cfg(not(feature = "distribution"))]
use crate::admin::no_nodes as nodes;
use crate::runtime::Runtime;

/// What a runtime tells, and has done, at its admin socket.
///
/// ```
/// use lunatic_admin::{Client, Directory, Limits, Request, Response, Server};
/// use lunatic_cli::{Admin, Runtime};
///
/// # futures_lite::future::block_on(async {
/// # let parent = tempfile::tempdir()?;
/// # let directory = Directory::at(parent.path().join("lunatic"))?;
/// let runtime = Runtime::builder().start()?;
/// let admin = Admin::new(&runtime);
/// let server = Server::start(&directory, &"shop".parse()?, Limits::default(), admin)?;
///
/// let mut client = Client::connect(&directory, None).await?;
/// let response = client.request(&Request::Processes(Default::default())).await?;
/// assert!(matches!(response, Response::Processes(page) if page.total == 0));
/// # drop(server);
/// # runtime.shut_down().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Admin {
    runtime: Runtime,
    started: Instant,
}

/// Who sends an exit signal that no process sends. No process has this id.
const NOBODY: Pid = Pid::from_bits(0);

impl Admin {
    /// What answers for a runtime that has just been started.
    pub fn new(runtime: &Runtime) -> Admin {
        Admin {
            runtime: runtime.clone(),
            started: Instant::now(),
        }
    }

    /// What the runtime has counted.
    pub(crate) async fn measure(&self) -> Measurements {
        measuring::of(&self.runtime, self.started).await
    }

    /// Those processes that have the longest mailboxes.
    pub(crate) async fn longest_mailboxes(&self, count: usize) -> Vec<ProcessEntry> {
        let query = ProcessQuery {
            limit: count,
            sort: ProcessOrder::Mailbox,
            ..ProcessQuery::default()
        };
        let environment = self.runtime.main_environment();
        processes::list(&environment, &query).await.processes
    }

    /// The runtime that it answers for.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    fn version(&self) -> RuntimeInfo {
        RuntimeInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            pid: std::process::id(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
        }
    }

    fn environment(&self, id: Option<u64>) -> Result<Environment, Refusal> {
        let Some(id) = id else {
            return Ok(self.runtime.main_environment());
        };
        let environments = self.runtime.environments().into_iter();
        let mut named = environments.filter(|environment| environment.id() == id);
        named.next().ok_or_else(|| {
            Refusal::new(
                RefusalKind::BadRequest,
                format!("there is no environment {id}"),
            )
        })
    }

    fn process(&self, target: &Target) -> Result<Process, Refusal> {
        let environment = self.environment(target.environment)?;
        let process = environment.process(Pid::from_bits(target.pid.to_bits()));
        process.ok_or_else(|| no_process(target))
    }

    fn kill(&self, target: &Target) -> Result<Response, Refusal> {
        self.signal(target, Signal::Kill)
    }

    fn exit(&self, exit: &Exit) -> Result<Response, Refusal> {
        let reason = match exit.reason.as_deref() {
            None | Some("shutdown") => ExitReason::Shutdown,
            Some("normal") => ExitReason::Normal,
            Some(text) => ExitReason::Failed(Failure::new(text)),
        };
        let signal = Signal::Exit {
            from: NOBODY,
            tag: None,
            reason,
        };
        self.signal(&exit.process, signal)
    }

    fn signal(&self, target: &Target, signal: Signal) -> Result<Response, Refusal> {
        let signalled = self.process(target)?.signal(signal);
        signalled.map_err(|_| no_process(target))?;
        Ok(Response::Done)
    }

    async fn respond(&self, request: Request, bytes: Vec<u8>) -> Result<Response, Refusal> {
        match request {
            Request::Version => Ok(Response::Version(self.version())),
            Request::Processes(query) => {
                let environment = self.environment(query.environment)?;
                let page = processes::list(&environment, &query).await;
                Ok(Response::Processes(page))
            }
            Request::Inspect(target) => {
                let detail = detail::of(&self.process(&target)?).await?;
                Ok(Response::Process(Box::new(detail)))
            }
            Request::Stats => Ok(Response::Stats(stats::of(&self.runtime, self.version()))),
            Request::Measurements => {
                let measurements = self.measure().await;
                Ok(Response::Measurements(Box::new(measurements)))
            }
            Request::Supervisors => {
                let environment = self.runtime.main_environment();
                let supervisors = supervisors::of(&environment).await;
                Ok(Response::Supervisors(supervisors))
            }
            Request::Kill(target) => self.kill(&target),
            Request::Exit(exit) => self.exit(&exit),
            Request::Versions => {
                let modules = reloading::versions(&self.runtime).await;
                Ok(Response::Versions(Modules { modules }))
            }
            Request::Progress => {
                let reloads = reloading::progress(&self.runtime);
                Ok(Response::Progress(Reloads { reloads }))
            }
            Request::Reload(request) => {
                let reloaded = reloading::reload(&self.runtime, request, bytes).await?;
                Ok(Response::Reloaded(reloaded))
            }
            Request::Restart(target) => {
                restarting::restart(&self.process(&target)?).await?;
                Ok(Response::Done)
            }
            Request::Nodes => match &self.runtime.cluster {
                Some(cluster) => {
                    let nodes = nodes::list(&cluster.node, self.version().uptime_ms).await;
                    Ok(Response::Nodes(Nodes { nodes }))
                }
                None => Err(Refusal::new(
                    RefusalKind::BadRequest,
                    "this runtime is no node of a cluster",
                )),
            },
            _ => Err(not_offered()),
        }
    }

    /// The answer to a subscription.
    fn subscribe(&self, request: &Request) -> Result<Answer, Refusal> {
        match request {
            Request::Trace(trace) => {
                let process = self.process(&trace.process)?;
                tracing::trace(&process, trace)
            }
            Request::Logs(logs) => {
                let environment = self.environment(logs.environment)?;
                let process = match logs.pid {
                    Some(pid) => Some(self.process(&Target {
                        pid,
                        environment: logs.environment,
                    })?),
                    None => None,
                };
                tracing::logs(&environment, process.as_ref(), logs.tree)
            }
            _ => Err(not_offered()),
        }
    }
}

impl Answering for Admin {
    async fn answer(&self, request: Request, bytes: Vec<u8>) -> Answer {
        let answer = match request {
            Request::Trace(_) | Request::Logs(_) => self.subscribe(&request),
            request => self.respond(request, bytes).await.map(Answer::One),
        };
        answer.unwrap_or_else(Answer::from)
    }
}

fn not_offered() -> Refusal {
    let text = "this runtime does not offer it";
    Refusal::new(RefusalKind::UnknownRequest, text)
}

fn no_process(target: &Target) -> Refusal {
    let text = format!("there is no process {}; it may have ended", target.pid);
    Refusal::new(RefusalKind::NoProcess, text)
}
