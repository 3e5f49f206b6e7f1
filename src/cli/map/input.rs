//! Events from a file, in the forms in which people have them.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

/// One event as it would be received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// Headers of Kafka or HTTP, names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    /// The body, to the byte.
    pub(super) body: Bytes,
}

/// An event with its headers beside it.
#[derive(Deserialize)]
struct Carried<'a> {
    headers: BTreeMap<String, Value>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Several of these, in order.
#[derive(Deserialize)]
struct Steps<'a> {
    #[serde(borrow)]
    steps: Vec<Carried<'a>>,
}

/// The events of a file: `{"steps": [{"headers": {…}, "body": …}, …]}`, one `{"headers": {…}, "body":
/// …}`, one event, or one of these a line. What is none of them is one event, which decoding refuses.
pub(super) fn events(file: &Bytes) -> Vec<Input> {
    if let Ok(Steps { steps }) = serde_json::from_slice(file) {
        return steps.into_iter().map(|step| carried(file, step)).collect();
    }
    let is_one = serde_json::from_slice::<IgnoredAny>(file).is_ok();
    let lines = file.split(|byte| *byte == b'\n');
    let lines: Vec<&[u8]> = lines.filter(|line| !line.trim_ascii().is_empty()).collect();
    let first = lines.first();
    let by_line = first.is_some_and(|line| serde_json::from_slice::<IgnoredAny>(line).is_ok());
    if is_one || !by_line {
        return vec![one(file.clone())];
    }
    lines
        .into_iter()
        .map(|line| one(file.slice_ref(line)))
        .collect()
}

fn one(text: Bytes) -> Input {
    match serde_json::from_slice(&text) {
        Ok(event) => carried(&text, event),
        Err(_) => Input {
            headers: BTreeMap::new(),
            body: text,
        },
    }
}

fn carried(file: &Bytes, event: Carried<'_>) -> Input {
    let text = event.body.get();
    // A body that is text was sent as that text.
    let body = match serde_json::from_str::<String>(text) {
        Ok(body) => body.into(),
        Err(_) => file.slice_ref(text.as_bytes()),
    };
    let header = |(name, value): (String, Value)| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (name.to_ascii_lowercase(), value)
    };
    Input {
        headers: event.headers.into_iter().map(header).collect(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(file: &str) -> Vec<String> {
        let events = events(&Bytes::copy_from_slice(file.as_bytes()));
        let body = |event: Input| {
            let headers = event.headers.iter();
            let headers: Vec<String> = headers
                .map(|(name, value)| format!("{name}={value};"))
                .collect();
            headers.concat() + std::str::from_utf8(&event.body).unwrap()
        };
        events.into_iter().map(body).collect()
    }

    #[test]
    fn every_form_gives_the_bodies_to_the_byte() {
        assert_eq!(bodies("{\n \"n\": 1.10\n}\n"), ["{\n \"n\": 1.10\n}\n"]);
        assert_eq!(bodies("{\"a\":1}\n\n{\"b\":2}"), ["{\"a\":1}", "{\"b\":2}"]);
        let carried = r#"{"headers": {"tenantId": "t", "objectVersion": 3}, "body": {"n": 1.10}}"#;
        assert_eq!(
            bodies(carried),
            [r#"objectversion=3;tenantid=t;{"n": 1.10}"#]
        );
        assert_eq!(
            bodies(r#"{"headers": {}, "body": "H4sI \"x\""}"#),
            ["H4sI \"x\""]
        );
        let steps = format!(r#"{{"expect": "", "steps": [{carried}, {carried}]}}"#);
        assert_eq!(bodies(&steps).len(), 2);
        for odd in [
            "",
            "{not json",
            "\u{feff}",
            "[1]",
            "{\"headers\": 1, \"body\": {}}",
        ] {
            assert_eq!(bodies(odd), [odd]);
        }
    }
}
