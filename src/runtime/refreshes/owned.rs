//! The refreshes of one dashboard, in the instance that asks for them.
//!
//! Guarantee: nothing is asked for that is not kept, and what may have been started is looked for
//! until it is found or cannot be there.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use super::Refreshing;
use crate::engine::checkpoint::Checkpoint;
use crate::event::proto::{RefreshRun, RefreshState};
use crate::refresh::{End, Trouble, Wanted, differs};
use crate::time::{Millis, as_millis, until};

/// How often the positions of the group are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(15);
/// How often it is looked whether the first partition is here.
pub(super) const ELSEWHERE: Duration = Duration::from_secs(5);
/// How often a refresh that is under way is looked at.
const FOLLOW: Duration = Duration::from_secs(30);
/// So often in a row no one tells what the group has committed before that is told: brokers do not
/// while a transaction is being committed.
const SILENT: u32 = 4;
/// A request is sent so soon after it was kept, or not at all.
const PROMPT: Duration = Duration::from_secs(10);
/// A request with its token has an answer within this time, or its answer is not awaited.
const LONGEST_ASK: Duration = Duration::from_secs(90);

/// The wait after a refusal before the next request, which spends nothing of the budget.
fn pause(trouble: &Trouble) -> Duration {
    match trouble {
        Trouble::Busy => Duration::from_mins(1),
        Trouble::BudgetUsed => Duration::from_mins(10),
        Trouble::Throttled(pause) => *pause,
        Trouble::Unreachable(_) | Trouble::Unknown(_) => Duration::from_secs(30),
        Trouble::Refused { .. } => Duration::from_mins(5),
    }
}

/// What is known of a dashboard by the instance that has the first partition.
#[derive(Debug)]
pub(super) struct Owned {
    kept: Arc<dyn Checkpoint>,
    /// As it is kept.
    state: RefreshState,
    /// Since when something is committed that the dashboard does not show, as far as it was seen
    /// here, ms.
    behind_since: Option<Millis>,
    /// The same of the refresh that is under way.
    later_since: Option<Millis>,
    /// Nothing is asked for earlier, ms.
    not_before: Millis,
    /// How often in a row no one told what the group has committed.
    silent: u32,
    /// The trouble that was told.
    told: Option<String>,
}

impl Owned {
    pub(super) fn new(kept: Arc<dyn Checkpoint>, state: RefreshState) -> Self {
        Self {
            kept,
            behind_since: state.run.as_ref().map(|run| run.asked_time),
            state,
            later_since: None,
            not_before: Millis::MIN,
            silent: 0,
            told: None,
        }
    }

    pub(super) fn is_kept_in(&self, kept: &Arc<dyn Checkpoint>) -> bool {
        Arc::ptr_eq(&self.kept, kept)
    }

    pub(super) fn tell_state(&self, of: &Refreshing) {
        let behind = self.behind_since.map(|since| until(since, of.clock.now()));
        let seconds = behind.unwrap_or_default().as_secs_f64();
        let under_way = self.state.run.is_some();
        of.metrics.refresh_state(&of.name, under_way, seconds);
    }

    /// Does what is due; how long to wait for the next step.
    pub(super) async fn step(&mut self, of: &Refreshing) -> Duration {
        let now = of.clock.now();
        if now < self.not_before {
            return until(now, self.not_before).min(LOOK);
        }
        let Some(run) = self.state.run.clone() else {
            return self.begin(of).await;
        };
        self.follow(of, &run).await;
        match self.state.run {
            Some(_) => FOLLOW,
            None => Duration::ZERO,
        }
    }

    /// Asks for a refresh, if one is due.
    async fn begin(&mut self, of: &Refreshing) -> Duration {
        let due = of.pacing.next(&self.state);
        let now = of.clock.now();
        if self.behind_since.is_some() && now < due {
            return until(now, due).min(LOOK);
        }
        let Some(committed) = self.committed(of).await else {
            return LOOK;
        };
        if !self.state.is_behind(&committed) {
            self.behind_since = None;
            return LOOK;
        }
        self.behind_since.get_or_insert(now);
        if now < due {
            return until(now, due).min(LOOK);
        }
        let mut next = self.state.clone();
        next.begin(&committed, now);
        if !self.keep(of, next).await {
            return LOOK;
        }
        // A process that stood still meanwhile may have lost the partition: who has it now asks.
        if until(now, of.clock.now()) < PROMPT {
            self.ask(of).await;
        }
        LOOK
    }

    async fn ask(&mut self, of: &Refreshing) {
        let asked = tokio::time::timeout(LONGEST_ASK, of.dashboard.start()).await;
        let asked = asked.unwrap_or_else(|_| Err(Trouble::Unknown("timeout".to_owned())));
        let mut next = self.state.clone();
        match asked {
            Ok(id) => {
                // Its answer is later than its start: the target counts no more than we do.
                next.started(id, of.clock.now());
                if self.keep(of, next).await {
                    self.on_started(of);
                }
            }
            Err(trouble) => {
                self.on_trouble(of, &trouble);
                if !matches!(trouble, Trouble::Unknown(_)) {
                    next.not_started();
                    self.keep(of, next).await;
                }
            }
        }
    }

    /// Looks how far the refresh is that is under way, or whether it was started at all.
    async fn follow(&mut self, of: &Refreshing, run: &RefreshRun) {
        let now = of.clock.now();
        if self.later_since.is_none()
            && let Some(committed) = self.committed(of).await
            && differs(&run.positions, &committed)
        {
            self.later_since = Some(now);
        }
        let looked = of.dashboard.look(Wanted {
            id: Some(run.id.as_str()).filter(|id| !id.is_empty()),
            since: run.asked_time,
        });
        let looked = looked.await;
        if let Err(trouble) = &looked {
            self.on_trouble(of, trouble);
        }
        let mut next = self.state.clone();
        let end = next.learns(run, &looked, now);
        let is_shown = next.run.is_none() && next.shown == run.positions;
        let found = next.started_time != self.state.started_time;
        if next == self.state || !self.keep(of, next).await {
            return;
        }
        if found {
            self.on_started(of);
        }
        if let Some(end) = end {
            of.metrics.refresh(&of.name, end.name());
            if end == End::Failed {
                let refresh = &of.name;
                tracing::error!(refresh, "a refresh failed; its target says why");
            }
        }
        if self.state.run.is_none() {
            let later = self.later_since.take();
            self.behind_since = if is_shown { later } else { self.behind_since };
        }
    }

    /// What the group has committed; nothing while no one tells.
    async fn committed(&mut self, of: &Refreshing) -> Option<Vec<Option<u64>>> {
        match of.group.committed().await {
            Ok(committed) => {
                self.silent = 0;
                Some(committed)
            }
            Err(why) => {
                self.silent = self.silent.saturating_add(1);
                if self.silent == SILENT {
                    let refresh = &of.name;
                    tracing::warn!(refresh, "what its sink has committed is not known: {why}");
                }
                None
            }
        }
    }

    fn on_started(&mut self, of: &Refreshing) {
        of.metrics.refresh(&of.name, "started");
        if self.told.take().is_some() {
            tracing::info!(refresh = of.name, "refreshes go on");
        }
    }

    fn on_trouble(&mut self, of: &Refreshing, trouble: &Trouble) {
        let wait = pause(trouble);
        self.not_before = of.clock.now().saturating_add(as_millis(wait));
        of.metrics.refresh(&of.name, trouble.name());
        let text = trouble.to_string();
        if self.told.as_ref() != Some(&text) {
            tracing::warn!(refresh = of.name, "{text}; asked again until it is done");
            self.told = Some(text);
        }
    }

    /// Makes `next` durable, and goes on from there.
    async fn keep(&mut self, of: &Refreshing, next: RefreshState) -> bool {
        match self.kept.keep(of.key(), next.encode_to_vec()).await {
            Ok(()) => {
                self.state = next;
                true
            }
            Err(error) => {
                tracing::warn!(refresh = of.name, "where it stands is not kept: {error}");
                false
            }
        }
    }
}
