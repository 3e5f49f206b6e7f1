//! Every instrument, attribute, unit and span, named once. No personal data is an attribute (G10).

mod episode;
mod logs;
mod metrics;
pub mod names;
pub(crate) mod spans;

pub use episode::{Episode, InTrouble, Past};
pub use logs::{LogFormat, init_logs};
pub use metrics::{Metrics, SinkMetrics};

use std::sync::Arc;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::Registry;

/// The instruments, and the registry that exports them as `docs/metrics.md` lists them. The registry
/// is empty once the instruments are dropped.
///
/// # Errors
/// If the exporter cannot be made; it has no reason to.
pub fn instruments() -> Result<(Arc<Metrics>, Registry), String> {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .without_target_info()
        .build()
        .map_err(|error| format!("the metrics cannot be exported: {error}"))?;
    let provider = SdkMeterProvider::builder().with_reader(exporter).build();
    Ok((Arc::new(Metrics::exported(provider)), registry))
}

/// The registry's series in Prometheus's text format.
///
/// # Errors
/// If a series cannot be written as text.
pub fn text(registry: &Registry) -> Result<String, String> {
    let encoder = prometheus::TextEncoder::new();
    encoder
        .encode_to_string(&registry.gather())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_is_exported_under_the_name_that_the_docs_have() {
        let (metrics, registry) = instruments().unwrap();
        metrics.received(&"s".into(), 1);
        metrics.ingested(&"s".into(), "appended", 1);
        let sink = metrics.sink("k");
        sink.attempts("delivered", 1);
        sink.outcome("delivered", 1);
        metrics.read("ask", "found");
        metrics.reconcile_dropped();
        metrics.mapping_doubt("k", "no_crosswalk");
        metrics.webhook(Some(&"s".into()), true, 200);
        metrics.source_delay(&"s".into(), 1.0);
        sink.latency(1.0);
        metrics.batch("k", 3);
        metrics.lag("g", 0, 3);
        metrics.dead_letter_depth("k", 2);
        metrics.sink_state("k", 0);
        metrics.sink_gaps("k", 0);
        metrics.calls_remaining("k", 1);
        metrics.source_state("s", 0);
        metrics.refresh("r", "started");
        metrics.refresh_state("r", true, 1.0);
        let text = text(&registry).unwrap();
        let docs = include_str!("../../docs/metrics.md");
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        assert_eq!(names.len(), 20, "{text}");
        for name in names {
            assert!(
                docs.contains(&format!("`{name}`")),
                "{name} is not in docs/metrics.md"
            );
        }
        assert!(
            text.contains("goldwire_lag_records{consumergroup=\"g\",partition=\"0\"} 3"),
            "{text}"
        );
        assert!(text.contains("goldwire_delivery_latency_seconds_bucket{sink=\"k\",le=\"30\"} 1"));
    }
}
