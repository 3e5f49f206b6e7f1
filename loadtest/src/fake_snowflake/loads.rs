//! Snowpipe's `insertFiles`: names of files are recorded, and loaded later, each once.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State as Extract};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::routes::{Refused, broken, either, refused, signed_in};
use super::{FILE_PIPE, Shared, SnowflakeFault, State};

/// Files of a request at most.
const FILES: usize = 5000;
/// Bytes of a path at most.
const LONGEST: usize = 1024;

/// A file that Snowpipe was told of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SnowpipeFile {
    /// Below the pipe's stage.
    pub path: String,
    /// Bytes, if that was said.
    pub size: Option<u64>,
}

#[derive(Deserialize)]
struct Body {
    files: Vec<SnowpipeFile>,
}

pub(super) async fn insert_files(
    Extract(shared): Extract<Shared>,
    Path(pipe): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = shared.lock();
    let state = &mut *state;
    either(signed_in(state, &headers).and_then(|_| recorded(state, &pipe, &headers, &body)))
}

fn recorded(
    state: &mut State,
    pipe: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Refused> {
    if !pipe.eq_ignore_ascii_case(FILE_PIPE) {
        return Err(refused(
            404,
            "390404",
            "Specified object does not exist or not authorized",
        ));
    }
    if state
        .takes(|fault| fault == SnowflakeFault::LoseRequest)
        .is_some()
    {
        return Ok(broken());
    }
    let is_json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|it| it == "application/json");
    let files = serde_json::from_slice::<Body>(body).map(|body| body.files);
    let fits = |files: &Vec<SnowpipeFile>| {
        files.len() <= FILES && files.iter().all(|file| file.path.len() <= LONGEST)
    };
    let Some(files) = files.ok().filter(|files| is_json && fits(files)) else {
        return Err(refused(400, "390400", "The request is invalid"));
    };
    state.told.extend(files);
    if state
        .takes(|fault| fault == SnowflakeFault::LoseAnswer)
        .is_some()
    {
        return Ok(broken());
    }
    Ok(Json(json!({ "responseCode": "SUCCESS" })).into_response())
}
