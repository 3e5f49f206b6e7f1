//! Reading the topic into the store, for as long as the instance runs.
//!
//! Guarantee: the store holds every letter that is open in what was read, and none that was closed
//! in it. Guarantee (G2): letters are never lost to a topic that was made again or cut: what this
//! instance knew is put into it once more. A letter that was closed may be open again by that,
//! which the fence makes harmless.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::points::{self, Known, Point};
use super::{LetterTopic, TopicError, TopicPage, TopicRecord};
use crate::backoff::Backoff;
use crate::dead_letter::{DeadLetter, LetterName, stored};
use crate::log::LogIdentity;
use crate::store::{Batch, Store, StoreError, keys, store_patiently};
use crate::time::{Millis, SharedClock, as_millis};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A store that was without the topic for longer reads it from the beginning: tombstones that it
/// missed may be gone. They stay for a day (`delete.retention.ms`).
const FRESH: Duration = Duration::from_hours(12);
/// How often the brokers are asked whether the store has all that there is.
const LOOK: Duration = Duration::from_mins(1);
/// Keys in one go.
const SOME: usize = 1000;
/// Bytes of letters put in one go, but for the last one.
const AT_ONCE: usize = 1 << 20;

/// What reads the topic.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) topic: Arc<dyn LetterTopic>,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: SharedClock,
    pub(super) applied: watch::Sender<Vec<u64>>,
}

/// Why it has to begin again.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Topic(#[from] TopicError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Halt(String),
    #[error("the store was without the topic for too long")]
    Stale,
}

impl Tail {
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, "dead letters");
        let mut told: Option<String> = None;
        loop {
            let mut read = false;
            let Err(broken) = self.follow(&mut read).await;
            if read {
                backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, "dead letters");
            }
            let why = broken.to_string();
            if read || told.as_ref() != Some(&why) {
                tracing::warn!("the topic of dead letters is not read: {why}; will be tried again");
                told = Some(why);
            }
            backoff.wait().await;
        }
    }

    /// Reads on and on; `read` tells whether anything was.
    async fn follow(&self, read: &mut bool) -> Result<std::convert::Infallible, Broken> {
        let (identity, mut points) = self.begin().await?;
        self.tell(&points);
        let mut looked = Instant::now();
        loop {
            let next: Vec<u64> = points.iter().map(|point| point.next).collect();
            let pages = self.topic.read(&next).await?;
            *read = true;
            let mut moved = false;
            for TopicPage {
                partition, next, ..
            } in &pages
            {
                if let Some(point) = points.get_mut(usize::from(*partition))
                    && point.next < *next
                {
                    point.next = *next;
                    moved = true;
                }
            }
            let look = looked.elapsed() >= LOOK;
            if look {
                looked = Instant::now();
                self.look(&identity, &mut points).await?;
            }
            if look || moved {
                self.apply(&identity, pages, &points).await?;
                self.tell(&points);
            }
        }
    }

    /// Whoever waits for it may be gone.
    fn tell(&self, points: &[Point]) {
        let next = points.iter().map(|point| point.next).collect();
        self.applied.send_replace(next);
    }

    /// Asks the brokers whether the store has all that there is. Silence is no answer: one that is
    /// away tells of no tombstone.
    async fn look(&self, identity: &LogIdentity, points: &mut [Point]) -> Result<(), Broken> {
        let now = self.clock.now();
        if points.iter().any(|point| is_stale(point, now)) {
            return Err(Broken::Stale);
        }
        let (found, ranges) = self.topic.ranges().await?;
        if found != *identity || !points::are_in(points, &ranges) {
            let why = "the topic is not the one that was read";
            return Err(TopicError::OutOfRange(why.to_owned()).into());
        }
        for (point, range) in points.iter_mut().zip(&ranges) {
            if point.next >= range.end {
                point.whole = now;
            }
        }
        Ok(())
    }

    /// Where to read on, after what has to be done before.
    async fn begin(&self) -> Result<(LogIdentity, Vec<Point>), Broken> {
        let now = self.clock.now();
        let (identity, ranges) = self.topic.ranges().await?;
        let of = identity.clone();
        let known = store_patiently(&self.store, move |store| points::read(store, &of)).await?;
        let lost = match known {
            Known::This(points) if points.iter().any(|point| is_stale(point, now)) => {
                self.wipe().await?;
                None
            }
            Known::This(points) if points::are_in(&points, &ranges) => {
                return Ok((identity, points));
            }
            Known::This(_) => Some("was made again, or lost records".to_owned()),
            Known::Other(other) if is_recut(&other, &identity) => {
                return Err(recut(&other, &identity));
            }
            Known::Other(other) => Some(format!("is not {other}, which was read before")),
            Known::None => Some("is new to this instance".to_owned()),
        };
        if let Some(why) = lost {
            let letters = self.put_again().await?;
            if letters > 0 {
                let topic = &identity.id;
                tracing::warn!(
                    letters,
                    "the topic of dead letters {topic} {why}: the letters that this instance knew \
                     were put into it; discard those that were closed since"
                );
            }
        }
        let points = points::beginning(&ranges, now);
        self.apply(&identity, Vec::new(), &points).await?;
        Ok((identity, points))
    }

    /// Removes all letters. Where the store stands is written later: a crash before that begins
    /// here again.
    async fn wipe(&self) -> Result<(), StoreError> {
        for prefix in [keys::DEAD_LETTERS, keys::DEAD_LETTER_RECORDS] {
            loop {
                let removed = store_patiently(&self.store, move |store| {
                    let found = store.scan_keys(prefix, None, SOME)?;
                    let mut batch = Batch::default();
                    let count = found.len();
                    for key in found {
                        batch.remove(key);
                    }
                    store.commit(batch)?;
                    Ok(count)
                });
                if removed.await? < SOME {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Puts the letters of the store into the topic, and tells how many.
    async fn put_again(&self) -> Result<usize, Broken> {
        let (mut after, mut all) = (None::<Vec<u8>>, 0);
        loop {
            let from = after.clone();
            let some = store_patiently(&self.store, move |store| letters(store, from.as_deref()));
            let (records, last) = some.await?;
            all += records.len();
            if !records.is_empty() {
                self.topic.put(records).await?;
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(all),
            }
        }
    }

    /// Puts what was read into the store, with where it stands.
    async fn apply(
        &self,
        identity: &LogIdentity,
        pages: Vec<TopicPage>,
        points: &[Point],
    ) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for record in pages.into_iter().flat_map(|page| page.records) {
            change(&mut batch, &record);
        }
        points::put(&mut batch, identity, points);
        store_patiently(&self.store, move |store| store.commit(batch.clone())).await
    }
}

fn is_stale(point: &Point, now: Millis) -> bool {
    point.whole < now - as_millis(FRESH)
}

/// Whether it is the same topic with another count of partitions.
fn is_recut(other: &str, topic: &LogIdentity) -> bool {
    let id = other.rsplit_once('/').map(|(id, _)| id);
    id == Some(topic.id.as_str())
}

fn recut(other: &str, topic: &LogIdentity) -> Broken {
    let now = points::named(topic);
    Broken::Halt(format!(
        "the topic was {other} and is {now} now (name/partitions): a letter would be closed in \
         another partition than it stands in. Stop all instances, delete the topic, and start them: \
         it is made again, and the letters that they know are put into it"
    ))
}

/// Some letters of the store after the key `after`, whole, and where to go on. Blocks on the disk.
fn letters(
    store: &dyn Store,
    after: Option<&[u8]>,
) -> Result<(Vec<TopicRecord>, Option<Vec<u8>>), StoreError> {
    let found = store.scan_keys(keys::DEAD_LETTERS, after, SOME)?;
    let mut more = found.len() == SOME;
    let (mut records, mut bytes, mut last) = (Vec::new(), 0, None);
    for key in found {
        if bytes >= AT_ONCE {
            more = true;
            break;
        }
        if let Some(value) = value(store, &key)? {
            bytes += value.len();
            records.push(TopicRecord {
                key: key.clone().into(),
                value: Some(value.into()),
            });
        }
        last = Some(key);
    }
    Ok((records, last.filter(|_| more)))
}

/// The letter at `key` as the topic has it; one that this version cannot read, as it is.
fn value(store: &dyn Store, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(head) = store.get(key)? else {
        return Ok(None);
    };
    if DeadLetter::decode(head.as_slice()).is_err() {
        return Ok(Some(head));
    }
    let letter = stored::get(store, key)?;
    Ok(letter.map(|letter| letter.encode_to_vec()))
}

/// What one record changes in the store. One that is no letter of this version is kept as it is, so
/// that it is seen; one that is no letter at all changes nothing.
fn change(batch: &mut Batch, TopicRecord { key, value }: &TopicRecord) {
    let Some(name) = key.strip_prefix(keys::DEAD_LETTERS) else {
        return;
    };
    let apart = [keys::DEAD_LETTER_RECORDS, name].concat();
    let Some(value) = value else {
        batch.remove(key.to_vec());
        batch.remove(apart);
        return;
    };
    match DeadLetter::decode(value.clone()) {
        Ok(letter) if LetterName::of(&letter).key() == *key => stored::put(batch, &letter),
        Ok(_) | Err(_) => {
            batch.put(key.to_vec(), value.to_vec());
            batch.remove(apart);
        }
    }
}
