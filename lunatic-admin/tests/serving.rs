//! What a server does with clients that keep to the protocol, and with those that do not.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::thread;

use harness::{Fake, Place, Raw, impatient, info, named};
use lunatic_admin::{Client, ClientError, Limits, RefusalKind, Request, Response, Target};
use lunatic_testkit::{wait, wait_until};

fn connect(place: &Place) -> Result<Client, ClientError> {
    wait("a connection", Client::connect(&place.directory, None))
}

fn kill() -> Request {
    Request::Kill(Target::new("1".parse().unwrap()))
}

#[test]
fn requests_are_answered_one_after_the_other() {
    let place = Place::new();
    let _server = place.start("shop");
    let mut client = connect(&place).unwrap();
    assert_eq!(client.name(), "shop");
    for _ in 0..3 {
        let version = wait("an answer", client.request(&Request::Version));
        assert_eq!(version.unwrap(), info("1"));
        let done = wait("an answer", client.request(&kill()));
        assert_eq!(done.unwrap(), Response::Done);
    }
}

#[test]
fn requests_may_be_sent_before_the_first_is_answered() {
    let place = Place::new();
    let server = place.start("shop");
    let mut raw = Raw::connect(server.path());
    raw.send(
        "{\"lunatic_admin\":1,\"version\":\"x\"}\n{\"id\":1,\"type\":\"version\"}\n\
         {\"id\":2,\"type\":\"version\"}\n",
    );
    assert!(raw.line().contains("\"name\":\"shop\""));
    assert!(raw.line().starts_with("{\"id\":1,\"type\":\"version\""));
    assert!(raw.line().starts_with("{\"id\":2,\"type\":\"version\""));
}

#[test]
fn a_client_of_another_protocol_is_told_both_versions() {
    let place = Place::new();
    let server = place.start("shop");
    for protocol in [0, 2] {
        let mut raw = Raw::connect(server.path());
        raw.send(format!(
            "{{\"lunatic_admin\":{protocol},\"version\":\"0.9\\u001b[2J\"}}\n"
        ));
        raw.line();
        let text = raw.is_refused("protocol");
        let own = format!("lunatic {} with protocol 1", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&own), "{text}");
        assert!(
            text.contains(&format!("with protocol {protocol}")),
            "{text}"
        );
        assert!(text.contains("lunatic 0.9"), "{text}");
        raw.is_closed();
    }
}

#[test]
fn a_runtime_of_another_protocol_is_named_with_both_versions() {
    let place = Place::new();
    let name = named("old");
    let listener = UnixListener::bind(place.directory.socket(&name)).unwrap();
    let old = thread::spawn(move || {
        // The first one only looks whether somebody listens.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let hello = b"{\"lunatic_admin\":7,\"version\":\"9.9\",\"other\":[]}\n";
            stream.write_all(hello).ok();
        }
    });
    let error = connect(&place).unwrap_err().to_string();
    let own = format!(
        "this is lunatic {} with protocol 1",
        env!("CARGO_PKG_VERSION")
    );
    assert!(error.contains("lunatic 9.9 with protocol 7"), "{error}");
    assert!(error.contains(&own), "{error}");
    old.join().unwrap();
}

#[test]
fn garbage_gets_an_error_line_and_the_connection_is_closed() {
    let place = Place::new();
    let server = place.start("shop");
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\n",
        b"{}\n",
        b"[1]\n",
        b"\xff\xfe\n",
    ] {
        let mut raw = Raw::connect(server.path());
        raw.send(garbage);
        raw.line();
        raw.is_refused("garbage");
        raw.is_closed();

        let mut raw = Raw::greeted(server.path());
        raw.send(garbage);
        raw.is_refused("garbage");
        raw.is_closed();
    }
    Raw::greeted(server.path()).is_answered();
}

#[test]
fn deeply_nested_json_is_garbage() {
    let place = Place::new();
    let server = place.start("shop");
    let mut raw = Raw::greeted(server.path());
    let nested = "[".repeat(60_000);
    raw.send(format!("{{\"type\":\"version\",\"x\":{nested}\n"));
    raw.is_refused("garbage");
    raw.is_closed();
}

#[test]
fn a_line_that_is_too_long_is_refused_before_it_ends() {
    let place = Place::new();
    let server = place.start("shop");
    let mut raw = Raw::greeted(server.path());
    raw.send(vec![b' '; Limits::default().line + 1]);
    raw.is_refused("too_large");
    raw.is_closed();
}

#[test]
fn an_unknown_request_is_named_and_the_connection_goes_on() {
    let place = Place::new();
    let server = place.start("shop");
    let mut raw = Raw::greeted(server.path());
    raw.send("{\"id\":5,\"type\":\"dance\",\"with\":{\"whom\":1},\"bytes\":3}\n\n{}");
    let line = raw.is_refused("unknown_request");
    assert!(
        line.starts_with("{\"id\":5,") && line.contains("`dance`"),
        "{line}"
    );
    raw.is_answered();
}

#[test]
fn a_request_with_a_wrong_field_is_refused_and_the_connection_goes_on() {
    let place = Place::new();
    let server = place.start("shop");
    let mut raw = Raw::greeted(server.path());
    for wrong in [
        "{\"id\":6,\"type\":\"kill\"}\n",
        "{\"id\":6,\"type\":\"kill\",\"pid\":1}\n",
        "{\"id\":6,\"type\":\"kill\",\"pid\":\"x\"}\n",
        "{\"id\":6,\"type\":\"processes\",\"sort\":\"beauty\"}\n",
        "{\"id\":6,\"type\":\"processes\",\"limit\":-1,\"bytes\":2}\n{}",
    ] {
        raw.send(wrong);
        let line = raw.is_refused("bad_request");
        assert!(line.starts_with("{\"id\":6,"), "{line}");
    }
    raw.is_answered();
}

#[test]
fn bytes_that_are_not_wanted_or_too_many_are_not_read() {
    let place = Place::new();
    let server = place.start("shop");
    let mut raw = Raw::greeted(server.path());
    raw.send("{\"type\":\"version\",\"bytes\":1}\n");
    raw.is_refused("bad_request");
    raw.is_closed();

    let mut raw = Raw::greeted(server.path());
    let too_many = Limits::default().bytes + 1;
    raw.send(format!("{{\"type\":\"dance\",\"bytes\":{too_many}}}\n"));
    raw.is_refused("too_large");
    raw.is_closed();
}

#[test]
fn who_stops_within_a_line_or_within_bytes_is_disconnected() {
    let place = Place::new();
    let server = place.start_with("shop", impatient(), Fake::default());
    let mut silent = Raw::connect(server.path());
    silent.line();
    silent.is_refused("timeout");
    silent.is_closed();

    for begun in ["{\"type\":", "{\"type\":\"dance\",\"bytes\":10}\n123"] {
        let mut raw = Raw::greeted(server.path());
        raw.send(begun);
        raw.is_refused("timeout");
        raw.is_closed();
    }
}

#[test]
fn who_is_silent_between_requests_stays_connected() {
    let place = Place::new();
    let server = place.start_with("shop", impatient(), Fake::default());
    let mut idle = Raw::greeted(server.path());
    // Longer than the time for a line: the other one is disconnected meanwhile.
    let mut other = Raw::connect(server.path());
    other.line();
    other.is_refused("timeout");
    idle.is_answered();
}

#[test]
fn who_never_reads_is_disconnected_while_others_are_answered() {
    let place = Place::new();
    let mut limits = impatient();
    limits.clients = 1;
    let fake = Fake {
        version_bytes: 8 << 20,
        ..Fake::default()
    };
    let server = place.start_with("shop", limits, fake);
    let mut deaf = Raw::greeted(server.path());
    deaf.send("{\"type\":\"version\"}\n");
    // There is only one place, so it is free when that one is disconnected.
    wait_until("a free place", || {
        let mut other = Raw::connect(server.path());
        other.line().contains("lunatic_admin")
    });
}

#[test]
fn an_answer_that_is_too_large_is_an_error() {
    let place = Place::new();
    let mut limits = Limits::default();
    limits.response = 1000;
    let fake = Fake {
        version_bytes: 1000,
        ..Fake::default()
    };
    let _server = place.start_with("shop", limits, fake);
    let mut client = connect(&place).unwrap();
    match wait("an answer", client.request(&Request::Version)) {
        Err(ClientError::Refused(refusal)) => assert_eq!(refusal.kind, RefusalKind::TooLarge),
        other => panic!("{other:?}"),
    }
    let done = wait("an answer", client.request(&kill()));
    assert_eq!(done.unwrap(), Response::Done);
}

#[test]
fn of_a_thousand_clients_those_without_a_place_are_told_so() {
    let place = Place::new();
    let server = place.start("shop");
    let places = Limits::default().clients;
    let mut served: Vec<_> = (0..places).map(|_| Raw::greeted(server.path())).collect();
    for _ in places..1000 {
        let mut raw = Raw::connect(server.path());
        let line = raw.is_refused("busy");
        assert!(line.contains("64 clients already"), "{line}");
        raw.is_closed();
    }
    served.iter_mut().for_each(Raw::is_answered);
    let error = wait("a refusal", Client::connect_to(server.path())).unwrap_err();
    assert!(error.to_string().contains("64 clients already"), "{error}");
    served.pop();
    wait_until("a free place", || {
        wait("an answer", Client::connect_to(server.path())).is_ok()
    });
}

#[test]
fn no_more_clients_than_allowed_send_bytes_at_once() {
    let place = Place::new();
    let server = place.start("shop");
    let begin = "{\"type\":\"dance\",\"bytes\":10}\n123";
    let mut sending: Vec<_> = (0..2).map(|_| Raw::greeted(server.path())).collect();
    sending.iter_mut().for_each(|raw| raw.send(begin));
    wait_until("a refusal", || {
        let mut third = Raw::greeted(server.path());
        third.send("{\"type\":\"dance\",\"bytes\":1}\n1");
        third.line().contains("\"busy\"")
    });
    for raw in &mut sending {
        raw.send("4567890");
        raw.is_refused("unknown_request");
    }
}

#[test]
fn a_subscription_goes_on_until_the_runtime_ends_it() {
    let place = Place::new();
    let (sender, stream) = async_channel::bounded(1);
    let fake = Fake {
        stream: Some(stream),
        ..Fake::default()
    };
    let _server = place.start_with("shop", Limits::default(), fake);
    let client = connect(&place).unwrap();
    let mut subscription = wait("it", client.subscribe(&Request::Version)).unwrap();
    for version in ["1", "2", "3"] {
        sender.send_blocking(info(version)).unwrap();
        let next = wait("a response", subscription.next()).unwrap();
        assert_eq!(next, Some(info(version)));
    }
    sender.close();
    assert_eq!(wait("the end", subscription.next()).unwrap(), None);
}

#[test]
fn a_subscription_ends_with_its_client() {
    let place = Place::new();
    let (sender, stream) = async_channel::unbounded();
    let fake = Fake {
        stream: Some(stream),
        ..Fake::default()
    };
    let mut limits = Limits::default();
    limits.clients = 1;
    let server = place.start_with("shop", limits, fake);
    // Who looks for runtimes takes a place for a moment too.
    let client = wait("a connection", Client::connect_to(server.path())).unwrap();
    let mut subscription = wait("it", client.subscribe(&Request::Version)).unwrap();
    sender.send_blocking(info("1")).unwrap();
    wait("a response", subscription.next()).unwrap();
    drop(subscription);
    wait_until("a free place", || {
        Raw::connect(server.path()).line().contains("lunatic_admin")
    });
}

#[test]
fn who_subscribes_and_never_reads_is_disconnected() {
    let place = Place::new();
    let (sender, stream) = async_channel::bounded(1);
    let fake = Fake {
        stream: Some(stream),
        ..Fake::default()
    };
    let mut limits = impatient();
    limits.clients = 1;
    let server = place.start_with("shop", limits, fake);
    let mut deaf = Raw::greeted(server.path());
    deaf.send("{\"type\":\"version\"}\n");
    let large = info(&"1".repeat(1 << 20));
    // The other end is dropped with the server's side of the connection.
    wait_until("a free place", || {
        sender.try_send(large.clone()).ok();
        Raw::connect(server.path()).line().contains("lunatic_admin")
    });
}

#[test]
fn a_server_that_ends_disconnects_its_clients_and_removes_its_socket() {
    let place = Place::new();
    let server = place.start("shop");
    let path = server.path().to_owned();
    let mut raw = Raw::greeted(&path);
    drop(server);
    raw.is_closed();
    assert!(!path.exists());
}
