//! The URIs in an event: whose it is, and what else it names.
//!
//! Guarantee: a URI that leaves here may be a key of the log and a part of an address.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::found::{Found, Place};
use super::layer::{Layer, Text, text};
use super::metadata::Said;
use super::{DecodeError, MAX_SUBJECTS};
use crate::event::Header;
use crate::event::vocabulary::Family;

/// The longest URI. Reltio's ids have seven or so characters.
const MAX_URI: usize = 256;

/// What is read of an object: who it is, and what.
#[derive(Default, serde::Deserialize)]
pub(super) struct ObjectHead<'a> {
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    /// As some samples print it.
    #[serde(borrow, rename = "URI")]
    upper_uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    pub(super) object_type: Option<&'a RawValue>,
}

/// The one subject that `sourceObjectUri`, `uri` and `object.uri` name, as many of them as there
/// are.
pub(super) fn own_uri<'a>(
    layer: &Layer<'a>,
    head: &ObjectHead<'a>,
    source: Option<Said<Cow<'a, str>>>,
) -> Result<Option<Cow<'a, str>>, DecodeError> {
    let mut own = match source {
        Some(Said { value, place }) => Some((checked(Header::Source.name(), value)?, place)),
        None => None,
    };
    for (field, json) in members(layer, head) {
        let uri = checked(field, text(field, json)?)?;
        let second = Place::Member(field);
        match &own {
            Some((known, first)) if *known != uri => {
                return Err(DecodeError::Contradiction {
                    field: Header::Source.name(),
                    first: *first,
                    second,
                });
            }
            Some(_) => {}
            None => own = Some((uri, second)),
        }
    }
    Ok(own.map(|(uri, _)| uri))
}

/// The first URI of any kind of object, in the same order; empty if there is none.
pub(super) fn any_uri<'a>(
    layer: &Layer<'a>,
    head: &ObjectHead<'a>,
    source: Option<Said<Cow<'a, str>>>,
) -> Cow<'a, str> {
    let said = members(layer, head).filter_map(|(field, json)| text(field, json).ok());
    source
        .map(|source| source.value)
        .into_iter()
        .chain(said)
        .find(|uri| is_uri(uri))
        .unwrap_or_default()
}

fn members<'a>(
    layer: &Layer<'a>,
    head: &ObjectHead<'a>,
) -> impl Iterator<Item = (&'static str, &'a RawValue)> {
    let members = [
        ("uri", layer.uri),
        ("URI", layer.upper_uri),
        ("object.uri", head.uri),
        ("object.URI", head.upper_uri),
    ];
    members
        .into_iter()
        .filter_map(|(field, json)| Some((field, json?)))
}

/// What the event names besides `own`: each once, in the order sent.
pub(super) fn other_uris<'a>(
    layer: &Layer<'a>,
    own: Option<&str>,
) -> Result<Vec<Cow<'a, str>>, DecodeError> {
    let Some(json) = layer.uris else {
        return Ok(Vec::new());
    };
    let bad = |_| DecodeError::BadMember {
        field: "uris",
        found: Found::json(json.get()),
        expected: "an array of URIs",
    };
    let Uris(uris) = serde_json::from_str(json.get()).map_err(bad)?;
    if uris.len() > MAX_SUBJECTS {
        return Err(DecodeError::TooManySubjects);
    }
    let mut others: Vec<Cow<'a, str>> = Vec::with_capacity(uris.len());
    for Text(uri) in uris {
        let uri = checked("uris", uri)?;
        if own != Some(uri.as_ref()) && !others.contains(&uri) {
            others.push(uri);
        }
    }
    Ok(others)
}

fn checked<'a>(field: &'static str, uri: Cow<'a, str>) -> Result<Cow<'a, str>, DecodeError> {
    let why = if uri.len() > MAX_URI {
        "it is longer than 256 bytes"
    } else if Family::of(&uri).is_none() {
        "it begins with neither `entities/` nor `relations/`"
    } else if !is_uri(&uri) {
        "after `entities/` or `relations/` comes no id of letters, digits, `-`, `_`, `.` and `:`"
    } else {
        return Ok(uri);
    };
    Err(DecodeError::BadSubject { field, why })
}

/// Whether it is the URI of an entity or a relation.
pub(super) fn is_subject(uri: &str) -> bool {
    is_uri(uri) && Family::of(uri).is_some()
}

/// Whether it is `{objects}/{id}`: no part of an object, no `..`, nothing to be escaped.
fn is_uri(uri: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let is_name =
        |name: &str| !name.starts_with('.') && !name.is_empty() && name.bytes().all(plain);
    uri.len() <= MAX_URI
        && uri
            .split_once('/')
            .is_some_and(|(objects, id)| is_name(objects) && is_name(id))
}

/// A list of URIs that is not kept further than one above the limit.
struct Uris<'a>(Vec<Text<'a>>);

impl<'de> Deserialize<'de> for Uris<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(UrisVisitor)
    }
}

struct UrisVisitor;

impl<'de> Visitor<'de> for UrisVisitor {
    type Value = Uris<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of URIs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut uris = Vec::new();
        while uris.len() <= MAX_SUBJECTS {
            match list.next_element()? {
                Some(uri) => uris.push(uri),
                None => return Ok(Uris(uris)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Uris(uris))
    }
}
