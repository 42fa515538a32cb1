//! The files of the page.

use lunatic_http::Response;

use crate::guard::Guard;

const HTML: &str = include_str!("../page/index.html");
const SCRIPT: &str = include_str!("../page/app.js");
const STYLE: &str = include_str!("../page/app.css");
const ICON: &str = include_str!("../page/icon.svg");

/// The placeholder for the secret of requests that change something.
const WRITE: &str = "{{write}}";

/// The content security policy of all responses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
pub(crate) fn file(path: &str, guard: &Guard) -> Option<Response> {
    let response = match path {
        "/" => {
            let write = guard.write.as_ref().map_or("", |secret| secret.reveal());
            let html = HTML.replace(WRITE, write);
            let (cookie, token) = (&guard.cookie, guard.token.reveal());
            // The address of the page is not kept with the token in it.
            Response::new(200, "text/html; charset=utf-8", html).header(
                "Set-Cookie",
                format!("{cookie}={token}; HttpOnly; SameSite=Strict; Path=/"),
            )
        }
        "/app.js" => Response::new(200, "text/javascript; charset=utf-8", SCRIPT),
        "/app.css" => Response::new(200, "text/css; charset=utf-8", STYLE),
        "/icon.svg" => Response::new(200, "image/svg+xml", ICON),
        _ => return None,
    };
    Some(response)
}

/// Returns the response with the security headers of all responses.
pub(crate) fn protected(response: Response) -> Response {
    response
        .header("Content-Security-Policy", POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .header("X-Frame-Options", "DENY")
        .header("Referrer-Policy", "no-referrer")
        .header("Cross-Origin-Opener-Policy", "same-origin")
        .header("Cross-Origin-Resource-Policy", "same-origin")
        .header("Cache-Control", "no-store")
}
