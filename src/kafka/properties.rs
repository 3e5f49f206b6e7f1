//! Properties of librdkafka as configured, and what it says of them without a broker.
//!
//! Guarantee (G10): the text that quotes a value is never passed on.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::config::Secret;

/// Properties by name. Any of them may be a secret.
pub type Properties = BTreeMap<String, Secret>;

/// A key of a source or sink that does not do. Prints as one sentence that starts with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The keys down to it: `topic`, or `properties` and the property's name.
    pub at: Vec<String>,
    /// Why, and the remedy.
    pub why: String,
}

impl Unfit {
    /// Of a key, several keys down with dots between.
    pub fn key(key: &str, why: impl Into<String>) -> Self {
        Self {
            at: key.split('.').map(str::to_owned).collect(),
            why: why.into(),
        }
    }

    /// Of a property.
    pub fn property(name: &str, why: impl Into<String>) -> Self {
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

/// Properties that goldwire sets itself. `owned` says of each what to do instead.
pub fn check_owned(owned: &[(&str, &str)], properties: &Properties, problems: &mut Vec<Unfit>) {
    for (key, remedy) in owned {
        if properties.contains_key(*key) {
            let why = format!("goldwire sets this itself: {remedy}");
            problems.push(Unfit::property(key, why));
        }
    }
}

/// A SASL mechanism without what it needs.
pub fn check_credentials(properties: &Properties, problems: &mut Vec<Unfit>) {
    let value = |key: &str| {
        properties
            .get(key)
            .map_or_else(String::new, |value| value.reveal().to_uppercase())
    };
    if !value("security.protocol").starts_with("SASL_") {
        return;
    }
    let mechanism = value("sasl.mechanism") + &value("sasl.mechanisms");
    if mechanism != "PLAIN" && !mechanism.starts_with("SCRAM-") {
        return;
    }
    for key in ["sasl.username", "sasl.password"] {
        if !properties.contains_key(key) {
            problems.push(Unfit::property(key, "missing; add it: SASL needs it"));
        }
    }
}

/// Properties that librdkafka does not know, and values that it does not take.
pub fn check_each(properties: &Properties, problems: &mut Vec<Unfit>) {
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

/// Why librdkafka makes no client of `properties`.
pub fn complaint(properties: &Properties, error: &KafkaError) -> String {
    // The text of the first quotes the value, which may be a secret (G10).
    if let KafkaError::ClientConfig(why, _, key, _) = error {
        Unfit::property(key, sentence(*why)).to_string()
    } else if let KafkaError::ClientCreation(text) = error {
        redact(properties, text)
    } else {
        let code = error.rdkafka_error_code();
        format!("librdkafka does not start: {code:?}")
    }
}

/// `text` without the value of any property, for what librdkafka says about a property.
pub fn redact(properties: &Properties, text: &str) -> String {
    let long = properties
        .values()
        .map(Secret::reveal)
        .filter(|value| value.len() > 3);
    long.fold(text.to_owned(), |text, value| {
        text.replace(value, "<value>")
    })
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
