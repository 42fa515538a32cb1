//! One metric: a counter, a gauge or a histogram.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;

/// No value of a gauge or histogram is farther from zero, so that no sum is infinite.
pub const MAX_VALUE: f64 = 1e290;

/// The upper ends of a histogram's buckets: 1, 2.5 and 5 of each power of ten.
const BUCKETS: [f64; 27] = [
    1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1e0, 2.5e0, 5e0, 1e1, 2.5e1, 5e1,
    1e2, 2.5e2, 5e2, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4, 1e5, 2.5e5, 5e5,
];

/// An update of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Update {
    /// Adds to a counter, which stays at its highest value once it is there.
    Count(u64),
    /// Sets a gauge.
    Set(f64),
    /// Adds to a gauge.
    Add(f64),
    /// Records a sample in a histogram.
    Sample(f64),
}

/// The kind of a metric, which is that of the first [`Update`] under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// How many samples there were up to certain values.
    Histogram,
}

/// A metric.
pub(crate) enum Metric {
    Counter(AtomicU64),
    /// The bits of an `f64`.
    Gauge(AtomicU64),
    Histogram(Histogram),
}

impl Update {
    /// The kind of metric that it is for.
    pub fn kind(&self) -> Kind {
        match self {
            Update::Count(_) => Kind::Counter,
            Update::Set(_) | Update::Add(_) => Kind::Gauge,
            Update::Sample(_) => Kind::Histogram,
        }
    }

    /// Whether its value can be recorded.
    pub(crate) fn is_valid(&self) -> bool {
        match *self {
            Update::Count(_) => true,
            // Not a number, too.
            Update::Set(value) | Update::Add(value) | Update::Sample(value) => {
                value.abs() <= MAX_VALUE
            }
        }
    }
}

impl Kind {
    /// The bytes that are charged for a metric, without its name.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Kind::Counter | Kind::Gauge => 256,
            Kind::Histogram => 1024,
        }
    }
}

impl Metric {
    pub(crate) fn new(kind: Kind) -> Metric {
        match kind {
            Kind::Counter => Metric::Counter(AtomicU64::new(0)),
            Kind::Gauge => Metric::Gauge(AtomicU64::new(0f64.to_bits())),
            Kind::Histogram => Metric::Histogram(Histogram::new(BUCKETS)),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Metric::Counter(_) => Kind::Counter,
            Metric::Gauge(_) => Kind::Gauge,
            Metric::Histogram(_) => Kind::Histogram,
        }
    }

    /// Does what is asked for; whether it could: it is of that kind.
    pub(crate) fn update(&self, update: Update) -> bool {
        let relaxed = Ordering::Relaxed;
        match (self, update) {
            (Metric::Counter(counter), Update::Count(more)) => {
                let add = |count: u64| Some(count.saturating_add(more));
                counter.fetch_update(relaxed, relaxed, add).is_ok()
            }
            (Metric::Gauge(gauge), Update::Set(value)) => {
                gauge.store(value.to_bits(), relaxed);
                true
            }
            (Metric::Gauge(gauge), Update::Add(more)) => {
                let add = |bits| Some((f64::from_bits(bits) + more).to_bits());
                gauge.fetch_update(relaxed, relaxed, add).is_ok()
            }
            (Metric::Histogram(histogram), Update::Sample(value)) => {
                histogram.observe(value);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Metric::Counter(counter) => {
                ConstCounter::new(counter.load(Ordering::Relaxed)).encode(encoder)
            }
            Metric::Gauge(gauge) => {
                ConstGauge::new(f64::from_bits(gauge.load(Ordering::Relaxed))).encode(encoder)
            }
            Metric::Histogram(histogram) => histogram.encode(encoder),
        }
    }
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> MetricType {
        match kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        }
    }
}
