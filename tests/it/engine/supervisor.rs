//! Partitions of the event log that come and go: what their tasks have committed by then.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::engine::checkpoint::{Checkpoint as _, StoreCheckpoint};
use goldwire::event::EventRecord;
use goldwire::log::{LogReader, ReadLimit, ReaderEvent, WholeLog};
use goldwire::reltio::RecordReader;
use goldwire::runtime::{Files, Instance, Parts, Portions};
use goldwire::sink::Mode;
use goldwire::store::MemoryStore;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::runtime::{append, config, files, part, parts, pass, to_store, with};
use super::scripted::Scripted;
use super::tenant::{Tenant, person};

/// A group whose partitions come and go as the test says.
#[derive(Debug)]
struct Told(mpsc::UnboundedReceiver<ReaderEvent>);

#[async_trait]
impl LogReader for Told {
    async fn next(&mut self) -> ReaderEvent {
        match self.0.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

struct Bench {
    instance: Instance,
    files: Files,
    sink: Arc<Scripted>,
    tenant: Arc<Tenant>,
    group: mpsc::UnboundedSender<ReaderEvent>,
    portions: Portions,
}

impl Bench {
    fn new() -> Self {
        Self::of(None, false)
    }

    /// Before a target that takes what is late for so long, with an API to ask.
    fn before(reassert_after: Option<Duration>) -> Self {
        Self::of(reassert_after, true)
    }

    fn of(reassert_after: Option<Duration>, has_api: bool) -> Self {
        let files = files(Arc::new(MemoryStore::new()));
        let sink = Arc::new(Scripted::new("crm", Mode::Latest, reassert_after));
        let tenant = Arc::new(Tenant::new(with().clock));
        let reltio = Arc::<Tenant>::clone(&tenant) as Arc<dyn RecordReader>;
        let (group, events) = mpsc::unbounded_channel();
        let events = Mutex::new(Some(events));
        let portions = Portions::of(&["crm".to_owned()]);
        let parts = Parts {
            readers: Arc::new(move |group| {
                assert_eq!(group, "goldwire.crm");
                Box::new(Told(events.lock().unwrap().take().unwrap()))
            }),
            portions: portions.clone(),
            reltio: has_api.then_some(reltio),
            ..parts(&files, Arc::clone(&sink), to_store())
        };
        Self {
            instance: Instance::assemble(&config("16s"), &with(), parts).unwrap(),
            files,
            sink,
            tenant,
            group,
            portions,
        }
    }

    /// The subjects that the sink is asked about in the event log.
    async fn asks(&self) -> Vec<String> {
        let limit = ReadLimit {
            records: 100,
            bytes: 1 << 20,
        };
        let from = self.files.log.range(0).start;
        let records = self.files.log.read(0, from, limit).await.unwrap();
        let records = records.iter().map(|record| &record.bytes[..]);
        let records = records.map(|bytes| EventRecord::decode(bytes).unwrap());
        let asks = records.filter(|record| record.ask && record.late && record.sink == "crm");
        asks.map(|record| record.subject).collect()
    }

    /// How many of the partitions count in the sink's portion of its quota.
    fn owned(&self) -> String {
        let partitions = f64::from(self.files.log.identity().partitions);
        (self.portions.get("crm").part() * partitions).to_string()
    }

    fn assign(&self) {
        let partition = WholeLog::partition(&self.files.log, 0);
        let assigned = ReaderEvent::Assigned(vec![partition]);
        self.group.send(assigned).unwrap();
    }

    fn revoke(&self) -> oneshot::Receiver<()> {
        let (done, given_back) = oneshot::channel();
        let partitions = vec![0];
        let revoked = ReaderEvent::Revoked { partitions, done };
        self.group.send(revoked).unwrap();
        given_back
    }

    fn lose(&self) {
        let partitions = vec![0];
        self.group.send(ReaderEvent::Lost { partitions }).unwrap();
    }

    async fn append(&self, uri: &str) {
        append(self.files.log.as_ref(), uri).await;
    }

    /// The position that is durable.
    fn committed(&self) -> u64 {
        let checkpoint = StoreCheckpoint {
            store: Arc::clone(&self.files.store),
            sink: "crm".to_owned(),
            group: "goldwire.crm".to_owned(),
            partition: 0,
        };
        let cursor = checkpoint.open().unwrap().cursor;
        cursor.map_or(0, |cursor| cursor.position)
    }

    fn tasks(&self) -> usize {
        self.instance.sinks()[0].tasks.all().len()
    }
}

#[tokio::test(start_paused = true)]
async fn g2_a_revoked_partition_is_given_back_after_its_last_commit_and_goes_on_where_it_was_left()
{
    let bench = Bench::new();
    bench.append("entities/before").await;
    pass(1).await;
    assert_eq!(
        (bench.tasks(), bench.sink.deliveries("entities/before")),
        (0, 0)
    );
    bench.assign();
    pass(1).await;
    assert_eq!((bench.tasks(), bench.committed()), (1, 1));

    // Its write is under way when the partition is taken away, and its answer counts.
    bench.sink.takes(Duration::from_millis(700));
    bench.append("entities/under-way").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut given_back = bench.revoke();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(given_back.try_recv().is_err(), "its write is under way");
    given_back.await.unwrap();
    assert_eq!(bench.committed(), 2);
    pass(1).await;
    assert_eq!(bench.tasks(), 0);

    bench.append("entities/elsewhere").await;
    pass(5).await;
    assert_eq!(bench.sink.deliveries("entities/elsewhere"), 0);
    bench.assign();
    pass(5).await;
    let delivered = ["before", "under-way", "elsewhere"]
        .map(|of| bench.sink.deliveries(&format!("entities/{of}")));
    assert_eq!((delivered, bench.committed()), ([1, 1, 1], 3));
}

#[tokio::test(start_paused = true)]
async fn g2_nothing_of_a_lost_partition_is_committed_and_a_later_assignment_reads_it_again() {
    let bench = Bench::new();
    bench.assign();
    bench.sink.takes(Duration::from_millis(700));
    bench.append("entities/under-way").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    bench.lose();
    pass(5).await;
    assert_eq!((bench.tasks(), bench.committed()), (0, 0));
    bench.assign();
    pass(5).await;
    assert_eq!((bench.tasks(), bench.committed()), (1, 1));
    assert!(bench.sink.holds("entities/under-way").is_some());
}

#[tokio::test(start_paused = true)]
async fn g6_a_halted_group_is_live_and_says_why() {
    let bench = Bench::new();
    let health = bench.instance.health();
    assert!(
        health
            .livez()
            .parts
            .iter()
            .all(|part| !part.name.starts_with("sink"))
    );
    let why = "the group may not read: grant Read to it".to_owned();
    bench.group.send(ReaderEvent::Halted(why)).unwrap();
    pass(2).await;
    let halted = part(&health, "sink crm");
    assert!(halted.ok, "a restart would not help");
    assert_eq!(
        halted.state,
        "halted: the group may not read: grant Read to it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_divided_by_what_is_assigned_and_not_counted_once_another_may_count_it() {
    let bench = Bench::new();
    assert_eq!(bench.owned(), "0", "before anything is assigned");
    bench.assign();
    pass(1).await;
    assert_eq!(bench.owned(), "1");
    bench.sink.takes(Duration::from_millis(700));
    bench.append("entities/under-way").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let given_back = bench.revoke();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.owned(), "1", "its task still writes");
    given_back.await.unwrap();
    assert_eq!(bench.owned(), "0");
    bench.assign();
    pass(1).await;
    assert_eq!(bench.owned(), "1");
    bench.lose();
    pass(1).await;
    assert_eq!(bench.owned(), "0");
}

const LATE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn g4_what_a_lost_task_was_sending_is_asked_about_at_once() {
    let bench = Bench::before(Some(LATE));
    bench.assign();
    bench.sink.takes(Duration::from_millis(700));
    for uri in ["entities/a", "entities/b"] {
        bench.append(uri).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    bench.lose();
    pass(1).await;
    assert_eq!(bench.asks().await, ["entities/a", "entities/b"]);
    assert_eq!((bench.tasks(), bench.committed()), (0, 0));
    pass(10 * LATE.as_secs()).await;
    let once = ["entities/a", "entities/b"];
    assert_eq!(bench.asks().await, once, "the new owner does the rest");
}

#[tokio::test(start_paused = true)]
async fn g4_what_is_committed_or_cannot_land_late_is_not_asked_about() {
    let bench = Bench::before(Some(LATE));
    bench.assign();
    bench.append("entities/committed").await;
    pass(1).await;
    assert_eq!(bench.committed(), 1);
    bench.lose();
    pass(2 * LATE.as_secs()).await;
    assert!(bench.asks().await.is_empty());

    let guarded = Bench::before(None);
    guarded.assign();
    guarded.sink.takes(Duration::from_millis(700));
    guarded.append("entities/under-way").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    guarded.lose();
    pass(2 * LATE.as_secs()).await;
    assert!(guarded.asks().await.is_empty());
}

/// Reltio's answer may be behind by its lag, and passes the guard after what the new owner wrote.
#[tokio::test(start_paused = true)]
async fn g4_what_was_read_and_is_not_committed_is_asked_about_before_a_guard_too() {
    let bench = Bench::before(None);
    bench
        .tenant
        .lives("entities/a", &person("entities/a", "Ann"));
    bench.assign();
    bench.sink.takes(Duration::from_secs(5));
    let ask = EventRecord {
        id: "reconcile".to_owned(),
        tenant: "acme".to_owned(),
        subject: "entities/a".to_owned(),
        sink: "crm".to_owned(),
        ask: true,
        ..EventRecord::default()
    };
    let bytes = ask.encode_to_vec().into();
    bench.files.log.append(0, vec![bytes]).await.unwrap();
    pass(3).await;
    assert_eq!(bench.tenant.reads(), 1);
    bench.lose();
    pass(1).await;
    assert_eq!(bench.asks().await, ["entities/a"]);
}

#[tokio::test(start_paused = true)]
async fn g2_g4_a_partition_that_is_lost_while_it_is_drained_is_dropped_at_once() {
    let bench = Bench::before(Some(LATE));
    bench.assign();
    bench.sink.takes(Duration::from_millis(700));
    bench.append("entities/a").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let given_back = bench.revoke();
    tokio::time::sleep(Duration::from_millis(50)).await;
    bench.lose();
    given_back.await.unwrap();
    pass(1).await;
    assert_eq!((bench.tasks(), bench.committed()), (0, 0));
    assert_eq!(bench.asks().await, ["entities/a"]);
    bench.assign();
    pass(1).await;
    assert_eq!((bench.tasks(), bench.owned().as_str()), (1, "1"));
    pass(2 * LATE.as_secs()).await;
    assert_eq!(
        bench.owned(),
        "1",
        "the old task's end takes nothing from the new"
    );
}

/// The new owner passed what this one had not read yet, before it heard of the loss.
#[tokio::test(start_paused = true)]
async fn g4_what_a_task_was_sending_when_its_log_was_trimmed_is_asked_about() {
    let bench = Bench::before(Some(LATE));
    bench.assign();
    bench.sink.takes(Duration::from_millis(700));
    bench.append("entities/a").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for uri in ["entities/b", "entities/c"] {
        bench.append(uri).await;
    }
    bench.files.log.trim(&[2]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    bench.lose();
    pass(1).await;
    assert_eq!(bench.asks().await, ["entities/a"]);
}
