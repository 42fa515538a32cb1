//! Metrics of guests: counters, gauges and histograms, written as OpenMetrics.
//!
//! [`Metrics`] are the metrics of a group of processes, by name. A metric is made when its name is
//! first used, and exists as long as the [`Metrics`] do. They are a
//! [`Collector`](prometheus_client::collector::Collector), which a runtime registers beside its
//! own.
//!
//! # Layout
//!
//! - `name`: [`MetricName`], a valid name.
//! - `metric`: one metric.
//! - `metrics`: [`Metrics`], by name, with limits.
//! - `exposition`: writes all of them, for a scrape.
//! - `guest`: the namespace `lunatic::metrics` (feature `guest`, on by default).
//!
//! # Invariants
//!
//! - Recording takes a bounded time, and waits for another process no longer than it takes to add
//!   one name, or one sample.
//! - An update that cannot be recorded is counted, and has no other effect.
//! - No group of processes sees or changes the metrics of another, nor can it keep the metrics of
//!   an older group from being written.
//! - The written text is valid OpenMetrics, whatever was recorded.

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
