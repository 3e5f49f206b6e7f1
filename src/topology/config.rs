//! The root of the configuration: which sections there are. Each section's own keys and rules are
//! beside what they configure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::rules;
use crate::admin::Admin;
use crate::config::{self, At, LoadError, Loose, Root, Rules};
use crate::engine::Delivery;
use crate::log::{Inbox, LogSettings};
use crate::refresh::RefreshConfig;
use crate::reltio::ReltioApi;
use crate::sink::SinkConfig;
use crate::source::kafka::config::KafkaSource;
use crate::store::Engine;
use crate::webhook::{WebhookListener, WebhookSource};

/// A goldwire configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names the consumer groups (`{app}.{sink}`) and this program in logs.
    #[serde(default = "app")]
    pub app: String,
    /// The Reltio tenant whose events are taken; those of another are dead-lettered.
    pub tenant: String,
    /// Directory of the inbox, the log and the store. One process at a time.
    pub data_dir: PathBuf,
    /// The engine of the store: `sled`, or `fjall` from about a million subjects on. Fixed when
    /// the directory is made.
    #[serde(default)]
    pub store: Engine,
    /// Reltio's API. Without it nothing is hydrated or asked, and `check` refuses what needs it.
    pub reltio: Option<ReltioApi>,
    /// Where events come from, by name.
    #[schemars(extend("minProperties" = 1))]
    pub sources: BTreeMap<String, SourceConfig>,
    /// The listener of all webhook sources; required when there is one.
    pub webhook: Option<WebhookListener>,
    /// The journal of webhook requests.
    #[serde(default)]
    pub inbox: Inbox,
    /// The event log.
    #[serde(default)]
    pub log: LogSettings,
    /// Where events go, by name.
    #[schemars(extend("minProperties" = 1))]
    pub sinks: BTreeMap<String, SinkConfig>,
    /// Dashboards that are refreshed after what a sink wrote, by name.
    #[serde(default)]
    pub refreshes: BTreeMap<String, RefreshConfig>,
    /// How the engine works.
    #[serde(default)]
    pub delivery: Delivery,
    /// Health, metrics and control.
    #[serde(default)]
    pub admin: Admin,
}

fn app() -> String {
    "goldwire".to_owned()
}

/// A source: exactly one of the keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// A Kafka topic that Reltio streams to.
    pub kafka: Option<KafkaSource>,
    /// An endpoint of the webhook listener.
    pub webhook: Option<WebhookSource>,
}

impl Root for Config {
    fn check(top: &At<'_>, rules: &mut Rules<'_>) {
        rules::check(top, rules);
    }
}

/// Loads the configuration file at `path`. `env` looks up environment variables. Paths inside the
/// file are relative to the working directory.
///
/// # Errors
/// Every problem at once, each with its path, the value (never a secret) and the remedy.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, LoadError> {
    config::load(path, env)
}

/// As [`load`], for a process that serves: also reads what that one opens on this machine, the
/// listener's certificate and key and the files that properties of librdkafka name.
///
/// # Errors
/// As [`load`].
pub fn load_to_serve(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, LoadError> {
    config::load_to_serve(path, env)
}

/// As [`load`], for what looks at a configuration and connects to nothing: variables that are not
/// set, and secrets whose files cannot be read, are no problem until [`Loose::need`] asks for them.
///
/// # Errors
/// As [`load`], and where the text `${NAME}` cannot stand for a value that is not set.
pub fn load_loosely(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loose<Config>, LoadError> {
    config::load_loosely(path, env)
}

/// As [`load`], from the file's text.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, LoadError> {
    config::parse(text, env)
}

/// The JSON Schema (draft 2020-12) of a configuration file, before `${NAME}` is replaced.
pub fn schema() -> Value {
    config::schema::<Config>()
}
