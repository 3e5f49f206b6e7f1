//! What goes wrong in a group or in a topic, and what the source says of it.

use std::time::Duration;

use goldwire::source::kafka::KafkaSource;
use goldwire::source::{Source as _, SourceEvent};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{
    Cluster, DRAIN, TOPIC, assigned, bodies, cluster, config, connect, connect_by, end, halted,
    is_fenced, next, numbered, open, produce, revoked, store,
};

async fn lost(source: &mut KafkaSource) -> Vec<i32> {
    let event = next(source).await;
    let SourceEvent::Lost { mut partitions } = event else {
        panic!("lost, not {event:?}");
    };
    partitions.sort_unstable();
    partitions
}

fn refuse(cluster: &Cluster, request: RDKafkaApiKey, error: RDKafkaRespErr) {
    cluster.request_errors(request, &[error]);
}

/// The offset expired, or somebody deleted the group, or the topic was made again. With `latest`
/// what was not read yet would be skipped in silence.
#[tokio::test]
async fn g2_a_committed_offset_that_vanished_halts_and_is_not_chosen_again() {
    let store = store();
    let first = cluster(2);
    produce(&first, 0, numbered(0..5));
    let begin = |cluster: &Cluster, start| {
        let config = config(&cluster.bootstrap_servers(), "consumer", "g", start);
        open(&config, &store, DRAIN).unwrap()
    };
    let mut source = begin(&first, Some("earliest"));
    assert_eq!(assigned(&mut source).await, [0, 1]);
    bodies(&mut source, 5).await;
    source.commit(&[(0, 3)]).await.unwrap();
    end(source).await;

    // The same topic, where the group has no offsets.
    let second = cluster(2);
    produce(&second, 0, numbered(0..9));
    for start in [None, Some("earliest"), Some("latest")] {
        let mut source = begin(&second, start);
        let sentence = halted(&mut source).await;
        for part in [
            "`g`",
            TOPIC,
            "partition",
            "none any more",
            "--reset-offsets",
        ] {
            assert!(sentence.contains(part), "{sentence}");
        }
        end(source).await;
    }
}

/// The topic was made again with one partition more, of which nothing is known here.
#[tokio::test]
async fn g2_latest_never_begins_at_the_end_where_the_group_had_offsets() {
    let store = store();
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..5));
    let config = config(
        &cluster.bootstrap_servers(),
        "consumer",
        "g",
        Some("latest"),
    );
    let mut source = open(&config, &store, DRAIN).unwrap();
    assigned(&mut source).await;
    end(source).await;
    // The store knows the group, under another number than the partition that is assigned now.
    let known = store.scan(b"o/", None, 9).unwrap();
    let mut batch = goldwire::store::Batch::default();
    for (key, value) in known {
        let mut other = key.clone();
        *other.last_mut().unwrap() = 7;
        batch.remove(key);
        batch.put(other, value);
    }
    store.commit(batch).unwrap();
    let fresh = super::cluster(1);
    produce(&fresh, 0, numbered(0..5));
    let config = super::config(&fresh.bootstrap_servers(), "consumer", "g", Some("latest"));
    let mut source = open(&config, &store, DRAIN).unwrap();
    assigned(&mut source).await;
    assert_eq!(
        bodies(&mut source, 5).await,
        numbered(0..5).collect::<Vec<_>>()
    );
    end(source).await;
}

#[tokio::test]
async fn g6_a_partition_without_a_leader_does_not_hold_back_the_others() {
    let cluster = cluster(3);
    for partition in 0..3 {
        produce(&cluster, partition, numbered(0..2));
    }
    let mut source = connect(&cluster, "g", Some("earliest"));
    assigned(&mut source).await;
    bodies(&mut source, 6).await;
    end(source).await;
    cluster.partition_leader(TOPIC, 0, None).unwrap();
    let mut source = connect(&cluster, "g", None);
    assert_eq!(assigned(&mut source).await, [0, 1, 2]);
    bodies(&mut source, 4).await;
    cluster.partition_leader(TOPIC, 0, Some(1)).unwrap();
    assert_eq!(bodies(&mut source, 2).await, ["event 0", "event 1"]);
    end(source).await;
}

#[tokio::test]
async fn g2_what_was_lost_is_dropped_without_a_commit_and_read_again() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..10));
    let mut source = connect_by("classic", &cluster, "g", Some("earliest"));
    assigned(&mut source).await;
    bodies(&mut source, 10).await;
    source.commit(&[(0, 4)]).await.unwrap();
    refuse(
        &cluster,
        RDKafkaApiKey::Heartbeat,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
    );
    assert_eq!(lost(&mut source).await, [0]);
    is_fenced(&mut source, 0).await;
    assert_eq!(assigned(&mut source).await, [0]);
    assert_eq!(
        bodies(&mut source, 6).await,
        numbered(4..10).collect::<Vec<_>>()
    );
    end(source).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_drain_that_lasts_too_long_loses_the_partition_and_commits_nothing() {
    let cluster = cluster(2);
    for partition in 0..2 {
        produce(&cluster, partition, numbered(0..10));
    }
    let config = config(
        &cluster.bootstrap_servers(),
        "consumer",
        "g",
        Some("earliest"),
    );
    let drain = Duration::from_millis(500);
    let mut first = open(&config, &store(), drain).unwrap();
    assert_eq!(assigned(&mut first).await, [0, 1]);
    bodies(&mut first, 20).await;
    let mut second = open(&config, &store(), DRAIN).unwrap();
    // No one answers that it is drained.
    let (_, unanswered) = revoked(&mut first).await;
    let gone = lost(&mut first).await;
    is_fenced(&mut first, gone[0]).await;
    assert_eq!(assigned(&mut second).await, gone);
    assert_eq!(
        bodies(&mut second, 10).await,
        numbered(0..10).collect::<Vec<_>>()
    );
    drop(unanswered);
    tokio::join!(end(first), end(second));
}

#[tokio::test]
async fn a_position_that_left_the_topic_while_it_was_read_halts_and_is_not_reset() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..2));
    let mut source = connect(&cluster, "g", Some("earliest"));
    assigned(&mut source).await;
    bodies(&mut source, 2).await;
    // It stays out of range: an answer that comes while librdkafka begins again is dropped.
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[error; 20]);
    let sentence = halted(&mut source).await;
    for part in [TOPIC, "partition 0", "not in the topic any more", "`g`"] {
        assert!(sentence.contains(part), "{sentence}");
    }
    end(source).await;
}

#[tokio::test]
async fn a_client_that_is_fenced_again_and_again_halts_and_names_what_may_be_in_its_way() {
    let cluster = cluster(1);
    let mut of = config(
        &cluster.bootstrap_servers(),
        "classic",
        "g",
        Some("earliest"),
    );
    of.instance = Some("one".to_owned());
    let mut source = open(&of, &store(), DRAIN).unwrap();
    let mut fences = 0;
    let sentence = loop {
        match next(&mut source).await {
            SourceEvent::Halted(sentence) => break sentence,
            SourceEvent::Revoked { .. } | SourceEvent::Lost { .. } => {}
            SourceEvent::Assigned { .. } => {
                fences += 1;
                refuse(
                    &cluster,
                    RDKafkaApiKey::Heartbeat,
                    RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
                );
            }
            event @ SourceEvent::Batch(_) => panic!("halted, not {event:?}"),
        }
    };
    assert_eq!(fences, 3);
    assert!(sentence.contains("`instance`"), "{sentence}");
    end(source).await;
}
