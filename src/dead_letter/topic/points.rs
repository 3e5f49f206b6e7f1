//! How far a store has the topic.
//!
//! Guarantee: a position stands in the store in the same batch as the letters below it.

use prost::Message as _;

use crate::event::proto::ChangelogPoint;
use crate::log::{LogIdentity, OffsetRange};
use crate::store::{Batch, Store, StoreError, keys};
use crate::time::Millis;

/// Where one partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    /// Everything below it is in the store.
    pub(super) next: u64,
    /// When the store was known to have all that there was, ms: tombstones written later are there.
    pub(super) whole: Millis,
}

/// What the store knows of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    None,
    /// Another topic, or another count of partitions.
    Other(String),
    /// This one, up to here in each partition.
    This(Vec<Point>),
}

/// Topic and count, as points have them.
pub(super) fn named(topic: &LogIdentity) -> String {
    format!("{}/{}", topic.id, topic.partitions)
}

/// What `store` knows of `topic`. Blocks on the disk.
pub(super) fn read(store: &dyn Store, topic: &LogIdentity) -> Result<Known, StoreError> {
    let mut points = Vec::new();
    for partition in 0..topic.partitions {
        let key = keys::letters_point(partition);
        let Some(value) = store.get(&key)? else {
            return Ok(Known::None);
        };
        let point =
            ChangelogPoint::decode(value.as_slice()).map_err(|error| StoreError::Corrupt {
                key: format!("position in partition {partition} of the topic of dead letters"),
                why: error.to_string(),
            })?;
        if point.changelog != named(topic) {
            return Ok(Known::Other(point.changelog));
        }
        points.push(Point {
            next: point.next,
            whole: point.time,
        });
    }
    Ok(Known::This(points))
}

/// Puts where the store stands.
pub(super) fn put(batch: &mut Batch, topic: &LogIdentity, points: &[Point]) {
    for (partition, point) in (0..).zip(points) {
        let value = ChangelogPoint {
            changelog: named(topic),
            next: point.next,
            time: point.whole,
        };
        batch.put(keys::letters_point(partition), value.encode_to_vec());
    }
}

/// The beginning of each partition, read from `now` on.
pub(super) fn beginning(ranges: &[OffsetRange], now: Millis) -> Vec<Point> {
    let point = |range: &OffsetRange| Point {
        next: range.start,
        whole: now,
    };
    ranges.iter().map(point).collect()
}

/// Whether every point is in the topic.
pub(super) fn are_in(points: &[Point], ranges: &[OffsetRange]) -> bool {
    let mut pairs = points.iter().zip(ranges);
    points.len() == ranges.len()
        && pairs.all(|(point, range)| (range.start..=range.end).contains(&point.next))
}
