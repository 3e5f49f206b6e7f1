//! One event, a record for each subject that it is about.
//!
//! Guarantee (G9): who survived a merge comes from `sourceObjectUri`, else from reading Reltio,
//! never from the order of `uris`; and the loser's record does not carry the winner's version.

use super::DecodeError;
use super::body::Body;
use super::metadata::Metadata;
use super::vocabulary::{Family, meaning};
use crate::event::{Content, EventRecord, Kind, State, short_name};

/// Subjects of one event at most; Reltio merges and splits a handful at a time.
pub const MAX_SUBJECTS: usize = 1000;
/// Longest URI taken.
const MAX_URI: usize = 512;

/// The records of an event, without what is the same for all of them.
pub(super) fn events(metadata: &Metadata, body: &Body) -> Result<Vec<EventRecord>, DecodeError> {
    let (family, kind) = kind(metadata, body)?;
    let source = source(metadata, body)?;
    let mut uris: Vec<&str> = Vec::new();
    for uri in source
        .into_iter()
        .chain(body.uris.iter().map(String::as_str))
    {
        if !uris.contains(&uri) {
            uris.push(uri);
        }
        if uris.len() > MAX_SUBJECTS {
            return Err(DecodeError::TooManySubjects);
        }
    }
    if kind == Kind::Other {
        let subject = uris
            .first()
            .copied()
            .filter(|uri| known(uri))
            .unwrap_or_default();
        return Ok(vec![EventRecord {
            subject: subject.to_owned(),
            version: metadata.version,
            commit_time: metadata.commit_time,
            ..EventRecord::default()
        }]);
    }
    if uris.is_empty() {
        return Err(DecodeError::NoSubject);
    }
    for uri in &uris {
        check(uri, family)?;
    }
    let several = matches!(kind, Kind::Merged | Kind::Split);
    if !several {
        uris.truncate(1);
    }
    let records = uris.iter().map(|uri| {
        let role = if source.is_none_or(|source| source == *uri) {
            kind
        } else {
            other(kind)
        };
        let mut record = record(metadata, body, uri, role);
        if several && source.is_none() {
            // Whose version it is, only Reltio can tell.
            record.version = None;
            record.set_state(State::Unknown);
            record.set_content(Content::None);
        }
        if role == Kind::Absorbed {
            record.absorbed_by = source.filter(|source| source != uri).map(ToOwned::to_owned);
        }
        record.related = uris
            .iter()
            .filter(|u| *u != uri)
            .map(|u| (*u).to_owned())
            .collect();
        record
    });
    Ok(records.collect())
}

/// What the other subjects of a merge or a split are.
fn other(kind: Kind) -> Kind {
    if kind == Kind::Merged {
        Kind::Absorbed
    } else {
        Kind::Spawned
    }
}

fn record(metadata: &Metadata, body: &Body, uri: &str, kind: Kind) -> EventRecord {
    let mut record = EventRecord {
        subject: uri.to_owned(),
        commit_time: metadata.commit_time,
        kind: kind.into(),
        ..EventRecord::default()
    };
    // A subject that is not the event's source has a version of its own, which nobody sent.
    if body_or_metadata_source(metadata, body).is_none_or(|source| source == uri) {
        record.version = metadata.version;
    }
    let object = body
        .object
        .as_ref()
        .filter(|object| object.uri().is_none_or(|of| of == uri));
    let name = object.and_then(|object| object.object_type.as_deref());
    let deltas = body.deltas.as_ref();
    let name = name
        .or_else(|| deltas.and_then(|deltas| deltas.entity_type.as_deref()))
        .or_else(|| deltas.and_then(|deltas| deltas.relation_type.as_deref()));
    record.object_type = name.map(short_name).unwrap_or_default().to_owned();
    let state = match kind {
        Kind::Removed => State::Removed,
        Kind::Erased => State::Erased,
        Kind::Absorbed => State::Absorbed,
        Kind::Created | Kind::Changed | Kind::Merged | Kind::Split
            if object.is_some_and(|object| object.uri().is_some()) && !body.oversize =>
        {
            State::Alive
        }
        Kind::Created
        | Kind::Changed
        | Kind::Merged
        | Kind::Split
        | Kind::Spawned
        | Kind::Other => State::Unknown,
    };
    record.set_state(state);
    if state == State::Alive {
        record.set_content(Content::Event);
    }
    record
}

fn kind(metadata: &Metadata, body: &Body) -> Result<(Family, Kind), DecodeError> {
    let beside = metadata.event_type.as_deref().map(meaning);
    let inside = body.event_type.as_deref().map(meaning);
    match (beside, inside) {
        (None, None) => Err(DecodeError::NoType),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some((_, beside)), Some((_, inside))) if beside != inside => {
            Err(DecodeError::Contradiction)
        }
        (Some((Family::Any, _)), Some(more)) => Ok(more),
        (Some(more), Some(_)) => Ok(more),
    }
}

fn body_or_metadata_source<'a>(metadata: &'a Metadata, body: &'a Body) -> Option<&'a str> {
    metadata
        .source_uri
        .as_deref()
        .or(body.source_uri.as_deref())
        .or_else(|| body.object.as_ref().and_then(|object| object.uri()))
        .or_else(|| body.uri())
}

/// The subject that the event names as its source. All that name one must name the same.
fn source<'a>(metadata: &'a Metadata, body: &'a Body) -> Result<Option<&'a str>, DecodeError> {
    let source = body_or_metadata_source(metadata, body);
    let named = [
        body.source_uri.as_deref(),
        body.object.as_ref().and_then(|object| object.uri()),
        body.uri(),
    ];
    if named.into_iter().flatten().any(|uri| Some(uri) != source) {
        return Err(DecodeError::Contradiction);
    }
    Ok(source)
}

/// Whether a URI is one of ours: `entities/{id}` or `relations/{id}`.
fn known(uri: &str) -> bool {
    let id = uri
        .strip_prefix("entities/")
        .or_else(|| uri.strip_prefix("relations/"));
    id.is_some_and(|id| {
        !id.is_empty()
            && uri.len() <= MAX_URI
            && id
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    })
}

fn check(uri: &str, family: Family) -> Result<(), DecodeError> {
    let fits = match family {
        Family::Entity => uri.starts_with("entities/"),
        Family::Relation => uri.starts_with("relations/"),
        Family::Any => true,
    };
    if fits && known(uri) {
        Ok(())
    } else {
        Err(DecodeError::BadSubject)
    }
}
