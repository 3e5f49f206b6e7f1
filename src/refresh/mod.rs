//! Refreshes of dashboards: Power BI and Tableau are asked to load again what a sink has written.
//!
//! Guarantee: between two refreshes of one dashboard lies the larger of `min_interval` and of a day
//! divided by `budget_per_day`, and one is under way at most. So a change that is committed at any
//! time of the day is in a refresh that starts no later than a day divided by the budget after it,
//! and no 24 hours have more refreshes than the budget. What a target answers is never taken for
//! more than it says: a refresh that may have been started is looked for before another is asked for.

mod config;
mod jwt;
mod power_bi;
mod rules;
mod schedule;
mod sign_in;
mod tableau;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use config::{PowerBi, RefreshConfig, Tableau};
pub(crate) use rules::check;
pub use schedule::{Pacing, differs};

use crate::http::Failure;
use crate::time::{Millis, SharedClock};

/// A clock of the target may be behind ours by so much.
const SKEW: Millis = 30_000;

/// What a target is asked to load again.
#[async_trait]
pub trait Dashboard: Debug + Send + Sync {
    /// Asks for a refresh. Returns what the target calls it, where it says so.
    ///
    /// # Errors
    /// [`Trouble::Unknown`] if it may have been started all the same, else it was not.
    async fn start(&self) -> Result<Option<String>, Trouble>;

    /// Looks for a refresh. Nothing if the target does not know of it.
    ///
    /// # Errors
    /// If the target does not tell.
    async fn look(&self, wanted: Wanted<'_>) -> Result<Option<Seen>, Trouble>;

    /// Asks the target whether it lets in and has what is configured: a sentence for each problem.
    async fn probe(&self) -> Vec<String>;
}

/// Which refresh is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What the target calls it, if that is known.
    pub id: Option<&'a str>,
    /// When it was asked for, ms: without an id it is the first one after that.
    pub since: Millis,
}

/// A refresh, as its target knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What the target calls it.
    pub id: String,
    /// When it was started, ms, by the target's clock.
    pub started: Millis,
    /// How far it is.
    pub progress: Progress,
}

/// How far a refresh is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It waits or runs.
    UnderWay,
    /// It has ended.
    Ended(End),
}

/// How a refresh ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The dashboard shows what was there when it began, or newer.
    Succeeded,
    /// It failed, or was cancelled, or its target has dropped it.
    Failed,
}

impl End {
    /// What it is called in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Why a target did not do what it was asked for. Holds codes, never a secret (G10).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A refresh that somebody else started is under way, which may have begun before the change.
    #[error("another refresh is under way")]
    Busy,
    /// The target has started as many in 24 hours as it starts.
    #[error("the target has started as many refreshes in 24 hours as it allows")]
    BudgetUsed,
    /// It asks for a pause.
    #[error("the target asks for a pause of {0:?}")]
    Throttled(Duration),
    /// It was not reached: nothing was done.
    #[error("{0}: not reached")]
    Unreachable(String),
    /// There was no answer, or one of a server that failed: it may have been done.
    #[error("{0}: what became of it is not known")]
    Unknown(String),
    /// It refuses until a person acts.
    #[error("{code}: {remedy}")]
    Refused {
        /// The target's code, or the status.
        code: String,
        /// What a person must do.
        remedy: &'static str,
    },
}

impl Trouble {
    /// What it is called in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::BudgetUsed => "budget_used",
            Self::Throttled(_) => "throttled",
            Self::Unreachable(_) => "unreachable",
            Self::Unknown(_) => "unknown",
            Self::Refused { .. } => "refused",
        }
    }

    /// When nothing but a question was asked, nothing can have been done.
    fn of_question(self) -> Self {
        match self {
            Self::Unknown(code) => Self::Unreachable(code),
            other @ (Self::Busy
            | Self::BudgetUsed
            | Self::Throttled(_)
            | Self::Unreachable(_)
            | Self::Refused { .. }) => other,
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Throttled(pause) => Self::Throttled(pause),
            Failure::Unreachable(code) => Self::Unreachable(code),
            Failure::Unknown(code) => Self::Unknown(code),
            Failure::Refused { code, remedy } => Self::Refused { code, remedy },
        }
    }
}

/// The dashboard that `config` names.
///
/// # Errors
/// A sentence, if its client cannot be made. An unreachable target is no error here.
pub fn open(
    name: &str,
    config: &RefreshConfig,
    clock: &SharedClock,
) -> Result<Arc<dyn Dashboard>, String> {
    let named = |why: String| format!("refreshes.{name}.{why}");
    match (&config.power_bi, &config.tableau) {
        (Some(power_bi), None) => {
            let made = power_bi::Dataset::new(power_bi, clock).map_err(named)?;
            Ok(Arc::new(made))
        }
        (None, Some(tableau)) => {
            let made = tableau::Extract::new(tableau, clock).map_err(named)?;
            Ok(Arc::new(made))
        }
        (Some(_), Some(_)) | (None, None) => Err(format!(
            "refreshes.{name}: write either power_bi or tableau"
        )),
    }
}
