//! What librdkafka itself says of the properties, without a broker.
//!
//! Guarantee (G10): the text that quotes a value is never passed on.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::KafkaSettings;
use crate::config::Secret;

/// A key of a Kafka source that does not do. Prints as one sentence that starts with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The keys down to it: `topic`, or `properties` and the property's name.
    pub at: Vec<String>,
    /// Why, and the remedy.
    pub why: String,
}

impl Unfit {
    /// Of a key, several keys down with dots between.
    pub(super) fn key(key: &str, why: impl Into<String>) -> Self {
        Self {
            at: key.split('.').map(str::to_owned).collect(),
            why: why.into(),
        }
    }

    /// Of a property.
    pub(super) fn property(name: &str, why: impl Into<String>) -> Self {
        Self {
            at: vec!["properties".to_owned(), name.to_owned()],
            why: why.into(),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at.join("."), self.why)
    }
}

/// Properties that librdkafka does not know, and values that it does not take.
pub(super) fn check_each(properties: &BTreeMap<String, Secret>, problems: &mut Vec<Unfit>) {
    for (key, value) in properties {
        let known = problems
            .iter()
            .any(|problem| problem.at.last() == Some(key));
        let tried = ClientConfig::new()
            .set(key, value.reveal())
            .create_native_config();
        if let (false, Err(KafkaError::ClientConfig(why, ..))) = (known, tried) {
            problems.push(Unfit::property(key, sentence(why)));
        }
    }
}

fn sentence(why: RDKafkaConfRes) -> &'static str {
    match why {
        RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => {
            "librdkafka knows no such property; correct its name, or remove it"
        }
        RDKafkaConfRes::RD_KAFKA_CONF_INVALID | RDKafkaConfRes::RD_KAFKA_CONF_OK => {
            "librdkafka does not take this value; see CONFIGURATION.md of librdkafka for those it does"
        }
    }
}

impl KafkaSettings {
    /// Makes a client that knows no broker, and drops it: whether the properties go together, and
    /// the files that they name can be read.
    ///
    /// # Errors
    /// What librdkafka says, without a property's value.
    pub fn try_out(&self) -> Result<(), String> {
        let mut client = self.client();
        // Without a broker nothing is connected, and without a group nothing is left.
        client.remove("bootstrap.servers").remove("group.id");
        let made: Result<BaseConsumer, _> = client.create();
        made.map(drop).map_err(|error| self.complaint(&error))
    }

    /// Why librdkafka makes no client.
    pub fn complaint(&self, error: &KafkaError) -> String {
        // The text of the first quotes the value, which may be a secret (G10).
        if let KafkaError::ClientConfig(why, _, key, _) = error {
            Unfit::property(key, sentence(*why)).to_string()
        } else if let KafkaError::ClientCreation(text) = error {
            self.redact(text)
        } else {
            format!(
                "librdkafka does not start: {:?}",
                error.rdkafka_error_code()
            )
        }
    }
}
