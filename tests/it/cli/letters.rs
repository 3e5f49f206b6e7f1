//! Dead letters: listed, redriven and discarded, without loss and without circles.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use goldwire::dead_letter::{Filter, LetterName, LetterView, Work};
use goldwire::event::{EventRecord, SourceRecord, Subject};
use goldwire::log::partition_of;
use goldwire::store::{Batch, Store as _, keys};
use prost::Message as _;

use super::fixture::{Fixture, NOW, fixture, letter, records, undecodable, write};

fn all() -> Work {
    Work::default()
}

async fn open(fixture: &Fixture) -> Vec<String> {
    let letters = fixture
        .redrive
        .letters
        .page(&Filter::default(), None, 1000)
        .await
        .unwrap()
        .letters;
    letters
        .iter()
        .map(|letter| LetterName::of(letter).to_string())
        .collect()
}

#[tokio::test]
async fn letters_are_found_by_every_part_of_a_filter() {
    let mut late = letter("lake", "c", "exhausted");
    late.last_time = NOW - 10;
    let letters = [
        letter("crm", "a", "rejected"),
        letter("crm", "b", "exhausted"),
        late,
        undecodable("d"),
    ];
    let fixture = fixture(&letters);
    let some = |text: &str| Some(text.to_owned());
    let any = Filter::default;
    let cases = [
        (any(), "dabc"),
        (
            Filter {
                sink: some("crm"),
                ..any()
            },
            "ab",
        ),
        (
            Filter {
                sink: some("ingest"),
                ..any()
            },
            "d",
        ),
        (
            Filter {
                reason: some("exhausted"),
                ..any()
            },
            "bc",
        ),
        (
            Filter {
                subject: some("entities/a"),
                ..any()
            },
            "a",
        ),
        (
            Filter {
                from: Some(NOW - 10),
                ..any()
            },
            "c",
        ),
        (
            Filter {
                until: Some(NOW - 10),
                ..any()
            },
            "dab",
        ),
        (
            Filter {
                names: vec!["crm/b:0".to_owned()],
                ..any()
            },
            "b",
        ),
    ];
    for (filter, ids) in cases {
        let page = fixture.redrive.letters.page(&filter, None, 1000);
        let letters = page.await.unwrap().letters;
        let found: String = letters.iter().map(|letter| letter.id.as_str()).collect();
        assert_eq!(found, ids, "{filter:?}");
    }
    let depth = fixture.redrive.letters.depth().await.unwrap();
    let depth: Vec<_> = depth
        .iter()
        .map(|(sink, letters)| (sink.as_str(), *letters))
        .collect();
    assert_eq!(depth, [("crm", 2), ("ingest", 1), ("lake", 1)]);
}

#[tokio::test]
async fn g1_a_sinks_letter_goes_back_addressed_with_the_next_round_and_is_closed_after() {
    let fixture = fixture(&[letter("crm", "a", "rejected")]);
    let report = fixture.redrive.run(&all(), &|_| ()).await.unwrap();
    assert_eq!((report.done, report.reasons["rejected"]), (1, 1));
    let records = records(fixture.log.as_ref()).await;
    let [(partition, bytes)] = records.as_slice() else {
        panic!("{records:?}")
    };
    let record = EventRecord::decode(bytes.clone()).unwrap();
    assert_eq!(
        (record.sink.as_str(), record.round, record.id.as_str()),
        ("crm", 1, "a")
    );
    assert_eq!(
        *partition,
        partition_of(&Subject::new("t", "entities/a"), 8)
    );
    assert_eq!(open(&fixture).await, Vec::<String>::new());
}

#[tokio::test]
async fn ingests_letter_goes_back_to_the_inbox_as_it_was_received() {
    let fixture = fixture(&[undecodable("d")]);
    fixture.redrive.run(&all(), &|_| ()).await.unwrap();
    let records = records(fixture.inbox.as_ref()).await;
    let record = SourceRecord::decode(records[0].1.clone()).unwrap();
    assert_eq!((record.source.as_str(), record.round), ("hook", 1));
    assert_eq!(record.body, Bytes::from_static(b"{not json"));
    assert_eq!(record.headers["content-type"], "application/json");
    assert_eq!(record.received_time, NOW - 2000);
    assert_eq!(open(&fixture).await, Vec::<String>::new());
}

#[tokio::test]
async fn g1_when_the_close_fails_the_letter_stays_and_a_second_run_makes_a_copy_of_the_same_record()
{
    let fixture = fixture(&[letter("crm", "a", "rejected")]);
    fixture.store.broken.store(true, Ordering::SeqCst);
    fixture.redrive.run(&all(), &|_| ()).await.unwrap_err();
    assert_eq!(open(&fixture).await, ["crm/a:0"]);
    fixture.store.broken.store(false, Ordering::SeqCst);
    fixture.redrive.run(&all(), &|_| ()).await.unwrap();
    let records = records(fixture.log.as_ref()).await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], records[1], "the fence sees one change twice");
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_max_bounds_the_work() {
    let letters: Vec<_> = (0..90)
        .map(|n| letter("crm", &format!("{n:03}"), "rejected"))
        .collect();
    let fixture = fixture(&letters);
    let report = fixture
        .redrive
        .run(
            &Work {
                dry_run: true,
                ..all()
            },
            &|_| (),
        )
        .await
        .unwrap();
    assert_eq!((report.done, open(&fixture).await.len()), (90, 90));
    let max = Work {
        max: Some(31),
        ..all()
    };
    let report = fixture.redrive.run(&max, &|_| ()).await.unwrap();
    assert_eq!((report.done, open(&fixture).await.len()), (31, 59));
    assert_eq!(records(fixture.log.as_ref()).await.len(), 31);
}

#[tokio::test]
async fn a_record_that_fails_again_at_once_is_not_redriven_in_a_circle() {
    let fixture = fixture(&[letter("crm", "a", "rejected")]);
    let mut again = letter("crm", "b", "rejected");
    again.last_time = NOW + 60_000;
    write(fixture.store.as_ref(), &[again]);
    let report = fixture.redrive.run(&all(), &|_| ()).await.unwrap();
    assert_eq!(report.done, 1);
    assert_eq!(open(&fixture).await, ["crm/b:0"]);
    assert_eq!(report.skipped[0].name, "crm/b:0", "dated in the future");
    let named = Work {
        filter: Filter {
            names: vec!["crm/b:0".to_owned(), "crm/a:0".to_owned()],
            ..Filter::default()
        },
        ..all()
    };
    let report = fixture.redrive.run(&named, &|_| ()).await.unwrap();
    assert_eq!(report.done, 1, "what is named is meant");
    assert_eq!(
        (report.skipped[0].name.as_str(), report.skipped.len()),
        ("crm/a:0", 1),
        "closed already"
    );
}

#[tokio::test]
async fn a_letter_that_cannot_be_read_is_shown_as_such_and_hides_no_other() {
    let fixture = fixture(&[letter("crm", "b", "rejected")]);
    for sink in ["crm", ""] {
        let mut batch = Batch::default();
        batch.put(keys::dead_letter(sink, "a", 3), b"\xff\xff\xff".to_vec());
        fixture.store.commit(batch).unwrap();
    }
    assert_eq!(open(&fixture).await, ["ingest/a:3", "crm/a:3", "crm/b:0"]);
    let report = fixture.redrive.run(&all(), &|_| ()).await.unwrap();
    assert_eq!((report.done, report.skipped.len()), (1, 2));
    assert_eq!(records(fixture.inbox.as_ref()).await.len(), 0);
    let report = fixture.redrive.discard(&all(), &|_| ()).await.unwrap();
    assert_eq!((report.done, open(&fixture).await.len()), (2, 0));
}

#[tokio::test]
async fn work_done_in_parts_leaves_alone_what_was_written_since_it_began() {
    let fixture = fixture(&[letter("crm", "a", "rejected")]);
    let work = Work {
        began: Some(NOW - 5000),
        ..all()
    };
    let report = fixture.redrive.run(&work, &|_| ()).await.unwrap();
    assert_eq!((report.done, report.skipped.len()), (0, 0));
}

#[tokio::test]
async fn a_letter_of_a_sink_that_is_gone_stays_and_is_reported() {
    let fixture = fixture(&[
        letter("old", "a", "rejected"),
        letter("crm", "b", "rejected"),
    ]);
    let report = fixture.redrive.run(&all(), &|_| ()).await.unwrap();
    assert_eq!(report.done, 1);
    assert_eq!(report.skipped[0].name, "old/a:0");
    assert!(report.skipped[0].why.contains("not configured"));
    let report = fixture.redrive.discard(&all(), &|_| ()).await.unwrap();
    assert_eq!((report.done, open(&fixture).await.len()), (1, 0));
    assert_eq!(records(fixture.log.as_ref()).await.len(), 1);
}

#[tokio::test]
async fn closing_a_letter_twice_is_closing_it_once() {
    let fixture = fixture(&[letter("crm", "a", "rejected")]);
    let name: LetterName = "crm/a:0".parse().unwrap();
    assert!(fixture.redrive.letters.show(&name).await.unwrap().is_some());
    for _ in 0..2 {
        fixture
            .redrive
            .letters
            .close(std::slice::from_ref(&name))
            .await
            .unwrap();
    }
    assert!(fixture.redrive.letters.show(&name).await.unwrap().is_none());
}

#[test]
fn g10_a_letter_is_shown_without_its_record() {
    let view = serde_json::to_string(&LetterView::from(&letter("crm", "a", "rejected"))).unwrap();
    assert!(
        view.contains("REQUIRED_FIELD_MISSING") && !view.contains("Ada"),
        "{view}"
    );
}
