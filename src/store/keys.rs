//! The key space of the store, laid out in one place.
//!
//! | key | value |
//! |---|---|
//! | `m/format` | format version of the store, decimal |
//! | `m/log/{name}` | identity of the log that cursors were made against |
//! | `g/{group}\0{partition}` | the position at which a detached group goes on after a gap, decimal |
//! | `h/{sink}` | since when a person holds the sink, ms, decimal |
//! | `w/{group}\0{partition}` | offset and crc32c of a record below the cursor's position: what the log is known by |
//! | `k/{sink}\0{partition}` | [`ChangelogPoint`](crate::event::proto::ChangelogPoint): how far the store has the sink's changelog |
//! | `m/instance` | what tells this instance from others at the brokers |
//! | `m/takeover` | in a changelog only: that a partition was taken over |
//! | `c/{group}\0{partition}` | [`Cursor`](super::Cursor) of a group in a partition |
//! | `r/{sink}\0{partition}{subject}` | [`Register`](super::Register) |
//! | `i/{sink}\0{partition}{id}` | [`Noted`](super::ids::Noted): that a sink without unique keys has the change |
//! | `j/{sink}\0{partition}{time}{id}` | nothing; the ids of `i/` in the order in which they expire |
//! | `a/{sink}\0{partition}{offset}` | attempts made before an unclean stop, decimal |
//! | `p/{sink}\0{partition}{subject}` | that the subject's newest state has to be asserted once more: empty, or the record that does it |
//! | `t/{sink}\0{partition}{time}{subject}` | nothing; that a start or an end date of the subject passes then |
//! | `f/{sink}\0{partition}{refresh}` | [`RefreshState`](crate::event::proto::RefreshState): where the refreshes of a dashboard stand; in the first partition only |
//! | `o/{source}\0{group}\0{topic}\0{partition}` | the offset at which a Kafka source last began, decimal: that its group has one |
//! | `d/{sink}\0{id}\0{round}` | [`DeadLetter`](crate::event::proto::DeadLetter) without its record; ingest's sink is empty |
//! | `l/{partition}` | [`ChangelogPoint`](crate::event::proto::ChangelogPoint): how far the store has the topic of dead letters |
//! | `z/{sink}\0{partition}` | [`Prepared`](crate::event::proto::Prepared): a commit that waits for its piece to land |
//! | `z/{sink}\0{partition}{number}` | [`Changes`](crate::event::proto::Changes): what it will change, in parts |
//! | `b/{sink}\0{id}\0{round}` | the same with the record alone: `headers` and `original` |

use crate::event::{ChangeId, Subject};
use crate::time::Millis;

/// What the keys of registers begin with.
pub const REGISTERS: &[u8] = b"r/";
/// What the keys of dead letters begin with.
pub const DEAD_LETTERS: &[u8] = b"d/";
/// What the keys of their records begin with.
pub const DEAD_LETTER_RECORDS: &[u8] = b"b/";
/// What tells this instance from others that read the same log.
pub const INSTANCE: &[u8] = b"m/instance";
/// The marker of a takeover, in a changelog.
pub const TAKEOVER: &[u8] = b"m/takeover";

/// Where the format version stands.
pub const FORMAT: &[u8] = b"m/format";

fn joined(head: &[u8], name: &str, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(head);
    key.extend_from_slice(name.as_bytes());
    key.push(0);
    for part in rest {
        key.extend_from_slice(part);
    }
    key
}

/// The identity of the log called `name`.
pub fn log_identity(name: &str) -> Vec<u8> {
    [b"m/log/", name.as_bytes()].concat()
}

/// That `group` has missed records of `partition`.
pub fn gap(group: &str, partition: u16) -> Vec<u8> {
    joined(b"g/", group, &[&partition.to_be_bytes()])
}

/// That a person holds `sink`.
pub fn held(sink: &str) -> Vec<u8> {
    joined(b"h/", sink, &[])
}

/// What the log is known by below the cursor of `group`.
pub fn witness(group: &str, partition: u16) -> Vec<u8> {
    joined(b"w/", group, &[&partition.to_be_bytes()])
}

/// How far the store has the changelog of `sink`.
pub fn changelog_point(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"k/", sink, &[&partition.to_be_bytes()])
}

/// What all keys of a task begin with, but for its changelog's point and its dead letters.
pub fn of_task(sink: &str, group: &str, partition: u16) -> [Vec<u8>; 11] {
    [
        cursor(group, partition),
        witness(group, partition),
        gap(group, partition),
        registers_of(sink, partition),
        ids(sink, partition),
        ids_by_time(sink, partition),
        attempts_of(sink, partition),
        reassertions_of(sink, partition),
        dates_of(sink, partition),
        prepared(sink, partition),
        refreshes_of(sink, partition),
    ]
}

/// Where `group` stands in `partition`.
pub fn cursor(group: &str, partition: u16) -> Vec<u8> {
    joined(b"c/", group, &[&partition.to_be_bytes()])
}

/// What `sink` has of `subject`.
pub fn register(sink: &str, partition: u16, subject: &Subject) -> Vec<u8> {
    joined(
        REGISTERS,
        sink,
        &[&partition.to_be_bytes(), subject.as_bytes()],
    )
}

/// What all of a task's registers begin with; the subject follows.
pub fn registers_of(sink: &str, partition: u16) -> Vec<u8> {
    joined(REGISTERS, sink, &[&partition.to_be_bytes()])
}

/// That the newest state of `subject` has to be asserted once more at `sink`.
pub fn reassertion(sink: &str, partition: u16, subject: &Subject) -> Vec<u8> {
    joined(b"p/", sink, &[&partition.to_be_bytes(), subject.as_bytes()])
}

/// All reassertions of a task; the subject follows.
pub fn reassertions_of(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"p/", sink, &[&partition.to_be_bytes()])
}

/// That `subject` is something else at `sink` from `time` on, by its start or its end date.
pub fn date(sink: &str, partition: u16, time: Millis, subject: &Subject) -> Vec<u8> {
    // No date that lies ahead is below zero, so that bytes sort as times do.
    let time = u64::try_from(time).unwrap_or_default().to_be_bytes();
    let rest = [
        &partition.to_be_bytes(),
        time.as_slice(),
        subject.as_bytes(),
    ];
    joined(b"t/", sink, &rest)
}

/// All dates of a task, the earliest first; the time and the subject follow.
pub fn dates_of(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"t/", sink, &[&partition.to_be_bytes()])
}

/// Where the refreshes of a dashboard that follows `sink` stand.
pub fn refresh(sink: &str, partition: u16, refresh: &str) -> Vec<u8> {
    let partition = partition.to_be_bytes();
    let rest = [partition.as_slice(), refresh.as_bytes()];
    joined(b"f/", sink, &rest)
}

/// Those of all dashboards.
fn refreshes_of(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"f/", sink, &[&partition.to_be_bytes()])
}

/// Of which partitions of `topic` it is known that the `group` of `source` had an offset there; the
/// partition's number follows, four bytes.
pub fn offset_marks_of(source: &str, group: &str, topic: &str) -> Vec<u8> {
    let rest = [group.as_bytes(), b"\0", topic.as_bytes(), b"\0"];
    joined(b"o/", source, &rest)
}

/// A commit that waits for its piece to land.
pub fn prepared(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"z/", sink, &[&partition.to_be_bytes()])
}

/// A part of what it will change.
pub fn prepared_part(sink: &str, partition: u16, number: u32) -> Vec<u8> {
    let rest = [partition.to_be_bytes().as_slice(), &number.to_be_bytes()].concat();
    joined(b"z/", sink, &[&rest])
}

/// That `sink` has a change.
pub fn id(sink: &str, partition: u16, id: &ChangeId) -> Vec<u8> {
    joined(b"i/", sink, &[&partition.to_be_bytes(), id.as_bytes()])
}

/// All ids of a task.
pub fn ids(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"i/", sink, &[&partition.to_be_bytes()])
}

/// When an id of `sink` was noted: the key to find it by when it expires.
pub fn id_by_time(sink: &str, partition: u16, time: Millis, id: &ChangeId) -> Vec<u8> {
    // No time is below zero, so that bytes sort as times do.
    let time = u64::try_from(time).unwrap_or_default().to_be_bytes();
    let rest = [&partition.to_be_bytes(), time.as_slice(), id.as_bytes()];
    joined(b"j/", sink, &rest)
}

/// All ids of a task, oldest first.
pub fn ids_by_time(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"j/", sink, &[&partition.to_be_bytes()])
}

/// Attempts at the record at `offset`, noted before the send.
pub fn attempts(sink: &str, partition: u16, offset: u64) -> Vec<u8> {
    joined(
        b"a/",
        sink,
        &[&partition.to_be_bytes(), &offset.to_be_bytes()],
    )
}

/// All noted attempts of a task.
pub fn attempts_of(sink: &str, partition: u16) -> Vec<u8> {
    joined(b"a/", sink, &[&partition.to_be_bytes()])
}

/// A dead letter. `sink` is empty for ingest's own.
pub fn dead_letter(sink: &str, id: &str, round: u32) -> Vec<u8> {
    joined(
        DEAD_LETTERS,
        sink,
        &[id.as_bytes(), b"\0", &round.to_be_bytes()],
    )
}

/// The record of a dead letter.
pub fn dead_letter_record(sink: &str, id: &str, round: u32) -> Vec<u8> {
    joined(
        DEAD_LETTER_RECORDS,
        sink,
        &[id.as_bytes(), b"\0", &round.to_be_bytes()],
    )
}

/// How far the store has a partition of the topic of dead letters.
pub fn letters_point(partition: u16) -> Vec<u8> {
    [b"l/".as_slice(), &partition.to_be_bytes()].concat()
}

/// All dead letters of a sink; of all sinks without one.
pub fn dead_letters_of(sink: Option<&str>) -> Vec<u8> {
    sink.map_or_else(
        || DEAD_LETTERS.to_vec(),
        |sink| joined(DEAD_LETTERS, sink, &[]),
    )
}
