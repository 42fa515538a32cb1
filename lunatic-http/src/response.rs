//! A response.

use std::fmt;
use std::pin::Pin;

use futures_lite::Stream;

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

/// The body of a response.
pub enum Body {
    /// All of it.
    Bytes(Vec<u8>),
    /// Piece by piece, until the stream ends or the client is gone. The next piece is asked
    /// for when the client has taken the one before.
    Stream(Pin<Box<dyn Stream<Item = Vec<u8>> + Send>>),
}

impl Response {
    /// An answer with a body of this type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            headers: Vec::new(),
            body: Body::Bytes(body.into()),
        }
        .header("Content-Type", content_type)
    }

    /// Plain text, with a line end.
    pub fn text(status: u16, text: impl fmt::Display) -> Response {
        Response::new(status, "text/plain; charset=utf-8", text.to_string())
    }

    /// An answer piece by piece.
    pub fn stream(
        content_type: &str,
        pieces: impl Stream<Item = Vec<u8>> + Send + 'static,
    ) -> Response {
        Response {
            status: 200,
            headers: Vec::new(),
            body: Body::Stream(Box::pin(pieces)),
        }
        .header("Content-Type", content_type)
    }

    /// Returns the response with a further header. Line ends in the value are left out.
    pub fn header(mut self, name: &'static str, value: impl fmt::Display) -> Response {
        let mut value = value.to_string();
        value.retain(|char| !char.is_control());
        self.headers.push((name, value));
        self
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of a header, by the name that it was given with.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body, if it is no stream.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Stream(_) => None,
        }
    }

    /// The first lines, and the empty one behind them.
    pub(crate) fn head(&self, keeps_alive: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            204 => "No Content",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            _ => "",
        };
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Body::Bytes(bytes) = &self.body {
            head += &format!("Content-Length: {}\r\n", bytes.len());
        }
        head += match keeps_alive {
            true => "Connection: keep-alive\r\n\r\n",
            false => "Connection: close\r\n\r\n",
        };
        head.into_bytes()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Body::Stream(_) => f.write_str("a stream"),
        }
    }
}
