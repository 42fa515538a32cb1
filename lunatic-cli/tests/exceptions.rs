//! Exceptions of guests, and what becomes of those that nobody catches (ABI §16.1).
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use harness::{World, assert_failed, assert_killed, send};
use lunatic_process::{ExitReason, FailureKind};
use lunatic_testkit::{end_of, wait};
