//! Bringing the store of this process up to what was committed anywhere.
//!
//! Guarantee (G4): everything that was committed before the marker was put is in the store when it
//! was read back. A store that knows a partition only from long ago is emptied of it first: the
//! tombstones that it missed may have been compacted away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message as _;
use tokio::time::Instant;

use super::checkpoint::{ChangelogCheckpoint, Point};
use super::{ChangelogError, Page};
use crate::backoff::Backoff;
use crate::engine::checkpoint::{Opened, StoreCheckpoint, TakeoverError};
use crate::log::ReadLimit;
use crate::store::{Batch, Cursor, StoreError, keys, store_patiently};
use crate::time::as_millis;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// What is read of a changelog in one go.
const READ: ReadLimit = ReadLimit {
    records: 20_000,
    bytes: 4 << 20,
};
/// A store that is older is restored from the beginning. Tombstones stay for a day
/// (`delete.retention.ms` of the changelog).
const FRESH: Duration = Duration::from_hours(12);
/// A restore that takes long says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// So many reads in a row that find nothing, of half a second each, and an open transaction may be
/// why.
const STALLED: u32 = 2;
/// So often the group's offset is asked for without an answer, of a second each, before the marker of the
/// transaction that committed it is taken for lost.
const UNSTABLE: u32 = 3;
/// Keys removed in one go.
const WIPE: usize = 10_000;

/// Asks until there is an answer, a person has to act, or the partition is gone.
async fn asked<T, F: Future<Output = Result<T, ChangelogError>>>(
    of: &ChangelogCheckpoint,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> Result<T, TakeoverError> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, &of.local.group);
    let mut told = false;
    loop {
        if let Some(why) = of.fenced() {
            return Err(TakeoverError::Fenced(why));
        }
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(ChangelogError::Halt(why)) => return Err(TakeoverError::Halted(why)),
            Err(ChangelogError::Retry(why)) => {
                if !std::mem::replace(&mut told, true) {
                    let (sink, partition) = (&of.local.sink, of.local.partition);
                    tracing::warn!(sink, partition, "{what}: {why}; will be tried again");
                }
            }
        }
        backoff.wait().await;
    }
}

/// The group's stable offset.
pub(super) async fn committed(of: &ChangelogCheckpoint) -> Result<Option<u64>, TakeoverError> {
    let changelog = of.transactor.changelog();
    let partition = of.local.partition;
    let mut asks = 0_u32;
    asked(of, "the group's offset is not known", || {
        asks += 1;
        let often = asks > UNSTABLE;
        async move {
            let told = changelog.committed(partition).await;
            if matches!(told, Err(ChangelogError::Retry(_))) {
                end_open(of).await;
                if often && of.marked.load(Ordering::Relaxed) {
                    commit_again(of).await;
                }
            }
            told
        }
    })
    .await
}

/// Commits the restored position once more, after a marker was lost: it was committed with what was
/// restored, and only another transaction of the same producer makes the offset known. Nothing that is
/// in doubt can follow: a producer has one transaction at a time.
async fn commit_again(of: &ChangelogCheckpoint) {
    let (sink, partition) = (of.local.sink.as_str(), of.local.partition);
    let key = keys::cursor(&of.local.group, of.local.partition);
    let found = store_patiently(&of.local.store, move |store| store.get(&key)).await;
    let cursor = found.ok().flatten();
    let cursor = cursor.and_then(|cursor| Cursor::decode(cursor.as_slice()).ok());
    let Some(cursor) = cursor else { return };
    let part = of.part(Batch::default(), Some(cursor.position));
    match of.transactor.commit(part, of.epoch).await {
        Ok(()) => {
            let position = cursor.position;
            tracing::warn!(
                sink,
                partition,
                position,
                "the group's offset was not known: the position restored from the changelog was \
                 committed again"
            );
        }
        Err(error) => {
            tracing::debug!(
                sink,
                partition,
                "the restored position was not committed: {error}"
            );
        }
    }
}

/// Ends a transaction of an instance that had the partition before, if one is open: nothing behind it
/// can be read. If that fails it is tried again, or the brokers end it.
async fn end_open(of: &ChangelogCheckpoint) {
    let changelog = of.transactor.changelog();
    let (sink, partition) = (of.local.sink.as_str(), of.local.partition);
    let known = known(of).await.ok().flatten();
    let from = known.filter(|point| point.is_of(changelog.identity()));
    let from = from.map_or(0, |point| point.next());
    match changelog.end_open(partition, from).await {
        Ok(true) => of.marked.store(true, Ordering::Relaxed),
        Ok(false) => {}
        Err(why) => tracing::debug!(sink, partition, "no open transaction was ended: {why}"),
    }
}

/// How far the store has the partition.
async fn known(of: &ChangelogCheckpoint) -> Result<Option<Point>, StoreError> {
    let key = keys::changelog_point(&of.local.sink, of.local.partition);
    let found = store_patiently(&of.local.store, move |store| store.get(&key)).await?;
    Ok(found.as_deref().and_then(Point::read))
}

/// Restores until a marker of this takeover is read back.
pub(super) async fn restore(of: &ChangelogCheckpoint) -> Result<(), TakeoverError> {
    let changelog = of.transactor.changelog();
    let (sink, partition) = (of.local.sink.as_str(), of.local.partition);
    let mut marker = Batch::default();
    marker.put(keys::TAKEOVER.to_vec(), changelog.instance().into());
    let marker = asked(of, "the changelog takes no marker", || {
        changelog.put(partition, marker.clone())
    })
    .await?;
    let mut next = begin(of, marker).await?;
    let (began, first) = (Instant::now(), next);
    let (mut told, mut records, mut empty) = (began, 0_u64, 0_u32);
    while next <= marker {
        let page: Page = asked(of, "the changelog cannot be read", || {
            changelog.read(partition, next, READ)
        })
        .await?;
        empty = if page.next > next { 0 } else { empty + 1 };
        if empty == STALLED {
            end_open(of).await;
            empty = 0;
        }
        records += u64::try_from(page.records.len()).unwrap_or_default();
        next = page.next.max(next);
        apply(of, page, next).await?;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let left = marker.saturating_sub(next);
            tracing::info!(
                sink,
                partition,
                records,
                left,
                "restoring from the changelog"
            );
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    tracing::info!(
        sink,
        partition,
        from = first,
        records,
        seconds,
        "restored from the changelog"
    );
    Ok(())
}

/// Where the store is to be restored from; emptied of the partition if that is the beginning.
async fn begin(of: &ChangelogCheckpoint, marker: u64) -> Result<u64, TakeoverError> {
    let changelog = of.transactor.changelog();
    let (sink, partition) = (of.local.sink.as_str(), of.local.partition);
    let range = asked(of, "the changelog's ends are not known", || {
        changelog.range(partition)
    })
    .await?;
    // A transaction of another that is open holds back the end that brokers tell.
    let end = range.end.max(marker + 1);
    let known = known(of).await?;
    let oldest = of.transactor.point(0).time() - as_millis(FRESH);
    let usable = |point: &Point| {
        point.is_of(changelog.identity()) && point.time() >= oldest && point.next() >= range.start
    };
    match known.filter(usable) {
        Some(point) if point.next() <= end => return Ok(point.next()),
        Some(point) => {
            return Err(TakeoverError::Halted(format!(
                "the changelog {} of sink {sink} ends at {} in partition {partition}, but this \
                 instance has it up to {}: it was truncated or made again. Restore the topic; or \
                 stop all instances, delete the sink's changelog and group, empty every data_dir, \
                 and start, which delivers what the event log holds once more",
                changelog.identity().id,
                end,
                point.next(),
            )));
        }
        None => {}
    }
    wipe(of).await?;
    Ok(range.start)
}

/// Removes what the store has of the partition.
async fn wipe(of: &ChangelogCheckpoint) -> Result<(), StoreError> {
    let local = &of.local;
    let point = keys::changelog_point(&local.sink, local.partition);
    for prefix in keys::of_task(&local.sink, &local.group, local.partition) {
        loop {
            let (prefix, point) = (prefix.clone(), point.clone());
            let removed = store_patiently(&local.store, move |store| {
                let found = store.scan_keys(&prefix, None, WIPE)?;
                let mut batch = Batch::default();
                batch.remove(point.clone());
                let count = found.len();
                for key in found {
                    batch.remove(key);
                }
                store.commit(batch)?;
                Ok(count)
            });
            if removed.await? < WIPE {
                break;
            }
        }
    }
    Ok(())
}

/// Puts a page into the store, with how far it goes.
async fn apply(of: &ChangelogCheckpoint, page: Page, next: u64) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    for record in page.records {
        if record.key.as_ref() == keys::TAKEOVER {
            continue;
        }
        match record.value {
            Some(value) => batch.put(record.key.to_vec(), value.to_vec()),
            None => batch.remove(record.key.to_vec()),
        }
    }
    let point = of.transactor.point(next);
    point.put(&mut batch, &of.local.sink, of.local.partition);
    store_patiently(&of.local.store, move |store| store.commit(batch.clone())).await
}

/// Where reading begins: where the group's offset and the restored cursor agree, or where a person
/// set the group back to.
pub(super) fn begin_at(
    opened: &mut Opened,
    committed: Option<u64>,
    of: &StoreCheckpoint,
) -> Result<(), StoreError> {
    let (sink, group, partition) = (&of.sink, &of.group, of.partition);
    let position = opened.cursor.as_ref().map(|cursor| cursor.position);
    match (committed, position, &mut opened.cursor) {
        (Some(committed), Some(position), Some(cursor)) if committed < position => {
            tracing::warn!(
                sink,
                partition,
                "group {group} was set back from {position} to {committed}; what lies between is \
                 read again"
            );
            cursor.position = committed;
            Ok(())
        }
        (Some(committed), position, _) if position.is_none_or(|position| position < committed) => {
            Err(StoreError::Refused(format!(
                "the changelog of sink {sink} lacks what group {group} committed at {committed} in \
                 partition {partition}: it was truncated, deleted, or the group's offsets were set \
                 ahead. Set them back to {} with all instances stopped, or restore the changelog",
                position.unwrap_or_default(),
            )))
        }
        _ => Ok(()),
    }
}
