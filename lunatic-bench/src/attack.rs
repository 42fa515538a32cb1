//! Attacks by hostile guests, and what they do to others.
//!
//! An [`Attack`] is a file of the folder `attacks`: a module in text form whose `main`
//! gets the ids of the process that spawned it and of a neighbour. Comments at its
//! begin say what it shows, which rights and limits it has, and what must happen.
//!
//! # Layout
//!
//! - `description`: [`Attack`], what a file says.
//! - `expectation`: [`Expectation`], what must happen.
//! - `trial`: [`Trial`], a runtime in which one attack runs beside neighbours.
//! - `findings`: [`Findings`], what was seen of it.
//! - `probe`: what the guests of a trial call.
//! - `host.wat`: the program that spawns culprit and neighbours.

mod description;
mod expectation;
mod findings;
mod probe;
mod trial;

pub use description::{Attack, Rights, folder};
pub use expectation::{End, Expectation};
pub use findings::Findings;
pub use trial::Trial;
