//! A live view of a running Lunatic in a browser.
//!
//! [`Dashboard`] serves one page over HTTP, and its contents as a stream of events. It sends the
//! same requests as clients of the admin socket: it gets a [`lunatic_admin::Answering`], and has no
//! other access to a runtime.
//!
//! # Layout
//!
//! - `dashboard`: [`Dashboard`], the server and its address.
//! - `guard`, `secret`: which requests are answered.
//! - `page`: the files of the page.
//! - `view`, `events`: the contents of a page, and their stream.
//! - `actions`: the actions of a page.
//!
//! # Invariants
//!
//! - A request without the token gets nothing.
//! - A request that changes something also needs a header that no foreign page can send, with a
//!   secret that it cannot read.
//! - No text of a guest is ever interpreted as markup: the page sets text only, and its content
//!   security policy allows no script but that of the page.
//! - While no page is open, the dashboard does nothing.

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
