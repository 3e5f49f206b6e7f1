//! Bodies of Reltio's API, and the URIs it gives out. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ReltioError;
use crate::event::Object;
use crate::event::members::Members;
use crate::time::Millis;

/// `errorCode` of "Object with id=… not found" (Reltio's `OpenAPI` files).
const OBJECT_NOT_FOUND: i64 = 101;

/// The two parts of `entities/…` or `relations/…`; nothing if it is neither, or would lead
/// elsewhere in an address.
pub(super) fn uri(uri: &str) -> Option<(&str, &str)> {
    let (kind, id) = uri.split_once('/')?;
    let known = matches!(kind, "entities" | "relations");
    let leads_away =
        id.is_empty() || id.contains('/') || id.starts_with('.') || id.starts_with('_');
    (known && !leads_away).then_some((kind, id))
}

/// A 404 that says that the object does not exist. Any other says that something else does not:
/// taken for the object's death, a wrong address would archive a whole CRM.
pub(super) fn nothing(body: &[u8]) -> Result<(), ReltioError> {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(rename = "errorCode")]
        code: i64,
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem {
            code: OBJECT_NOT_FOUND,
        }) => Ok(()),
        Ok(Problem { code }) => Err(ReltioError::Rejected {
            code: format!("404 ({code})"),
        }),
        Err(_) => Err(ReltioError::Refused {
            code: "404".to_owned(),
            remedy: "the answer is not Reltio's; correct reltio.url".to_owned(),
        }),
    }
}

/// The object that a read answered.
pub(super) fn object(body: &[u8]) -> Result<Object, ReltioError> {
    let object = Object::parse(body).map_err(|_| unreadable())?;
    if !object.is_tree() {
        // It would be as deep in every answer.
        return Err(ReltioError::Rejected {
            code: "too_deep".to_owned(),
        });
    }
    object
        .uri()
        .is_some()
        .then_some(object)
        .ok_or_else(unreadable)
}

/// The objects that a look-up answered: `[{index, object, successful}]` as published; bare
/// objects are taken as well. Their text stays as it came.
pub(super) fn objects(body: &[u8]) -> Result<Vec<Object>, ReltioError> {
    let answer: &RawValue = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let items: Vec<&RawValue> = match answer.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(answer.get()).map_err(|_| unreadable())?,
        Some(b'{') => vec![answer],
        _ => return Err(unreadable()),
    };
    let parsed = items.into_iter().map(object_within);
    let parsed = parsed.filter_map(|object| Object::parse(object.get().as_bytes()).ok());
    Ok(parsed.filter(|object| object.uri().is_some()).collect())
}

/// The member `object`; without one the item itself.
fn object_within(item: &RawValue) -> &RawValue {
    let Members(members) = serde_json::from_str(item.get()).unwrap_or_default();
    let mut members = members.into_iter().rev();
    let object = members.find(|(name, _)| name.get() == "\"object\"");
    object.map_or(item, |(_, object)| object)
}

/// Whether `object`, read at `date`, has the crosswalk. Reltio falls back to an entity whose id is the value.
pub(super) fn holds(object: &Object, source: &str, value: &str, date: Millis) -> bool {
    let crosswalks = object.crosswalks().unwrap_or_default();
    crosswalks
        .iter()
        .any(|known| known.source == source && known.value == value && !known.is_deleted(date))
}

fn unreadable() -> ReltioError {
    ReltioError::Unavailable {
        code: "answer_unreadable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_uris_of_objects_are_asked_for() {
        assert_eq!(uri("entities/00MNwCe"), Some(("entities", "00MNwCe")));
        assert_eq!(uri("relations/r1"), Some(("relations", "r1")));
        for bad in [
            "entities",
            "entities/",
            "entities/..",
            "entities/a/b",
            "users/a",
            "entities/_x",
        ] {
            assert_eq!(uri(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_404_of_anything_but_the_object_is_not_its_death() {
        assert!(nothing(br#"{"severity":"Error","errorCode":101}"#).is_ok());
        let other = nothing(br#"{"errorCode":804}"#);
        assert!(matches!(other, Err(ReltioError::Rejected { .. })));
        for body in [&b"<html>not found</html>"[..], b"", b"{}", b"[]"] {
            assert!(matches!(nothing(body), Err(ReltioError::Refused { .. })));
        }
    }

    #[test]
    fn an_object_that_is_nested_too_deeply_is_not_asked_for_again() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let body = |levels| format!(r#"{{"uri":"entities/a","x":{}}}"#, nested(levels));
        assert!(object(body(100).as_bytes()).is_ok());
        let refused = object(body(200).as_bytes());
        assert!(matches!(refused, Err(ReltioError::Rejected { .. })));
    }

    #[test]
    fn an_object_that_was_looked_up_keeps_its_text() {
        let text = r#"{"uri": "entities/a", "n": 1234567890123456.78, "e": 1e400, "s": "\ud83d"}"#;
        let body = format!(r#"[{{"index":0, "object": {text}, "successful": true}}]"#);
        let plain = format!("[{text}]");
        for body in [body.as_str(), &plain, text] {
            let found = objects(body.as_bytes()).unwrap();
            assert_eq!(found.len(), 1, "{body}");
            assert_eq!(found[0].text(), text.as_bytes());
        }
        assert!(objects(b"7").is_err() && objects(b"[").is_err());
        assert!(objects(b"[7,{\"object\":7}]").unwrap().is_empty());
    }

    #[test]
    fn an_entity_found_by_its_id_does_not_hold_the_crosswalk() {
        let body = br#"[{"index":0,"object":{"uri":"entities/003A","crosswalks":[]}}]"#;
        let found = objects(body).unwrap();
        assert_eq!(found.len(), 1);
        assert!(!holds(&found[0], "SFDC_CONTACT", "003A", 0));
    }
}
