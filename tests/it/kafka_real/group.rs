//! Groups that read the log, and what they commit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use goldwire::changelog::{
    Changelog, ChangelogError, ChangelogOf, KafkaChangelog, NotCommitted, Ownership, Part,
};
use goldwire::log::kafka::{GroupOf, KafkaCluster, KafkaGroup, KafkaLog, Owners};
use goldwire::log::{LogAppender, LogReader, PartitionReader, ReadLimit, ReaderEvent};
use goldwire::store::Batch;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::log::{app, cluster, open};

const DEADLINE: Duration = Duration::from_mins(1);
const MOMENT: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(20);
const MANY: ReadLimit = ReadLimit {
    records: 1000,
    bytes: 1 << 20,
};
const CLASSIC: &[(&str, Value)] = &[];

/// Who has which partition, by a thread that can be held.
#[derive(Debug, Default)]
struct Held {
    inner: Arc<Ownership>,
    holds: AtomicBool,
    gone: Mutex<bool>,
    goes: Condvar,
}

impl Held {
    fn let_go(&self) {
        self.holds.store(false, Ordering::Release);
        *self.gone.lock().unwrap() = true;
        self.goes.notify_all();
    }
}

impl Owners for Held {
    fn take(&self, partition: u16) -> u64 {
        self.inner.take(partition)
    }

    fn lose(&self, partitions: &[u16]) {
        self.inner.lose(partitions);
    }

    fn give_back(&self, partitions: &[u16]) -> bool {
        let mut gone = self.gone.lock().unwrap();
        while self.holds.load(Ordering::Acquire) && !*gone {
            gone = self.goes.wait(gone).unwrap();
        }
        self.inner.give_back(partitions)
    }
}

/// An instance: a member of the sink's group, and its changelog.
pub(super) struct Instance {
    group: KafkaGroup,
    owners: Arc<Held>,
    changelog: KafkaChangelog,
    epochs: BTreeMap<u16, u64>,
}

impl Instance {
    pub(super) fn start(
        cluster: &Arc<KafkaCluster>,
        log: &KafkaLog,
        app: &str,
        name: &str,
    ) -> Self {
        let owners = Arc::new(Held::default());
        let name_of = format!("{app}.crm");
        let group = log.join(GroupOf {
            sink: "crm".to_owned(),
            group: name_of.clone(),
            owners: Arc::<Held>::clone(&owners),
            drain: DRAIN,
        });
        let group = group.unwrap();
        let changelog = KafkaChangelog::new(ChangelogOf {
            cluster: Arc::clone(cluster),
            sink: "crm".to_owned(),
            group: name_of,
            instance: name.to_owned(),
            member: Some((Arc::clone(group.member()), Arc::clone(&owners.inner))),
        });
        Self {
            group,
            owners,
            changelog: changelog.unwrap(),
            epochs: BTreeMap::new(),
        }
    }

    pub(super) async fn next(&mut self) -> ReaderEvent {
        let event = tokio::time::timeout(DEADLINE, self.group.next());
        event.await.expect("an event in time")
    }

    pub(super) async fn assigned(&mut self) -> Vec<Arc<dyn PartitionReader>> {
        let event = self.next().await;
        let ReaderEvent::Assigned(partitions) = event else {
            panic!("assigned, not {event:?}");
        };
        let of = |it: &Arc<dyn PartitionReader>| (it.partition(), it.epoch());
        self.epochs.extend(partitions.iter().map(of));
        partitions
    }

    async fn revoked(&mut self) -> (Vec<u16>, oneshot::Sender<()>) {
        let event = self.next().await;
        let ReaderEvent::Revoked { partitions, done } = event else {
            panic!("revoked, not {event:?}");
        };
        (partitions, done)
    }

    pub(super) async fn lost(&mut self) -> Vec<u16> {
        let event = self.next().await;
        let ReaderEvent::Lost { partitions } = event else {
            panic!("lost, not {event:?}");
        };
        partitions
    }

    pub(super) async fn nothing_yet(&mut self) {
        let early = tokio::time::timeout(MOMENT, self.group.next()).await;
        assert!(early.is_err(), "nothing before the drain, but {early:?}");
    }

    fn part(&self, partition: u16, keys: &[(&str, Option<&str>)], position: u64) -> Part {
        Part {
            partition,
            epoch: self.epochs[&partition],
            changes: batch(keys),
            closed: Vec::new(),
            position: Some(position),
        }
    }

    pub(super) async fn end(self) {
        tokio::task::spawn_blocking(move || drop(self.group))
            .await
            .unwrap();
    }
}

fn batch(keys: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in keys {
        match value {
            Some(value) => batch.put(key.as_bytes().to_vec(), value.as_bytes().to_vec()),
            None => batch.remove(key.as_bytes().to_vec()),
        }
    }
    batch
}

async fn offsets(of: &Arc<dyn PartitionReader>, from: u64, count: usize) -> Vec<u64> {
    let (mut offsets, mut from) = (Vec::new(), from);
    while offsets.len() < count {
        let read = tokio::time::timeout(DEADLINE, of.read(from, MANY)).await;
        for record in read.expect("records in time").unwrap() {
            assert_eq!(record.bytes[..], record.offset.to_be_bytes());
            offsets.push(record.offset);
            from = record.offset + 1;
        }
    }
    offsets
}

/// What a changelog holds now, read from its beginning.
async fn restored(of: &KafkaChangelog, partition: u16) -> BTreeMap<String, String> {
    let marker = of.put(partition, batch(&[("m", Some("m"))])).await.unwrap();
    let mut next = of.range(partition).await.unwrap().start;
    let mut all = BTreeMap::new();
    while next <= marker {
        let page = of.read(partition, next, MANY).await.unwrap();
        for record in page.records {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let key = text(&record.key);
            match record.value {
                Some(value) => all.insert(key, text(&value)),
                None => all.remove(&key),
            };
        }
        next = page.next;
    }
    all.remove("m");
    all
}

async fn committed(of: &KafkaChangelog, partition: u16) -> Option<u64> {
    loop {
        match of.committed(partition).await {
            Ok(committed) => return committed,
            Err(ChangelogError::Retry(_)) => {}
            Err(halt @ ChangelogError::Halt(_)) => panic!("{halt}"),
        }
    }
}

/// The group's offset, and what the changelog holds.
async fn known(of: &KafkaChangelog, partition: u16) -> (Option<u64>, BTreeMap<String, String>) {
    (
        committed(of, partition).await,
        restored(of, partition).await,
    )
}

fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = of.iter();
    owned
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Each partition with records that are their own offsets.
async fn filled(log: &KafkaLog) {
    for partition in [0, 1] {
        let records = (0..50_u64).map(|of| of.to_be_bytes().to_vec().into());
        log.append(partition, records.collect()).await.unwrap();
    }
}

/// Back, and ahead: a read begins where it is asked to.
async fn read_from_anywhere(partition: &Arc<dyn PartitionReader>) {
    assert_eq!(partition.range().end, 50);
    let all: Vec<u64> = (0..50).collect();
    for from in [0, 40, 3] {
        let expected = &all[usize::try_from(from).unwrap()..];
        assert_eq!(offsets(partition, from, expected.len()).await, expected);
    }
    let sum = crc32c::crc32c(&7_u64.to_be_bytes());
    assert_eq!(partition.checksum(7).await.unwrap(), Some(sum));
}

async fn returned(to: &mut Instance, partition: u16) -> Arc<dyn PartitionReader> {
    loop {
        let back = to.assigned().await.into_iter();
        if let Some(back) = back.into_iter().find(|of| of.partition() == partition) {
            return back;
        }
    }
}

async fn handover(with: &[(&str, Value)]) {
    let app = app();
    let cluster = cluster(&app, with).await;
    let log = open(&cluster, &app).await;
    filled(&log).await;
    let mut first = Instance::start(&cluster, &log, &app, "first");
    let partitions = first.assigned().await;
    assert_eq!(partitions.len(), 2);
    for partition in &partitions {
        read_from_anywhere(partition).await;
    }
    let mut second = Instance::start(&cluster, &log, &app, "second");
    let partition = handed_over(&mut first, &mut second).await;
    let more = (50..60_u64).map(|of| of.to_be_bytes().to_vec().into());
    log.append(partition, more.collect()).await.unwrap();
    second.end().await;
    // It had read up to 50 before the other one had the partition.
    let back = returned(&mut first, partition).await;
    let expected: Vec<u64> = (50..60).collect();
    assert_eq!(offsets(&back, 50, 10).await, expected);
    first.end().await;
}

/// The partition that the second one takes over, from where the first one was when it gave it back.
async fn handed_over(first: &mut Instance, second: &mut Instance) -> u16 {
    let (given, done) = first.revoked().await;
    second.nothing_yet().await;
    // A commit during the drain is where the other member begins.
    let parts: Vec<_> = given
        .iter()
        .map(|of| first.part(*of, &[("a", Some("1"))], 7))
        .collect();
    let nexts = first.changelog.transact(&parts).await.unwrap();
    assert!(nexts.iter().all(Option::is_some), "{nexts:?}");
    done.send(()).unwrap();
    let theirs = second.assigned().await;
    assert_eq!(theirs.len(), 1);
    let partition = theirs[0].partition();
    assert!(given.contains(&partition));
    let known = known(&second.changelog, partition).await;
    assert_eq!(known, (Some(7), map(&[("a", "1")])));
    assert_eq!(
        offsets(&theirs[0], 7, 43).await,
        (7..50).collect::<Vec<_>>()
    );
    // It is not the first member's any more, whatever that one thinks.
    let late = first.changelog.transact(&parts).await.unwrap_err();
    assert!(matches!(late, NotCommitted::Aborted(_)), "{late}");
    assert_eq!(committed(&second.changelog, partition).await, Some(7));
    partition
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn g2_kafka_hands_a_partition_of_the_log_over_with_the_classic_protocol() {
    handover(CLASSIC).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn g2_kafka_hands_a_partition_of_the_log_over_with_the_protocol_of_kip_848() {
    handover(&[("group_protocol", json!("consumer"))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn g3_kafka_a_transaction_has_states_and_position_or_neither() {
    let app = app();
    let cluster = cluster(&app, CLASSIC).await;
    let log = open(&cluster, &app).await;
    filled(&log).await;
    let mut one = Instance::start(&cluster, &log, &app, "one");
    one.assigned().await;
    assert_eq!(committed(&one.changelog, 0).await, None);
    let first = [
        one.part(0, &[("a", Some("1")), ("b", Some("1"))], 3),
        one.part(1, &[("c", Some("1"))], 5),
    ];
    one.changelog.transact(&first).await.unwrap();
    // One that was refused leaves nothing behind, and the next goes on.
    let mut foreign = one.part(0, &[("a", Some("2")), ("d", Some("2"))], 9);
    foreign.epoch += 100;
    let refused = one.changelog.transact(&[foreign]).await.unwrap_err();
    assert!(matches!(refused, NotCommitted::Aborted(_)), "{refused}");
    assert_eq!(
        restored(&one.changelog, 0).await,
        map(&[("a", "1"), ("b", "1")])
    );
    assert_eq!(committed(&one.changelog, 0).await, Some(3));
    let mut next = one.part(0, &[("a", Some("3")), ("b", None)], 9);
    next.closed = vec![b"d/crm\0x".to_vec()];
    one.changelog.transact(&[next]).await.unwrap();
    assert_eq!(restored(&one.changelog, 0).await, map(&[("a", "3")]));
    assert_eq!(restored(&one.changelog, 1).await, map(&[("c", "1")]));
    assert_eq!(committed(&one.changelog, 0).await, Some(9));
    assert_eq!(committed(&one.changelog, 1).await, Some(5));
    one.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn g2_kafka_refuses_the_transaction_of_a_member_that_was_away_too_long() {
    let app = app();
    // Six seconds are the least that the broker and librdkafka take.
    let with = [
        ("properties", json!({ "max.poll.interval.ms": "6000" })),
        ("session_timeout", json!("6s")),
    ];
    let cluster = cluster(&app, &with).await;
    let log = open(&cluster, &app).await;
    filled(&log).await;
    let mut zombie = Instance::start(&cluster, &log, &app, "zombie");
    zombie.assigned().await;
    let kept = zombie.part(0, &[("a", Some("zombie")), ("z", Some("zombie"))], 40);
    let other = zombie.part(1, &[("a", Some("zombie"))], 40);
    // Its thread is held from the moment on in which it gives partitions back: it notes no loss.
    zombie.owners.holds.store(true, Ordering::Release);
    let mut heir = Instance::start(&cluster, &log, &app, "heir");
    let (_, done) = zombie.revoked().await;
    done.send(()).unwrap();
    let mut theirs = BTreeMap::new();
    while theirs.len() < 2 {
        let more = heir.assigned().await.into_iter();
        theirs.extend(more.map(|of| (of.partition(), of)));
    }
    let part = heir.part(0, &[("a", Some("heir"))], 10);
    heir.changelog.transact(&[part]).await.unwrap();
    let refused = zombie.changelog.transact(&[kept, other]).await.unwrap_err();
    assert!(matches!(refused, NotCommitted::Aborted(_)), "{refused}");
    assert_eq!(committed(&heir.changelog, 0).await, Some(10));
    assert_eq!(committed(&heir.changelog, 1).await, None);
    assert_eq!(restored(&heir.changelog, 0).await, map(&[("a", "heir")]));
    zombie.owners.let_go();
    tokio::join!(zombie.end(), heir.end());
}
