//! Metrics of guests: counters, gauges and histograms, written as OpenMetrics.
//!
//! [`Metrics`] are what a group of processes records, by name. A metric is made when its
//! name is first used, and stays as long as the [`Metrics`] do. They are a
//! [`Collector`](prometheus_client::collector::Collector), to be registered where a runtime
//! writes its own.
//!
//! # Layout
//!
//! - `name`: [`MetricName`], what a metric may be called.
//! - `metric`: one metric.
//! - `metrics`: [`Metrics`], by name, with limits.
//! - `exposition`: all of them, for a scrape.
//! - `guest`: the namespace `lunatic::metrics` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - To record takes a bounded time, and waits for no other process longer than it takes to
//!   add one name, or one sample.
//! - What cannot be recorded is counted, and hurts nobody.
//! - No group of processes sees or changes the metrics of another, nor can it keep those of
//!   an older one from being written.
//! - What is written is valid, whatever was recorded.

mod exposition;
#[cfg(feature = "guest")]
pub mod guest;
mod metric;
mod metrics;
mod name;

pub use metric::{Kind, MAX_VALUE, Update};
pub use metrics::{
    MAX_NAMES, MAX_NAMES_OF_BRANCHES, MAX_NAMES_OF_ONE_BRANCH, MAX_NAMES_TOGETHER, Metrics,
    NotRecorded,
};
pub use name::{InvalidName, MAX_NAME_BYTES, MetricName};

/// The examples in the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
