//! What an application keeps: on this machine, and in Kafka where the event log is there.
//!
//! Guarantee (G1): what is put into the inbox is durable here or at the brokers when that is said.

use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use super::files::Files;
use super::in_kafka::{InKafka, Standing};
use super::inbox::InboxTopic;
use crate::dead_letter::{DeadLetters, StoredLetters};
use crate::log::kafka::KafkaLog;
use crate::log::{BackedLog, Log, LogAppender};
use crate::time::SharedClock;
use crate::topology::Config;

/// How long the inbox topic has without a webhook's `deadline`, before the journal takes a record.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is kept of an application: on this machine, and in Kafka.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The files, and the event log wherever it is.
    pub files: Files,
    /// Where webhooks and redriven records go.
    pub inbox: Arc<dyn LogAppender>,
    /// The inbox topic, if there is one.
    pub topic: Option<InboxTopic>,
    /// The dead letters.
    pub letters: Arc<dyn DeadLetters>,
}

impl Kept {
    /// Opens the data directory of `config`, and waits for the brokers where the log is in Kafka.
    ///
    /// # Errors
    /// As [`Files::open`], and if the topics are not as they have to be.
    pub async fn open(config: &Config, clock: &SharedClock) -> Result<Self, StartError> {
        let (files, there) = Files::reach(config).await?;
        Self::over(config, files, there.as_ref(), clock).await
    }

    pub(super) async fn over(
        config: &Config,
        files: Files,
        there: Option<&InKafka>,
        clock: &SharedClock,
    ) -> Result<Self, StartError> {
        let Some(there) = there else {
            return Ok(Self::in_files(files));
        };
        let group = inbox_group(config);
        let log = there.inbox(&group).await?;
        let first: Arc<dyn LogAppender> = Arc::<KafkaLog>::clone(&log);
        let behind: Arc<dyn LogAppender> = Arc::<dyn Log>::clone(&files.inbox);
        let deadline = config.webhook.as_ref().map(|hook| hook.deadline.get());
        let patience = deadline.map_or(PATIENCE, |deadline| deadline / 2);
        let group = Arc::new(Standing {
            log: Arc::clone(&log),
            group,
        });
        Ok(Self {
            letters: there.letters(&files.store, clock)?,
            inbox: Arc::new(BackedLog::new(first, behind, patience)),
            topic: Some(InboxTopic { log, group }),
            files,
        })
    }

    /// All of it on this machine.
    pub fn in_files(files: Files) -> Self {
        Self {
            letters: Arc::new(StoredLetters::new(Arc::clone(&files.store))),
            inbox: Arc::<dyn Log>::clone(&files.inbox),
            topic: None,
            files,
        }
    }
}

/// The group that ingests the inbox.
pub(super) fn inbox_group(config: &Config) -> String {
    format!("{}.inbox", config.app)
}
