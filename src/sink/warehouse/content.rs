//! A snapshot as it goes into the tables: its JSON text, untouched.
//!
//! Nothing is lost in silence: PostgreSQL holds neither U+0000 nor half of a surrogate pair in
//! `jsonb`, nor a number of more digits than its `numeric` has, so where a snapshot has one,
//! `object` shows U+FFFD in its place or the number in quotes, and `object_exact` keeps the JSON as
//! it was, in both databases alike. Numbers keep every digit: no tree is built.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::depth::is_deeper;
use crate::event::members::Members;
use crate::event::shown::shown;
use crate::event::{Activity, MAX_LEVELS, Object, short_name};
use crate::sink::SinkError;
use crate::sink::columns::Columns;

/// Why a snapshot cannot be kept. A code, and nothing of the snapshot (G10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) &'static str);

impl From<Unfit> for SinkError {
    fn from(unfit: Unfit) -> Self {
        Self::Rejected {
            code: unfit.0.to_owned(),
            fields: vec!["object".to_owned()],
            action: "append",
        }
    }
}

/// What the tables keep of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content<'a> {
    /// JSON that either database takes.
    pub(super) object: Option<Cow<'a, str>>,
    /// The JSON as it was, where `object` differs from it.
    pub(super) exact: Option<Cow<'a, str>>,
    pub(super) label: Option<Cow<'a, str>>,
    pub(super) object_type: Option<Cow<'a, str>>,
    /// Ends of a relation.
    pub(super) start: Option<Cow<'a, str>>,
    pub(super) end: Option<Cow<'a, str>>,
    /// From when and until when it is active.
    pub(super) activity: Activity,
    /// The columns of the mapping; none where there are none, or no snapshot.
    pub(super) columns: Vec<Option<String>>,
}

impl<'a> Content<'a> {
    /// The content of `object`.
    pub(super) fn of(object: &'a Object) -> Result<Self, Unfit> {
        let text = std::str::from_utf8(object.text()).map_err(|_| Unfit("not_utf8"))?;
        Self::of_text(Cow::Borrowed(text))
    }

    /// Reads the columns of the mapping from its own text, of the type `told` if that names none.
    pub(super) fn read_columns(&mut self, columns: &Columns, told: &str) {
        if let Some(json) = self.exact.as_ref().or(self.object.as_ref()) {
            self.columns = columns.read_text(json, told);
        }
    }

    /// The content of a snapshot whose JSON is `text`.
    pub(super) fn of_text(text: Cow<'a, str>) -> Result<Self, Unfit> {
        if is_deeper(&text, MAX_LEVELS) {
            return Err(Unfit("too_deep"));
        }
        let content = match (shown(&text), text) {
            (Some(shown), text) => Self {
                exact: Some(text),
                ..Content::of_shown(&shown).into_owned()
            },
            (None, Cow::Borrowed(text)) => Self::of_shown(text),
            (None, Cow::Owned(text)) => Content::of_shown(&text).into_owned(),
        };
        Ok(content)
    }

    fn of_shown(text: &'a str) -> Self {
        let content = match serde_json::from_str::<Head<'a>>(text) {
            Ok(head) => Self {
                label: head.label.and_then(string),
                object_type: head.object_type.and_then(string).map(short),
                start: head.start.and_then(end),
                end: head.end.and_then(end),
                ..Self::default()
            },
            // A member that is there twice: the last one counts, as in a tree.
            Err(_) => Self::of_members(text),
        };
        Self {
            object: Some(Cow::Borrowed(text)),
            activity: Activity::of_text(text),
            ..content
        }
    }

    fn of_members(text: &'a str) -> Self {
        let Members(members) = serde_json::from_str(text).unwrap_or_default();
        let last = |wanted: &str| {
            let mut members = members.iter().rev();
            let (_, value) = members.find(|(name, _)| string(name).as_deref() == Some(wanted))?;
            Some(*value)
        };
        Self {
            label: last("label").and_then(string),
            object_type: last("type").and_then(string).map(short),
            start: last("startObject").and_then(end),
            end: last("endObject").and_then(end),
            ..Self::default()
        }
    }

    fn into_owned(self) -> Content<'static> {
        let owned = |text: Option<Cow<'a, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Content {
            object: owned(self.object),
            exact: owned(self.exact),
            label: owned(self.label),
            object_type: owned(self.object_type),
            start: owned(self.start),
            end: owned(self.end),
            activity: self.activity,
            columns: self.columns,
        }
    }
}

/// The members that have columns of their own.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    label: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    object_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "startObject")]
    start: Option<&'a RawValue>,
    #[serde(borrow, rename = "endObject")]
    end: Option<&'a RawValue>,
}

/// An end of a relation; both spellings are in use.
#[derive(Deserialize)]
struct End<'a> {
    #[serde(borrow, rename = "objectURI")]
    upper: Option<&'a RawValue>,
    #[serde(borrow, rename = "objectUri")]
    lower: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A member's text; nothing if it is something else.
fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text: Text<'_> = serde_json::from_str(raw.get()).ok()?;
    Some(text.0)
}

/// The entity at an end of a relation.
fn end(raw: &RawValue) -> Option<Cow<'_, str>> {
    let end: End<'_> = serde_json::from_str(raw.get()).ok()?;
    string(end.upper.or(end.lower)?)
}

fn short(path: Cow<'_, str>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => Cow::Borrowed(short_name(path)),
        Cow::Owned(path) => Cow::Owned(short_name(&path).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(json: &str) -> Content<'_> {
        Content::of_text(Cow::Borrowed(json)).unwrap()
    }

    #[test]
    fn the_text_is_borrowed_as_it_came() {
        let json = r#" {"b": 1.10, "a": 12345678901234567890.123456789, "e": 1E2, "label": "x"} "#;
        let content = content(json);
        assert!(matches!(content.object, Some(Cow::Borrowed(text)) if text == json));
        assert_eq!(content.exact, None);
        assert_eq!(content.label.as_deref(), Some("x"));
    }

    #[test]
    fn what_no_jsonb_holds_is_shown_as_a_mark_and_the_exact_json_is_kept() {
        let json =
            r#"{"label":"a\u0000b","type":"t/Individual","attributes":{"x\ud800":["\u0000",1.0]}}"#;
        let content = content(json);
        assert_eq!(
            content.object.as_deref(),
            Some(
                r#"{"label":"a\ufffdb","type":"t/Individual","attributes":{"x\ufffd":["\ufffd",1.0]}}"#
            )
        );
        assert_eq!(content.exact.as_deref(), Some(json));
        assert_eq!(content.label.as_deref(), Some("a\u{fffd}b"));
        assert_eq!(content.object_type.as_deref(), Some("Individual"));
    }

    #[test]
    fn a_number_that_no_numeric_holds_is_shown_in_quotes_and_the_exact_json_is_kept() {
        let json = r#"{"label":"x","n":1e999999,"m":1e400}"#;
        let content = content(json);
        let shown = r#"{"label":"x","n":"1e999999","m":1e400}"#;
        assert_eq!(content.object.as_deref(), Some(shown));
        assert_eq!(content.exact.as_deref(), Some(json));
    }

    #[test]
    fn of_a_member_that_is_there_twice_the_last_counts() {
        let twice = content(
            r#"{"label": "a", "label": "b", "type": 7, "n": 1e400,
                "$serde_json::private::RawValue": "[1]", "startObject": {"objectUri": "entities/a"}}"#,
        );
        assert_eq!(twice.label.as_deref(), Some("b"));
        assert_eq!(twice.object_type, None);
        assert_eq!(twice.start.as_deref(), Some("entities/a"));
    }

    #[test]
    fn a_relation_names_its_ends_in_either_spelling() {
        let json = r#"{"startObject": {"objectURI": "entities/a"}, "endObject": {"objectUri": "entities/b"}}"#;
        let ends = content(json);
        assert_eq!(ends.start.as_deref(), Some("entities/a"));
        assert_eq!(ends.end.as_deref(), Some("entities/b"));
        assert_eq!(
            content(r#"{"startObject": "a", "label": null}"#).start,
            None
        );
    }

    #[test]
    fn start_and_end_are_those_of_the_object_also_where_it_has_marks() {
        let dates = content(r#"{"startDate": "5", "activeness": {"endDate": 9}, "x": "\ud800"}"#);
        let wanted = Activity {
            from: Some(5),
            until: Some(9),
        };
        assert_eq!(dates.activity, wanted);
        assert_eq!(content(r#"{"label": "x"}"#).activity, Activity::default());
    }

    #[test]
    fn what_no_tree_could_hold_is_refused() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let json = |levels: usize| Cow::Owned(format!("{{\"a\":{}}}", nested(levels - 1)));
        assert!(Content::of_text(json(127)).is_ok());
        assert!(crate::event::tree(json(127).as_bytes()).is_ok());
        assert_eq!(Content::of_text(json(128)), Err(Unfit("too_deep")));
    }
}
