//! A static member that ends while partitions move, and comes back: the brokers ask no one to take what
//! it had given up.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use goldwire::log::ReaderEvent;
use goldwire::source::kafka::KafkaSource;
use goldwire::source::{Room, Source as _, SourceEvent};
use serde_json::json;
use tokio::sync::oneshot;

use super::group::Instance;
use super::log::{app, cluster, open};
use super::source::{connect, topic};

/// All of them have a member again within this.
const DEADLINE: Duration = Duration::from_mins(1);
const ROOM: Room = Room {
    records: 1,
    bytes: 1,
};

/// What happened to partitions of a member.
enum Change {
    Came(Vec<i32>),
    Goes(Vec<i32>, Option<oneshot::Sender<()>>),
    Other,
}

#[async_trait]
trait Member: Sized {
    async fn change(&mut self) -> Change;
    async fn end(self);
}

#[async_trait]
impl Member for KafkaSource {
    async fn change(&mut self) -> Change {
        match self.next(ROOM).await {
            SourceEvent::Assigned { partitions } => Change::Came(partitions),
            SourceEvent::Revoked { partitions, done } => Change::Goes(partitions, Some(done)),
            SourceEvent::Lost { partitions } => Change::Goes(partitions, None),
            SourceEvent::Batch(_) | SourceEvent::Halted(_) => Change::Other,
        }
    }

    async fn end(self) {
        tokio::task::spawn_blocking(|| drop(self)).await.unwrap();
    }
}

#[async_trait]
impl Member for Instance {
    async fn change(&mut self) -> Change {
        let numbers = |of: Vec<u16>| of.into_iter().map(i32::from).collect();
        match self.next().await {
            ReaderEvent::Assigned(readers) => {
                Change::Came(readers.iter().map(|of| i32::from(of.partition())).collect())
            }
            ReaderEvent::Revoked { partitions, done } => {
                Change::Goes(numbers(partitions), Some(done))
            }
            ReaderEvent::Lost { partitions } => Change::Goes(numbers(partitions), None),
            ReaderEvent::Halted(_) => Change::Other,
        }
    }

    async fn end(self) {
        Self::end(self).await;
    }
}

/// A member, and what it has.
struct Seat<M> {
    member: M,
    has: BTreeSet<i32>,
}

impl<M: Member> Seat<M> {
    fn of(member: M) -> Self {
        let has = BTreeSet::new();
        Self { member, has }
    }

    async fn change(&mut self) {
        match self.member.change().await {
            Change::Came(partitions) => self.has.extend(partitions),
            Change::Goes(partitions, done) => {
                self.has.retain(|of| !partitions.contains(of));
                // No one hears it who ended meanwhile.
                done.map(|done| done.send(()).ok());
            }
            Change::Other => {}
        }
    }
}

/// The first of two members ends while one of its partitions moves to the second, and comes back.
async fn ends_while_partitions_move<M: Member>(member: impl Fn(&str) -> M) {
    let mut first = Seat::of(member("one"));
    while first.has.len() < 2 {
        first.change().await;
    }
    let mut second = Seat::of(member("two"));
    let moving = loop {
        if let Change::Goes(partitions, Some(_)) = first.member.change().await {
            break partitions;
        }
    };
    // Before it has answered.
    first.member.end().await;
    let mut first = Seat::of(member("one"));
    let divided = async {
        while first.has.len() + second.has.len() < 2 {
            tokio::select! {
                () = first.change() => {}
                () = second.change() => {}
            }
        }
    };
    let divided = tokio::time::timeout(DEADLINE, divided).await;
    assert!(
        divided.is_ok(),
        "{moving:?} moved; the first has {:?}, the second {:?}",
        first.has,
        second.has
    );
    first.member.end().await;
    second.member.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_no_partition_of_a_source_stays_without_a_member() {
    let topic = topic("vacancy").await;
    ends_while_partitions_move(|name| connect(&topic, &json!({ "instance": name }))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_no_partition_of_the_log_stays_without_a_member() {
    let app = app();
    let one = cluster(&app, &[("instance", json!("one"))]).await;
    let log = open(&one, &app).await;
    let two = cluster(&app, &[("instance", json!("two"))]).await;
    let other = open(&two, &app).await;
    ends_while_partitions_move(|name| match name {
        "one" => Instance::start(&one, &log, &app, name),
        _ => Instance::start(&two, &other, &app, name),
    })
    .await;
}
