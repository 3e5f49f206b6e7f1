//! An answer: a golden record with what is known of it, or why there is none.
//!
//! Guarantee: the golden record is in it to the byte, every digit as it came. Nothing but the status
//! tells why an entity is dead.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;

use super::entry::Entry;
use crate::time::Millis;

/// Whether the answer is stale, for those that read headers alone: also with 304.
const STALE: HeaderName = HeaderName::from_static("goldwire-stale");
/// Nothing between may keep it, and it is to be asked for again each time.
const CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");

/// How current the cache is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Currency {
    /// The time now.
    pub(super) now: Millis,
    /// When the cache had everything for sure, the last time.
    pub(super) as_of: Option<Millis>,
    /// Whether that is too long ago.
    pub(super) stale: bool,
}

/// What stands before the golden record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    uri: &'a str,
    #[serde(rename = "type")]
    object_type: Option<&'a str>,
    version: Option<i64>,
    content_time: Millis,
    age_seconds: Millis,
    as_of: Option<Millis>,
    stale: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    survivor_of: Option<&'a str>,
}

/// The answer of a living entity. `asked` is the URI that was asked for, if one was.
pub(super) fn alive(
    asked: Option<&str>,
    (uri, entry): (&str, &Entry),
    currency: Currency,
    request: &HeaderMap,
) -> Response {
    let survivor_of = asked.filter(|asked| *asked != uri);
    let tag = tag(uri, entry);
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, CONTROL);
    let stale = if currency.stale { "true" } else { "false" };
    headers.insert(STALE, HeaderValue::from_static(stale));
    let texts = [
        (header::ETAG, Some(tag.clone())),
        (header::LAST_MODIFIED, http_date(entry.content_time)),
        (
            header::CONTENT_LOCATION,
            (asked != Some(uri)).then(|| format!("/v1/golden-records/{uri}")),
        ),
    ];
    for (name, text) in texts {
        // A URI that no header can hold is in the body.
        let value = text.and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if is_known(request, &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let head = Head {
        uri,
        object_type: Some(&*entry.object_type).filter(|of| !of.is_empty()),
        version: entry.version,
        content_time: entry.content_time,
        age_seconds: currency.now.saturating_sub(entry.content_time).max(0) / 1000,
        as_of: currency.as_of,
        stale: currency.stale,
        survivor_of,
    };
    let Some(body) = body(&head, entry) else {
        return failed("the record cannot be written as JSON");
    };
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    (headers, Body::from(body)).into_response()
}

fn body(head: &Head<'_>, entry: &Entry) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(entry.object.len() + 256);
    serde_json::to_writer(&mut body, head).ok()?;
    // The record takes the place of the closing brace.
    body.pop();
    body.extend_from_slice(b",\"record\":");
    body.extend_from_slice(&entry.object);
    body.push(b'}');
    Some(body)
}

/// Weak: the age in the body changes, and the record does not.
fn tag(uri: &str, entry: &Entry) -> String {
    let sum = crc32c::crc32c_append(crc32c::crc32c(uri.as_bytes()), &entry.object);
    let version = entry.version.unwrap_or_default();
    format!("W/\"{:x}-{version:x}-{sum:08x}\"", entry.content_time)
}

/// Whether `If-None-Match` names the tag. Compared as weak ones (RFC 9110, section 13.1.2).
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tag = opaque(tag);
    let given = request.get_all(header::IF_NONE_MATCH).into_iter();
    let mut given = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    given.any(|given| given.trim() == "*" || opaque(given) == tag)
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(time: Millis) -> Option<String> {
    let time = Timestamp::from_millisecond(time).ok()?;
    Some(time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// Why there is no golden record (RFC 9457).
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

/// An answer without a golden record.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let problem = Problem {
        kind: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail,
    };
    let mut response = (status, Json(problem)).into_response();
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/problem+json");
    headers.insert(header::CONTENT_TYPE, json);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 section 15.5.2 demands it.
        let bearer = HeaderValue::from_static("Bearer");
        headers.insert(header::WWW_AUTHENTICATE, bearer);
    }
    response
}

/// The table does not answer.
pub(super) fn failed(detail: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
    let wait = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, wait);
    response
}
