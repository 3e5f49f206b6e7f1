//! goldwire's listener over an inbox of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use goldwire::config::Secret;
use goldwire::event::CompletenessConfig;
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use goldwire::webhook::{
    Handle, RateLimit, SignatureScheme, WebhookListener, WebhookSource, serve as listen,
};
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};

use super::SECRET;

/// Serves until it is shut down; its inbox is in `dir`.
pub(crate) async fn serve(dir: &Path) -> Handle {
    let journal = Journal::open(JournalSettings {
        dir: dir.join("inbox"),
        partitions: 1,
        quota: 100 << 30,
        disk_reserve: 1 << 20,
        keep: Duration::ZERO,
        segment: 16 << 20,
        gather: Duration::ZERO,
    });
    let listener = WebhookListener {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        trusted_proxy: None,
        insecure_plain_http: true,
        deadline: "5s".into(),
        connections: 1000,
    };
    let source = WebhookSource {
        path: "/hook".to_owned(),
        scheme: SignatureScheme::Reltio,
        secrets: vec![Secret::new(SECRET)],
        bearer: None,
        rate_limit: RateLimit {
            per_second: 1_000_000,
            burst: 1_000_000,
        },
        max_body: "1MiB".into(),
        entity_types: None,
        event_types: None,
        include_relationships: true,
        completeness: CompletenessConfig::Whole,
    };
    let reader = ManualReader::builder().build();
    let metrics = Metrics::exported(SdkMeterProvider::builder().with_reader(reader).build());
    let endpoints = vec![("hook".to_owned(), source)];
    let (inbox, clock) = (Arc::new(journal.unwrap()), Arc::new(SystemClock));
    listen(&listener, endpoints, inbox, clock, Arc::new(metrics))
        .await
        .unwrap()
}
