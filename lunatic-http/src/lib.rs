//! A small HTTP/1.1 server on a thread of its own, for what a runtime tells of itself.
//!
//! [`Server`] listens at an address, and has a [`Serve`] answer. It reads requests with
//! `httparse`, and knows no more of HTTP than browsers and collectors of metrics need:
//! connections that are kept alive, bodies with a length, and answers that are streams.
//!
//! # Layout
//!
//! - `request`, `response`: what is asked and answered.
//! - `serve`: [`Serve`], what answers.
//! - `reading`: requests out of bytes, with limits of length and time.
//! - `connection`: one client.
//! - `clients`: how many there are, and who has to go.
//! - `server`: the thread that accepts them.
//! - `limits`: how much a client may do.
//!
//! # Invariants
//!
//! - Nothing that a client does, or does not do, takes more than the [`Limits`].
//! - Who sends no request keeps nobody else from being served: if there are too many clients,
//!   the one goes that has been silent for longest.
//! - A server has one thread, which sleeps while nobody asks.

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
