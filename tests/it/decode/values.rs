//! Values and names of any kind in an event and in what carries it.

use goldwire::event::{EventRecord, SubjectState};

use super::{COMMITTED, one};

/// What a tree shows otherwise, or could not show, stays in the text.
#[test]
fn a_snapshot_keeps_its_text_whatever_its_values_are() {
    let private = r#"{"$serde_json::private::RawValue":"[1]"}"#;
    for value in [r#""\ud800""#, "1e999", private] {
        let body = format!(r#"{{"type":"UPDATE","object":{{"uri":"entities/a","x":{value}}}}}"#);
        let record = one(&[], &body);
        let Some(SubjectState::Alive(object)) = record.subject_state() else {
            panic!("{value}: {:?}", record.state());
        };
        let text = format!(r#"{{"uri":"entities/a","x":{value}}}"#);
        assert_eq!(object.text(), text.as_bytes());
        assert!(object.is_tree(), "{value}");
    }
}

/// A sender whose texts are UTF-16 may print half of a pair as it is into the text that an
/// envelope holds.
#[test]
fn half_of_a_surrogate_pair_in_an_envelope_is_the_escape_that_it_is_in_the_event() {
    let inner = r#"{"type":"UPDATE","object":{"uri":"entities/a","x":"cut \ud83d"}}"#;
    let quoted = serde_json::Value::from(inner).to_string();
    for body in [&quoted, &quoted.replace(r"\\ud83d", r"\ud83d")] {
        let envelope = format!(r#"{{"body":{body}}}"#);
        for bytes in [body, &envelope] {
            let record = one(&[], bytes);
            assert_eq!(record.payload, inner.as_bytes(), "{bytes}");
        }
    }
}

/// A name may be made of anything that a text is made of.
#[test]
fn half_of_a_surrogate_pair_in_a_name_hides_no_other_member() {
    let odd = r#""\ud800":"\udfff""#;
    let event = format!(r#"{{{odd},"type":"UPDATE","object":{{{odd},"uri":"entities/a","x":1}}}}"#);
    let attributes = format!(r#"{{{odd},"commitTime":{{{odd},"Value":"{COMMITTED}"}}}}"#);
    let envelope = format!(r#"{{{odd},"messageAttributes":{attributes},"body":{event}}}"#);
    for body in [&event, &envelope] {
        let record = one(&[], body);
        assert_eq!(record.payload, event.as_bytes(), "{body}");
        let copy = EventRecord {
            object_at: 0,
            object_length: 0,
            ..record
        };
        let Some(SubjectState::Alive(object)) = copy.subject_state() else {
            panic!("{body}: {:?}", copy.state());
        };
        assert_eq!(object.uri(), Some("entities/a"));
    }
    assert_eq!(one(&[], &envelope).commit_time, Some(COMMITTED));
    // Twice is twice, and what is no JSON is none.
    for body in [
        format!(r#"{{{odd},"type":"UPDATE","uri":"entities/a","uri":"entities/a"}}"#),
        format!(r#"{{{odd},"type":"UPDATE","uri":"entities/a"}} 1"#),
    ] {
        assert!(super::decoded(&[], &body).is_err(), "{body}");
    }
}

/// The private names of `serde_json` are members like any others, wherever they stand.
#[test]
fn a_private_name_is_data_in_every_layer() {
    for name in ["RawValue", "Number"] {
        let private = format!(r#""$serde_json::private::{name}":"7""#);
        let event = format!(
            r#"{{{private},"type":"UPDATE","object":{{{private},"uri":"entities/a","x":[{{{private}}}]}}}}"#
        );
        let attributes =
            format!(r#"{{{private},"commitTime":{{{private},"Value":"{COMMITTED}"}}}}"#);
        let envelope = format!(r#"{{{private},"messageAttributes":{attributes},"body":{event}}}"#);
        for body in [&event, &envelope] {
            assert_eq!(one(&[], body).payload, event.as_bytes(), "{body}");
        }
        assert_eq!(one(&[], &envelope).commit_time, Some(COMMITTED));
        // None of these is what it should be, and none is parsed for it.
        for body in [
            format!(r#"{{"type":{{{private}}}}}"#),
            format!(r#"{{"body":{{{private}}}}}"#),
            format!(r#"{{"type":"UPDATE","uri":{{{private}}}}}"#),
            format!(r#"{{"type":"UPDATE","uris":[{{{private}}}]}}"#),
        ] {
            assert!(super::decoded(&[], &body).is_err(), "{body}");
        }
    }
}
