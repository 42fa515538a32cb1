//! Asks a runtime, and says in words why there is no answer.

use std::time::Duration;

use async_io::Timer;
use clap::Args;
use futures_lite::future;
use lunatic_admin::{
    Client, ClientError, Directory, Refusal, RefusalKind, Request, Response, RuntimeName,
    Subscription,
};

use crate::command_line::problem::Problem;

/// Which runtime is asked.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The name of the runtime; not needed if only one is running.
    #[arg(long)]
    name: Option<RuntimeName>,
}

/// How long a runtime may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A runtime that is asked.
pub(super) struct Asked(Client);

/// Connects to a runtime and asks it.
pub(super) fn ask<T>(
    which: &Which,
    questions: impl AsyncFnOnce(&mut Asked) -> Result<T, Problem>,
) -> Result<T, Problem> {
    future::block_on(async {
        let mut asked = Asked::connect(which).await?;
        questions(&mut asked).await
    })
}

impl Which {
    /// The name of the runtime, if one was given.
    pub(super) fn name(&self) -> Option<&RuntimeName> {
        self.name.as_ref()
    }
}

impl Asked {
    /// Connects to a runtime.
    pub(super) async fn connect(which: &Which) -> Result<Asked, Problem> {
        let directory = Directory::of_user().map_err(|error| problem(&error.into()))?;
        let client = Client::connect(&directory, which.name.as_ref()).await;
        client.map(Asked).map_err(|error| problem(&error))
    }

    /// Connects to the runtime that has a name; or, if there is none of that name, to the only
    /// one, as the name may be that of a module. Returns whether it may.
    pub(super) async fn connect_for_module(which: &Which) -> Result<(Asked, bool), Problem> {
        let directory = Directory::of_user().map_err(|error| problem(&error.into()))?;
        match Client::connect(&directory, which.name.as_ref()).await {
            Ok(client) => Ok((Asked(client), false)),
            Err(ClientError::Unknown(_, others)) if others.len() == 1 => {
                let client = Client::connect(&directory, others.first()).await;
                client
                    .map(|client| (Asked(client), true))
                    .map_err(|error| problem(&error))
            }
            Err(error) => Err(problem(&error)),
        }
    }

    /// The name of the runtime.
    pub(super) fn name(&self) -> &str {
        self.0.name()
    }

    /// Asks for something that the runtime may refuse.
    pub(super) async fn try_request(
        &mut self,
        request: &Request,
    ) -> Result<Result<Response, Refusal>, Problem> {
        let late = async {
            Timer::after(PATIENCE).await;
            Err(ClientError::NoAnswer)
        };
        match future::or(self.0.request(request), late).await {
            Ok(response) => Ok(Ok(response)),
            Err(ClientError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(problem(&error)),
        }
    }

    /// Asks for a stream of answers.
    pub(super) async fn subscribe(self, request: &Request) -> Result<Stream, Problem> {
        let subscribed = self.0.subscribe(request).await;
        subscribed.map(Stream).map_err(|error| problem(&error))
    }

    pub(super) async fn request(&mut self, request: &Request) -> Result<Response, Problem> {
        self.request_with(request, &[], Duration::ZERO).await
    }

    /// - `bytes`: what follows the request.
    /// - `more`: how much longer than usual the runtime may take.
    pub(super) async fn request_with(
        &mut self,
        request: &Request,
        bytes: &[u8],
        more: Duration,
    ) -> Result<Response, Problem> {
        let late = async {
            Timer::after(PATIENCE.saturating_add(more)).await;
            Err(ClientError::NoAnswer)
        };
        let answer = future::or(self.0.request_with(request, bytes), late).await;
        answer.map_err(|error| problem(&error))
    }
}

/// Answers as they come.
pub(super) struct Stream(Subscription);

impl Stream {
    /// The next answer; `None` if there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Response>, Problem> {
        self.0.next().await.map_err(|error| problem(&error))
    }
}

/// An answer of another kind than the request has.
pub(super) fn unexpected(response: &Response) -> Problem {
    tracing::debug!("unexpected answer: {response:?}");
    Problem::new("the runtime gives an answer that does not belong to the question")
}

fn problem(error: &ClientError) -> Problem {
    let problem = Problem::new(error);
    match error {
        ClientError::NoRuntime => problem.help(
            "start one with `lunatic run` or `lunatic start`; those of other users and with \
             --no-admin are not found",
        ),
        ClientError::Several(_) => problem.help("choose one with --name"),
        ClientError::Unknown(_, others) if !others.is_empty() => {
            problem.help("choose one of them with --name")
        }
        ClientError::Protocol { .. } => problem.help("use the same version of lunatic for both"),
        ClientError::NoAnswer => {
            problem.help("it may have been stopped with a signal, or the machine is overloaded")
        }
        ClientError::Refused(refusal) => match refusal.kind {
            RefusalKind::NoProcess => problem.help("`lunatic ps` lists those there are"),
            RefusalKind::Protocol | RefusalKind::UnknownRequest => {
                problem.help("use the same version of lunatic for both")
            }
            _ => problem,
        },
        _ => problem,
    }
}
