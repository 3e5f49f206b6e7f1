//! The records that a write would produce.

use rdkafka::message::Headers as _;

use super::config::{KafkaSink, Value};
use super::topics::Topics;
use super::{encode, object_type};
use crate::sink::preview::{Preview, PreviewValue, Previewed};
use crate::sink::{SinkError, Write};

/// # Errors
/// If nothing tells the type that decides about the topic.
pub(super) fn preview(config: &KafkaSink, tenant: &str, write: &Write) -> Previewed {
    let Some(current) = &write.current else {
        return Ok(Vec::new());
    };
    let topics = Topics::new(config, tenant);
    let of_type = object_type(write, current);
    if of_type.is_empty() && current.state.is_alive() && topics.differ() {
        return Err(SinkError::Rejected {
            code: "no_type".to_owned(),
            fields: vec!["type".to_owned()],
            action: "produce",
        });
    }
    let mut values = vec![PreviewValue::new("key", write.subject.uri(), "the subject")];
    match (encode::value(write, current, config.value), config.value) {
        (None, _) => values.push(PreviewValue::new(
            "value",
            serde_json::Value::Null,
            "a tombstone: the subject is dead",
        )),
        (Some(value), Value::Snapshot) => values.push(PreviewValue::new(
            "value",
            String::from_utf8_lossy(&value),
            "the event's object as it came",
        )),
        (Some(value), Value::Envelope) => values.push(PreviewValue::new(
            "value",
            format!(
                "EventRecord of goldwire.v1, {} bytes of protobuf",
                value.len()
            ),
            "the record with the event in it",
        )),
    }
    let headers = encode::headers(write, current);
    values.extend(headers.iter().map(|header| {
        let text = String::from_utf8_lossy(header.value.unwrap_or_default());
        PreviewValue::new(&format!("header {}", header.key), text, "the record's head")
    }));
    let of_topic = |topic: &String| Preview {
        target: format!("topic {topic}"),
        action: "produce".to_owned(),
        values: values.clone(),
    };
    let topics = if topics.differ() {
        topics.of(of_type)
    } else {
        topics.all()
    };
    Ok(topics.iter().map(of_topic).collect())
}
