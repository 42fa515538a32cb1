//! Answers what is asked of a runtime at its admin socket.

mod asking;
mod detail;
mod nodes;
mod processes;
mod reloading;
mod stats;

use std::time::Instant;

use lunatic_admin::{
    Answer, Answering, Exit, Modules, Nodes, PROTOCOL, Refusal, RefusalKind, Reloads, Request,
    Response, RuntimeInfo, Target,
};
use lunatic_mailbox::Pid;
use lunatic_process::{Environment, ExitReason, Failure, Process, Signal};

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
            _ => Err(Refusal::new(
                RefusalKind::UnknownRequest,
                "this runtime does not offer it",
            )),
        }
    }
}

impl Answering for Admin {
    async fn answer(&self, request: Request, bytes: Vec<u8>) -> Answer {
        match self.respond(request, bytes).await {
            Ok(response) => response.into(),
            Err(refusal) => refusal.into(),
        }
    }
}

fn no_process(target: &Target) -> Refusal {
    let text = format!("there is no process {}; it may have ended", target.pid);
    Refusal::new(RefusalKind::NoProcess, text)
}
