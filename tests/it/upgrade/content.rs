//! All that a data directory holds, as text.
//!
//! Values go through the types of this version and are written again: a field that it does not
//! know any more is missing in the text.

use std::fmt::Write as _;

use goldwire::event::proto::DeadLetter;
use goldwire::event::{EventRecord, SourceRecord};
use goldwire::log::{Log, ReadLimit};
use goldwire::runtime::Files;
use goldwire::store::{Cursor, Register};
use prost::Message;

/// Prints a value of one kind.
type Print = fn(&[u8]) -> String;

pub(super) async fn content(files: &Files) -> String {
    let mut text = String::new();
    log(
        "inbox",
        files.inbox.as_ref(),
        again::<SourceRecord>,
        &mut text,
    )
    .await;
    log("log", files.log.as_ref(), again::<EventRecord>, &mut text).await;
    let known: [(&[u8], Print); 6] = [
        (b"m/log/", plain),
        (b"g/", plain),
        (b"c/", again::<Cursor>),
        (b"r/", again::<Register>),
        (b"a/", plain),
        (b"d/", again::<DeadLetter>),
    ];
    for (prefix, value) in known {
        for (key, bytes) in files.store.scan(prefix, None, usize::MAX).unwrap() {
            writeln!(text, "{} = {}", plain(&key), value(&bytes)).unwrap();
        }
    }
    text
}

async fn log(name: &str, log: &dyn Log, value: fn(&[u8]) -> String, text: &mut String) {
    let all = ReadLimit {
        records: usize::MAX,
        bytes: usize::MAX,
    };
    for partition in 0..log.identity().partitions {
        let range = log.range(partition);
        for record in log.read(partition, range.start, all).await.unwrap() {
            writeln!(
                text,
                "{name}/{partition}/{} = {}",
                record.offset,
                value(&record.bytes)
            )
            .unwrap();
        }
        writeln!(text, "{name}/{partition} {} to {}", range.start, range.end).unwrap();
    }
}

fn plain(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn again<M: Message + Default>(bytes: &[u8]) -> String {
    plain(&M::decode(bytes).unwrap().encode_to_vec())
}
