//! The pages there are.

use std::process;

use super::request::Request;
use super::response::{Response, Status};

const HOME: &str = "Hello from a process of your own.\n";

/// Answers a request, in the process with this id.
///
/// At `/crash` it ends the process without a word, to show that nobody else is hurt.
pub(super) fn answer(request: &Request<'_>, id: u64) -> Response {
    let is_read = matches!(request.method, "GET" | "HEAD");
    match (request.path, request.method) {
        ("/", _) if is_read => Response::ok(HOME),
        ("/process", _) if is_read => Response::ok(format!("{id}\n")),
        ("/crash", _) if is_read => process::abort(),
        ("/echo", "POST" | "PUT") => Response::ok(request.body),
        ("/" | "/process" | "/crash", method) => not_allowed(method, "Allow: GET, HEAD\r\n"),
        ("/echo", method) => not_allowed(method, "Allow: POST, PUT\r\n"),
        _ => Response::error(Status::NotFound),
    }
}

fn not_allowed(method: &str, fields: &'static str) -> Response {
    const KNOWN: [&str; 8] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE",
    ];
    if !KNOWN.contains(&method) {
        return Response::error(Status::NotImplemented);
    }
    Response {
        fields,
        ..Response::error(Status::MethodNotAllowed)
    }
}
