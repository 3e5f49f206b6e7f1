//! Telling another entity's lane to look at target records.
//!
//! Guarantee (G1): told means durable in the event log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost::Message as _;

use crate::event::{EventRecord, Kind, Origin, Subject, event_id};
use crate::log::{LogAppender, Share, partition_of};
use crate::sink::{SinkError, Tell};
use crate::time::SharedClock;

/// Reconcile records in the event log, addressed to the sink that tells.
#[derive(Debug)]
pub struct LogTell {
    /// The event log.
    pub log: Arc<dyn LogAppender>,
    /// The sink that tells.
    pub sink: String,
    /// The time.
    pub clock: SharedClock,
}

impl LogTell {
    /// As [`Tell::tell`], of a subject of which something older may still land at the target.
    ///
    /// # Errors
    /// As [`Tell::tell`].
    pub(super) async fn tell_late(&self, subject: &Subject) -> Result<(), SinkError> {
        let late = EventRecord {
            late: true,
            ..self.ask(subject)
        };
        self.append(late).await
    }

    fn ask(&self, subject: &Subject) -> EventRecord {
        EventRecord {
            tenant: subject.tenant().to_owned(),
            subject: subject.uri().to_owned(),
            kind: Kind::Changed.into(),
            received_time: self.clock.now(),
            sink: self.sink.clone(),
            ask: true,
            origin: Some(Origin {
                source: "reconcile".to_owned(),
                ..Origin::default()
            }),
            ..EventRecord::default()
        }
    }

    async fn append(&self, mut record: EventRecord) -> Result<(), SinkError> {
        let id = event_id(&record, &record.encode_to_vec());
        id.as_str().clone_into(&mut record.id);
        let subject = Subject::new(&record.tenant, &record.subject);
        let partition = partition_of(&subject, self.log.identity().partitions);
        match self
            .log
            .append_within(Share::Sinks, partition, vec![record.encode_to_vec().into()])
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(
                    sink = self.sink,
                    "a reconcile record could not be appended: {error}"
                );
                // The record that tells is tried again later, from the top.
                tokio::time::sleep(Duration::from_millis(200)).await;
                Err(SinkError::Retryable {
                    code: "log_unavailable".to_owned(),
                    ambiguous: false,
                    outage: true,
                })
            }
        }
    }
}

#[async_trait]
impl Tell for LogTell {
    async fn tell(
        &self,
        subject: &Subject,
        hops: u32,
        targets: &[String],
    ) -> Result<(), SinkError> {
        let record = EventRecord {
            hops,
            targets: targets.to_vec(),
            ..self.ask(subject)
        };
        self.append(record).await
    }
}
