//! What a client is answered, as bytes.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The field of an answer that is the last one.
pub(super) const CLOSE: &str = "Connection: close\r\n";

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    LengthRequired,
    BodyTooLarge,
    HeadTooLarge,
    NotImplemented,
    VersionNotSupported,
}

impl Status {
    /// As it stands in the first line of an answer.
    pub(super) fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed",
            Status::RequestTimeout => "408 Request Timeout",
            Status::LengthRequired => "411 Length Required",
            Status::BodyTooLarge => "413 Content Too Large",
            Status::HeadTooLarge => "431 Request Header Fields Too Large",
            Status::NotImplemented => "501 Not Implemented",
            Status::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// An answer with a short text.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: Status,
    /// Other fields, each with its line end.
    pub(super) fields: &'static str,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Response {
        Response {
            status: Status::Ok,
            fields: "",
            body: body.into(),
        }
    }

    /// An answer that says no more than its status.
    pub(super) fn error(status: Status) -> Response {
        Response {
            status,
            fields: "",
            body: format!("{}\n", status.line()).into(),
        }
    }
}

/// Answers that wait to be sent, and the date that stands in them.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    date: String,
    second: u64,
}

impl Output {
    /// Adds an answer; without its body if the client asked for that.
    pub(super) fn push(&mut self, response: &Response, connection: &str, has_body: bool) {
        self.look_at_the_clock();
        // Writing to memory cannot fail.
        let _ = write!(
            self.bytes,
            "HTTP/1.1 {}\r\nDate: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\n{connection}{}\r\n",
            response.status.line(),
            self.date,
            response.body.len(),
            response.fields,
        );
        if has_body {
            self.bytes.extend_from_slice(&response.body);
        }
    }

    /// Tells a client to go on with the body of its request.
    pub(super) fn push_continue(&mut self) {
        self.bytes
            .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Formatting a date costs more than the rest of an answer.
    fn look_at_the_clock(&mut self) {
        let now = SystemTime::now();
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if self.date.is_empty() || second != self.second {
            self.date = httpdate::fmt_http_date(now);
            self.second = second;
        }
    }
}
