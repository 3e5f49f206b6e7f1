//! `/dlq`: the same as `goldwire dlq`, while the data directory is in use.
//!
//! `GET /dlq` lists a page, `GET /dlq/{sink}/{id}:{round}` shows, `…/original` gives the record's bytes,
//! `POST /dlq/redrive` and `POST /dlq/discard` take a [`Work`] as JSON.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::AdminState;
use crate::dead_letter::{
    DeadLetter, DeadLetters, Filter, LARGEST_PAGE, LetterName, LetterView, RedriveError, Report,
    Work,
};
use crate::store::StoreError;
use crate::time::Millis;

/// The answer of `GET /dlq`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listed {
    /// Open letters by sink, whatever the filter.
    pub depth: BTreeMap<String, u64>,
    /// What the filter means: a page of it.
    pub letters: Vec<LetterView>,
    /// After which letter the next page begins (`after=` in `GET /dlq`); none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
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
    /// Letters in one answer; [`LARGEST_PAGE`] at most, and without it.
    max: Option<usize>,
    /// The letter that the page before ended with.
    after: Option<String>,
}

/// Why an answer is none.
enum Refused {
    NotFound(LetterName),
    BadRequest(String),
    Store(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound(name) => (StatusCode::NOT_FOUND, format!("no letter {name} is open\n")),
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
        after,
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
    let after: Option<LetterName> = after
        .map(|name| name.parse())
        .transpose()
        .map_err(Refused::BadRequest)?;
    let listed = Listed::page(state.redrive.letters.as_ref(), &filter, after.as_ref(), max).await?;
    Ok(Json(listed))
}

impl Listed {
    /// A page of letters; as many as one may have unless `max` says less.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) async fn page(
        letters: &dyn DeadLetters,
        filter: &Filter,
        after: Option<&LetterName>,
        max: Option<usize>,
    ) -> Result<Self, StoreError> {
        let page = letters
            .page(filter, after, max.unwrap_or(LARGEST_PAGE))
            .await?;
        Ok(Self {
            depth: letters.depth().await?,
            letters: page.letters.iter().map(LetterView::from).collect(),
            next: page.next.map(|name| name.to_string()),
        })
    }
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
        .ok_or(Refused::NotFound(name))
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
