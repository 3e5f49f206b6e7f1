//! What goes on beside the flow of an instance: ids expire, dates pass, logs are trimmed, lags are told.

use std::sync::Arc;

use super::{Deps, Instance, Role, caught_up, dates, expiry, housekeeping, inbox::InboxTopic};
use crate::sink::Sink;
use crate::source::Acknowledged;
use crate::topology::Config;

impl Instance {
    /// Starts what goes on beside the flow.
    pub(super) fn watch_over(
        &mut self,
        config: &Config,
        with: &Deps,
        inbox: &Acknowledged,
        (topic, role): (Option<InboxTopic>, &Role),
        sinks: Vec<Arc<dyn Sink>>,
    ) {
        let expiry = expiry::Expiry {
            files: self.files.clone(),
            sinks: self.sinks.clone(),
            inbox: inbox.clone(),
            topic,
            clock: Arc::clone(&with.clock),
        };
        self.around.spawn(expiry.run());
        let dates = dates::Dates {
            files: self.files.clone(),
            sinks: self.sinks.clone(),
            clock: Arc::clone(&with.clock),
        };
        self.around.spawn(dates.run());
        let caught_up = caught_up::CaughtUp {
            files: self.files.clone(),
            sinks: self.sinks.iter().cloned().zip(sinks).collect(),
            ingest: self.ingest.clone(),
            clock: Arc::clone(&with.clock),
        };
        self.around.spawn(caught_up.run());
        let keeper = housekeeping::Keeper {
            files: self.files.clone(),
            sinks: self.sinks.clone(),
            ingest: self.ingest.clone(),
            inbox: inbox.clone(),
            metrics: Arc::clone(&with.metrics),
            letters: Arc::clone(&self.kept.letters),
            told: std::collections::BTreeSet::new(),
            others: role.leaves_out(config),
        };
        self.around.spawn(keeper.run());
    }
}
