//! Values with units, and secrets that do not print.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::slice;
use std::time::Duration;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A duration as written: `250ms`, `5s`, `10m`, `7d`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Period(#[schemars(regex(pattern = r"^\s*(\d+\s*(ms|s|m|h|d)\s*)+$"))] String);

impl Period {
    /// The duration; zero if the text is not one, which the schema has refused before.
    pub fn get(&self) -> Duration {
        humantime::parse_duration(&self.0).unwrap_or_default()
    }
}

impl From<&str> for Period {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A size as written: `64MiB`, `10GB`, `512 KiB`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ByteSize(#[schemars(regex(pattern = r"^\s*\d+\s*([KMGT]i?B|B)\s*$"))] String);

impl ByteSize {
    /// The size in bytes; zero if the text is not one, which the schema has refused before.
    pub fn get(&self) -> u64 {
        self.0
            .parse::<bytesize::ByteSize>()
            .map_or(0, |size| size.as_u64())
    }
}

impl From<&str> for ByteSize {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Addresses and networks as written: one, or a list: `10.0.0.7`, `[10.0.0.0/8, "fd00::/8"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Networks {
    /// One.
    One(String),
    /// Several.
    Several(#[schemars(length(min = 1))] Vec<String>),
}

impl Networks {
    /// The networks; those that are none were refused before.
    pub fn get(&self) -> Vec<IpNet> {
        let texts = match self {
            Self::One(text) => slice::from_ref(text),
            Self::Several(texts) => texts.as_slice(),
        };
        texts.iter().filter_map(|text| network(text)).collect()
    }
}

impl From<&str> for Networks {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

/// A network, or the one address of a text.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address)
}

/// A secret that neither `Debug` nor `Display` shows (G10). In the configuration it is the text
/// itself, usually `${NAME}`, or `{file: PATH}`, which the loader replaces by the file's content.
#[derive(Clone, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether `given` is the secret. Digests are compared, and all of their bytes, so that the time
    /// taken says nothing about its content or length.
    pub fn is(&self, given: &str) -> bool {
        let (own, given) = (Sha256::digest(&self.0), Sha256::digest(given));
        own.ct_eq(&given).into()
    }

    /// The secret itself, for the one place that sends or checks it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: its text, usually ${NAME}, or the file that holds it.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                {
                    "type": "object",
                    "properties": {
                        "file": { "type": "string", "description": "The file that holds it." }
                    },
                    "required": ["file"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
