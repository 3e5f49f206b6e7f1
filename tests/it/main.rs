//! One integration binary: each module is a behaviour.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "helpers of tests fail loudly"
)]

mod cache;
mod cli;
mod config;
mod crm_oracle;
mod dashboards;
mod deadline;
mod decode;
mod engine;
mod fence_oracle;
mod file_sink;
mod formulas;
#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library of the fuzz targets, too")]
mod fuzz;
mod hostile;
mod ingest;
mod journal;
mod kafka_log;
mod kafka_real;
mod kafka_sink;
mod kafka_source;
mod killed;
#[cfg(feature = "lake")]
mod lake;
mod layout;
mod logged;
mod power_bi_rows;
mod privacy;
mod process;
mod proto;
mod reltio_client;
mod salesforce;
mod schemas;
mod snowflake;
mod store_contract;
mod tenant;
mod upgrade;
mod values;
mod warehouse;
mod webhook;
