//! Asks the runtime for what `lunatic top` shows, on a thread of its own.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future;
use lunatic_admin::{
    ProcessDetail, ProcessEntry, ProcessId, ProcessQuery, Request, Response, Stats, Target,
};

use crate::command_line::admin::ask::{Asked, Which, unexpected};
use crate::command_line::admin::ps;
use crate::command_line::admin::top::state::Top;
use crate::command_line::problem::Problem;

/// Asks, and is asked for what.
#[derive(Debug)]
pub(super) struct Asker {
    name: String,
    wanted: Sender<Wanted>,
    told: Receiver<Told>,
}

/// What is to be asked.
#[derive(Debug)]
enum Wanted {
    /// This, from now on, and at once.
    Look {
        query: ProcessQuery,
        is_tree: bool,
        inspected: Option<ProcessId>,
    },
    /// Something is to be done.
    Act(Request),
}

/// What the runtime has told.
#[derive(Debug)]
pub(super) enum Told {
    Page(Box<Page>),
    /// All of a process, or why there is nothing.
    Detail(ProcessId, Result<Box<ProcessDetail>, String>),
    /// What became of what was to be done.
    Notice(String),
    /// There is no more.
    Gone(Problem),
}

/// What there was at a moment.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) at: Instant,
    pub(super) stats: Stats,
    /// Which rows were asked for.
    pub(super) query: ProcessQuery,
    /// Each with its depth in the tree.
    pub(super) rows: Vec<(usize, ProcessEntry)>,
    pub(super) total: usize,
}

impl Asker {
    /// Connects, and begins to ask.
    ///
    /// - `delay`: how long it waits between two answers. If the runtime needs long for one,
    ///   it waits longer, so that no more than a tenth of the time is spent on that.
    pub(super) fn start(which: &Which, delay: Duration) -> Result<Asker, Problem> {
        let mut runtime = future::block_on(Asked::connect(which))?;
        let name = runtime.name().to_owned();
        let (wanted, wants) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        thread::Builder::new()
            .name("asking".into())
            .spawn(move || {
                let asking = future::block_on(ask(&mut runtime, &wants, &tell, delay));
                if let Err(problem) = asking {
                    tell.send(Told::Gone(problem)).ok();
                }
            })
            .map_err(Problem::new)?;
        Ok(Asker { name, wanted, told })
    }

    /// The name of the runtime.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Something else is shown from now on.
    pub(super) fn look(&self, top: &Top) {
        let look = Wanted::Look {
            query: top.query(),
            is_tree: top.tree,
            inspected: top.inspected(),
        };
        self.wanted.send(look).ok();
    }

    /// Has the runtime do something.
    pub(super) fn act(&self, request: Request) {
        self.wanted.send(Wanted::Act(request)).ok();
    }

    /// What the runtime has told.
    pub(super) fn told(&self) -> Result<Told, TryRecvError> {
        self.told.try_recv()
    }
}

/// Asks until nobody wants to know any more.
async fn ask(
    runtime: &mut Asked,
    wants: &Receiver<Wanted>,
    tell: &Sender<Told>,
    delay: Duration,
) -> Result<(), Problem> {
    /// So many times longer than an answer takes it is waited for the next.
    const CALM: u32 = 10;
    let (mut query, mut is_tree, mut inspected) = (ProcessQuery::default(), false, None);
    let mut wait = Duration::MAX;
    loop {
        let mut next = match wait {
            Duration::MAX => wants.recv().map_err(|_| RecvTimeoutError::Disconnected),
            wait => wants.recv_timeout(wait),
        };
        // Only the last look counts.
        loop {
            match next {
                Ok(Wanted::Look {
                    query: wanted,
                    is_tree: as_tree,
                    inspected: of,
                }) => (query, is_tree, inspected) = (wanted, as_tree, of),
                Ok(Wanted::Act(request)) => {
                    let notice = act(runtime, &request).await?;
                    tell.send(Told::Notice(notice)).ok();
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            next = wants.recv_timeout(Duration::ZERO);
        }
        let began = Instant::now();
        if let Some(pid) = inspected {
            let request = Request::Inspect(Target::new(pid));
            let answer = match runtime.try_request(&request).await? {
                Ok(Response::Process(detail)) => Ok(detail),
                Ok(other) => return Err(unexpected(&other)),
                Err(refusal) => Err(refusal.text),
            };
            tell.send(Told::Detail(pid, answer)).ok();
        }
        let page = page(runtime, &query, is_tree).await?;
        if tell.send(Told::Page(Box::new(page))).is_err() {
            return Ok(());
        }
        wait = delay.max(began.elapsed() * CALM);
    }
}

async fn page(runtime: &mut Asked, query: &ProcessQuery, is_tree: bool) -> Result<Page, Problem> {
    let stats = match runtime.request(&Request::Stats).await? {
        Response::Stats(stats) => stats,
        other => return Err(unexpected(&other)),
    };
    let at = Instant::now();
    let page = match runtime.request(&Request::Processes(query.clone())).await? {
        Response::Processes(page) => page,
        other => return Err(unexpected(&other)),
    };
    let rows = match is_tree {
        true => ps::tree(page.processes),
        false => page.processes.into_iter().map(|row| (0, row)).collect(),
    };
    Ok(Page {
        at,
        stats,
        query: query.clone(),
        rows,
        total: page.total,
    })
}

/// Has something done, and says what came of it.
async fn act(runtime: &mut Asked, request: &Request) -> Result<String, Problem> {
    let (verb, pid) = match request {
        Request::Kill(target) => ("killed", target.pid),
        Request::Restart(target) => ("restarted", target.pid),
        _ => return Ok(String::new()),
    };
    match runtime.try_request(request).await? {
        Ok(Response::Done) => Ok(format!("process {pid} is {verb}")),
        Ok(other) => Err(unexpected(&other)),
        Err(refusal) => Ok(lunatic_error::on_one_line(refusal, 256).to_string()),
    }
}
