//! The guests in `guests/net`, started by the program, and talked to by clients
//! that know nothing of Lunatic.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod chat;
mod descriptors;
mod echo;
mod http;
mod server;
mod tls;
