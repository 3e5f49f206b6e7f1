//! The instruments. Parts take an `Arc<Metrics>`; no one else makes one.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::names;

/// Bucket bounds in seconds: INT-004 alerts at 30 s, so they reach past it.
const LATENCY_BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Bucket bounds of batches: one delivery, and a configured batch of up to 5,000.
const BATCH_BOUNDS: [f64; 9] = [1.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0];

/// How an attempt may end.
const RESULTS: [&str; 5] = [
    "delivered",
    "retryable",
    "rejected",
    "throttled",
    "systemic",
];

/// What may become of a refresh whose target answers as it should.
const REFRESHED: [&str; 3] = ["started", "succeeded", "failed"];

/// All instruments of the program.
#[derive(Debug, Clone)]
pub struct Metrics {
    received: Counter<u64>,
    ingested: Counter<u64>,
    attempts: Counter<u64>,
    outcomes: Counter<u64>,
    reads: Counter<u64>,
    reconciles_dropped: Counter<u64>,
    mapping_doubts: Counter<u64>,
    webhook_requests: Counter<u64>,
    cache_requests: Counter<u64>,
    source_delay: Histogram<f64>,
    latency: Histogram<f64>,
    batches: Histogram<u64>,
    lag: Gauge<u64>,
    dead_letters: Gauge<u64>,
    sink_state: Gauge<u64>,
    sink_gaps: Gauge<u64>,
    calls_remaining: Gauge<u64>,
    source_state: Gauge<u64>,
    refreshes: Counter<u64>,
    refresh_under_way: Gauge<u64>,
    refresh_behind: Gauge<f64>,
    /// Instruments of a provider that was dropped go nowhere.
    #[expect(dead_code, reason = "held, not read")]
    provider: Option<SdkMeterProvider>,
}

impl Metrics {
    /// Makes the instruments on a meter of `provider`, and keeps it.
    pub fn exported(provider: SdkMeterProvider) -> Self {
        let metrics = Self::new(&provider.meter("goldwire"));
        Self {
            provider: Some(provider),
            ..metrics
        }
    }

    /// Makes the instruments on `meter`.
    pub fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, text: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(text)
                .with_boundaries(LATENCY_BOUNDS.to_vec())
                .build()
        };
        let counter = |name: &'static str, text: &'static str| {
            meter.u64_counter(name).with_description(text).build()
        };
        let gauge = |name: &'static str, text: &'static str| {
            meter.u64_gauge(name).with_description(text).build()
        };
        Self {
            received: counter(names::RECEIVED, "Records read from a source"),
            ingested: counter(names::INGESTED, "What became of received records"),
            attempts: counter(names::ATTEMPTS, "Attempts to deliver, by how they ended"),
            outcomes: counter(
                names::OUTCOMES,
                "Records a sink is finished with, by outcome",
            ),
            reads: counter(
                names::READS,
                "Reads of Reltio, by what for and how they ended",
            ),
            reconciles_dropped: counter(
                names::RECONCILES_DROPPED,
                "Reconciles that were passed on too often",
            ),
            mapping_doubts: counter(
                names::MAPPING_DOUBTS,
                "Golden records that make one doubt the mapping, by what does",
            ),
            webhook_requests: counter(names::WEBHOOK_REQUESTS, "Webhook requests, by status code"),
            cache_requests: counter(
                names::CACHE_REQUESTS,
                "Requests of golden records, by status",
            ),
            source_delay: seconds(names::SOURCE_DELAY, "Reltio's commit to goldwire's receipt"),
            latency: seconds(names::LATENCY, "Receipt to the sink's acknowledgement"),
            batches: meter
                .u64_histogram(names::BATCHES)
                .with_description("Deliveries in one request or transaction of a sink")
                .with_boundaries(BATCH_BOUNDS.to_vec())
                .build(),
            lag: gauge(names::LAG, "Records between a group's position and the end"),
            dead_letters: gauge(names::DEAD_LETTERS, "Open dead letters"),
            sink_state: gauge(
                names::SINK_STATE,
                "0 running, 1 unreachable, 2 paused by its target, 3 halted, 4 paused by a person",
            ),
            calls_remaining: gauge(
                names::CALLS_REMAINING,
                "API calls that the target has left for all its clients",
            ),
            sink_gaps: gauge(
                names::SINK_GAPS,
                "Partitions of which a detached sink missed records: it needs a resync",
            ),
            source_state: gauge(names::SOURCE_STATE, "0 running, 1 unreachable, 2 halted"),
            refreshes: counter(names::REFRESHES, "Refreshes, by what became of them"),
            refresh_under_way: gauge(
                names::REFRESH_UNDER_WAY,
                "1 while a refresh of the dashboard is under way that goldwire asked for",
            ),
            refresh_behind: meter
                .f64_gauge(names::REFRESH_BEHIND)
                .with_unit("s")
                .with_description("Since when something is committed that the dashboard lacks")
                .build(),
            provider: None,
        }
    }

    /// Instruments that go nowhere, for tests.
    pub fn noop() -> Self {
        Self::new(&opentelemetry::global::meter("noop"))
    }

    /// `sink` is configured: its attempts are 0, and not unknown, before the first.
    pub fn expect_sink(&self, sink: &str) {
        for result in RESULTS {
            let labels = [
                KeyValue::new("sink", sink.to_owned()),
                KeyValue::new("result", result),
            ];
            self.attempts.add(0, &labels);
        }
    }

    /// `refresh` is configured: what became of refreshes is 0, and not unknown, before the first.
    pub fn expect_refresh(&self, refresh: &str) {
        for result in REFRESHED {
            self.refreshes.add(0, &refreshed(refresh, result));
        }
    }

    /// `endpoint` is configured: its answers are 0, and not unknown, before the first.
    pub fn expect_endpoint(&self, endpoint: &str) {
        let endpoint = endpoint.into();
        for code in [200, 503] {
            self.webhook_requests
                .add(0, &answered(Some(&endpoint), true, code));
        }
    }

    /// Records were read from `source`.
    pub fn received(&self, source: &Arc<str>, records: u64) {
        self.received.add(records, &[of_source(source)]);
    }

    /// What became of records of `source`: `appended`, `filtered`, `dead_lettered`, `other`.
    pub fn ingested(&self, source: &Arc<str>, outcome: &'static str, records: u64) {
        let labels = [of_source(source), KeyValue::new("outcome", outcome)];
        self.ingested.add(records, &labels);
    }

    /// The instruments of one sink, its labels bound once.
    pub fn sink(self: &Arc<Self>, sink: &str) -> SinkMetrics {
        SinkMetrics {
            metrics: Arc::clone(self),
            labels: [KeyValue::new("sink", sink.to_owned())],
        }
    }

    /// A read of Reltio: why (`hydrate`, `ask`, `owner`), and how it ended (`found`, `survivor`,
    /// `nothing`, `refused`, `failed`).
    pub fn read(&self, why: &'static str, result: &'static str) {
        self.reads.add(
            1,
            &[KeyValue::new("why", why), KeyValue::new("result", result)],
        );
    }

    /// A reconcile was passed on too often and is dropped: a record of the CRM may stay wrong.
    pub fn reconcile_dropped(&self) {
        self.reconciles_dropped.add(1, &[]);
    }

    /// A golden record makes one doubt the mapping of `sink`: a field was `not_emptied` for want of
    /// certainty about its path, or there is `no_crosswalk` of the configured source.
    pub fn mapping_doubt(&self, sink: &str, doubt: &'static str) {
        self.mapping_doubts(sink, doubt, 1);
    }

    /// The same, so many times. At a warehouse or a lake: an `unfit_value`, which is not what its
    /// column holds.
    pub fn mapping_doubts(&self, sink: &str, doubt: &'static str, times: u64) {
        let labels = [
            KeyValue::new("sink", sink.to_owned()),
            KeyValue::new("doubt", doubt),
        ];
        self.mapping_doubts.add(times, &labels);
    }

    /// A webhook request was answered, at one of the endpoints or at none.
    pub fn webhook(&self, endpoint: Option<&Arc<str>>, authenticated: bool, code: u16) {
        self.webhook_requests
            .add(1, &answered(endpoint, authenticated, code));
    }

    /// The cache `sink` answered a request of a golden record.
    pub fn cache_request(&self, sink: &Arc<str>, code: u16) {
        let labels = [
            KeyValue::new("sink", Arc::clone(sink)),
            KeyValue::new("code", i64::from(code)),
        ];
        self.cache_requests.add(1, &labels);
    }

    /// Seconds from Reltio's commit to goldwire's receipt.
    pub fn source_delay(&self, source: &Arc<str>, seconds: f64) {
        self.source_delay.record(seconds, &[of_source(source)]);
    }

    /// `deliveries` went to `sink` in one request or transaction.
    pub fn batch(&self, sink: &str, deliveries: usize) {
        let deliveries = u64::try_from(deliveries).unwrap_or(u64::MAX);
        self.batches
            .record(deliveries, &[KeyValue::new("sink", sink.to_owned())]);
    }

    /// Records between a group's position and the end of a partition.
    pub fn lag(&self, group: &str, partition: i64, records: u64) {
        let labels = [
            KeyValue::new("consumergroup", group.to_owned()),
            KeyValue::new("partition", partition),
        ];
        self.lag.record(records, &labels);
    }

    /// Open dead letters of a sink (`ingest` for ingest's own).
    pub fn dead_letter_depth(&self, sink: &str, letters: u64) {
        self.dead_letters
            .record(letters, &[KeyValue::new("sink", sink.to_owned())]);
    }

    /// API calls that the target of `sink` has left for all its clients, as it last said.
    pub fn calls_remaining(&self, sink: &str, calls: u64) {
        self.calls_remaining
            .record(calls, &[KeyValue::new("sink", sink.to_owned())]);
    }

    /// Partitions of which a detached sink missed records.
    pub fn sink_gaps(&self, sink: &str, partitions: u64) {
        self.sink_gaps
            .record(partitions, &[KeyValue::new("sink", sink.to_owned())]);
    }

    /// Whether a sink moves: 0 running, 1 unreachable, 2 paused by its target, 3 halted, 4 paused by
    /// a person.
    pub fn sink_state(&self, sink: &str, state: u64) {
        self.sink_state
            .record(state, &[KeyValue::new("sink", sink.to_owned())]);
    }

    /// Whether a source can be read: 0 running, 1 unreachable, 2 halted.
    pub fn source_state(&self, source: &str, state: u64) {
        self.source_state
            .record(state, &[KeyValue::new("source", source.to_owned())]);
    }
}

impl Metrics {
    /// What became of a refresh, or of a request for one: `started`, `succeeded`, `failed`, or why it
    /// was not started, as `docs/metrics.md` lists them.
    pub fn refresh(&self, refresh: &str, result: &'static str) {
        self.refreshes.add(1, &refreshed(refresh, result));
    }

    /// Whether one is under way, and for how many seconds something has been committed that the
    /// dashboard lacks.
    pub fn refresh_state(&self, refresh: &str, under_way: bool, behind: f64) {
        let labels = [KeyValue::new("refresh", refresh.to_owned())];
        self.refresh_under_way.record(under_way.into(), &labels);
        self.refresh_behind.record(behind, &labels);
    }
}

/// The instruments of one sink.
#[derive(Debug, Clone)]
pub struct SinkMetrics {
    metrics: Arc<Metrics>,
    labels: [KeyValue; 1],
}

impl SinkMetrics {
    fn with(&self, name: &'static str, value: &'static str) -> [KeyValue; 2] {
        let [sink] = self.labels.clone();
        [sink, KeyValue::new(name, value)]
    }

    /// So many attempts ended: `delivered`, `retryable`, `rejected`, `throttled`, `systemic`.
    pub fn attempts(&self, result: &'static str, writes: u64) {
        let labels = self.with("result", result);
        self.metrics.attempts.add(writes, &labels);
    }

    /// The sink is finished with so many records: their outcome, as `docs/metrics.md` lists them.
    pub fn outcome(&self, outcome: &'static str, records: u64) {
        let labels = self.with("outcome", outcome);
        self.metrics.outcomes.add(records, &labels);
    }

    /// Seconds from goldwire's receipt to the sink's acknowledgement.
    pub fn latency(&self, seconds: f64) {
        self.metrics.latency.record(seconds, &self.labels);
    }
}

/// Without a copy of the name: it is told for each record.
fn of_source(source: &Arc<str>) -> KeyValue {
    KeyValue::new("source", Arc::clone(source))
}

fn refreshed(refresh: &str, result: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new("refresh", refresh.to_owned()),
        KeyValue::new("result", result),
    ]
}

fn answered(endpoint: Option<&Arc<str>>, authenticated: bool, code: u16) -> [KeyValue; 3] {
    let endpoint = match endpoint {
        Some(endpoint) => KeyValue::new("endpoint", Arc::clone(endpoint)),
        None => KeyValue::new("endpoint", "unknown"),
    };
    [
        endpoint,
        KeyValue::new("authenticated", authenticated),
        KeyValue::new("code", i64::from(code)),
    ]
}
