//! An inbox whose brokers do not answer, with the journal behind it.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use goldwire::log::{BackedLog, Log as _, LogAppender, LogError, LogIdentity, MemoryLog, Share};
use goldwire::source::{InboxSource, Room, Source as _, SourceEvent};
use goldwire::store::MemoryStore;
use goldwire::telemetry::Metrics;
use goldwire::webhook::{Reception, SignatureScheme};
use tokio::sync::watch;
use tokio::time::Instant;

use super::bench::{NOW, RELTIO_SECRET, SetClock, listener, reltio, signed};

/// Brokers that take nothing while they are away, and all of it when they are back.
#[derive(Debug)]
struct Brokers {
    log: MemoryLog,
    away: watch::Sender<bool>,
}

#[async_trait]
impl LogAppender for Brokers {
    fn identity(&self) -> &LogIdentity {
        self.log.identity()
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        let mut away = self.away.subscribe();
        away.wait_for(|away| !away).await.unwrap();
        self.log.append_within(share, partition, records).await
    }

    fn largest_record(&self) -> usize {
        self.log.largest_record()
    }

    fn admits(&self, _: Share) -> Result<(), LogError> {
        Ok(())
    }
}

async fn post(reception: &Reception, body: &'static str) -> (u16, Duration) {
    let mut request = Request::post("/reltio-webhook");
    for (name, value) in signed(SignatureScheme::Reltio, RELTIO_SECRET, NOW, body.as_bytes()) {
        request = request.header(name, value);
    }
    let began = Instant::now();
    let request = request.body(Body::from(body)).unwrap();
    let answer = reception.take(([127, 0, 0, 1], 1).into(), request).await;
    (answer.status().as_u16(), began.elapsed())
}

/// G1: `webhook.deadline` is four seconds; half of it is the brokers'.
#[tokio::test(start_paused = true)]
async fn while_the_brokers_hang_the_journal_answers_200_in_time_and_both_are_drained() {
    let brokers = Arc::new(Brokers {
        log: MemoryLog::new(2),
        away: watch::Sender::new(false),
    });
    let journal = Arc::new(MemoryLog::new(1));
    let first: Arc<dyn LogAppender> = Arc::<Brokers>::clone(&brokers);
    let behind: Arc<dyn LogAppender> = Arc::<MemoryLog>::clone(&journal);
    let deadline: Duration = listener().deadline.get();
    let reception = Reception::new(
        &listener(),
        vec![("crm".to_owned(), reltio())],
        Arc::new(BackedLog::new(first, behind, deadline / 2)),
        Arc::new(SetClock(AtomicI64::new(NOW))),
        Arc::new(Metrics::noop()),
    )
    .unwrap();
    assert_eq!(post(&reception, "before").await, (200, Duration::ZERO));
    brokers.away.send_replace(true);
    for (body, took) in [
        ("one", deadline / 2),
        ("two", deadline / 2),
        ("three", Duration::ZERO),
    ] {
        assert_eq!(post(&reception, body).await, (200, took), "{body}");
    }
    // The process ends here: what waited for the brokers is gone with it, and nothing was lost.
    let store = Arc::new(MemoryStore::new());
    let mut drained = InboxSource::new(journal, store, "app.inbox").unwrap();
    let room = Room {
        records: 10,
        bytes: 1 << 20,
    };
    assert!(matches!(
        drained.next(room).await,
        SourceEvent::Assigned { .. }
    ));
    let SourceEvent::Batch(batch) = drained.next(room).await else {
        panic!("what the journal holds");
    };
    let bodies: Vec<_> = batch.records.iter().map(|of| of.body.clone()).collect();
    assert_eq!(bodies, ["one", "two", "three"]);
    // Had it gone on, the copies that waited would be in both, which is one effect.
    brokers.away.send_replace(false);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(post(&reception, "after").await, (200, Duration::ZERO));
    let ends = [0, 1].map(|of| brokers.log.range(of).end);
    assert_eq!(ends.iter().sum::<u64>(), 5);
}
