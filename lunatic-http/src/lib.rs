//! A small HTTP/1.1 server on a thread of its own, for metrics and views of a runtime.
//!
//! [`Server`] listens at an address, and passes requests to a [`Serve`]. It reads requests with
//! `httparse`, and implements only the part of HTTP that browsers and collectors of metrics need:
//! connections that are kept alive, bodies with a length, and responses that are streams.
//!
//! # Layout
//!
//! - `request`, `response`: requests and responses.
//! - `serve`: [`Serve`], the interface that answers requests.
//! - `reading`: reads requests, with limits of length and time.
//! - `connection`: one client.
//! - `clients`: counts clients, and decides which one is disconnected.
//! - `server`: the thread that accepts them.
//! - `limits`: the limits for clients.
//!
//! # Invariants
//!
//! - No client can use more than the [`Limits`], whatever it does or does not do.
//! - A client that sends no request does not keep others from being served: if there are too many
//!   clients, the one that has been silent for longest is disconnected.
//! - A server has one thread, which sleeps while there are no requests.

mod clients;
mod connection;
mod limits;
mod reading;
mod request;
mod response;
mod serve;
mod server;

pub use limits::Limits;
pub use request::Request;
pub use response::{Body, Response};
pub use serve::Serve;
pub use server::{BindError, Server};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
