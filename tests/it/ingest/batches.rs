//! A batch of the source becomes one append for each partition of the log.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use goldwire::dead_letter::{DeadLetter, DeadLetters as _, LetterName, StoredLetters};
use goldwire::event::EventRecord;
use goldwire::log::{Log as _, ReadLimit};
use prost::Message as _;

use super::rig::{IN_FLIGHT, IN_FLIGHT_BYTES, PARTITIONS, Rig, event, hint};
use crate::logged::Logged;

pub(super) async fn logged(rig: &Rig) -> Vec<EventRecord> {
    let limit = ReadLimit {
        records: 10_000,
        bytes: 1 << 30,
    };
    let mut events = Vec::new();
    for partition in 0..PARTITIONS {
        let records = rig.log.read(partition, 0, limit).await.unwrap();
        let decoded = records
            .into_iter()
            .map(|record| EventRecord::decode(record.bytes));
        events.extend(decoded.map(Result::unwrap));
    }
    events
}

pub(super) async fn letters(rig: &Rig) -> Vec<DeadLetter> {
    let letters = StoredLetters::new(Arc::clone(&rig.store));
    let filter = goldwire::dead_letter::Filter::default();
    let page = letters.page(&filter, None, 1000).await.unwrap();
    let mut whole = Vec::new();
    for head in &page.letters {
        let letter = letters.show(&LetterName::of(head)).await.unwrap();
        whole.extend(letter);
    }
    whole
}

#[tokio::test(start_paused = true)]
async fn g1_a_batch_is_one_append_a_partition_in_order_and_is_committed_after_it() {
    let rig = Rig::new();
    rig.log.opens.send_replace(false);
    let bodies = (0..900).map(|number| event(number % 90, number / 90 + 1));
    rig.send(0, 0, bodies.collect());
    rig.pass(1000).await;
    assert_eq!(
        rig.log.appends.load(Ordering::Relaxed),
        usize::from(PARTITIONS)
    );
    assert_eq!(rig.status.borrow().in_flight, 900);
    assert_eq!(rig.taken.of(0), None);
    rig.log.opens.send_replace(true);
    rig.pass(1000).await;
    assert_eq!(rig.taken.of(0), Some(900));
    let events = logged(&rig).await;
    assert_eq!(events.len(), 900);
    for subject in 0..90 {
        let uri = format!("entities/{subject}");
        let of = events.iter().filter(|event| event.subject == uri);
        let versions: Vec<_> = of.filter_map(|event| event.version).collect();
        assert_eq!(versions, (1..=10).collect::<Vec<_>>(), "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn g2_what_has_to_be_read_holds_the_position_and_nothing_else() {
    let rig = Rig::new();
    rig.reltio.send_replace(false);
    let bodies = vec![event(1, 1), event(2, 1), hint(3), event(4, 1), event(5, 1)];
    rig.send(0, 10, bodies);
    rig.send(0, 15, vec![event(6, 1)]);
    rig.pass(10_000).await;
    assert_eq!(rig.log.records(), 5);
    assert_eq!(
        (rig.taken.of(0), rig.status.borrow().in_flight),
        (Some(12), 1)
    );
    rig.reltio.send_replace(true);
    rig.pass(1000).await;
    assert_eq!(rig.taken.of(0), Some(16));
    let letters = letters(&rig).await;
    assert_eq!((letters.len(), letters[0].offset), (1, 12));
    assert_eq!(letters[0].original, hint(3));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_is_kept_as_it_came_beside_what_can() {
    let rig = Rig::new();
    let bad = |number: usize| format!("not JSON {number}").into_bytes();
    let mixed = |number| {
        if number % 3 == 0 {
            bad(number)
        } else {
            event(number, 1)
        }
    };
    rig.send(0, 0, (0..300).map(mixed).collect());
    rig.pass(1000).await;
    assert_eq!((rig.log.records(), rig.taken.of(0)), (200, Some(300)));
    let mut letters = letters(&rig).await;
    letters.sort_by_key(|letter| letter.offset);
    assert_eq!(letters.len(), 100);
    for (letter, number) in letters.iter().zip((0_usize..).step_by(3)) {
        assert_eq!(letter.offset, i64::try_from(number).unwrap());
        assert_eq!(letter.original, bad(number));
        assert_eq!(
            (letter.stage.as_str(), letter.code.as_str()),
            ("decode", "not_json")
        );
        let said = "the body is not JSON from line 1, column ";
        assert!(letter.detail.starts_with(said), "{}", letter.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn g8_records_beyond_the_bound_are_not_read() {
    let rig = Rig::new();
    rig.log.opens.send_replace(false);
    for batch in 0_i64..8 {
        let bodies = (0..300).map(|number| event(number, 1));
        rig.send(0, batch * 300, bodies.collect());
    }
    rig.pass(1000).await;
    assert_eq!(rig.status.borrow().in_flight, IN_FLIGHT);
    rig.log.opens.send_replace(true);
    rig.pass(1000).await;
    assert_eq!((rig.log.records(), rig.taken.of(0)), (2400, Some(2400)));
}

#[tokio::test(start_paused = true)]
async fn g8_bodies_that_unfold_to_much_more_count_as_what_they_unfold_to() {
    let rig = Rig::new();
    rig.log.opens.send_replace(false);
    let large = |number: usize| {
        let mut body = event(number, 1);
        body.extend(vec![b' '; 100_000]);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&body).unwrap();
        STANDARD.encode(gzip.finish().unwrap()).into_bytes()
    };
    rig.send(0, 0, (0..100).map(large).collect());
    rig.pass(1000).await;
    let waiting = rig.log.waiting.load(Ordering::Relaxed);
    let bound = IN_FLIGHT_BYTES + 110_000;
    assert!((IN_FLIGHT_BYTES..bound).contains(&waiting), "{waiting}");
    rig.log.opens.send_replace(true);
    rig.pass(1000).await;
    assert_eq!((rig.log.records(), rig.taken.of(0)), (100, Some(100)));
}

#[tokio::test(start_paused = true)]
async fn g8_an_append_that_does_not_fit_as_a_whole_goes_in_parts_at_once() {
    let rig = Rig::new();
    rig.log.largest.store(3, Ordering::Relaxed);
    rig.send(0, 0, (1..=40).map(|version| event(1, version)).collect());
    // Less than any wait before another try.
    rig.pass(5).await;
    assert_eq!(rig.log.records(), 40);
    rig.pass(60_000).await;
    assert_eq!(rig.taken.of(0), Some(40));
    let versions = logged(&rig)
        .await
        .into_iter()
        .filter_map(|event| event.version);
    assert_eq!(versions.collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_full_log_is_told_once_an_episode_however_many_records_wait() {
    let logged = Logged::down_to(tracing::Level::INFO);
    let rig = Rig::new();
    for episode in 0_i64..2 {
        rig.log.full.store(true, Ordering::Relaxed);
        for number in 0_i64..450 {
            let offset = episode * 450 + number;
            rig.send(0, offset, vec![event(usize::try_from(number).unwrap(), 1)]);
        }
        rig.pass(60_000).await;
        rig.log.full.store(false, Ordering::Relaxed);
        rig.pass(10_000).await;
    }
    assert_eq!((rig.log.records(), rig.taken.of(0)), (900, Some(900)));
    let logged = logged.text();
    let lines = |text: &str| logged.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines("intake stalls: the log is full"), 2, "{logged}");
    assert_eq!(lines("intake goes on"), 2, "{logged}");
    assert_eq!(lines("records=450"), 2, "{logged}");
}
