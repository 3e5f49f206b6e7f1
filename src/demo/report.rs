//! The demo's table, from the same instruments that `/metrics` shows.

use std::fmt::Display;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use loadtest::feed::Sent;
use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily};

use crate::telemetry::names;

/// Reads instruments.
#[derive(Debug)]
pub(super) struct Gauges {
    families: Vec<MetricFamily>,
}

impl Gauges {
    pub(super) fn read(registry: &Registry) -> Self {
        Self {
            families: registry.gather(),
        }
    }

    fn series<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Metric> {
        let families = self
            .families
            .iter()
            .filter(move |family| family.name() == name);
        families
            .flat_map(MetricFamily::get_metric)
            .filter(move |metric| {
                labels.iter().all(|(label, value)| {
                    metric
                        .get_label()
                        .iter()
                        .any(|pair| pair.name() == *label && pair.value() == *value)
                })
            })
    }

    /// The sum of a counter's series that have these labels.
    pub(super) fn total(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // An empty sum of floats is -0.
        self.series(&format!("{name}_total"), labels)
            .map(|metric| metric.get_counter().get_value())
            .fold(0.0, |a, b| a + b)
    }

    /// The bound below which this share of a histogram's values lies, interpolated, in seconds.
    fn quantile(&self, name: &str, labels: &[(&str, &str)], share: f64) -> f64 {
        let mut bounds: Vec<(f64, u64)> = Vec::new();
        for metric in self.series(&format!("{name}_seconds"), labels) {
            for (index, bucket) in metric.get_histogram().get_bucket().iter().enumerate() {
                let (bound, count) = (bucket.upper_bound(), bucket.cumulative_count());
                match bounds.get_mut(index) {
                    Some((_, known)) => *known += count,
                    None => bounds.push((bound, count)),
                }
            }
        }
        let all = bounds.last().map_or(0, |(_, count)| *count);
        let wanted = float(all) * share;
        let (mut lower, mut below) = (0.0, 0);
        for (upper, count) in bounds {
            if float(count) >= wanted && count > below {
                let part = (wanted - float(below)) / float(count - below);
                return if upper.is_finite() {
                    lower + (upper - lower) * part
                } else {
                    lower
                };
            }
            (lower, below) = (upper, count);
        }
        lower
    }
}

fn float(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// The table.
pub(super) fn table(gauges: &Gauges, sent: &Sent, dead: &[(String, usize)]) -> String {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let ingested = |outcome| gauges.total(names::INGESTED, &[("outcome", outcome)]);
    let reads = |why| gauges.total(names::READS, &[("why", why)]);
    let mut lines = vec![line(
        "sent over Kafka / webhook",
        format!("{} / {}", of(&sent.kafka), of(&sent.webhook)),
    )];
    let kinds = sent.kinds.lock().unwrap_or_else(PoisonError::into_inner);
    lines.extend(kinds.iter().map(|(name, [kafka, webhook])| {
        line(&format!("  {name}"), format!("{kafka} / {webhook}"))
    }));
    lines.extend([
        line("  exact copies among them", of(&sent.duplicates)),
        line("webhooks answered 429 or 503", of(&sent.refused)),
        line("records to the event log", ingested("appended")),
        line("events that move nothing", ingested("other")),
        line(
            "reads of Reltio: hydrate/ask/owner",
            format!(
                "{} / {} / {}",
                reads("hydrate"),
                reads("ask"),
                reads("owner")
            ),
        ),
    ]);
    lines.extend(
        ["crm", "warehouse", "lake", "cache", "cloud"]
            .iter()
            .flat_map(|sink| of_sink(gauges, sink)),
    );
    lines.extend(
        dead.iter()
            .map(|(reason, letters)| line(&format!("dead letters: {reason}"), letters)),
    );
    lines.concat()
}

fn line(name: &str, value: impl Display) -> String {
    format!("  {name:<36} {value}\n")
}

fn of_sink(gauges: &Gauges, sink: &str) -> [String; 5] {
    let by = |name, label, value| gauges.total(name, &[("sink", sink), (label, value)]);
    let outcome = |value| by(names::OUTCOMES, "outcome", value);
    let retried = by(names::ATTEMPTS, "result", "retryable");
    let latency = |share| gauges.quantile(names::LATENCY, &[("sink", sink)], share);
    [
        line(
            &format!("{sink}: delivered / asked"),
            format!("{} / {}", outcome("delivered"), outcome("answered")),
        ),
        line(
            &format!("{sink}: duplicate / stale / filtered"),
            format!(
                "{} / {} / {}",
                outcome("duplicate"),
                outcome("stale"),
                outcome("filtered")
            ),
        ),
        line(&format!("{sink}: attempts tried again"), retried),
        line(&format!("{sink}: dead-lettered"), outcome("dead_lettered")),
        line(
            &format!("{sink}: latency p50 / p99, about"),
            format!("{:.2} s / {:.2} s", latency(0.5), latency(0.99)),
        ),
    ]
}
