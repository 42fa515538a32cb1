//! A live view of a running Lunatic in a browser.
//!
//! [`Dashboard`] serves one page over HTTP, and what the page shows as a stream of events. It
//! asks what clients of the admin socket ask too: it is given a
//! [`lunatic_admin::Answering`], and knows no other way into a runtime.
//!
//! # Layout
//!
//! - `dashboard`: [`Dashboard`], the server and its address.
//! - `guard`, `secret`: who is answered.
//! - `page`: the files of the page.
//! - `view`, `events`: what a page shows, and the stream of it.
//! - `actions`: what it can have done.
//!
//! # Invariants
//!
//! - Every request has to know the token, or gets nothing.
//! - What changes something needs, besides, a header that no foreign page can send, with a
//!   secret that it cannot read.
//! - No text of a guest is ever taken for markup: the page sets text only, and the browser is
//!   told to run nothing but the script of the page.
//! - While no page is open, nothing is done.

mod actions;
mod dashboard;
mod events;
mod guard;
mod page;
mod secret;
mod view;

pub use dashboard::{Dashboard, Options};
pub use lunatic_http::BindError;

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
