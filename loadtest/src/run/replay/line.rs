//! One line: an event's body, or an envelope with time, key and headers around it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Failed;

/// Types that can be accounted for at a sink: each says of one subject alone what it is now.
const TYPES: [&str; 8] = [
    "CREATE",
    "UPDATE",
    "ENTITY_CREATED",
    "ENTITY_CHANGED",
    "ENTITY_REMOVED",
    "RELATIONSHIP_CREATED",
    "RELATIONSHIP_CHANGED",
    "RELATIONSHIP_REMOVED",
];

/// One captured event.
#[derive(Debug)]
pub(super) struct Line {
    /// Ms since 1970.
    pub(super) time: Option<i64>,
    pub(super) key: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    body: Box<RawValue>,
    /// Whose event it is.
    pub(super) tenant: Option<String>,
    /// Whom it is about.
    pub(super) uri: String,
    pub(super) version: i64,
}

/// What shows that a line is an envelope.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// The envelope.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    time: Option<Value>,
    key: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    value: Box<RawValue>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let peek: Peek<'_> = serde_json::from_str(text).map_err(|error| {
            format!("it is no JSON object ({error}); give one whole event, on one line")
        })?;
        let envelope = if peek.value.is_some() {
            serde_json::from_str(text).map_err(|error| {
                format!("{error}; around a `value` there may be time, key, and headers as text")
            })?
        } else {
            let value = RawValue::from_string(text.trim().to_owned());
            Envelope {
                time: None,
                key: None,
                headers: BTreeMap::new(),
                value: value.map_err(|error| error.to_string())?,
            }
        };
        let Envelope {
            time,
            key,
            headers,
            value: body,
        } = envelope;
        let tree: Value = serde_json::from_str(body.get()).map_err(|error| error.to_string())?;
        if !tree.is_object() {
            return Err("`value` is no JSON object; give the event's body as it was".to_owned());
        }
        let said = Said {
            headers: &headers,
            body: &tree,
        };
        let (uri, version) = (said.uri()?, said.version()?);
        said.check_type()?;
        Ok(Self {
            time: time.as_ref().map(millis).transpose()?,
            tenant: said.text("tenantId"),
            key,
            headers,
            body,
            uri,
            version,
        })
    }

    /// The body as it was; as a webhook, in an envelope with what headers there are.
    pub(super) fn body(&self, by_webhook: bool) -> Result<Vec<u8>, Failed> {
        let body = self.body.get();
        if !by_webhook || self.headers.is_empty() {
            return Ok(body.as_bytes().to_vec());
        }
        let attributes = serde_json::to_string(&self.headers)?;
        Ok(format!("{{\"messageAttributes\":{attributes},\"body\":{body}}}").into_bytes())
    }
}

/// What an event says in its headers, or else in its body.
struct Said<'a> {
    headers: &'a BTreeMap<String, String>,
    body: &'a Value,
}

impl Said<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let mut headers = self.headers.iter();
        let header = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        let text = header.map(|(_, value)| value.clone());
        text.or_else(|| printed(self.body.get(name)?))
    }

    fn uri(&self) -> Result<String, String> {
        let object = self.body.get("object");
        let of_object = |name| printed(object?.get(name)?);
        let uri = self.text("sourceObjectUri");
        let uri = uri.or_else(|| self.text("uri"));
        let uri = uri
            .or_else(|| of_object("uri"))
            .or_else(|| of_object("URI"));
        let is_subject =
            |uri: &String| uri.starts_with("entities/") || uri.starts_with("relations/");
        uri.filter(is_subject).ok_or_else(|| {
            "it is about no entity and no relation; give `object.uri`, or the header sourceObjectUri".to_owned()
        })
    }

    fn version(&self) -> Result<i64, String> {
        let version = self.text("objectVersion");
        let version = version.and_then(|text| text.parse().ok());
        version.filter(|version| *version >= 0).ok_or_else(|| {
            "it has no version, so that it cannot be told at a sink; capture headers, and give \"headers\":{\"objectVersion\":\"7\"}".to_owned()
        })
    }

    fn check_type(&self) -> Result<(), String> {
        let kind = self.text("eventType").or_else(|| self.text("type"));
        let kind = kind.ok_or(
            "it does not say what happened; give `type` in the body, or the header eventType",
        )?;
        if !TYPES.iter().any(|known| known.eq_ignore_ascii_case(&kind)) {
            let known = TYPES.join(", ");
            return Err(format!(
                "an event of type {kind:?} cannot be accounted for; leave it out: a line is one of {known}"
            ));
        }
        let object = self.body.get("object").and_then(Value::as_object);
        let holds = object.is_some_and(|object| !object.is_empty());
        if holds || kind.to_ascii_uppercase().ends_with("_REMOVED") {
            return Ok(());
        }
        Err("it does not hold its `object`, so that no sink can have it without the tenant; leave it out, or capture events with snapshots".to_owned())
    }
}

/// A text as it is, a number as it is printed.
fn printed(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn millis(time: &Value) -> Result<i64, String> {
    let of_text = |text: &str| Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond());
    let read = time.as_i64().or_else(|| of_text(time.as_str()?));
    read.ok_or_else(|| {
        format!("`time` is {time}; give ms since 1970, or RFC 3339 as \"2026-01-31T08:00:00.123Z\"")
    })
}
