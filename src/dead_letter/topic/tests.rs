use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::store::{MemoryStore, Store, Tallied};
use crate::time::TokioClock;

const START: i64 = 1_800_000_000_000;

/// An instance: its own store, and the topic of all.
struct Instance {
    store: Arc<dyn Store>,
    letters: TopicLetters,
}

fn store() -> Arc<dyn Store> {
    Arc::new(Tallied::over(MemoryStore::default(), keys::DEAD_LETTERS).unwrap())
}

fn instance(topic: &Arc<MemoryTopic>, store: Arc<dyn Store>, clock: &SharedClock) -> Instance {
    let topic: Arc<dyn LetterTopic> = Arc::<MemoryTopic>::clone(topic);
    let letters = TopicLetters::start(topic, Arc::clone(&store), Arc::clone(clock));
    Instance { store, letters }
}

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(START))
}

fn letter(id: &str) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        sink: "crm".to_owned(),
        subject: "entities/1".to_owned(),
        reason: "rejected".to_owned(),
        original: b"a golden record".as_slice().into(),
        ..DeadLetter::default()
    }
}

fn name(id: &str) -> LetterName {
    LetterName::of(&letter(id))
}

impl Instance {
    async fn depth(&self) -> u64 {
        self.letters.catch_up().await.unwrap();
        self.letters.depth().await.unwrap().values().sum()
    }
}

#[tokio::test(start_paused = true)]
async fn g2_a_letter_put_by_one_instance_is_whole_at_another_and_closed_by_any() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(3)), clock());
    let one = instance(&topic, store(), &clock);
    let two = instance(&topic, store(), &clock);
    let letters: Vec<_> = (0..250).map(|of| letter(&format!("{of:03}"))).collect();
    one.letters.put(&letters).await.unwrap();
    assert_eq!((one.depth().await, two.depth().await), (250, 250));
    let found = two.letters.show(&name("007")).await.unwrap().unwrap();
    assert_eq!(found.original, letters[7].original);
    let page = two
        .letters
        .page(&Filter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.letters.len(), 10);
    assert!(page.letters[0].original.is_empty(), "G8: heads alone");

    two.letters
        .close(&[name("007"), name("008")])
        .await
        .unwrap();
    assert_eq!(two.letters.show(&name("007")).await.unwrap(), None);
    assert_eq!((one.depth().await, two.depth().await), (248, 248));
    // Closed already: stays closed.
    one.letters.close(&[name("007")]).await.unwrap();
    assert_eq!(one.depth().await, 248);
}

#[tokio::test(start_paused = true)]
async fn g1_g2_while_no_broker_answers_nothing_counts_as_put_or_closed() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(1)), clock());
    let one = instance(&topic, store(), &clock);
    one.letters.put(&[letter("a")]).await.unwrap();
    assert_eq!(one.depth().await, 1);
    topic.away(true);
    assert!(one.letters.put(&[letter("b")]).await.is_err());
    assert!(one.letters.close(&[name("a")]).await.is_err());
    // What is known is shown all the same.
    assert_eq!(one.letters.depth().await.unwrap()["crm"], 1);
    topic.away(false);
    one.letters.close(&[name("a")]).await.unwrap();
    assert_eq!(one.depth().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_reads_on_where_the_store_stands() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(2)), clock());
    let one = instance(&topic, store(), &clock);
    one.letters.put(&[letter("a"), letter("b")]).await.unwrap();
    assert_eq!(one.depth().await, 2);
    let kept = Arc::clone(&one.store);
    drop(one);
    let other = instance(&topic, store(), &clock);
    other.letters.close(&[name("a")]).await.unwrap();
    other.letters.put(&[letter("c")]).await.unwrap();
    let again = instance(&topic, kept, &clock);
    assert_eq!(again.depth().await, 2);
    assert!(again.letters.show(&name("a")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_away_too_long_forgets_what_was_closed_and_compacted_meanwhile() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(1)), clock());
    let one = instance(&topic, store(), &clock);
    one.letters.put(&[letter("a"), letter("b")]).await.unwrap();
    assert_eq!(one.depth().await, 2);
    let kept = Arc::clone(&one.store);
    drop(one);
    let other = instance(&topic, store(), &clock);
    other.letters.close(&[name("a")]).await.unwrap();
    topic.compact();
    tokio::time::sleep(Duration::from_hours(13)).await;
    let again = instance(&topic, kept, &clock);
    assert_eq!(again.depth().await, 1);
    assert!(again.letters.show(&name("a")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_no_broker_answered_for_too_long_begins_again() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(1)), clock());
    let one = instance(&topic, store(), &clock);
    one.letters.put(&[letter("a"), letter("b")]).await.unwrap();
    assert_eq!(one.depth().await, 2);
    topic.away(true);
    tokio::time::sleep(Duration::from_hours(13)).await;
    topic.away(false);
    // Closed by somebody else, and compacted, before it could be read here.
    let tombstone = TopicRecord {
        key: name("a").key().into(),
        value: None,
    };
    topic.put(vec![tombstone]).await.unwrap();
    topic.compact();
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(one.depth().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_topic_ages_no_store() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(1)), clock());
    let one = instance(&topic, store(), &clock);
    one.letters.put(&[letter("a")]).await.unwrap();
    tokio::time::sleep(Duration::from_hours(20)).await;
    let (identity, _) = topic.ranges().await.unwrap();
    let points::Known::This(points) = points::read(one.store.as_ref(), &identity).unwrap() else {
        panic!("the store stands in the topic");
    };
    assert!(clock.now() - points[0].whole <= 2 * 60 * 1000);
}

#[tokio::test(start_paused = true)]
async fn g2_a_topic_that_was_made_again_gets_the_letters_that_instances_know() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(2)), clock());
    let one = instance(&topic, store(), &clock);
    let letters: Vec<_> = (0..2500).map(|of| letter(&format!("{of:04}"))).collect();
    one.letters.put(&letters).await.unwrap();
    assert_eq!(one.depth().await, 2500);
    topic.make_again(2);
    tokio::time::sleep(Duration::from_mins(2)).await;
    let new = instance(&topic, store(), &clock);
    assert_eq!((one.depth().await, new.depth().await), (2500, 2500));
    let found = new.letters.show(&name("0007")).await.unwrap().unwrap();
    assert_eq!(found.original, letters[7].original);
}

#[tokio::test(start_paused = true)]
async fn g2_letters_from_before_kafka_are_put_into_the_topic() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(2)), clock());
    let before = store();
    let embedded = StoredLetters::new(Arc::clone(&before));
    embedded.put(&[letter("a"), letter("b")]).await.unwrap();
    let one = instance(&topic, before, &clock);
    let two = instance(&topic, store(), &clock);
    assert_eq!(one.depth().await, 2);
    assert_eq!(two.depth().await, 2);
}

#[tokio::test(start_paused = true)]
async fn another_count_of_partitions_is_not_read_and_what_is_known_stays() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(2)), clock());
    let one = instance(&topic, store(), &clock);
    one.letters.put(&[letter("a")]).await.unwrap();
    assert_eq!(one.depth().await, 1);
    topic.make_again(3);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(one.letters.depth().await.unwrap()["crm"], 1);
    let (_, ranges) = topic.ranges().await.unwrap();
    assert!(ranges.iter().all(|range| range.end == 0), "{ranges:?}");
}

#[tokio::test(start_paused = true)]
async fn what_this_version_cannot_read_is_listed_and_what_is_no_letter_changes_nothing() {
    let (topic, clock) = (Arc::new(MemoryTopic::new(1)), clock());
    let one = instance(&topic, store(), &clock);
    let foreign = TopicRecord {
        key: Bytes::from_static(b"h/crm"),
        value: Some(Bytes::from_static(b"9")),
    };
    let newer = TopicRecord {
        key: name("a").key().into(),
        value: Some(Bytes::from_static(b"\xff\xff")),
    };
    topic.put(vec![foreign, newer]).await.unwrap();
    assert_eq!(one.depth().await, 1);
    let page = one
        .letters
        .page(&Filter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(page.letters[0].reason, crate::dead_letter::UNREADABLE);
    assert_eq!(one.store.get(b"h/crm").unwrap(), None);
    one.letters.close(&[name("a")]).await.unwrap();
    assert_eq!(one.depth().await, 0);
}
