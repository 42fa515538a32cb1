//! Decides which requests are answered.

use std::net::IpAddr;

use lunatic_http::{Request, Response};

use crate::secret::Secret;

/// Checks the token and the origin of requests.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The token that every request must contain.
    pub(crate) token: Secret,
    /// The secret that requests must also contain if they change something; `None` if there are no
    /// such requests.
    pub(crate) write: Option<Secret>,
    /// The name of the cookie that has the token.
    pub(crate) cookie: String,
}

/// The header that has the secret of requests that change something.
const WRITE_HEADER: &str = "x-lunatic-write";

impl Guard {
    /// Whether a request may be answered, or what it gets instead.
    pub(crate) fn admit(&self, request: &Request) -> Result<(), Response> {
        if !is_for_this_machine(request) {
            let text = "a dashboard is reached by a number, or as localhost";
            return Err(Response::text(403, text));
        }
        if is_foreign(request) {
            return Err(Response::text(403, "that comes from another page"));
        }
        let parameter = request.parameter("token");
        let given = parameter.as_deref().or(request.cookie(&self.cookie));
        match given.is_some_and(|given| self.token.is(given)) {
            true => Ok(()),
            false => Err(Response::text(
                401,
                "open the address that the runtime has printed",
            )),
        }
    }

    /// Whether an admitted request may change something, or what it gets instead.
    pub(crate) fn admit_change(&self, request: &Request) -> Result<(), Response> {
        let Some(write) = &self.write else {
            return Err(Response::text(403, "this dashboard only shows"));
        };
        let given = request.header(WRITE_HEADER);
        match given.is_some_and(|given| write.is(given)) {
            true => Ok(()),
            false => Err(Response::text(403, "that does not come from the page")),
        }
    }
}

/// Returns whether the request is for an address, and not for a name, which could be a foreign one
/// that resolves to this machine.
fn is_for_this_machine(request: &Request) -> bool {
    let Some(host) = request.header("host") else {
        return false;
    };
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = without_port.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Whether a browser says that another page asks.
fn is_foreign(request: &Request) -> bool {
    let host = request.header("host").unwrap_or_default();
    let is_other_origin = request.has_header("origin")
        && request.header("origin").is_none_or(|origin| {
            let after = |scheme| origin.strip_prefix(scheme);
            after("http://").or(after("https://")) != Some(host)
        });
    let site = request.header("sec-fetch-site");
    // A link in a foreign page may be followed: the token is in it.
    let is_link = request.header("sec-fetch-mode") == Some("navigate")
        && request.header("sec-fetch-dest") == Some("document")
        && request.method() == "GET";
    let is_other_site = matches!(site, Some("cross-site" | "same-site")) && !is_link;
    is_other_origin || is_other_site
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

    use super::*;

    fn guard(writes: bool) -> Guard {
        Guard {
            token: Secret::new().unwrap(),
            write: writes.then(|| Secret::new().unwrap()),
            cookie: "c".to_owned(),
        }
    }

    fn status(admitted: Result<(), Response>) -> u16 {
        admitted.map_or_else(|response| response.status(), |()| 200)
    }

    #[test]
    fn only_who_knows_the_token_is_admitted() {
        let guard = guard(false);
        let local = |target: &str| Request::get(target).with_header("host", "127.0.0.1:1");
        let token = guard.token.reveal().to_owned();
        let admit = |request: Request| status(guard.admit(&request));
        assert_eq!(admit(local(&format!("/?token={token}"))), 200);
        let cookie = format!("a=b; c={token}");
        assert_eq!(admit(local("/").with_header("cookie", &cookie)), 200);
        assert_eq!(admit(local("/")), 401);
        assert_eq!(admit(local("/?token=")), 401);
        assert_eq!(admit(local(&format!("/?token={}", &token[1..]))), 401);
        assert_eq!(admit(local(&format!("/?token={token}0"))), 401);
        assert_eq!(admit(local(&format!("/?token={token}&token={token}"))), 401);
        assert_eq!(admit(local("/").with_header("cookie", "c=x")), 401);
    }

    #[test]
    fn a_name_that_leads_here_is_refused() {
        let guard = guard(false);
        let target = format!("/?token={}", guard.token.reveal());
        let admit =
            |host: &str| status(guard.admit(&Request::get(&target).with_header("host", host)));
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1",
            "[::1]:4000",
            "10.0.0.1:1",
        ] {
            assert_eq!(admit(host), 200, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil:1",
            "",
        ] {
            assert_eq!(admit(host), 403, "{host}");
        }
        assert_eq!(status(guard.admit(&Request::get(&target))), 403);
    }

    #[test]
    fn another_origin_is_refused_and_a_link_is_followed() {
        let guard = guard(true);
        let target = format!("/?token={}", guard.token.reveal());
        let request = || Request::get(&target).with_header("host", "127.0.0.1:1");
        let admit = |request: Request| status(guard.admit(&request));
        let from = |origin| admit(request().with_header("origin", origin));
        assert_eq!(from("http://127.0.0.1:1"), 200);
        assert_eq!(from("http://127.0.0.1:2"), 403);
        assert_eq!(from("https://evil.example"), 403);
        assert_eq!(from("null"), 403);
        let cross = || request().with_header("sec-fetch-site", "cross-site");
        assert_eq!(admit(cross()), 403);
        let link = cross()
            .with_header("sec-fetch-mode", "navigate")
            .with_header("sec-fetch-dest", "document");
        assert_eq!(admit(link), 200);
    }

    #[test]
    fn what_changes_something_needs_the_second_secret() {
        let writing = guard(true);
        let secret = writing.write.as_ref().unwrap().reveal().to_owned();
        let post = || Request::get("/api/kill").with_method("POST");
        assert_eq!(status(writing.admit_change(&post())), 403);
        let with = |secret: &str| post().with_header(WRITE_HEADER, secret);
        assert_eq!(status(writing.admit_change(&with("x"))), 403);
        assert_eq!(status(writing.admit_change(&with(&secret))), 200);
        // The token itself is not enough.
        assert_eq!(
            status(writing.admit_change(&with(writing.token.reveal()))),
            403
        );
        assert_eq!(status(guard(false).admit_change(&with(&secret))), 403);
    }
}
