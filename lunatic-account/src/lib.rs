//! A tree of accounts with limits, to which everything is charged that a guest makes
//! the host keep.
//!
//! # Layout
//!
//! - `kind`: [`Kind`], what is counted.
//! - `limits`: [`AccountLimits`], how much of it there may be.
//! - `account`: [`Account`], the tree and the counting.
//! - `charge`: [`Charge`], an amount that is released when it is dropped.
//! - `cpu`: [`CpuBudget`], how much of a core the processes of an account, or the compiler for
//!   them, use.
//! - `rate`: [`RateBudget`], how much they print and log in each second.
//! - `share`: [`Share`], whose processes wait if there are not enough cores for all.
//!
//! # Invariants
//!
//! - What is charged to an account is charged to all accounts above it, or to none.
//! - No limit is exceeded, by however many threads at once.
//! - Everything that is charged is released once, but for fuel, which is spent; an account
//!   that nobody uses any more has a count of 0 of every other kind.
//! - A charge takes no lock: it is one atomic operation for each account on the way to
//!   the root.

mod account;
mod charge;
mod cpu;
mod kind;
mod limits;
mod rate;
mod share;

pub use account::{Account, AccountId, BranchError, Exceeded, Shortage};
pub use charge::Charge;
pub use cpu::CpuBudget;
pub use kind::Kind;
pub use limits::AccountLimits;
pub use rate::RateBudget;
pub use share::{Share, Shares};

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
