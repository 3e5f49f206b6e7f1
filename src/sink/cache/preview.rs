//! What a write would keep.

use serde_json::Value;

use super::config::CacheSink;
use super::entry::Entry;
use crate::event::SubjectState;
use crate::sink::Write;
use crate::sink::preview::{Preview, PreviewValue, Previewed};

/// # Errors
/// If only some members are known of what is no object.
pub(super) fn preview(config: &CacheSink, write: &Write) -> Previewed {
    let Some(current) = &write.current else {
        return Ok(Vec::new());
    };
    if write.subject.is_relation() {
        return Ok(Vec::new());
    }
    let entry = Entry::after(None, &write.object_type, current)?;
    let mut values = vec![
        PreviewValue::new("uri", write.subject.uri(), "the event"),
        PreviewValue::new("type", entry.object_type.as_str(), "the event"),
        PreviewValue::new(
            "version",
            current.version.map_or(Value::Null, Value::from),
            "the event",
        ),
        PreviewValue::new("contentTime", current.content_time, "the event"),
        PreviewValue::new("state", current.state.word(), "the event"),
    ];
    let action = match (&current.state, &current.fields) {
        (SubjectState::Alive(_), None) => "keep",
        (SubjectState::Alive(_), Some(_)) => "keep, laid over what is kept",
        (SubjectState::Absorbed { by }, _) => {
            let by = by.as_deref().map_or(Value::Null, Value::from);
            values.push(PreviewValue::new("survivor", by, "the event"));
            "answer with the survivor"
        }
        (SubjectState::Removed | SubjectState::Erased | SubjectState::Gone, _) => "forget",
    };
    if let Some(text) = entry.text() {
        let crosswalks = entry.claims.len();
        values.push(PreviewValue::new(
            "crosswalks",
            crosswalks,
            "how many crosswalks it is found by",
        ));
        values.push(PreviewValue::new("record", text, "the event's object"));
    }
    Ok(vec![Preview {
        target: config.dir.display().to_string(),
        action: action.to_owned(),
        values,
    }])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::event::{Object, Subject};
    use crate::sink::Current;

    fn write(uri: &str, state: SubjectState) -> Write {
        Write {
            subject: Subject::new("acme", uri),
            object_type: "Individual".into(),
            current: Some(Current {
                state,
                content_time: 7,
                version: Some(3),
                fields: None,
                erased: false,
            }),
            changes: Vec::new(),
            newest: 0,
            targets: Vec::new(),
            hops: 0,
            record: None,
        }
    }

    #[test]
    fn what_would_be_kept_is_shown_for_every_state() {
        let config = json!({ "dir": "cache", "tokens": ["t"] });
        let config: CacheSink = serde_json::from_value(config).unwrap();
        let text = r#"{"uri":"entities/a","crosswalks":[{"type":"SFDC","value":"1"}],"n":1.50}"#;
        let object = Object::parse(text.as_bytes()).unwrap();
        let by = Some("entities/w".to_owned());
        for (state, action, last) in [
            (SubjectState::Alive(Arc::new(object)), "keep", json!(text)),
            (
                SubjectState::Absorbed { by },
                "answer with the survivor",
                json!("entities/w"),
            ),
            (SubjectState::Erased, "forget", json!("erased")),
        ] {
            let shown = preview(&config, &write("entities/a", state)).unwrap();
            assert_eq!((shown.len(), &*shown[0].action), (1, action));
            assert_eq!(shown[0].values.last().unwrap().value, last);
        }
        let relation = write("relations/a", SubjectState::Erased);
        assert_eq!(preview(&config, &relation).unwrap(), Vec::new());
    }
}
