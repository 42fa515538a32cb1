//! All metrics of all groups, for a scrape.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::metric::{Kind, Metric};
use crate::metrics::Metrics;
use crate::name::MetricName;

/// The metrics that are written under one name: of one kind, from one group each.
struct Family {
    kind: Kind,
    /// The metrics, with the number of their group.
    metrics: Vec<(u64, Arc<Metric>)>,
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut hidden = 0u64;
        let mut families: BTreeMap<MetricName, Family> = BTreeMap::new();
        for group in self.groups() {
            for (name, metric) in group.metrics() {
                let family = families.entry(name).or_insert_with(|| Family {
                    kind: metric.kind(),
                    metrics: Vec::new(),
                });
                match family.kind == metric.kind() {
                    true => family.metrics.push((group.number, metric)),
                    // An older group has the name.
                    false => hidden += 1,
                }
            }
        }
        // Metrics of older groups come first, because a younger one could hide them otherwise.
        let mut families: Vec<_> = families.into_iter().collect();
        families.sort_by_key(|(_, family)| family.metrics[0].0);
        let mut taken = HashSet::new();
        for (name, family) in &families {
            match take(&mut taken, name.as_str(), family.kind) {
                true => family.encode(name.as_str(), &mut encoder)?,
                false => hidden += family.metrics.len() as u64,
            }
        }
        self.encode_own(hidden, &mut encoder)
    }
}

impl Family {
    fn encode(&self, name: &str, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, HELP, None, self.kind.into())?;
        for (group, metric) in &self.metrics {
            match group {
                0 => metric.encode(family.encode_family(&NO_LABELS)?)?,
                group => {
                    let branch = [("branch", *group)];
                    metric.encode(family.encode_family(&branch)?)?;
                }
            }
        }
        Ok(())
    }
}

const HELP: &str = "Recorded by a guest";

const NO_LABELS: [(&str, u64); 0] = [];

impl Metrics {
    /// Writes the metrics about metrics.
    fn encode_own(&self, hidden: u64, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let names = ConstGauge::new(self.names_together() as u64);
        names.encode(encoder.encode_descriptor(
            "lunatic_guest_metrics",
            "Names of metrics of guests",
            None,
            MetricType::Gauge,
        )?)?;
        let names = ConstGauge::new(hidden);
        names.encode(encoder.encode_descriptor(
            "lunatic_guest_metrics_hidden",
            "Metrics of guests that cannot be written beside another one",
            None,
            MetricType::Gauge,
        )?)?;
        let mut refused = encoder.encode_descriptor(
            "lunatic_guest_metrics_refused",
            "What guests could not record",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in self.refused() {
            let labels = [("reason", reason)];
            ConstCounter::new(count).encode(refused.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Takes the names of all samples of a family; whether none of them was taken.
fn take(taken: &mut HashSet<String>, name: &str, kind: Kind) -> bool {
    let ends: &[&str] = match kind {
        Kind::Counter => &["", "_total"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_sum", "_count"],
    };
    let samples = || ends.iter().map(|end| format!("{name}{end}"));
    let is_free = !samples().any(|sample| taken.contains(&sample));
    if is_free {
        taken.extend(samples());
    }
    is_free
}
