//! The server of the page, and its address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use lunatic_admin::Answering;
use lunatic_http::{BindError, Limits, Request, Response, Serve, Server};

use crate::actions::{self, MAX_MODULE_BYTES, RELOAD};
use crate::events::{self, Showing};
use crate::guard::Guard;
use crate::page;
use crate::secret::Secret;
use crate::view::View;

/// Serves the page until it is dropped.
#[derive(Debug)]
pub struct Dashboard {
    server: Server,
    token: Secret,
}

/// The permissions of a page.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Options {
    /// Processes can be ended, and modules reloaded.
    pub write: bool,
}

struct Pages<A> {
    answering: Arc<A>,
    guard: Guard,
    showing: Arc<AtomicUsize>,
}

impl Dashboard {
    /// Begins to serve, on a thread of its own.
    ///
    /// - `address`: with port 0, a free one is taken.
    ///
    /// # Errors
    ///
    /// [`BindError`] if somebody else listens there, for example.
    pub fn start(
        address: SocketAddr,
        options: Options,
        answering: impl Answering,
    ) -> Result<Dashboard, BindError> {
        let secret = || Secret::new().map_err(|error| BindError { address, error });
        let token = secret()?;
        let guard = Guard {
            token: token.clone(),
            write: options.write.then(secret).transpose()?,
            // Cookies are shared between ports.
            cookie: format!("lunatic-{}", &secret()?.reveal()[..8]),
        };
        let pages = Pages {
            answering: Arc::new(answering),
            guard,
            showing: Arc::default(),
        };
        let server = Server::start("dashboard", address, Limits::default(), pages)?;
        Ok(Dashboard { server, token })
    }

    /// Returns the address at which the dashboard listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address of the page, with the token in it: everyone who knows it sees everything.
    pub fn url(&self) -> String {
        let mut address = self.server.address();
        if address.ip().is_unspecified() {
            address.set_ip(match address.is_ipv4() {
                true => std::net::Ipv4Addr::LOCALHOST.into(),
                false => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}/?token={}", self.token.reveal())
    }
}

impl<A: Answering> Pages<A> {
    async fn answer(&self, request: Request) -> Response {
        if let Err(refused) = self.guard.admit(&request) {
            return refused;
        }
        match (request.method(), request.path()) {
            ("GET", "/events") => self.show(&request),
            ("GET" | "HEAD", path) => page::file(path, &self.guard)
                .unwrap_or_else(|| Response::text(404, "there is nothing here")),
            ("POST", _) => match self.guard.admit_change(&request) {
                Ok(()) => actions::act(&*self.answering, request).await,
                Err(refused) => refused,
            },
            _ => Response::text(405, "that cannot be done"),
        }
    }

    fn show(&self, request: &Request) -> Response {
        let Some(view) = View::of(request) else {
            return Response::text(400, "there is no such view");
        };
        let Some(showing) = Showing::begin(&self.showing) else {
            return Response::text(503, "there are too many pages");
        };
        let events = events::stream(self.answering.clone(), view, showing);
        Response::stream("text/event-stream", events)
    }
}

impl<A: Answering> Serve for Pages<A> {
    async fn serve(&self, request: Request) -> Response {
        page::protected(self.answer(request).await)
    }

    fn max_body(&self, request: &Request) -> u64 {
        let is_allowed = || {
            let admitted = self.guard.admit(request);
            admitted.and_then(|()| self.guard.admit_change(request))
        };
        match request.path() == RELOAD && is_allowed().is_ok() {
            true => MAX_MODULE_BYTES,
            false => 0,
        }
    }
}
