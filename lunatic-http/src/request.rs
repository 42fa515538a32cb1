//! A request of a client.

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) keeps_alive: bool,
}

impl Request {
    /// The method, `GET` for example.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as it was sent, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of a parameter of the query, with `%` and `+` decoded; `None` if it is not
    /// there, or not once.
    ///
    /// ```
    /// let request = lunatic_http::Request::get("/?name=a%20b+c&x");
    /// assert_eq!(request.parameter("name").as_deref(), Some("a b c"));
    /// assert_eq!(request.parameter("x").as_deref(), Some(""));
    /// assert_eq!(request.parameter("y"), None);
    /// ```
    pub fn parameter(&self, name: &str) -> Option<String> {
        let parameters = self.query.split('&');
        let pairs = parameters.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut values = pairs.filter(|(key, _)| *key == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => decode(value),
            _ => None,
        }
    }

    /// The value of a header, whose name is given in lower case; `None` if it is not there,
    /// or not once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Whether there is such a header, even more than once.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(key, _)| key == name)
    }

    /// The value of a cookie; `None` if it is not there.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.iter().filter(|(key, _)| key == "cookie");
        let mut pairs = cookies.flat_map(|(_, cookies)| cookies.split(';'));
        pairs.find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then_some(value)
        })
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body, by value.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// A request without headers and body, for tests.
    pub fn get(target: &str) -> Request {
        let mut request = Request {
            method: "GET".to_owned(),
            ..Request::default()
        };
        request.set_target(target);
        request
    }

    /// Returns the request with a further header, whose name is in lower case.
    pub fn with_header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the request with another method.
    pub fn with_method(mut self, method: &str) -> Request {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn set_target(&mut self, target: &str) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        path.clone_into(&mut self.path);
        query.clone_into(&mut self.query);
    }
}

/// Decodes a value of a query; `None` if it is not UTF-8.
fn decode(value: &str) -> Option<String> {
    let mut bytes = value.bytes();
    let mut decoded = Vec::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
