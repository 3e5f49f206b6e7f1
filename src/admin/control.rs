//! `POST /sinks/{name}/pause` and `POST /sinks/{name}/resume`: a person holds a sink, and lets it go
//! on.
//!
//! Guarantee (G2): a sink that is held keeps its position; what comes in meanwhile waits in the log
//! until that is full, and then its `on_full` decides. Held is kept through restarts.

use std::fmt::Debug;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::AdminState;
use crate::store::StoreError;

/// Why a sink is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// None of that name is configured; these are.
    #[error("there is no sink of this name; known: {0}")]
    Unknown(String),
    /// It could not be kept.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let code = match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (code, format!("{self}\n")).into_response()
    }
}

/// Holds sinks, and lets them go on.
#[async_trait]
pub trait Control: Debug + Send + Sync {
    /// Holds `sink`: what is being sent is finished, and nothing more is sent. Durable when this
    /// returns; once more is no error.
    async fn pause(&self, sink: &str) -> Result<(), ControlError>;

    /// Lets `sink` go on, and one that is halted or unreachable be tried at once.
    async fn resume(&self, sink: &str) -> Result<(), ControlError>;
}

pub(super) fn routes() -> Router<AdminState> {
    Router::new()
        .route("/sinks/{name}/pause", post(pause))
        .route("/sinks/{name}/resume", post(resume))
}

async fn pause(
    State(state): State<AdminState>,
    Path(sink): Path<String>,
) -> Result<String, ControlError> {
    state.control.pause(&sink).await?;
    Ok(format!("{sink} is paused; its records wait in the log\n"))
}

async fn resume(
    State(state): State<AdminState>,
    Path(sink): Path<String>,
) -> Result<String, ControlError> {
    state.control.resume(&sink).await?;
    Ok(format!("{sink} goes on\n"))
}
