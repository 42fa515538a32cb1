//! One client.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, future};

use crate::clients::Place;
use crate::limits::Limits;
use crate::reading::{NoRequest, Reader, in_time};
use crate::response::{Body, Response};
use crate::serve::Serve;

/// Serves a client until it goes, or has to.
pub(crate) async fn serve<S: Serve>(
    stream: &Async<TcpStream>,
    place: &Place,
    limits: &Limits,
    server: &S,
) {
    let mut reader = Reader::default();
    loop {
        let silence = place.is_silent();
        let has_to_go = async {
            silence.has_to_go().await;
            Err(NoRequest::Gone)
        };
        let head = future::or(reader.head(stream, limits), has_to_go).await;
        drop(silence);
        let result = match head {
            Ok(head) => answer(stream, &mut reader, head, place, limits, server).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(true) => {}
            Ok(false) | Err(NoRequest::Gone) => return,
            Err(NoRequest::Refused(status, text)) => {
                return refuse(stream, limits, status, text).await;
            }
        }
    }
}

/// Answers a request; whether the client may send another one.
async fn answer<S: Serve>(
    stream: &Async<TcpStream>,
    reader: &mut Reader,
    head: crate::reading::Head,
    place: &Place,
    limits: &Limits,
    server: &S,
) -> Result<bool, NoRequest> {
    let mut request = head.request;
    if head.body > 0 {
        if head.body > server.max_body(&request) {
            return Err(NoRequest::Refused(413, "the body is too large"));
        }
        if request.header("expect").is_some() {
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            write(stream, limits, go_on).await?;
        }
        request.body = reader.body(stream, head.body, limits).await?;
    }
    let wants_body = request.method != "HEAD";
    let keeps_alive = request.keeps_alive;
    let response = server.serve(request).await;
    let keeps_alive = keeps_alive && matches!(response.body, Body::Bytes(_));
    let mut bytes = response.head(keeps_alive);
    match response.body {
        _ if !wants_body => write(stream, limits, &bytes).await?,
        Body::Bytes(body) => {
            let Some(_answering) = place.answers(body.len(), limits.answers) else {
                return Err(NoRequest::Refused(
                    503,
                    "too many read their answers slowly",
                ));
            };
            bytes.extend(body);
            write(stream, limits, &bytes).await?;
        }
        Body::Stream(mut pieces) => {
            write(stream, limits, &bytes).await?;
            while let Some(piece) = pieces.next().await {
                write(stream, limits, &piece).await?;
            }
        }
    }
    if !keeps_alive {
        stream.get_ref().shutdown(Shutdown::Write).ok();
    }
    Ok(keeps_alive)
}

/// Writes, if the client reads in time.
async fn write(
    mut stream: &Async<TcpStream>,
    limits: &Limits,
    bytes: &[u8],
) -> Result<(), NoRequest> {
    let written = in_time(limits.write_time, stream.write_all(bytes)).await;
    let late = || Err(io::ErrorKind::TimedOut.into());
    written.unwrap_or_else(late).map_err(NoRequest::from)
}

/// Tells a client why it is disconnected. What it still sends is read for a while, because
/// otherwise the system would discard the response.
async fn refuse(mut stream: &Async<TcpStream>, limits: &Limits, status: u16, text: &str) {
    const WHILE: Duration = Duration::from_secs(1);
    const AT_MOST: usize = 4 << 20;
    let response = Response::text(status, text);
    let mut bytes = response.head(false);
    bytes.extend(response.bytes().unwrap_or_default());
    if write(stream, limits, &bytes).await.is_err() {
        return;
    }
    stream.get_ref().shutdown(Shutdown::Write).ok();
    let rest = async {
        let mut buffer = [0; 4096];
        let mut seen = 0;
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            seen += read;
            if seen > AT_MOST {
                return;
            }
        }
    };
    in_time(WHILE, rest).await;
}
