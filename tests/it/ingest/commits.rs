//! A commit that lasts stops nothing: neither reading, nor a revocation, nor a stop.

use std::sync::Arc;
use std::time::Duration;

use goldwire::source::SourceEvent;
use tokio::sync::oneshot;

use super::rig::{DRAIN, Rig, event};

#[tokio::test(start_paused = true)]
async fn while_a_coordinator_does_not_answer_records_are_read_and_appended() {
    let rig = Rig::new();
    rig.commits.send_replace(false);
    for offset in 0..100 {
        rig.send(0, offset, vec![event(1, 1)]);
        rig.pass(200).await;
    }
    assert_eq!(rig.log.records(), 100);
    assert_eq!(rig.status.borrow().done, 100);
    assert!(rig.status.borrow().beats > 150, "it shows that it is alive");
    assert_eq!(rig.taken.of(0), None);
    rig.commits.send_replace(true);
    rig.pass(300).await;
    assert_eq!(rig.taken.of(0), Some(100));
}

#[tokio::test(start_paused = true)]
async fn while_a_coordinator_does_not_answer_a_stop_is_heard() {
    let rig = Rig::new();
    rig.commits.send_replace(false);
    rig.send(0, 0, vec![event(1, 1)]);
    rig.pass(1000).await;
    let took = rig.stop().await;
    assert!(took <= DRAIN + Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn g2_a_revoked_partition_is_given_back_after_its_last_commit_while_others_are_read() {
    let rig = Rig::new();
    rig.commits.send_replace(false);
    rig.send(0, 0, vec![event(1, 1)]);
    rig.pass(1000).await;
    // Behind the commit under way, which is not the last one of the partition.
    rig.send(0, 1, vec![event(1, 2)]);
    rig.pass(10).await;
    let (done, mut answer) = oneshot::channel();
    let partitions = vec![0];
    rig.tell(SourceEvent::Revoked { partitions, done });
    rig.send(1, 0, vec![event(2, 1)]);
    rig.pass(1000).await;
    assert_eq!(rig.log.records(), 3, "another partition is read meanwhile");
    assert!(answer.try_recv().is_err(), "its position is not committed");
    rig.commits.send_replace(true);
    answer.await.unwrap();
    assert_eq!(rig.taken.of(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn g1_a_revoked_partition_waits_for_what_is_not_durable() {
    let rig = Rig::new();
    rig.log.opens.send_replace(false);
    rig.send(0, 0, vec![event(1, 1), event(2, 1)]);
    rig.pass(1000).await;
    let (done, mut answer) = oneshot::channel();
    let partitions = vec![0];
    rig.tell(SourceEvent::Revoked { partitions, done });
    rig.pass(1000).await;
    assert!(answer.try_recv().is_err());
    assert_eq!(rig.taken.of(0), None);
    rig.log.opens.send_replace(true);
    answer.await.unwrap();
    assert_eq!(rig.taken.of(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn g2_nothing_of_a_lost_partition_is_committed() {
    let rig = Rig::new();
    rig.log.opens.send_replace(false);
    rig.send(0, 0, vec![event(1, 1)]);
    rig.pass(100).await;
    let (done, answer) = oneshot::channel();
    let partitions = vec![0];
    rig.tell(SourceEvent::Revoked { partitions, done });
    rig.pass(100).await;
    let partitions = vec![0];
    rig.tell(SourceEvent::Lost { partitions });
    rig.pass(100).await;
    assert!(answer.await.is_err(), "nobody waits for it any more");
    rig.log.opens.send_replace(true);
    rig.pass(1000).await;
    assert_eq!((rig.log.records(), rig.taken.of(0)), (1, None));
}

#[tokio::test(start_paused = true)]
async fn g2_what_holds_no_records_is_passed_once_all_before_it_is_durable() {
    let rig = Rig::new();
    rig.log.opens.send_replace(false);
    rig.send(0, 0, vec![event(1, 1)]);
    // A marker behind the record, and markers alone in the other partition.
    rig.reach(0, 2);
    rig.reach(1, 6);
    rig.pass(1000).await;
    assert_eq!(rig.taken.of(0), None);
    assert_eq!(rig.taken.of(1), Some(6));
    rig.log.opens.send_replace(true);
    rig.pass(1000).await;
    assert_eq!(rig.taken.of(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_stop_commits_what_became_durable_last() {
    let rig = Rig::new();
    rig.log.opens.send_replace(false);
    rig.send(0, 0, vec![event(1, 1)]);
    rig.pass(100).await;
    let (log, taken) = (Arc::clone(&rig.log), Arc::clone(&rig.taken));
    let stopped = tokio::spawn(rig.stop());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(taken.of(0), None);
    log.opens.send_replace(true);
    assert!(stopped.await.unwrap() < DRAIN);
    assert_eq!(taken.of(0), Some(1));
}
