//! What a client asks for, read from the bytes it sent.

use httparse::{Error, Header, Status as Parsed, EMPTY_HEADER};

use super::response::{Status, CLOSE};

/// The longest head and body that are read.
pub(super) const MAX_HEAD: usize = 8 << 10;
pub(super) const MAX_BODY: usize = 64 << 10;

const MAX_FIELDS: usize = 64;

/// A request that has arrived completely.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Without the query.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    /// Whether the connection goes on after it.
    pub(super) keep_alive: bool,
    /// What the answer says of that.
    pub(super) connection: &'static str,
    /// How many bytes it takes.
    pub(super) len: usize,
}

/// What the bytes that have arrived are.
#[derive(Debug)]
pub(super) enum Progress<'a> {
    /// The beginning of a request.
    Begun,
    /// The head of a request whose client wants to hear that the body is welcome.
    AwaitsContinue,
    Complete(Request<'a>),
    /// Nothing that can be answered with more than this; what follows it cannot
    /// be told apart any more.
    Refused(Status),
}

/// Looks at the bytes that have arrived so far.
pub(super) fn parse(bytes: &[u8]) -> Progress<'_> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let head_len = match head.parse(bytes) {
        Ok(Parsed::Complete(len)) if len <= MAX_HEAD => len,
        Ok(Parsed::Partial) if bytes.len() < MAX_HEAD => return Progress::Begun,
        Ok(_) | Err(Error::TooManyHeaders) => return Progress::Refused(Status::HeadTooLarge),
        Err(Error::Version) => return Progress::Refused(Status::VersionNotSupported),
        Err(_) => return Progress::Refused(Status::BadRequest),
    };
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Progress::Refused(Status::BadRequest);
    };
    let fields = match Fields::read(head.headers, minor) {
        Ok(fields) => fields,
        Err(status) => return Progress::Refused(status),
    };
    let len = head_len + fields.body_len;
    match bytes.get(head_len..len) {
        Some(body) => Progress::Complete(Request {
            method,
            path: path(target),
            body,
            keep_alive: fields.keep_alive,
            connection: match (fields.keep_alive, minor) {
                (true, 0) => "Connection: keep-alive\r\n",
                (true, _) => "",
                (false, _) => CLOSE,
            },
            len,
        }),
        None if fields.awaits_continue && bytes.len() == head_len => Progress::AwaitsContinue,
        None => Progress::Begun,
    }
}

/// The path of a target, which may be a whole address.
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The fields that matter to the connection.
#[derive(Debug)]
struct Fields {
    body_len: usize,
    keep_alive: bool,
    awaits_continue: bool,
}

impl Fields {
    /// Refuses what two readers could understand in two ways (RFC 9112, 3.2, 6.3).
    fn read(fields: &[Header<'_>], minor: u8) -> Result<Fields, Status> {
        let mut hosts = 0;
        let mut length = None;
        let mut is_chunked = false;
        let mut read = Fields {
            body_len: 0,
            keep_alive: minor >= 1,
            awaits_continue: false,
        };
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("host") {
                hosts += 1;
            } else if is("content-length") {
                let value = number(field.value).ok_or(Status::BadRequest)?;
                if length.is_some_and(|length| length != value) {
                    return Err(Status::BadRequest);
                }
                length = Some(value);
            } else if is("transfer-encoding") {
                is_chunked = true;
            } else if is("connection") {
                for option in field.value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    if option.eq_ignore_ascii_case(b"close") {
                        read.keep_alive = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") && minor == 0 {
                        read.keep_alive = true;
                    }
                }
            } else if is("expect") {
                read.awaits_continue = field.value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        if hosts > 1 || (hosts == 0 && minor >= 1) || (is_chunked && length.is_some()) {
            return Err(Status::BadRequest);
        }
        if is_chunked {
            return Err(Status::LengthRequired);
        }
        read.body_len = match length {
            Some(length) if length > MAX_BODY as u64 => return Err(Status::BodyTooLarge),
            length => length.unwrap_or(0) as usize,
        };
        Ok(read)
    }
}

/// Digits and nothing else.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    // Digits are text. Too many of them are more than any limit.
    is_number.then(|| {
        std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(u64::MAX)
    })
}
