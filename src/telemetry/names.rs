//! The names of the instruments, each once. Exported, a counter's ends with `_total` and a time's
//! with its unit, `_seconds`.

/// Records read from a source.
pub const RECEIVED: &str = "goldwire_records_received";
/// What became of received records.
pub const INGESTED: &str = "goldwire_records_ingested";
/// Attempts to deliver, by how they ended.
pub const ATTEMPTS: &str = "goldwire_attempts";
/// Records a sink is finished with, by outcome.
pub const OUTCOMES: &str = "goldwire_outcomes";
/// Reads of Reltio.
pub const READS: &str = "goldwire_reltio_reads";
/// Webhook requests, by status code.
pub const WEBHOOK_REQUESTS: &str = "goldwire_webhook_requests";
/// Reltio's commit to goldwire's receipt.
pub const SOURCE_DELAY: &str = "goldwire_source_delay";
/// Receipt to the sink's acknowledgement.
pub const LATENCY: &str = "goldwire_delivery_latency";
/// Deliveries in one request or transaction of a sink.
pub const BATCHES: &str = "goldwire_batch_records";
/// Records between a group's position and the end.
pub const LAG: &str = "goldwire_lag_records";
/// Open dead letters.
pub const DEAD_LETTERS: &str = "goldwire_dead_letter_depth";
/// Requests of golden records that a cache answered.
pub const CACHE_REQUESTS: &str = "goldwire_cache_requests";
/// Whether a sink moves.
pub const SINK_STATE: &str = "goldwire_sink_state";
/// Whether a source can be read.
pub const SOURCE_STATE: &str = "goldwire_source_state";
/// Reconciles that were passed on too often.
pub const RECONCILES_DROPPED: &str = "goldwire_reconciles_dropped";
/// API calls that a target has left for all its clients.
pub const CALLS_REMAINING: &str = "goldwire_sink_calls_remaining";
/// What makes one doubt a sink's mapping.
pub const MAPPING_DOUBTS: &str = "goldwire_mapping_doubts";
/// Partitions of which a detached sink missed records.
pub const SINK_GAPS: &str = "goldwire_sink_gaps";
/// Refreshes of dashboards, by what became of them.
pub const REFRESHES: &str = "goldwire_refreshes";
/// Whether a refresh is under way.
pub const REFRESH_UNDER_WAY: &str = "goldwire_refresh_under_way";
/// How long a dashboard has not shown what is committed.
pub const REFRESH_BEHIND: &str = "goldwire_refresh_behind";
