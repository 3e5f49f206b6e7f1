//! `/dlq`: the same as `goldwire dlq`, while the data directory is in use.
//!
//! `GET /dlq` lists, `GET /dlq/{sink}/{id}:{round}` shows, `…/original` gives the record's bytes,
//! `POST /dlq/redrive` and `POST /dlq/discard` take a [`Work`] as JSON.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::AdminState;
use crate::dead_letter::{DeadLetter, Filter, LetterName, LetterView, RedriveError, Report, Work};
use crate::ledger::StoreError;
use crate::time::Millis;

/// Letters in one answer, unless `max` says otherwise.
const MAX: usize = 1000;

/// The answer of `GET /dlq`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listed {
    /// Open letters by sink, whatever the filter.
    pub depth: BTreeMap<String, u64>,
    /// What the filter means.
    pub letters: Vec<LetterView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    sink: Option<String>,
    reason: Option<String>,
    code: Option<String>,
    subject: Option<String>,
    from: Option<Millis>,
    until: Option<Millis>,
    max: Option<usize>,
}

/// Why an answer is none.
enum Refused {
    NotFound,
    BadRequest(String),
    Store(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "no such letter is open\n".to_owned()),
            Self::BadRequest(why) => (StatusCode::BAD_REQUEST, why + "\n"),
            Self::Store(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
        }
        .into_response()
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<RedriveError> for Refused {
    fn from(error: RedriveError) -> Self {
        Self::Store(error.to_string())
    }
}

pub(super) fn routes() -> Router<AdminState> {
    Router::new()
        .route("/dlq", get(list))
        .route("/dlq/{sink}/{letter}", get(show))
        .route("/dlq/{sink}/{letter}/original", get(original))
        .route("/dlq/redrive", post(redrive))
        .route("/dlq/discard", post(discard))
}

async fn list(
    State(state): State<AdminState>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Listed>, Refused> {
    let Wanted {
        sink,
        reason,
        code,
        subject,
        from,
        until,
        max,
    } = wanted;
    let filter = Filter {
        names: Vec::new(),
        sink,
        reason,
        code,
        subject,
        from,
        until,
    };
    let letters = state
        .redrive
        .letters
        .list(&filter, max.unwrap_or(MAX))
        .await?;
    Ok(Json(Listed {
        depth: state.redrive.letters.depth().await?,
        letters: letters.iter().map(LetterView::from).collect(),
    }))
}

async fn find(state: &AdminState, sink: &str, letter: &str) -> Result<DeadLetter, Refused> {
    let name: LetterName = format!("{sink}/{letter}")
        .parse()
        .map_err(Refused::BadRequest)?;
    state
        .redrive
        .letters
        .show(&name)
        .await?
        .ok_or(Refused::NotFound)
}

async fn show(
    State(state): State<AdminState>,
    Path((sink, letter)): Path<(String, String)>,
) -> Result<Json<LetterView>, Refused> {
    let letter = find(&state, &sink, &letter).await?;
    Ok(Json(LetterView::from(&letter)))
}

async fn original(
    State(state): State<AdminState>,
    Path((sink, letter)): Path<(String, String)>,
) -> Result<Vec<u8>, Refused> {
    Ok(find(&state, &sink, &letter).await?.original.to_vec())
}

async fn redrive(
    State(state): State<AdminState>,
    Json(work): Json<Work>,
) -> Result<Json<Report>, Refused> {
    Ok(Json(state.redrive.run(&work, &|_| ()).await?))
}

async fn discard(
    State(state): State<AdminState>,
    Json(work): Json<Work>,
) -> Result<Json<Report>, Refused> {
    if work.filter.is_empty() {
        let why = "say which: an empty filter would discard every letter";
        return Err(Refused::BadRequest(why.to_owned()));
    }
    Ok(Json(state.redrive.discard(&work, &|_| ()).await?))
}
