//! A letter as Kafka Connect's error headers, which dead-letter tools know.

use super::{DeadLetter, shown_sink};

/// The `__connect.errors.*` headers of `letter`, in Connect's order. The exception's message holds
/// codes, field names and shapes only (G10); there is no stack trace, since no exception was thrown.
pub fn headers(letter: &DeadLetter) -> Vec<(String, String)> {
    let stage = match letter.stage.as_str() {
        "decode" => "VALUE_CONVERTER",
        "hydrate" => "TRANSFORMATION",
        _ => "TASK_PUT",
    };
    let pairs = [
        ("topic", letter.topic.clone()),
        ("partition", letter.partition.to_string()),
        ("offset", letter.offset.to_string()),
        ("connector.name", shown_sink(&letter.sink).to_owned()),
        ("task.id", letter.partition.to_string()),
        ("stage", stage.to_owned()),
        ("class.name", format!("goldwire {}", letter.processor)),
        ("exception.class.name", letter.reason.clone()),
        ("exception.message", message(letter)),
    ];
    let named = |(name, value)| (format!("__connect.errors.{name}"), value);
    pairs.into_iter().map(named).collect()
}

fn message(letter: &DeadLetter) -> String {
    let mut message = format!("{} while doing {}", letter.code, letter.action);
    if !letter.fields.is_empty() {
        message = format!("{message} on {}", letter.fields.join(", "));
    }
    if letter.detail.is_empty() {
        return message;
    }
    format!("{message}: {}", letter.detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g10_the_headers_say_where_and_why_and_nothing_of_the_record() {
        let letter = DeadLetter {
            sink: "crm".into(),
            topic: "t".into(),
            partition: 3,
            offset: 42,
            stage: "deliver".into(),
            action: "upsert".into(),
            reason: "rejected".into(),
            code: "REQUIRED_FIELD_MISSING".into(),
            fields: vec!["LastName".into()],
            original: b"Ada Lovelace".as_slice().into(),
            ..DeadLetter::default()
        };
        let headers = headers(&letter);
        let of = |name: &str| {
            let name = format!("__connect.errors.{name}");
            headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.as_str())
        };
        // A neighbour fills the partition's header with the offset.
        assert_eq!((of("partition"), of("offset")), (Some("3"), Some("42")));
        assert_eq!(of("stage"), Some("TASK_PUT"));
        let message = "REQUIRED_FIELD_MISSING while doing upsert on LastName";
        assert_eq!(of("exception.message"), Some(message));
        assert!(headers.iter().all(|(_, value)| !value.contains("Ada")));
    }
}
