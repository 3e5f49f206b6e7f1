//! The six endpoints of streaming, and the one of files.

use std::io::Read as _;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, State as Extract};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::channel::{Channel, SnowflakeRow};
use super::loads::insert_files;
use super::{DATABASE, PIPE, SCHEMA, Shared, SnowflakeFault, State, jwt};
use crate::time::{Millis, as_millis};

/// Bytes of an append at most, after compression.
const LARGEST: usize = 4_000_000;
/// Rows of JSON in memory at most: the fake's own bound.
const UNPACKED: u64 = 256 << 20;

pub(super) fn app(shared: Shared) -> Router {
    let pipe = "/v2/streaming/databases/{db}/schemas/{schema}/pipes/{pipe}";
    let rows =
        "/v2/streaming/data/databases/{db}/schemas/{schema}/pipes/{pipe}/channels/{channel}/rows";
    Router::new()
        .route("/v2/streaming/hostname", get(hostname))
        .route("/oauth/token", post(token))
        .route(
            &format!("{pipe}/channels/{{channel}}"),
            put(open).delete(drop_channel),
        )
        .route(pipe, post(status))
        .route(rows, post(append))
        .route("/v1/data/pipes/{pipe}/insertFiles", post(insert_files))
        .layer(DefaultBodyLimit::max(64 << 20))
        .with_state(shared)
}

/// Why a request is not done.
pub(super) struct Refused {
    status: u16,
    code: &'static str,
    message: &'static str,
    /// What the error map of clients goes by.
    status_code: Option<u8>,
    /// Seconds until it may be tried again.
    retry_after: Option<u64>,
}

impl Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({ "code": self.code, "message": self.message });
        if let (Some(number), Some(body)) = (self.status_code, body.as_object_mut()) {
            body.insert("status_code".to_owned(), number.into());
        }
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

pub(super) fn refused(status: u16, code: &'static str, message: &'static str) -> Refused {
    Refused {
        status,
        code,
        message,
        status_code: None,
        retry_after: None,
    }
}

pub(super) fn either(answer: Result<Response, Refused>) -> Response {
    answer.unwrap_or_else(Refused::into_response)
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(AUTHORIZATION);
    let value = value.and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer "));
    token.unwrap_or_default()
}

/// What stands before every request.
fn troubled(state: &mut State) -> Result<Millis, Refused> {
    let now = state.pass();
    let before = |fault| {
        matches!(
            fault,
            SnowflakeFault::Throttle(_) | SnowflakeFault::Unavailable
        )
    };
    match state.takes(before) {
        Some(SnowflakeFault::Throttle(seconds)) => {
            let refused = refused(429, "TOO_MANY_REQUESTS", "Too many requests");
            let retry_after = Some(seconds);
            Err(Refused {
                retry_after,
                ..refused
            })
        }
        Some(_) => Err(refused(503, "SERVICE_UNAVAILABLE", "Try again")),
        None => Ok(now),
    }
}

/// Key-pair authentication, at the control host.
pub(super) fn signed_in(state: &mut State, headers: &HeaderMap) -> Result<Millis, Refused> {
    let now = troubled(state)?;
    let kind = headers.get("x-snowflake-authorization-token-type");
    if kind.and_then(|kind| kind.to_str().ok()) != Some("KEYPAIR_JWT") {
        return Err(refused(
            401,
            "390103",
            "Session token not found or invalid data",
        ));
    }
    jwt::verify(bearer(headers), now).map_err(|why| refused(401, "390144", why))?;
    Ok(now)
}

async fn hostname(Extract(shared): Extract<Shared>, headers: HeaderMap) -> Response {
    let mut state = shared.lock();
    match signed_in(&mut state, &headers) {
        // Text, as clients see it; the documentation shows JSON.
        Ok(_) => state.host.clone().into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn token(Extract(shared): Extract<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let mut state = shared.lock();
    let now = match signed_in(&mut state, &headers) {
        Ok(now) => now,
        Err(refused) => return refused.into_response(),
    };
    let form = reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(&body)));
    let form = form.map(|url| url.query_pairs().into_owned().collect::<Vec<_>>());
    let form = form.unwrap_or_default();
    let is = |name: &str, wanted: &str| form.iter().any(|(key, it)| key == name && it == wanted);
    if !is("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer") || !is("scope", &state.host)
    {
        return refused(400, "invalid_request", "grant type or scope").into_response();
    }
    state.granted += 1;
    let token = format!("scoped-{}", state.granted);
    let ends = now.saturating_add(as_millis(state.settings.token_life));
    state.tokens.insert(token.clone(), ends);
    token.into_response()
}

/// A scoped token, and names that there are.
fn admitted(
    state: &mut State,
    headers: &HeaderMap,
    (db, schema, pipe): (&str, &str, &str),
) -> Result<Millis, Refused> {
    let now = troubled(state)?;
    if state
        .tokens
        .get(bearer(headers))
        .is_none_or(|ends| *ends <= now)
    {
        let refused = refused(401, "390114", "Token expired");
        let status_code = Some(3);
        return Err(Refused {
            status_code,
            ..refused
        });
    }
    if state
        .takes(|fault| fault == SnowflakeFault::Forbidden)
        .is_some()
    {
        return Err(refused(
            403,
            "ERR_NOT_AUTHORIZED",
            "Insufficient privileges",
        ));
    }
    let names = [(db, DATABASE), (schema, SCHEMA), (pipe, PIPE)];
    if names
        .iter()
        .any(|(name, known)| !name.eq_ignore_ascii_case(known))
    {
        let text = "The supplied object does not exist or is not authorized";
        return Err(refused(
            404,
            "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED",
            text,
        ));
    }
    Ok(now)
}

type InChannel = Path<(String, String, String, String)>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Opens {
    offset_token: Option<String>,
    fail_on_uncommitted_rows: bool,
}

async fn open(
    Extract(shared): Extract<Shared>,
    Path((db, schema, pipe, name)): InChannel,
    headers: HeaderMap,
    Json(body): Json<Opens>,
) -> Response {
    let mut state = shared.lock();
    let state = &mut *state;
    either(
        admitted(state, &headers, (&db, &schema, &pipe)).and_then(|now| {
            if state
                .takes(|fault| fault == SnowflakeFault::OpenInProgress)
                .is_some()
            {
                let text = "Another request is opening this channel";
                return Err(refused(409, "ERR_OPEN_CHANNEL_IN_PROGRESS", text));
            }
            let made = || Channel::new(&name, body.offset_token.clone(), now);
            let key = name.to_ascii_uppercase();
            let channel = state.channels.entry(key).or_insert_with(made);
            if body.fail_on_uncommitted_rows && channel.waiting() > 0 {
                let text = "The channel has uncommitted data";
                return Err(refused(409, "ERR_CHANNEL_HAS_UNCOMMITTED_DATA", text));
            }
            channel.open(now);
            let answer = json!({
                "next_continuation_token": channel.continuation(),
                "channel_status": channel.status("rows_error_count"),
            });
            Ok(Json(answer).into_response())
        }),
    )
}

async fn drop_channel(
    Extract(shared): Extract<Shared>,
    Path((db, schema, pipe, name)): InChannel,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.lock();
    let state = &mut *state;
    either(admitted(state, &headers, (&db, &schema, &pipe)).map(|_| {
        state.channels.remove(&name.to_ascii_uppercase());
        Json(json!({})).into_response()
    }))
}

#[derive(Debug, Deserialize)]
struct Asks {
    channel_names: Vec<String>,
}

async fn status(
    Extract(shared): Extract<Shared>,
    Path((db, schema, pipe)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Asks>,
) -> Response {
    let Some(pipe) = pipe.strip_suffix(":bulk-channel-status") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut state = shared.lock();
    let state = &mut *state;
    either(admitted(state, &headers, (&db, &schema, pipe)).map(|_| {
        let asked = |channel: &&Channel| body.channel_names.contains(&channel.name);
        let found = state.channels.values().filter(asked);
        let found = found.map(|it| (it.name.clone(), it.status("rows_errors")));
        let statuses: serde_json::Map<String, Value> = found.collect();
        Json(json!({ "channel_statuses": statuses })).into_response()
    }))
}

#[derive(Debug, Deserialize)]
struct Appends {
    #[serde(rename = "continuationToken")]
    continuation: String,
    #[serde(rename = "startOffsetToken")]
    start: String,
    #[serde(rename = "endOffsetToken")]
    end: String,
}

async fn append(
    Extract(shared): Extract<Shared>,
    Path((db, schema, pipe, name)): InChannel,
    Query(query): Query<Appends>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = shared.lock();
    let state = &mut *state;
    let place = (db.as_str(), schema.as_str(), pipe.as_str());
    either(
        admitted(state, &headers, place)
            .and_then(|now| taken(state, now, &name, &query, (&headers, &body))),
    )
}

fn taken(
    state: &mut State,
    now: Millis,
    name: &str,
    query: &Appends,
    (headers, body): (&HeaderMap, &Bytes),
) -> Result<Response, Refused> {
    if state
        .takes(|fault| fault == SnowflakeFault::LoseRequest)
        .is_some()
    {
        return Ok(broken());
    }
    if body.len() > LARGEST {
        return Err(refused(413, "ERR_PAYLOAD_TOO_LARGE", "4 MB at most"));
    }
    let breaks = |fault| matches!(fault, SnowflakeFault::Invalidate | SnowflakeFault::FailOver);
    let broke = state.takes(breaks);
    let Some(channel) = state.channels.get_mut(&name.to_ascii_uppercase()) else {
        let text = "The channel does not exist";
        return Err(refused(
            404,
            "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED",
            text,
        ));
    };
    if let Some(fault) = broke {
        channel.discard();
        channel.invalid = true;
        if fault == SnowflakeFault::FailOver {
            state.tokens.clear();
            return Err(refused(
                410,
                "ERR_PIPE_FAILED_OVER",
                "The pipe has failed over",
            ));
        }
    }
    if channel.invalid {
        let text = "The channel is invalid; open it again";
        return Err(refused(409, "ERR_CHANNEL_MUST_BE_REOPENED", text));
    }
    if query.continuation != channel.continuation() {
        let text = "The continuation token is stale; open the channel again";
        let refused = refused(400, "STALE_CONTINUATION_TOKEN_SEQUENCER", text);
        let status_code = Some(4);
        return Err(Refused {
            status_code,
            ..refused
        });
    }
    if query.start != query.end {
        tracing::warn!("a piece with two offset tokens");
    }
    let Some(rows) = rows(headers, body) else {
        return Err(refused(
            400,
            "ERR_INVALID_PAYLOAD",
            "The payload is no NDJSON",
        ));
    };
    channel.append(rows, query.end.clone(), now);
    state.appends += 1;
    state.largest = state.largest.max(body.len());
    let next = json!({ "next_continuation_token": channel.continuation() });
    if state
        .takes(|fault| fault == SnowflakeFault::LoseAnswer)
        .is_some()
    {
        return Ok(broken());
    }
    Ok(Json(next).into_response())
}

/// The rows of an append; nothing if they cannot be read.
fn rows(headers: &HeaderMap, body: &Bytes) -> Option<Vec<SnowflakeRow>> {
    let header = |name| headers.get(name).and_then(|it| it.to_str().ok());
    if header(CONTENT_TYPE) != Some("application/x-ndjson") {
        return None;
    }
    let mut text = String::new();
    match header(CONTENT_ENCODING) {
        // One frame, as a decoder reads it that does not look for another.
        Some("zstd") => {
            let decoder = zstd::Decoder::new(body.as_ref()).ok()?.single_frame();
            decoder.take(UNPACKED).read_to_string(&mut text).ok()?;
        }
        None => text.push_str(std::str::from_utf8(body).ok()?),
        Some(_) => return None,
    }
    let rows = text.lines().map(serde_json::from_str::<SnowflakeRow>);
    rows.collect::<Result<_, _>>().ok()
}

pub(super) fn broken() -> Response {
    let broken = std::io::Error::other("the connection breaks");
    let body = futures::stream::once(async move { Err::<Bytes, _>(broken) });
    Response::new(Body::from_stream(body))
}
