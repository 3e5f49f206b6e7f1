//! A member of a group, and its transactions, when the brokers refuse them. The mock keeps no
//! offsets of transactions; what those come to is looked at in `kafka_real`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use goldwire::changelog::{
    Changelog, ChangelogError, ChangelogOf, KafkaChangelog, NotCommitted, Ownership, Part,
};
use goldwire::log::kafka::{GroupOf, KafkaGroup, KafkaLog};
use goldwire::log::{LogAppender as _, LogError, LogReader, PartitionReader, ReaderEvent};
use goldwire::store::Batch;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Response};

use super::{Cluster, LIMIT, mock, numbered, open_at, reach};

const DEADLINE: Duration = Duration::from_mins(1);

/// The only member of the sink's group.
struct Only {
    group: KafkaGroup,
    ownership: Arc<Ownership>,
    changelog: KafkaChangelog,
    log: KafkaLog,
    partitions: Vec<Arc<dyn PartitionReader>>,
}

impl Only {
    /// With ten records in each partition.
    async fn start(cluster: &Cluster) -> Self {
        let cluster = reach(cluster).await;
        let log = open_at(&cluster).await;
        for partition in [0, 1] {
            log.append(partition, numbered(0..10)).await.unwrap();
        }
        let ownership = Arc::new(Ownership::default());
        let joined = log.join(GroupOf {
            sink: "crm".to_owned(),
            group: "app.crm".to_owned(),
            owners: Arc::<Ownership>::clone(&ownership),
            drain: DEADLINE,
        });
        let mut group = joined.unwrap();
        let changelog = KafkaChangelog::new(ChangelogOf {
            cluster,
            sink: "crm".to_owned(),
            group: "app.crm".to_owned(),
            instance: "only".to_owned(),
            member: Some((Arc::clone(group.member()), Arc::clone(&ownership))),
        });
        let partitions = assigned(&mut group).await;
        Self {
            group,
            ownership,
            changelog: changelog.unwrap(),
            log,
            partitions,
        }
    }

    fn part(&self, position: u64) -> Part {
        let mut changes = Batch::default();
        changes.put(b"key".to_vec(), position.to_be_bytes().to_vec());
        Part {
            partition: self.partitions[0].partition(),
            epoch: self.partitions[0].epoch(),
            changes,
            closed: Vec::new(),
            position: Some(position),
        }
    }
}

async fn next(group: &mut KafkaGroup) -> ReaderEvent {
    let event = tokio::time::timeout(DEADLINE, group.next());
    event.await.expect("an event in time")
}

async fn assigned(group: &mut KafkaGroup) -> Vec<Arc<dyn PartitionReader>> {
    let event = next(group).await;
    let ReaderEvent::Assigned(partitions) = event else {
        panic!("assigned, not {event:?}");
    };
    assert_eq!(partitions.len(), 2);
    partitions
}

async fn first(of: &Arc<dyn PartitionReader>, from: u64) -> u64 {
    let read = tokio::time::timeout(DEADLINE, of.read(from, LIMIT)).await;
    read.expect("a record in time").unwrap()[0].offset
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_what_was_lost_is_told_and_read_no_more_and_has_another_epoch_when_it_comes_again() {
    let cluster = mock();
    let mut only = Only::start(&cluster).await;
    let before = Arc::clone(&only.partitions[0]);
    assert_eq!(first(&before, 4).await, 4);
    let part = only.part(5);
    let unknown = Response::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    cluster.request_errors(RDKafkaApiKey::Heartbeat, &[unknown]);
    let event = next(&mut only.group).await;
    assert!(matches!(event, ReaderEvent::Lost { .. }), "{event:?}");
    assert!(!only.ownership.owns(before.partition(), before.epoch()));
    only.partitions = assigned(&mut only.group).await;
    let at = |it: &&Arc<dyn PartitionReader>| it.partition() == before.partition();
    let after = only.partitions.iter().find(at).unwrap();
    assert_ne!(after.epoch(), before.epoch());
    assert!(
        before.read(4, LIMIT).now_or_never().is_none(),
        "read by the lost one"
    );
    assert_eq!(first(after, 6).await, 6);
    let late = only.changelog.transact(&[part]).await.unwrap_err();
    assert!(matches!(late, NotCommitted::Aborted(_)), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_position_that_was_deleted_is_told_with_what_is_left_and_that_can_be_read() {
    let cluster = mock();
    let only = Only::start(&cluster).await;
    let partition = &only.partitions[0];
    assert_eq!(first(partition, 4).await, 4);
    // What the partition holds is not heard of for a while. The mock deletes beyond 5 MiB.
    let denied = Response::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &[denied; 8]);
    let large = vec![Bytes::from(vec![7; 1024]); 1000];
    for _ in 0..7 {
        let number = partition.partition();
        only.log.append(number, large.clone()).await.unwrap();
    }
    let read = async {
        loop {
            match partition.read(4, LIMIT).await {
                Err(LogError::Io(_)) => {}
                read => return read,
            }
        }
    };
    let read = tokio::time::timeout(DEADLINE, read).await;
    let outside = read.expect("an answer in time").unwrap_err();
    let LogError::OutOfRange { start, end, .. } = outside else {
        panic!("{outside}")
    };
    assert!(start > 4 && end == 7010, "{outside}");
    assert_eq!(first(partition, start).await, start);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_transaction_whose_offsets_are_refused_is_aborted_and_the_next_one_goes_on() {
    let cluster = mock();
    let only = Only::start(&cluster).await;
    let refused = Response::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
    cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &[refused]);
    let aborted = only.changelog.transact(&[only.part(3)]).await.unwrap_err();
    assert!(matches!(aborted, NotCommitted::Aborted(_)), "{aborted}");
    only.changelog.transact(&[only.part(4)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_commit_without_an_answer_is_asked_for_until_it_is_known() {
    let cluster = mock();
    let only = Only::start(&cluster).await;
    let away = Response::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
    cluster.request_errors(RDKafkaApiKey::EndTxn, &[away, away, away]);
    only.changelog.transact(&[only.part(3)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_a_commit_that_a_fence_refuses_is_in_doubt_and_another_producer_goes_on() {
    let cluster = mock();
    let only = Only::start(&cluster).await;
    let fenced = Response::RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
    cluster.request_errors(RDKafkaApiKey::EndTxn, &[fenced]);
    let doubt = only.changelog.transact(&[only.part(3)]).await.unwrap_err();
    assert!(matches!(doubt, NotCommitted::InDoubt(_)), "{doubt}");
    only.changelog.transact(&[only.part(4)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_changelog_that_is_cut_while_it_is_restored_halts_with_the_place_and_the_remedy() {
    let cluster = mock();
    let only = Only::start(&cluster).await;
    let part = only.part(3);
    only.changelog.put(1, part.changes).await.unwrap();
    let gone = Response::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[gone; 20]);
    let read = async {
        loop {
            // A page without records says that none came.
            match only.changelog.read(1, 0, LIMIT).await {
                Ok(page) if page.records.is_empty() => {}
                read => return read,
            }
        }
    };
    let read = tokio::time::timeout(DEADLINE, read).await.unwrap();
    let Err(ChangelogError::Halt(why)) = read else {
        panic!("{read:?}")
    };
    for named in [
        "offset 0 of partition 1",
        "app.crm.changelog",
        "Restore the topic",
    ] {
        assert!(why.contains(named), "{why}");
    }
}
